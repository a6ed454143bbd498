"""The process driver: an agent is a process in a session of its own, with a folder of its own.

Agents outlive the hub. A new hub finds them by folder, and by pid with start mark (`processes`).
No isolation at all: an agent can do whatever the hub's own user can.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import (
    AgentHandle,
    AgentPlan,
    Features,
    Fingerprint,
    HubReach,
    LogLine,
    LogRequest,
    Observation,
    Progress,
)
from hub.drivers.process import checks, processes
from hub.drivers.process.folder import AgentFolder, Record
from hub.drivers.process.keeper import NAME, Keeper, Ref, handle_of, running
from hub.drivers.process.launch import marker_of
from hub.drivers.process.logs import LogReader
from hub.drivers.process.pool import Pool
from hub.drivers.process.processes import Identity
from hub.drivers.process.snapshots import ProcessSnapshots, finish_switch
from hub.drivers.process.upkeep import ProcessUpkeep
from hub.drivers.process.watch import POLL_SECONDS, ExitWatch
from hub.drivers.snapshots import Seed
from hub.errors import BadRequest, Conflict, DriverFailed, HubError

RUNTIME: Final = (sys.executable, "-P", "-m", "runtime")
"""`-P`: a module in the workspace must not take the place of one of ours."""
FOLLOW_SECONDS: Final = 0.25
"""How often a followed log is looked at."""

_log = structlog.get_logger(__name__)


class ProcessDriver:
    """See `hub.drivers.base.Driver`. `command` starts a runtime; tests give a smaller one.

    `environment`: of this process, of which agents get little. `pidfd` False looks for ends of
    processes now and then, as on systems whose kernel does not tell of them.
    """

    def __init__(
        self,
        hub: HubReach,
        *,
        command: tuple[str, ...] = RUNTIME,
        environment: Mapping[str, str] | None = None,
        pidfd: bool = processes.PIDFD,
    ) -> None:
        self._command = command
        self._keeper = Keeper(hub, command, dict(os.environ if environment is None else environment))
        self._pool = Pool("process-driver")
        self._exits = ExitWatch(pidfd)
        self._locks: WeakValueDictionary[AgentUid, asyncio.Lock] = WeakValueDictionary()
        self._watchers: set[asyncio.Event] = set()
        self._stopped = False
        self._snapshots = ProcessSnapshots(self, self._keeper, self._pool)
        self.disk = self.repairs = ProcessUpkeep(self)

    @property
    def snapshots(self) -> ProcessSnapshots:
        return self._snapshots

    @property
    def networks(self) -> None:
        """Agents have this machine's."""

    @property
    def cells(self) -> None:
        """Gateways run in containers."""

    @property
    def compose(self) -> None:
        """No Compose file can make such agents."""

    @property
    def containers(self) -> None:
        """There is no engine."""

    @property
    def usage(self) -> None:
        """Agents report themselves, or are programs of which nobody knows which processes are theirs."""

    @property
    def images(self) -> None:
        """Agents run on this machine as it is."""

    @property
    def name(self) -> str:
        return NAME

    @property
    def features(self) -> Features:
        return checks.FEATURES

    async def fingerprint(self) -> Fingerprint:
        return await self._pool.run(checks.probe, self._keeper.root, self._command)

    async def create(self, plan: AgentPlan, progress: Progress, seed: Seed | None = None) -> AgentHandle:
        checks.check_plan(plan)
        folder = self._keeper.folder(plan.agent_id, plan.uid)
        async with self.lock(plan.uid):
            record = await self._pool.run(self._keeper.known, folder)
            if record is not None:
                await self.start_held(folder, record)
                return handle_of(folder)
            try:
                await self._make(folder, plan, progress, seed)
            except BaseException as exc:
                await self._undo(folder, exc)
                raise
        return handle_of(folder)

    async def _make(self, folder: AgentFolder, plan: AgentPlan, progress: Progress, seed: Seed | None) -> None:
        progress(0.1, f"making {folder.path}")
        record = await self._pool.run(self._keeper.make, folder, plan)
        if seed is not None:
            await self._snapshots.plant(folder, seed, lambda done, line: progress(0.1 + done * 0.3, line))
        if asked := checks.not_enforced(plan):
            progress(0.4, f"not enforced by the process driver: {', '.join(asked)}")
        progress(0.5, f"starting {' '.join(self._command)}")
        record = await self._launch(folder, record)
        progress(1.0, f"running as process {record.process.pid if record.process else '?'}")
        # Whoever cancels now gets no handle, so this is the last chance to undo.
        await asyncio.sleep(0)

    async def _undo(self, folder: AgentFolder, why: BaseException) -> None:
        try:
            await self._pool.run(self._keeper.remove, folder)
        except HubError as exc:
            raise DriverFailed(
                f"{why}; undoing it failed too: {exc.message}", hint=exc.hint, agent=folder.agent_id, driver=NAME
            ) from why

    async def start(self, handle: AgentHandle) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            await self.start_held(folder, await self._pool.run(self._keeper.present, folder))

    async def start_held(self, folder: AgentFolder, record: Record) -> None:
        leader = running(record)
        if leader is not None:
            await self._pool.run(processes.thaw_all, marker_of(folder), leader)
            return
        # What a crashed runtime left running must not meet the next one.
        await self._pool.run(self._keeper.end, folder, None)
        await self._launch(folder, await self._pool.run(finish_switch, folder, record))

    async def _launch(self, folder: AgentFolder, record: Record) -> Record:
        record = await self._pool.run(self._keeper.launch, folder, record)
        if record.process is not None:
            self._follow(folder, record.process)
        return record

    async def stop(self, handle: AgentHandle, grace_seconds: float) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            await self.stop_held(folder, grace_seconds)

    async def stop_held(self, folder: AgentFolder, grace_seconds: float) -> Record:
        record = await self._pool.run(self._keeper.present, folder)
        leader = running(record)
        if leader is None:
            await self._pool.run(self._keeper.end, folder, None)
            return record
        members = await self._pool.run(self._keeper.ask_to_end, folder, leader)
        await self._exits.wait_ended(leader, grace_seconds)
        await self._pool.run(self._keeper.end, folder, leader, members)
        return record

    async def restart(self, handle: AgentHandle, grace_seconds: float) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            record = await self.stop_held(folder, grace_seconds)
            await self._launch(folder, await self._pool.run(finish_switch, folder, record))

    async def pause(self, handle: AgentHandle) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            leader = await self._leader(folder)
            if not await self._pool.run(processes.freeze_all, marker_of(folder), leader):
                raise DriverFailed(
                    f"some processes of {folder.agent_id} went on running",
                    hint="They belong to another user, or start children faster than they can be stopped.",
                    agent=folder.agent_id,
                    driver=NAME,
                )

    async def resume(self, handle: AgentHandle) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            leader = await self._leader(folder)
            await self._pool.run(processes.thaw_all, marker_of(folder), leader)

    async def destroy(self, handle: AgentHandle) -> None:
        folder = self.folder_of(handle)
        await self.undo_create(folder.agent_id, folder.uid)

    async def undo_create(self, agent_id: AgentId, uid: AgentUid) -> None:
        folder = self._keeper.folder(agent_id, uid)
        async with self.lock(uid):
            await self._pool.run(self._keeper.remove, folder)

    async def renew_token(self, handle: AgentHandle, join_token: str) -> None:
        folder = self.folder_of(handle)
        async with self.lock(folder.uid):
            await self._pool.run(self._keeper.present, folder)
            await self._pool.run(folder.write_token, join_token)

    async def inspect(self, handle: AgentHandle) -> Observation:
        folder = self.folder_of(handle)
        observation, leader = await self._pool.run(self._keeper.observe, folder)
        if leader is not None:
            self._follow(folder, leader)
        return observation

    async def list_agents(self) -> list[Observation]:
        seen = await self._pool.run(self._keeper.observe_all)
        for observation, leader in seen:
            if leader is not None:
                self._follow(self._keeper.folder(observation.agent_id, observation.uid), leader)
        return [observation for observation, _ in seen]

    async def watch(self) -> AsyncIterator[None]:
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while not self._stopped:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._exits.told else POLL_SECONDS):
                        await changed.wait()
                if not changed.is_set():
                    self._exits.poll()
                    continue
                changed.clear()
                yield
        finally:
            self._watchers.discard(changed)

    async def logs(self, handle: AgentHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        folder = self.folder_of(handle)
        await self._pool.run(self._keeper.present, folder)
        reader = await self._pool.run(LogReader, folder.log, self._keeper.log_lock, request)
        while True:
            lines, more = await self._pool.run(reader.read)
            for line in lines:
                yield line
            if more:
                continue
            if not request.follow or not await self._pool.run(folder.exists):
                break
            await asyncio.sleep(FOLLOW_SECONDS)
        for line in reader.finish():
            yield line

    async def stop_driver(self) -> None:
        self._stopped = True
        self._exits.close()
        self._notify()
        self._snapshots.close()
        self.disk.close()
        self._pool.close()

    # --- ends of processes ---------------------------------------------------------------------

    def _follow(self, folder: AgentFolder, leader: Identity) -> None:
        if not self._stopped:
            self._exits.follow(leader, lambda: self._ended(folder))

    def _ended(self, folder: AgentFolder) -> None:
        """Collect the process at once, so that no zombie stays, then tell the watchers."""
        self._pool.begin(self._keeper.known, folder).add_done_callback(self._collected)

    def _collected(self, future: asyncio.Future[Record | None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            _log.warning("agent_end_not_recorded", error=str(error))
        self._notify()

    def _notify(self) -> None:
        for changed in self._watchers:
            changed.set()

    # --- names ---------------------------------------------------------------------------------

    def lock(self, uid: AgentUid) -> asyncio.Lock:
        """One operation at a time per agent; the lock lives as long as somebody holds or awaits it."""
        return self._locks.setdefault(uid, asyncio.Lock())

    def folder_of(self, handle: AgentHandle) -> AgentFolder:
        try:
            if handle.driver != NAME:
                raise BadRequest(f"a handle of driver {handle.driver!r} came to the process driver", driver=NAME)
            ref = msgspec.json.decode(handle.ref, type=Ref)
        except msgspec.MsgspecError as exc:
            raise BadRequest(f"not a handle of the process driver: {exc}", driver=NAME) from exc
        return self._keeper.folder(ref.id, ref.uid)

    async def _leader(self, folder: AgentFolder) -> Identity:
        leader = running(await self._pool.run(self._keeper.present, folder))
        if leader is None:
            raise Conflict(
                f"{folder.agent_id} does not run", hint="Start it first.", agent=folder.agent_id, driver=NAME
            )
        return leader
