"""Facts for what needs a person, gathered from the whole hub, and word to observers when it changes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from hub.contract import AttentionList, AttentionView, Severity
from hub.core.attention import resolve
from hub.core.attention_facts import AgentFacts, Facts, GatewayFacts, GivenUpFacts, HubFacts, IngressFacts, SyncFacts
from hub.core.effects import Kind
from hub.core.model import Agent, Snooze
from hub.core.view import derive_status
from hub.errors import HubError
from hub.kernel import Kernel
from hub.reconcile import Reconciler
from hub.surviving import surviving
from runtime.wire import Disk

LOOK_SECONDS: Final = 2.0
"""How often the hub looks whether something else needs a person, when anything has changed."""
LOOK_ANYWAY_SECONDS: Final = 15.0
"""Silence, disks and the ends of snoozes change nothing that would be told."""

MOST_EVENTS: Final = 50
"""When more changes at once, for instance because a network is gone, one event without id stands for all."""

log = structlog.get_logger("hub.attention")


class AttentionDesk:
    """Answers what needs a person now, and publishes `attention` events for what came, changed or went."""

    def __init__(
        self,
        kernel: Kernel,
        reconcilers: Sequence[Reconciler],
        problems: Callable[[], list[str]],
        *,
        gateways: Callable[[], list[GatewayFacts]] = list,
        syncs: Callable[[], list[SyncFacts]] = list,
        given_up: Callable[[], list[GivenUpFacts]] = list,
        ingress: Callable[[], IngressFacts] = IngressFacts,
        measure_disk: Callable[[Path], Disk | None] | None = None,
    ) -> None:
        """`problems`: what else is wrong with the hub, as sentences. `gateways`: how OpenClaw gateways are, `syncs` how
        their files are kept in step, `given_up` which of them are not restarted any more, `ingress` the
        proxy in front of them."""
        self._kernel = kernel
        self._reconcilers = reconcilers
        self._problems = problems
        self._gateways = gateways
        self._syncs = syncs
        self._given_up = given_up
        self._ingress = ingress
        self._measure_disk = measure_disk or disk_of
        self._started_ms = kernel.now().wall_ms
        self._known: dict[str, int] = {}
        self._told: dict[str, AttentionView] = {}

    async def read(self) -> AttentionList:
        """Return everything, what is snoozed last. Raises HubError when the registry cannot be read."""
        kernel = self._kernel
        now_ms = kernel.now().wall_ms
        failures, snoozes = await kernel.registry.failures(now_ms), await kernel.registry.snoozes()
        jobs = await kernel.registry.failed_jobs(now_ms)
        facts = Facts(
            now_ms=now_ms, hub=self._hub(), agents=self._agents(), failures=failures, jobs=jobs,
            gateways=self._gateways(), given_up=self._given_up(), syncs=self._syncs(),
            ingress=self._ingress(),
        )  # fmt: skip
        found = resolve(facts, snoozes, self._known)
        self._known = {view.id: self._known.get(view.id, now_ms) for view in found.attention}
        self._count(found)
        return found

    async def snooze(self, attention_id: str, until_ms: int, by: str) -> Snooze | None:
        """Return the record that hides `attention_id` until then, or None when nothing has that id."""
        found = await self.read()
        if all(view.id != attention_id for view in found.attention):
            return None
        return Snooze(id=attention_id, at=self._kernel.now().wall_ms, until=until_ms, by=by)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        seen, looked_at = -1, 0.0
        while True:
            now = self._kernel.now().mono
            if self._kernel.feed.seq != seen or now - looked_at >= LOOK_ANYWAY_SECONDS:
                looked_at = now
                with surviving(
                    self._kernel.notices, self._kernel.now, "attention_broken", "what needs a person is not known"
                ):
                    await self.look()
                # What this look published is no reason for another one.
                seen = self._kernel.feed.seq
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Tell observers what came, changed or went since the last look."""
        try:
            found = await self.read()
        except HubError as exc:
            log.warning("attention_not_known", error=exc.message)
            return
        present = {view.id: view for view in found.attention}
        changed = [name for name, view in present.items() if self._told.get(name) != view]
        gone = self._told.keys() - present.keys()
        self._told = present
        if len(changed) + len(gone) > MOST_EVENTS:
            self._kernel.feed.publish(Kind.ATTENTION, "")
            return
        for name in changed:
            self._kernel.feed.publish(Kind.ATTENTION, name)
        for name in gone:
            self._kernel.feed.publish(Kind.ATTENTION, name, gone=True)

    # --- facts

    def _hub(self) -> HubFacts:
        kernel = self._kernel
        return HubFacts(
            started_ms=self._started_ms,
            trouble=kernel.trouble,
            problems=self._problems(),
            drivers={one.driver_name: one.problem for one in self._reconcilers if one.problem},
            disk=self._measure_disk(kernel.config.state_folder),
        )

    def _agents(self) -> list[AgentFacts]:
        return [self._facts(agent) for agent in self._kernel.fleet.agents.values()]

    def _facts(self, agent: Agent) -> AgentFacts:
        fleet = self._kernel.fleet
        presence = fleet.presence(agent.id)
        return AgentFacts(
            agent=agent,
            status=derive_status(agent.quarantined, agent.desired, agent.observed, presence.connection),
            connection=presence.connection,
            last_seen_ms=presence.last_seen_ms if presence.last_seen_ms is not None else agent.last_seen_at,
            disk=presence.health.disk if presence.health is not None else None,
            looping=fleet.lifecycle.is_looping(agent.id),
            restarting=fleet.lifecycle.restart_at(agent.id) is not None,
            wellness=fleet.lifecycle.wellness.report(agent.id),
        )

    def _count(self, found: AttentionList) -> None:
        counts = dict.fromkeys(Severity, 0)
        for view in found.attention:
            counts[view.severity] += view.snoozed_until is None
        self._kernel.metrics.set_attention({severity.value: count for severity, count in counts.items()})


def disk_of(folder: Path) -> Disk | None:
    """Return how full the disk of `folder` is for those without special rights; None where nobody can tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    # Blocks reserved for root are not free for us, and `used` does not count them.
    return Disk(used=usage.total - usage.free, total=usage.total)
