"""The sync of all gateways: who has a loop, and what front ends are told and may decide."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from hub.contract import (
    PersonaDifference,
    PersonaSync,
    ResolveSync,
    SyncQuery,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncStatus,
)
from hub.core.attention_facts import SyncFacts
from hub.core.effects import Kind
from hub.errors import BadRequest, Conflict, HubError, NotFound
from hub.gateways.book import Gateway, GatewayBook
from hub.metrics import Metrics
from hub.profiles import ProfileBook
from hub.surviving import surviving
from hub.sync.loop import Needs, TargetLoop, conflict
from hub.sync.runner import Wish
from hub.sync.state import difference_view
from profiles.sync.errors import SyncError
from profiles.sync.plan import WAITING, Action, Decision

ALL_FIRST_SECONDS: Final = 45.0
OFF_HINT: Final = "it is switched off by the hub's settings: OPENCLAW_PROFILE_SYNC=false"
_WAITS: Final = frozenset(action.value for action in WAITING)

log = structlog.get_logger("hub.sync")


class SyncDesk:
    """One loop per gateway that has a sync, as long as the sync is switched on."""

    def __init__(self, needs: Needs, book: GatewayBook, profiles: ProfileBook, *, enabled: bool) -> None:
        self.enabled = enabled
        self._needs = needs
        self._kernel = needs.kernel
        self._book = book
        self._loops: dict[str, TargetLoop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        book.on_change(self._reread)
        profiles.on_change(self._poke_registry)

    # --- running

    def open(self) -> None:
        """Know the gateways of the book: from now on `first_run` waits for theirs."""
        for gateway in self._book.all():
            self._set(gateway.name)

    async def run(self) -> None:
        """Keep every gateway's files in step until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name in self._loops:
                self._start(name)
            group.create_task(self._watch(), name="sync changes")
            # Gateways come and go; this task ends by being cancelled only.
            await asyncio.get_running_loop().create_future()

    async def first_run(self, gateway: str) -> None:
        """Wait until a gateway's first sync ended, however it did, at most for a while."""
        loop = self._loops.get(gateway)
        if loop is None or loop.first_run.is_set():
            return
        try:
            async with asyncio.timeout(self._needs.rules.first_run_seconds):
                await loop.first_run.wait()
        except TimeoutError:
            log.warning("first_sync_takes_long", gateway=gateway)

    async def first_runs(self) -> None:
        """Wait for the first sync of all, at most for a while."""
        try:
            async with asyncio.timeout(ALL_FIRST_SECONDS):
                for loop in list(self._loops.values()):
                    await loop.first_run.wait()
        except TimeoutError:
            log.warning("first_syncs_take_long")

    async def _watch(self) -> None:
        while True:
            with surviving(
                self._kernel.notices, self._kernel.now, "sync_watch_broken", "the profile sync runs by its clock only"
            ):
                await self._needs.changes.run()
            await asyncio.sleep(ALL_FIRST_SECONDS)

    def _reread(self, name: str) -> None:
        """A gateway came, changed or went."""
        known, now = self._loops.get(name), self._book.find(name)
        if known is not None and now is not None and known.gateway == now:
            return
        before: asyncio.Task[None] | None = None
        if known is not None:
            del self._loops[name]
            if (before := self._tasks.pop(name, None)) is not None:
                before.cancel()
            known.close()
            self._kernel.feed.publish(Kind.SYNC, name, gone=True)
        self._set(name)
        if self._group is not None and name in self._loops:
            self._start(name, before)

    def _set(self, name: str) -> None:
        gateway = self._book.find(name)
        if self.enabled and gateway is not None and gateway.sync is not None:
            self._loops[name] = TargetLoop(gateway, self._needs)

    def _start(self, name: str, before: asyncio.Task[None] | None = None) -> None:
        assert self._group is not None
        loop = self._loops[name]
        self._tasks[name] = self._group.create_task(self._run_after(before, loop), name=f"sync {name}")

    @staticmethod
    async def _run_after(before: asyncio.Task[None] | None, loop: TargetLoop) -> None:
        if before is not None:
            await asyncio.wait([before])
        await loop.run()

    def again(self, name: str) -> None:
        """Somebody set a gateway's sync, perhaps as it was: a config that was not taken is tried once more."""
        if (loop := self._loops.get(name)) is not None:
            loop.again()

    def gateway_changed(self, name: str) -> None:
        """A gateway was seen otherwise than before: perhaps it takes now what it did not take."""
        if (loop := self._loops.get(name)) is not None:
            loop.hurry()

    def _poke_registry(self) -> None:
        for loop in self._loops.values():
            if loop.state.source == "registry":
                loop.poke()

    # --- answers

    def status(self, query: SyncQuery) -> SyncStatus:
        """Raises NotFound for a gateway that there is not."""
        if query.gateway:
            self._book.get(query.gateway)
        loops = [loop for name, loop in sorted(self._loops.items()) if query.gateway in ("", name)]
        return SyncStatus(
            enabled=self.enabled,
            targets=[loop.state.target() for loop in loops],
            personas=[view for loop in loops for view in loop.state.views()],
        )

    def check(self, gateway: str) -> None:
        """Raises NotFound, Conflict: there is nothing that could run."""
        self._asked_for(gateway)

    async def run_now(self, request: SyncRun) -> SyncReports:
        """Raises NotFound, Conflict."""
        if request.accept_empty and not request.gateway:
            raise BadRequest(
                "name the gateway whose source is empty on purpose",
                field="gateway",
                hint="clawtui sync run GATEWAY --accept-empty",
            )
        wish = Wish(dry_run=request.dry_run, accept_empty=request.accept_empty)
        if request.gateway:
            return SyncReports(reports=[await self._loop(request.gateway).run_now(wish)])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_reported(loop, wish)) for loop in self._asked_for("")]
        return SyncReports(reports=[task.result() for task in tasks])

    async def diff(self, gateway: str, slug: str) -> PersonaDifference:
        """Raises NotFound, Conflict (the source cannot be read)."""
        loop = self._loop(gateway)
        await self.first_run(gateway)
        persona = loop.persona(slug)
        try:
            built, found = await loop.runner.differences(slug)
        except SyncError as exc:
            raise conflict(exc) from exc
        files = [difference_view(one, built.source.why_not(slug, one.path)) for one in found]
        return PersonaDifference(persona=persona, files=files)

    async def to_decide(self, gateway: str, slug: str, request: ResolveSync) -> list[str]:
        """Return the files that a decision is about. Raises NotFound, Conflict (nothing waits, or it cannot be)."""
        found = await self.diff(gateway, slug)
        named = [file for file in found.files if request.path in ("", file.path)]
        if request.path and not named:
            raise _nothing(f"{request.path[:200]!r} of {gateway}/{slug} is as the source says, or is none of its files")
        # A file that was kept waits for nobody; who names it may think better of it.
        again = bool(request.path) and request.decision != "keep"
        waiting = [file for file in named if file.action in _WAITS or (again and file.action == Action.KEEP)]
        if not waiting:
            raise _nothing(f"no file of {gateway}/{slug} waits for a decision")
        if request.decision == "adopt":
            for file in waiting:
                if not file.can_adopt:
                    raise Conflict(
                        f"{file.path} of {gateway}/{slug} cannot be adopted: {file.why_not}",
                        code="cannot_adopt",
                        hint="decide keep or apply, or change the source by hand",
                    )
        return [file.path for file in waiting]

    async def resolve(self, gateway: str, slug: str, request: ResolveSync, paths: Sequence[str]) -> PersonaSync:
        """Raises NotFound, Conflict."""
        files = [(slug, path) for path in paths]
        adopt = files if request.decision == "adopt" else []
        wish = Wish(decisions=dict.fromkeys(files, Decision(request.decision)), adopt=adopt)
        return await self._loop(gateway).resolve(slug, wish)

    def facts(self) -> list[SyncFacts]:
        """What the rules of attention need."""
        return [loop.state.facts() for _, loop in sorted(self._loops.items())]

    def measure(self, metrics: Metrics) -> None:
        """Set the gauges when somebody reads them."""
        metrics.set_sync({name: loop.state.counts() for name, loop in self._loops.items()})

    # --- inside

    def _asked_for(self, gateway: str) -> Iterable[TargetLoop]:
        if gateway:
            return [self._loop(gateway)]
        if not self.enabled:
            raise Conflict(f"there is no sync: {OFF_HINT}", code="sync_off")
        return [loop for _, loop in sorted(self._loops.items())]

    def _loop(self, name: str) -> TargetLoop:
        loop = self._loops.get(name)
        if loop is not None:
            return loop
        gateway: Gateway = self._book.get(name)
        if not self.enabled:
            raise Conflict(f"gateway {gateway.name} has no sync: {OFF_HINT}", code="sync_off")
        raise NotFound(
            f"the files of gateway {gateway.name} are not kept in step",
            code="no_sync",
            hint=f"clawtui gateway sync {gateway.name} begins that",
        )


async def _reported(loop: TargetLoop, wish: Wish) -> SyncReport:
    """What becomes of one gateway keeps no other from being synced."""
    try:
        return await loop.run_now(wish)
    except HubError as exc:
        return SyncReport(gateway=loop.gateway.name, dry_run=wish.dry_run, steps=[], problem=exc.message)


def _nothing(message: str) -> Conflict:
    return Conflict(message, code="nothing_to_decide", hint="clawtui sync status shows what waits")
