"""What an agent has changed outside its volumes, against the image it was made from. Blocks.

The engine names the paths; sizes and contents are read out of the new image, from a container of it that never runs,
so that nothing of the agent's own is trusted to look.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Generator, Iterable
from typing import Any, Final

import msgspec

from hub.archives.index import content_digest
from hub.archives.work import Meter
from hub.drivers.docker.answers import Created, Pascal, decode
from hub.drivers.docker.engine import Call, Engine, EngineNotFound, EngineStream
from hub.drivers.docker.labels import HELPER, HUB, OWNER, OWNER_NAME
from hub.drivers.docker.plan import SOCKET_FOLDER, STATE, WORKSPACE
from hub.drivers.docker.steps import remove_container
from hub.drivers.snapshots import SystemChange

MOST_PATHS: Final = 5_000
MOST_BYTES: Final = 512 * 2**20
"""Of contents that are read for one snapshot, some seconds' worth; of files beyond it only the size is known."""
NOT_THE_AGENTS: Final = (
    WORKSPACE, STATE, SOCKET_FOLDER, "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
    "/etc/mtab", "/.dockerenv",
)  # fmt: skip
MODIFIED: Final = 0
DELETED: Final = 2


class _Change(Pascal, frozen=True):
    path: str
    kind: int


def changed_paths(engine: Engine, container_id: str) -> dict[str, int]:
    """Return each path that the container has changed and how, without the volumes'."""
    answer = engine.call(Call("GET", f"/containers/{container_id}/changes", timeout_seconds=300))
    # One that has changed nothing has no list at all.
    found = decode(answer, list[_Change]) if answer.strip() != b"null" else []
    return {one.path: one.kind for one in found if not _is_below(one.path, NOT_THE_AGENTS)}


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def describe(
    engine: Engine, paths: dict[str, int], image_id: str, hub_id: str, operation: str
) -> tuple[tuple[SystemChange, ...], tuple[str, ...]]:
    """Return the changes with sizes and digests as the image has them, and what is not in them, one line each."""
    folders = _folders_of(paths)
    wanted = [path for path in paths if path not in folders]
    notes: tuple[str, ...] = ()
    if len(wanted) > MOST_PATHS:
        notes = (f"{len(wanted) - MOST_PATHS} more changed files outside the volumes are in the image, not in lists",)
    changes = [SystemChange(path, "gone", base=True) for path in wanted[:MOST_PATHS] if paths[path] == DELETED]
    there = [path for path in wanted[:MOST_PATHS] if paths[path] != DELETED]
    if there:
        with _container(engine, image_id, hub_id, operation) as container_id:
            reader = _Reader(engine, container_id)
            found = (reader.look(path) for path in there)
            changes += [msgspec.structs.replace(one, base=paths[one.path] == MODIFIED) for one in found if one]
    return tuple(changes), notes


def _folders_of(paths: Iterable[str]) -> set[str]:
    """The folders on the way to changed paths; the engine names them too."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


@contextlib.contextmanager
def _container(engine: Engine, image_id: str, hub_id: str, operation: str) -> Generator[str]:
    body = {
        "Image": image_id,
        "Entrypoint": ["/nothing"],
        "Cmd": [],
        "Labels": {OWNER: OWNER_NAME, HUB: hub_id, HELPER: operation},
        "HostConfig": {"NetworkMode": "none"},
    }
    made = decode(engine.call(Call("POST", "/containers/create", body=body)), Created).id
    try:
        yield made
    finally:
        remove_container(engine, made)


class _Reader:
    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._container = container_id
        self._left = MOST_BYTES

    def look(self, path: str) -> SystemChange | None:
        """Return one path; None for what the image does not have: pipes and sockets."""
        call = Call("GET", f"/containers/{self._container}/archive", {"path": path})
        try:
            stream = self._engine.open(call)
        except EngineNotFound:
            return None
        with contextlib.closing(stream):
            file: Any = StreamFile(stream)
            try:
                with tarfile.open(fileobj=file, mode="r|") as tar:
                    return self._entry(path, tar)
            finally:
                # A folder comes with everything in it, which nobody wants.
                stream.cancel()

    def _entry(self, path: str, tar: tarfile.TarFile) -> SystemChange | None:
        member = tar.next()
        if member is None:
            return None
        if member.isdir():
            return SystemChange(path, "folder", 0, member.mode)
        if member.issym():
            return SystemChange(path, "link", 0, 0, member.linkname)
        if not member.isreg():
            return SystemChange(path, "other", 0, member.mode)
        content = tar.extractfile(member)
        if content is None or member.size > self._left:
            return SystemChange(path, "file", member.size, member.mode)
        self._left -= member.size
        digest = content_digest(Meter(), content, [(0, member.size)], member.size)
        return SystemChange(path, "file", member.size, member.mode, digest)


class StreamFile:
    """An engine's stream as the file that the tar library wants."""

    def __init__(self, stream: EngineStream) -> None:
        self._stream = stream
        self._waiting = b""

    def read(self, size: int) -> bytes:
        while len(self._waiting) < size and (part := self._stream.read()):
            self._waiting += part
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found
