"""Everything about OpenClaw gateways that a running hub runs, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from hub.contract import GatewayState, GatewayView
from hub.core.instances import StoredInstance
from hub.core.model import Job
from hub.driverset import DriverSet
from hub.gateways.instances.lifecycle import Lifecycle
from hub.gateways.instances.model import ACT, DESTROY, PROVISION, url_of
from hub.gateways.instances.provisioning import Provisioning
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.service import Gateways
from hub.jobs import Jobs, Work
from hub.kernel import Kernel


class Instances:
    """Knows nothing before `open`."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, gateways: Gateways) -> None:
        self.room = InstanceRoom(kernel, drivers, jobs, gateways)
        self.provisioning = Provisioning(self.room)
        self.lifecycle = Lifecycle(self.room, self.provisioning)

    def resumers(self) -> dict[str, Callable[[Job], Work]]:
        """Who goes on with jobs that a killed hub left, by kind."""
        return {
            PROVISION: self.provisioning.again,
            ACT: self.lifecycle.again,
            DESTROY: self.lifecycle.destroy_again,
        }

    async def open(self) -> None:
        """Read what the registry has, and clear away what was staged for rows that never came. Raises HubError."""
        await self.room.book.open()
        await asyncio.to_thread(self.room.folders.sweep, self.room.book.all())

    def coming(self, instance: StoredInstance) -> GatewayView:
        """Return the view of an instance that is no gateway yet."""
        return GatewayView(
            name=instance.name,
            url=url_of(instance),
            state=GatewayState.UNKNOWN,
            reason=instance.reason or f"it is {instance.phase.value}",
            origin="provisioned",
            instance=self.room.view(instance),
        )

    def shown(self, view: GatewayView) -> GatewayView:
        """Return a gateway's view with what is known of it as an instance."""
        instance = self.room.book.find(view.name)
        if instance is None:
            return view
        return replace(view, instance=self.room.view(instance))
