"""Which output goes: too old, or the oldest of too much. Runs in a thread and keeps no list of files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hub.core.model import TaskId
from hub.output.files import attempt_of, shard_of, stem_of
from runtime.wire import AttemptId

_BUCKET_SECONDS: Final = 60
"""Ages are told apart to a minute when the oldest output goes for its size."""


class OutputPurged(msgspec.Struct, frozen=True):
    """`attempts` whose output went, bytes that were freed, and bytes that are left."""

    attempts: list[AttemptId]
    freed_bytes: int
    total_bytes: int


class _File(NamedTuple):
    path: str
    attempt: AttemptId
    modified: float
    size: int


def purge(folder: Path, older_than_ms: int, max_bytes: int, kept: Callable[[AttemptId], bool]) -> OutputPurged:
    """Remove what was last written before `older_than_ms`, then the oldest until `max_bytes` remain.

    Sizes are what the files occupy on the disk.
    """
    gone: list[AttemptId] = []
    freed, total = _remove(folder, lambda file: file.modified * 1000 < older_than_ms, kept, gone)
    if total > max_bytes:
        limit = _age_limit(folder, total - max_bytes, kept)
        more, total = _remove(folder, lambda file: file.modified < limit, kept, gone)
        freed += more
    return OutputPurged(gone, freed, total)


def remove(folder: Path, tasks: Iterable[TaskId]) -> int:
    """Remove all attempts of the tasks; returns bytes that were freed."""
    shards: dict[str, set[str]] = {}
    for task in tasks:
        shards.setdefault(shard_of(task), set()).add(stem_of(task))
    freed = 0
    for shard, stems in shards.items():
        for file in _scan(folder / shard):
            if os.path.basename(file.path).split(".", 1)[0] in stems:
                freed += _unlink(file)
    return freed


def measure(folder: Path) -> int:
    """Return the bytes that all output occupies on the disk."""
    return sum(file.size for file in _walk(folder))


def _remove(
    folder: Path, old: Callable[[_File], bool], kept: Callable[[AttemptId], bool], gone: list[AttemptId]
) -> tuple[int, int]:
    freed = total = 0
    for file in _walk(folder):
        if old(file) and not kept(file.attempt) and (size := _unlink(file)):
            freed += size
            gone.append(file.attempt)
        else:
            total += file.size
    return freed, total


def _age_limit(folder: Path, excess: int, kept: Callable[[AttemptId], bool]) -> float:
    """Return the time before which files make up at least `excess` bytes."""
    ages: Counter[int] = Counter()
    for file in _walk(folder):
        if not kept(file.attempt):
            ages[int(file.modified // _BUCKET_SECONDS)] += file.size
    limit = 0.0
    for bucket in sorted(ages):
        if excess <= 0:
            break
        limit = (bucket + 1.0) * _BUCKET_SECONDS
        excess -= ages[bucket]
    return limit


def _walk(folder: Path) -> Iterator[_File]:
    with suppress(FileNotFoundError), os.scandir(folder) as shards:
        for shard in shards:
            if shard.is_dir(follow_symlinks=False):
                yield from _scan(Path(shard.path))


def _scan(shard: Path) -> Iterator[_File]:
    with suppress(FileNotFoundError), os.scandir(shard) as files:
        for file in files:
            attempt = attempt_of(file.name)
            if attempt is None:
                continue
            with suppress(FileNotFoundError):
                status = file.stat(follow_symlinks=False)
                yield _File(file.path, attempt, status.st_mtime, max(status.st_size, status.st_blocks * 512))


def _unlink(file: _File) -> int:
    with suppress(FileNotFoundError):
        os.unlink(file.path)
        return file.size
    return 0
