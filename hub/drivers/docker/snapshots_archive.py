"""The archive of a volume as a file of the hub.

Where the engine shares this machine's files, the helper writes the file itself: it sees that one file and the volume.
Elsewhere the archive comes through the engine's connection, where every byte is copied four times on its way and the
agent stands still for several times as long.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from hub.archives.pack import HashingFile
from hub.archives.work import LOOK_SECONDS, Meter, Workers
from hub.drivers.docker.engine import NAME, EngineRefused
from hub.drivers.docker.snapshots_helper import ARCHIVE, PIECE_BYTES, Errand, Helpers, Outcome, failed
from hub.errors import BadRequest, StorageFull

FILES_CHANGED: Final = 1
"""tar's exit code for files that changed while it read them, which a mounted folder of the host can do."""
FULL_BYTES: Final = 2**20
"""tar does not say why it could not write; with less room than this it was that."""
WRITABLE: Final = 0o666
"""The helper's root is not the hub's user, and has no capability to write to its files. The folder around is 0700."""
PRIVATE: Final = 0o600

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that is complete. `sha256`: "" as long as nobody has read it. `errors`: what tar said."""

    path: Path
    size_bytes: int
    sha256: str
    errors: str


class Archiver:
    """Has archives written. `local`: the engine is this machine's, so that it may see its files."""

    def __init__(self, helpers: Helpers, workers: Workers, *, local: bool) -> None:
        self._helpers = helpers
        self._workers = workers
        self._local = local

    async def write(self, errand: Errand, target: Path, what: str, watch: Callable[[int], None]) -> Written:
        """Run the errand, whose command archives to stdout, into the new file `target`.

        Raises:
            StorageFull: the hub's disk is full.
            DriverFailed: `what` cannot be archived.
        """
        outcome = await self._write_there(errand, target, watch) if self._local else None
        if outcome is not None:
            if outcome.exit_code not in (0, FILES_CHANGED):
                await self._workers.run(_check_room, target)
                raise failed(what, outcome)
            return Written(target, await self._workers.run(_size, target), "", outcome.errors)
        return await self._carry(errand, target, what, watch)

    async def read_back(self, written: Written, watch: Callable[[int], None]) -> tuple[str, bool]:
        """Bring an archive to the disk; return its SHA-256, and whether that is of what was read from there."""
        if written.sha256:
            return written.sha256, False
        return await self._workers.watched(watch, _sync_and_digest, written.path), True

    async def _write_there(self, errand: Errand, target: Path, watch: Callable[[int], None]) -> Outcome | None:
        """Return None when the helper could not write to the file at all: it is not seen there, or kept from it."""
        await self._workers.run(_offer, target)
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(target, watch))
                try:
                    outcome = await self._helpers.carry_out(_to_file(errand, target), _drop)
                finally:
                    watching.cancel()
        except BaseExceptionGroup as errors:
            error = errors.exceptions[0]
            if not isinstance(error, BadRequest | EngineRefused):
                raise error from error.__cause__
            outcome = None
        if await self._workers.run(_take_back, target):
            return outcome
        why = outcome.errors if outcome is not None else "the engine refused the file"
        _log.info("archive_through_engine", helper=errand.name, why=why)
        return None

    async def _watch(self, target: Path, watch: Callable[[int], None]) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            watch(await self._workers.run(_size, target))

    async def _carry(self, errand: Errand, target: Path, what: str, watch: Callable[[int], None]) -> Written:
        file = await self._workers.run(_new_file, target)

        async def keep(data: bytes) -> None:
            await self._workers.run(_write, file, data)
            watch(file.tell())

        try:
            outcome = await self._helpers.carry_out(errand, keep)
            if outcome.exit_code not in (0, FILES_CHANGED):
                raise failed(what, outcome)
            await self._workers.run(_sync, file)
        except BaseException:
            file.abandon()
            raise
        return Written(target, file.tell(), file.sha256, outcome.errors)


def _to_file(errand: Errand, target: Path) -> Errand:
    command = tuple(f"--file={ARCHIVE}" if word == "--file=-" else word for word in errand.command)
    return replace(errand, command=command, archive=target)


async def _drop(_data: bytes) -> None:
    """Nothing comes on stdout."""


# --- in threads --------------------------------------------------------------------------------


def _offer(_meter: Meter, target: Path) -> None:
    """Make the empty file that the helper writes to."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        os.fchmod(descriptor, WRITABLE)
    finally:
        os.close(descriptor)


def _take_back(_meter: Meter, target: Path) -> bool:
    """Return whether anything was written to the file; it is gone when not."""
    if target.stat().st_size == 0:
        target.unlink()
        return False
    target.chmod(PRIVATE)
    return True


def _size(_meter: Meter, target: Path) -> int:
    return target.stat().st_size


def _check_room(_meter: Meter, target: Path) -> None:
    if shutil.disk_usage(target.parent).free < FULL_BYTES:
        raise StorageFull(
            f"the disk is full ({target})",
            hint="Free space on the hub's machine: `clawtui snapshots list` shows what snapshots take.",
            driver=NAME,
        )


def _sync_and_digest(meter: Meter, target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("rb") as file:
        os.fsync(file.fileno())
        while data := file.read(PIECE_BYTES):
            digest.update(data)
            meter.advance(len(data))
    return digest.hexdigest()


def _new_file(_meter: Meter, target: Path) -> HashingFile:
    return HashingFile(target)


def _write(_meter: Meter, file: HashingFile, data: bytes) -> None:
    file.write(data)


def _sync(_meter: Meter, file: HashingFile) -> None:
    file.sync()
