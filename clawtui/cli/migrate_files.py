"""What a migration writes: compared with what is there, shown, and written whole or not at all."""

from __future__ import annotations

import difflib
import enum
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from clawtui.errors import UsageError

if TYPE_CHECKING:
    from profiles.migrate import Migration

ENDINGS: Final = (".json", ".yaml", ".yml")
MOST_DIFF_LINES: Final = 400
MADE_BY_US: Final = {".Dockerfile": "# The image of the profile ", ".compose.yml": "# Side services of the profile "}
"""How files begin that only a migration writes; one that is not wanted any more would still be used."""


class Change(enum.StrEnum):
    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REMOVED = "removed"


class FileChange(msgspec.Struct, frozen=True):
    """One file of a profile. `difference`: a unified diff of what is there and what is wanted."""

    path: str
    change: Change
    difference: str = ""


def changes_of(folder: Path, migration: Migration) -> tuple[FileChange, ...]:
    """Compare what a migration writes with what is in the folder. Raises UsageError for what cannot be read."""
    found: list[FileChange] = []
    wanted = wanted_in(folder, migration)
    _check_alone(folder, migration.name, wanted)
    for path, content in wanted.items():
        there = _content(folder / path)
        if there is None:
            found.append(FileChange(path, Change.NEW))
        elif there == content:
            found.append(FileChange(path, Change.UNCHANGED))
        else:
            found.append(FileChange(path, Change.CHANGED, difference(path, there, content)))
    for suffix, begin in MADE_BY_US.items():
        path = f"{migration.name}{suffix}"
        there = None if path in wanted else _content(folder / path)
        if there is not None and there.startswith(begin.encode()):
            found.append(FileChange(path, Change.REMOVED, difference(path, there, b"")))
    return tuple(found)


def wanted_in(folder: Path, migration: Migration) -> dict[str, bytes]:
    """Return what a migration writes, by path. A report keeps the section of its last check."""
    from clawtui.migration_check.report import section_of, with_section
    from profiles.migrate.report import files

    wanted = files(migration)
    short = f"{migration.name}.yml"
    if migration.format == "yaml" and (folder / short).exists() and not (folder / f"{migration.name}.yaml").exists():
        wanted[short] = wanted.pop(f"{migration.name}.yaml")
    report = f"{migration.name}.report.md"
    known = (_content(folder / report) or b"").decode(errors="replace")
    if section := section_of(known):
        wanted[report] = with_section(wanted[report].decode(), section).encode()
    return wanted


def _check_alone(folder: Path, name: str, wanted: Collection[str]) -> None:
    """Raises UsageError where another file would say what the profile is, too."""
    for ending in ENDINGS:
        path = f"{name}{ending}"
        if path not in wanted and (folder / path).exists():
            hint = "Move it away, or name another folder."
            raise UsageError(f"{folder / path} says what {name} is too", field="out", hint=hint)


def difference(path: str, there: bytes, wanted: bytes) -> str:
    """Return what changes, as a unified diff; of what is no text only that it does."""
    try:
        before, after = there.decode().splitlines(), wanted.decode().splitlines()
    except UnicodeDecodeError:
        return f"{path}: {len(there)} bytes become {len(wanted)} other bytes"
    lines = list(difflib.unified_diff(before, after, f"{path} (there)", f"{path} (migrated)", lineterm=""))
    if not lines:
        return f"{path}: only line ends differ"
    rest = len(lines) - MOST_DIFF_LINES
    return "\n".join(lines[:MOST_DIFF_LINES] + ([f"... and {rest} more lines"] if rest > 0 else []))


def write(folder: Path, migration: Migration, changes: Sequence[FileChange]) -> tuple[str, ...]:
    """Write what changes and return the paths; the profile's own file last, when all that belongs to it is there.

    Raises:
        UsageError: the disk refuses.
    """
    wanted = wanted_in(folder, migration)
    try:
        return tuple(_written(folder, migration.name, wanted, changes))
    except OSError as exc:
        raise UsageError(f"{exc.filename or folder} cannot be written: {exc.strerror}", field="out") from exc


def _written(
    folder: Path, name: str, wanted: dict[str, bytes], changes: Sequence[FileChange]
) -> Iterator[str]:  # fmt: skip
    own = {f"{name}{ending}" for ending in ENDINGS}
    for one in sorted(changes, key=lambda one: one.path in own):
        path = folder / one.path
        if one.change is Change.REMOVED:
            path.unlink(missing_ok=True)
        elif one.change is not Change.UNCHANGED:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, wanted[one.path])
        else:
            continue
        yield one.path


def _replace(path: Path, content: bytes) -> None:
    """A file is the old one or the new one, whenever somebody looks or the machine ends."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    """Return a file's content, None where there is none. Raises UsageError."""
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            hint = "Move it away, or name another folder."
            raise UsageError(f"{path} is no regular file", field="out", hint=hint)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", field="out") from exc
