"""Everything about the profile sync of a running hub, put together."""

from __future__ import annotations

from hub.driverset import DriverSet
from hub.gateways.book import Gateway
from hub.gateways.service import Gateways
from hub.kernel import Kernel
from hub.profiles import ProfileBook
from hub.sync.changes import Changes
from hub.sync.commands import Validator, run_command
from hub.sync.desk import SyncDesk
from hub.sync.loop import Needs
from hub.sync.policy import Look
from hub.sync.targets import builder


def make_sync(kernel: Kernel, gateways: Gateways, profiles: ProfileBook, drivers: DriverSet) -> SyncDesk:
    """Return the desk; it knows nothing before `open` and does nothing before `run`."""
    environment = kernel.config.openclaw

    async def look(gateway: Gateway) -> Look | None:
        if not gateway.url:
            return None
        sight = await gateways.watch.look(gateway)
        seen = sight.seen
        roster = frozenset(seen.roster) if seen.roster is not None else None
        return Look(state=seen.state, roster=roster, reason=seen.reason, version=sight.shape_version)

    needs = Needs(
        kernel=kernel,
        build=builder(profiles, environment),
        look=look,
        changes=Changes(kernel.notices, kernel.now),
        validator=Validator(environment.binary),
        command=run_command,
        containers=next((one.containers for one in drivers if one.containers is not None), None),
    )
    desk = SyncDesk(needs, gateways.book, profiles, enabled=environment.profile_sync is not False)
    gateways.watch.on_change(desk.gateway_changed)
    return desk
