"""Blocking steps for single files in a gateway's container, running or not. The engine keeps every path inside the
container's own root, whatever links are on the way."""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
import time
from typing import Any
from urllib.parse import quote

from hub.drivers.cells import CellHandle
from hub.drivers.docker.cells_seen import Detail
from hub.drivers.docker.cells_steps import owned
from hub.drivers.docker.engine import NAME, Call, Engine, EngineNotFound
from hub.drivers.docker.snapshots_system import StreamFile
from hub.errors import BadRequest, NotFound

FOLDER_MODE = 0o700


def put_file(
    engine: Engine, handle: CellHandle, path: str, content: bytes, uid: int, mode: int, hub_id: str
) -> None:  # fmt: skip
    """See `Cells.put_file`."""
    _check(path)
    found = owned(engine, handle, hub_id)
    folder, missing = posixpath.dirname(path), list[str]()
    places = {mount.destination for mount in found.mounts or []}
    while folder not in places and folder != "/" and not _is_there(engine, found, folder):
        missing.append(posixpath.basename(folder))
        folder = posixpath.dirname(folder)
    if missing and not any(folder == place or folder.startswith(f"{place}/") for place in places):
        raise NotFound(
            f"there is no folder {posixpath.dirname(path)} in gateway {handle.instance}",
            code="file_missing",
            driver=NAME,
        )
    data = _archive(list(reversed(missing)), posixpath.basename(path), content, uid, mode)
    engine.call(Call("PUT", f"/containers/{found.id}/archive", {"path": folder}, data=data))


def get_file(engine: Engine, handle: CellHandle, path: str, most_bytes: int, hub_id: str) -> bytes:
    """See `Cells.get_file`."""
    _check(path)
    found = owned(engine, handle, hub_id)
    try:
        stream = engine.open(Call("GET", f"/containers/{found.id}/archive", {"path": path}))
    except EngineNotFound as exc:
        raise NotFound(
            f"there is no file {path} in gateway {handle.instance}", code="file_missing", driver=NAME
        ) from exc
    with contextlib.closing(stream):
        try:
            return _content(StreamFile(stream), path, most_bytes)
        finally:
            # A folder comes with everything in it, which nobody wants.
            stream.cancel()


def _content(file: Any, path: str, most_bytes: int) -> bytes:
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            member = tar.next()
            content = tar.extractfile(member) if member is not None and member.isreg() else None
            if member is None or content is None:
                raise BadRequest(f"{path} is no regular file", driver=NAME)
            if member.size > most_bytes:
                raise BadRequest(f"{path} has {member.size} bytes, more than {most_bytes}", driver=NAME)
            return content.read()
    except tarfile.TarError as exc:
        raise BadRequest(f"{path} cannot be read: {exc}", driver=NAME) from exc


def _is_there(engine: Engine, found: Detail, folder: str) -> bool:
    try:
        engine.call(Call("HEAD", f"/containers/{quote(found.id)}/archive", {"path": folder}))
    except EngineNotFound:
        return False
    return True


def _check(path: str) -> None:
    if not path.startswith("/") or path.endswith("/") or ".." in path.split("/") or "\0" in path:
        raise BadRequest(f"{path[:200]!r} is no absolute path of a file", field="path", driver=NAME)


def _archive(folders: list[str], name: str, content: bytes, uid: int, mode: int) -> bytes:
    """Return a tar archive with the file in folders that are new."""
    buffer, now, below = io.BytesIO(), int(time.time()), ""
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in folders:
            below = f"{below}{folder}/"
            entry = tarfile.TarInfo(below.rstrip("/"))
            entry.type, entry.mode, entry.uid, entry.gid, entry.mtime = tarfile.DIRTYPE, FOLDER_MODE, uid, uid, now
            archive.addfile(entry)
        entry = tarfile.TarInfo(f"{below}{name}")
        entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(content), mode, uid, uid, now
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
