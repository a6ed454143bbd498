"""The blocking side of the process driver: folders, records and processes of one hub's agents.

Called from the driver's threads only. One lock guards every change of a record, so that an exit
code is collected and written down once, and a start is not taken for an end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import AgentGone, AgentHandle, AgentPlan, HubReach, Observation
from hub.drivers.process import launch, logs, processes
from hub.drivers.process.folder import AgentFolder, Record, folders
from hub.drivers.process.processes import Identity, ProcessInfo
from hub.errors import DriverFailed

NAME: Final = "process"


class Ref(msgspec.Struct, frozen=True):
    """What a handle keeps; everything else is in the agent's folder."""

    id: AgentId
    uid: AgentUid


def handle_of(folder: AgentFolder) -> AgentHandle:
    return AgentHandle(NAME, msgspec.json.encode(Ref(folder.agent_id, folder.uid)).decode())


class Keeper:
    """`root` is the agents folder; `inherited` the hub's environment, of which little is passed on."""

    def __init__(self, hub: HubReach, command: tuple[str, ...], inherited: Mapping[str, str]) -> None:
        self.root = Path(hub.state_folder).resolve() / "agents"
        self.log_lock = threading.Lock()
        self._hub = hub
        self._command = command
        self._inherited = inherited
        self._records = threading.Lock()

    def folder(self, agent_id: AgentId, uid: AgentUid) -> AgentFolder:
        return AgentFolder(self.root, agent_id, uid)

    def known(self, folder: AgentFolder) -> Record | None:
        """Return the up-to-date record, or None when there is no such agent.

        Raises:
            Conflict: something else has the folder's name.
        """
        if not folder.exists():
            return None
        with self._records:
            record = launch.settle(folder)
        if record is None and folder.unfinished():
            return None
        if record is None or record.plan.hub_id != self._hub.hub_id:
            raise folder.foreign()
        return record

    def present(self, folder: AgentFolder) -> Record:
        """Return the record; raises AgentGone when the platform has no such agent of this hub."""
        record = self.known(folder)
        if record is None:
            raise AgentGone(f"{folder.agent_id} has no folder {folder.path}", agent=folder.agent_id, driver=NAME)
        return record

    def make(self, folder: AgentFolder, plan: AgentPlan) -> Record:
        """Make folder, record, workspace, state and token."""
        folder.retire()  # what a killed create left of this incarnation; `known` has said that nothing else is there
        folder.sweep()
        record = Record(plan=msgspec.structs.replace(plan, join_token=""))
        folder.make(record)
        folder.fill(plan.join_token)
        return record

    def launch(self, folder: AgentFolder, record: Record) -> Record:
        logs.rotate(folder.log, self.log_lock)
        addresses = (self._hub.socket_path, self._hub.hub_file)
        with self._records:
            return launch.launch(folder, record, self._command, addresses, self._inherited)

    def ask_to_end(self, folder: AgentFolder, leader: Identity) -> list[ProcessInfo]:
        """Send TERM to the runtime; return everything that belongs to the agent just before."""
        marker = launch.marker_of(folder)
        members = processes.belonging(marker, leader)
        processes.send(leader.pid, leader.mark, signal.SIGTERM)
        if any(info.frozen for info in members):
            # A paused process would get its TERM only when it runs again.
            processes.thaw_all(marker, leader)
        return members

    def end(self, folder: AgentFolder, leader: Identity | None, members: Iterable[ProcessInfo] = ()) -> None:
        """Kill what is left of the agent and write down how it ended.

        Raises:
            DriverFailed: some processes did not die; they are named.
        """
        left = processes.end_all(launch.marker_of(folder), leader, members)
        if left:
            raise DriverFailed(
                f"these processes of {folder.agent_id} did not end: {', '.join(map(str, left))}",
                hint="They wait for a device, belong to another user, or run this hub itself. End them by hand.",
                agent=folder.agent_id,
                driver=NAME,
            )
        with self._records:
            launch.settle(folder)

    def remove(self, folder: AgentFolder) -> None:
        """End the agent at once and remove everything of it; fine when nothing is there.

        Raises:
            Conflict: something else has the folder's name; it is left alone.
            DriverFailed: processes or files that are left; they are named.
        """
        record = self.known(folder)
        self.end(folder, running(record))
        try:
            with self._records:
                folder.retire()
            folder.sweep()
        except OSError as exc:
            raise DriverFailed(
                f"not everything of {folder.agent_id} could be removed: {exc.strerror} ({exc.filename})",
                hint=f"Remove {folder.leaving} by hand, with the rights of whoever made the file.",
                agent=folder.agent_id,
                driver=NAME,
            ) from exc

    def observe(self, folder: AgentFolder) -> tuple[Observation, Identity | None]:
        """Return the agent as it is now and its living process; raises AgentGone."""
        record = self.present(folder)
        leader = running(record)
        state = Observed.EXITED if record.ended else Observed.CREATING
        if leader is not None:
            info = processes.find(leader)
            state = Observed.PAUSED if info is not None and info.frozen else Observed.RUNNING
        observation = Observation(
            agent_id=folder.agent_id,
            uid=folder.uid,
            handle=handle_of(folder),
            state=state,
            exit_code=record.exit_code,
            reason=record.reason,
            started_at=record.started_at,
        )
        return observation, leader

    def observe_all(self) -> list[tuple[Observation, Identity | None]]:
        """Return every agent of this hub, and keep the logs bounded while at it."""
        found: list[tuple[Observation, Identity | None]] = []
        for agent_id, uid in folders(self.root):
            folder = self.folder(agent_id, uid)
            if (seen := self._observe_any(folder)) is not None:
                logs.rotate(folder.log, self.log_lock)
                found.append(seen)
        return found

    def _observe_any(self, folder: AgentFolder) -> tuple[Observation, Identity | None] | None:
        try:
            record = folder.read()
            if record is None or record.plan.hub_id != self._hub.hub_id:
                return None
            return self.observe(folder)
        except AgentGone:
            return None  # destroyed since the folders were listed
        except DriverFailed as exc:
            unknown = Observation(
                agent_id=folder.agent_id,
                uid=folder.uid,
                handle=handle_of(folder),
                state=Observed.UNKNOWN,
                reason=exc.message,
            )
            return unknown, None


def running(record: Record | None) -> Identity | None:
    """Return the living process of an up-to-date record."""
    return None if record is None or record.ended else record.process
