"""What helper containers print: output goes on as it comes, of errors the beginning is kept and all are counted."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

from hub.drivers.docker.engine import Call
from hub.drivers.docker.pool import Streams
from hub.drivers.docker.repair import CHANGES, SEEN, command, repaired
from hub.drivers.docker.snapshots_helper import KEPT_ERRORS_BYTES, VOLUME, Outcome, _read_all
from hub.drivers.docker.steps import AGENT_UID

OUT, ERR = 1, 2


class Printing:
    """An engine, and its stream, on which a container prints."""

    def __init__(self, *pieces: tuple[int, bytes]) -> None:
        self._parts = [struct.pack(">BxxxL", kind, len(content)) + content for kind, content in pieces]

    def open(self, call: Call) -> Printing:
        return self

    def read(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""

    def write(self, data: bytes) -> None:
        raise AssertionError("nobody sends anything")

    def call(self, call: Call) -> bytes:
        raise AssertionError("nobody asks anything")

    def cancel(self) -> None:
        self._parts.clear()

    def close(self) -> None:
        self.cancel()


async def read_all(*pieces: tuple[int, bytes]) -> tuple[bytes, str, int]:
    printed = bytearray()

    async def keep(data: bytes) -> None:
        printed.extend(data)

    engine = Printing(*pieces)
    streams = Streams(lambda: engine)
    stream = await streams.open(Call("POST", "/attach"))
    errors, lines = await _read_all(stream, keep)
    await streams.close()
    return bytes(printed), errors, lines


async def test_output_and_errors_are_told_apart() -> None:
    assert await read_all((OUT, b"a"), (ERR, b"no\n"), (OUT, b"b")) == (b"ab", "no", 1)


async def test_of_many_errors_the_beginning_is_kept_and_all_are_counted() -> None:
    line = b"chown: /volume/x: Operation not permitted\n"
    count = 2 * KEPT_ERRORS_BYTES // len(line)
    printed, errors, lines = await read_all(*([(ERR, line * 100)] * (count // 100)), (OUT, b"end"))
    assert (printed, lines) == (b"end", count // 100 * 100)
    assert len(errors) <= KEPT_ERRORS_BYTES


def test_a_file_that_cannot_be_given_back_is_one_error(tmp_path: Path) -> None:
    """Also one whose user and group are both wrong."""
    workspace, programs = tmp_path / "workspace", tmp_path / "programs"
    for folder in (workspace, programs):
        folder.mkdir()
    (workspace / "file").touch()
    (workspace / "link").symlink_to("file")
    chown = programs / "chown"
    chown.write_text('#!/bin/sh\nshift 2\nfor file; do echo "chown: $file: no" >&2; done\nexit 1\n')
    chown.chmod(0o755)
    nobody = str(os.getuid() + 12_345)
    words = [str(workspace) if word == VOLUME else word.replace(str(AGENT_UID), nobody) for word in
             command(everything=True)]  # fmt: skip
    ended = subprocess.run(
        words, env={"PATH": f"{programs}:{os.environ['PATH']}"}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.stdout.count(SEEN.decode()), ended.stdout.count(CHANGES.decode())) == (3, 3)
    assert sorted(ended.stderr.splitlines()) == sorted(
        f"chown: {path}: no" for path in (workspace, workspace / "file", workspace / "link")
    )


def test_files_that_keep_their_owner_are_all_counted() -> None:
    done = repaired(500, 400, Outcome(1, "chown: /volume/a: no\nchown: /volume/b: no", 300))
    assert (done.seen, done.changed, done.left, done.first) == (500, 100, 300, "chown: /volume/a: no")
