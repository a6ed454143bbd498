"""Executes `file:read` and `file:write`; blocking, for a worker thread."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import tempfile
from dataclasses import dataclass

import msgspec

from runtime.executors.errors import TaskFailure, failure_of
from runtime.executors.paths import Paths
from runtime.wire import MAX_FILE_READ_BYTES, MAX_INLINE_FILE_BYTES, Encoding, FileRead, FileWrite


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's bytes and what `result` says; `streamed` bytes go through the output."""

    result: msgspec.Raw
    streamed: bytes


def read_file(paths: Paths, spec: FileRead) -> ReadFile:
    """Read a regular file; over 64 KiB its bytes are not in `result` but in the output.

    Raises:
        TaskFailure: `not_found`, `not_a_file`, `file_too_large`, `not_utf8`, `path_outside_workspace` …
    """
    path = paths.inside(spec.file_path)
    try:
        # A FIFO must not block the worker, and the resolved path has no symbolic link left at its end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise failure_of(exc) from exc
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise TaskFailure("not_a_file", f"{path} is not a regular file")
        data = _read_up_to(fd, MAX_FILE_READ_BYTES + 1)
    except OSError as exc:
        raise failure_of(exc) from exc
    finally:
        os.close(fd)
    if len(data) > MAX_FILE_READ_BYTES:
        raise TaskFailure("file_too_large", f"{path} has {status.st_size} bytes, more than {MAX_FILE_READ_BYTES}")
    facts: dict[str, object] = {"path": str(path), "size": len(data), "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
    if len(data) > MAX_INLINE_FILE_BYTES:
        facts |= {"inOutput": True}
        return ReadFile(msgspec.Raw(msgspec.json.encode(facts)), data)
    facts |= {"content": _encode(data, spec.encoding), "encoding": spec.encoding}
    return ReadFile(msgspec.Raw(msgspec.json.encode(facts)), b"")


def write_file(paths: Paths, spec: FileWrite) -> msgspec.Raw:
    """Write a file atomically and durably; missing folders are made. Return `result`.

    The new file has `mode`, else the mode of the one it replaces, else 0644.

    Raises:
        TaskFailure: `bad_mode`, `bad_content`, `not_a_file`, `path_outside_workspace`, `disk_full` …
    """
    path = paths.inside(spec.file_path)
    mode = None if spec.mode is None else _mode(spec.mode)
    data = _decode(spec.content, spec.encoding)
    if path.is_dir():
        raise TaskFailure("not_a_file", f"{path} is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode is None:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
        fd, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(fd, mode)
                os.fsync(fd)
            os.replace(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
    except OSError as exc:
        raise failure_of(exc) from exc
    return msgspec.Raw(msgspec.json.encode({"path": str(path), "size": len(data), "mode": f"{mode:04o}"}))


def _read_up_to(fd: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(fd, min(limit, 1 << 20))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError as exc:
        raise TaskFailure("bad_mode", f"{text!r} is not an octal mode such as 0644") from exc
    if not 0 <= mode <= 0o7777:
        raise TaskFailure("bad_mode", f"{text!r} is not between 0000 and 7777")
    return mode


def _encode(data: bytes, encoding: Encoding) -> str:
    if encoding is Encoding.BASE64:
        return base64.b64encode(data).decode("ascii")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise TaskFailure("not_utf8", "the file is not UTF-8; read it with encoding base64") from exc


def _decode(content: str, encoding: Encoding) -> bytes:
    try:
        if encoding is Encoding.BASE64:
            return base64.b64decode(content, validate=True)
        return content.encode()
    except (binascii.Error, ValueError) as exc:
        raise TaskFailure("bad_content", f"the content is not {encoding}") from exc
