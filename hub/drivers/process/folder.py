"""The folder of one process agent, and the record in it by which a restarted hub finds it again.

    agents/<id>.<uid>/      0700
        process.json        Record, replaced atomically
        agent.log           what the runtime writes; agent.log.1 is the part before
        workspace/          where tasks run
        workspace.g<n>/     a generation of it that is not active
        state/              the runtime's own: credential, attempt log, `token` (0600)

The record is written before anything else, so a folder that has other content and no record was
not made here and is left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from pathlib import Path
from typing import Final

import msgspec

from hub.core.model import AGENT_ID_PATTERN, AgentId, AgentUid
from hub.drivers.base import AgentPlan
from hub.drivers.process.processes import Identity
from hub.errors import BadRequest, Conflict, DriverFailed

UID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
RECORD_VERSION: Final = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an agent's process. `plan` is without the join token.

    `generation`: of the workspace, see `hub.drivers.snapshots`; `switching` to another one was begun and not
    finished. `run` is new for every start; with `process` None it says that a start was begun and how to
    recognise its process. `started_at`: ms since the epoch.
    """

    version: int = RECORD_VERSION
    plan: AgentPlan
    generation: int = 0
    switching: int | None = None
    run: str = ""
    command: tuple[str, ...] = ()
    process: Identity | None = None
    started_at: int | None = None
    ended: bool = False
    exit_code: int | None = None
    reason: str = ""


class AgentFolder:
    """Paths and files of one incarnation. All methods block."""

    def __init__(self, root: Path, agent_id: AgentId, uid: AgentUid) -> None:
        if not re.fullmatch(AGENT_ID_PATTERN, agent_id) or not re.fullmatch(UID_PATTERN, uid):
            raise BadRequest(f"{agent_id!r} with uid {uid!r} cannot be an agent", driver="process")
        self.agent_id = agent_id
        self.uid = uid
        self.path = root / f"{agent_id}.{uid}"
        self.leaving = root / f".{agent_id}.{uid}.gone"
        """The folder under removal: renamed first, so that a half-removed agent is not seen."""
        self.workspace = self.path / "workspace"
        self.state = self.path / "state"
        self.token = self.state / "token"
        self.log = self.path / "agent.log"
        self.record_file = self.path / "process.json"

    def exists(self) -> bool:
        """Whether there is a folder; anything else of that name is somebody else's."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(mode):
            raise self.foreign()
        return True

    def foreign(self) -> Conflict:
        return Conflict(
            f"{self.path} exists and was not made by this hub",
            hint="Look at it, move or remove it by hand, and try again.",
            agent=self.agent_id,
            driver="process",
        )

    def make(self, record: Record) -> None:
        """Make the folder and its record; raises Conflict when something has the name."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError as exc:
            raise self.foreign() from exc
        self.write(record)

    def fill(self, join_token: str) -> None:
        self.workspace.mkdir(mode=0o700)
        self.state.mkdir(mode=0o700)
        self.write_token(join_token)

    def aside(self, generation: int) -> Path:
        """Where a generation of the workspace is while it is not active."""
        return self.path / f"workspace.g{generation}"

    def write_token(self, join_token: str) -> None:
        write_atomically(self.token, join_token.encode())

    def write(self, record: Record) -> None:
        write_atomically(self.record_file, msgspec.json.encode(record))

    def read(self) -> Record | None:
        """Return the record, or None when there is none; raises DriverFailed when it is unreadable."""
        try:
            text = self.record_file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return msgspec.json.decode(text, type=Record)
        except msgspec.MsgspecError as exc:
            raise DriverFailed(
                f"{self.record_file} cannot be read: {exc}",
                hint=f"End its processes and remove {self.path} by hand.",
                retryable=False,
                agent=self.agent_id,
                driver="process",
            ) from exc

    def unfinished(self) -> bool:
        """Whether the folder is what a create leaves that was killed before its record was written, or not there."""
        try:
            return all(entry.name.startswith(".process.json.") for entry in self.path.iterdir())
        except FileNotFoundError:  # a destroy took it away since we looked
            return True

    def retire(self) -> None:
        """Take the folder out of sight, in one step. Fine when it is absent."""
        if self.exists():
            self.sweep()
            self.path.rename(self.leaving)

    def sweep(self) -> None:
        """Remove what `retire` set aside, now or before a crash; symbolic links as links."""
        if self.leaving.exists():
            remove_tree(self.leaving)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a file of mode 0600 that is on disk before it takes the name."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_tree(path: Path) -> None:
    """Remove a folder; read-only folders inside (module caches make them) do not stop it."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        _open_up(path)
        shutil.rmtree(path)


def _open_up(path: Path) -> None:
    """Make every folder below `path` writable, never through a symbolic link."""
    path.chmod(0o700)
    for _, names, _, descriptor in os.fwalk(path):
        for name in names:
            if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.chmod(name, 0o700, dir_fd=descriptor)


def folders(root: Path) -> list[tuple[AgentId, AgentUid]]:
    """Return id and uid of every folder that looks like an agent's."""
    if not root.is_dir():
        return []
    found: list[tuple[AgentId, AgentUid]] = []
    for entry in os.scandir(root):
        agent_id, dot, uid = entry.name.partition(".")
        named = re.fullmatch(AGENT_ID_PATTERN, agent_id) and re.fullmatch(UID_PATTERN, uid)
        if dot and named and entry.is_dir(follow_symlinks=False):
            found.append((AgentId(agent_id), AgentUid(uid)))
    return sorted(found)
