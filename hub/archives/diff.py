"""The difference of two lists of entries: both are read once, side by side, and what differs is kept up to a bound."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from hub.archives.index import Entry
from hub.archives.work import Meter


class Change(enum.StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Difference(msgspec.Struct, frozen=True):
    """One path. `what` of a change: content, mode, kind or target. Sizes in bytes, None where it is not."""

    path: str
    change: Change
    kind: str
    what: str = ""
    before_bytes: int | None = None
    after_bytes: int | None = None


class Differences(msgspec.Struct, frozen=True):
    """`counts` and `bytes_added`, `bytes_removed` are of everything; `entries` are the first ones."""

    entries: list[Difference]
    counts: dict[Change, int]
    bytes_added: int
    bytes_removed: int
    truncated: bool


def compare(meter: Meter, before: Iterator[Entry], after: Iterator[Entry], limit: int) -> Differences:
    """Return what differs, at most `limit` entries. Both lists are in the order of `Entry.order`."""
    entries: list[Difference] = []
    counts = dict.fromkeys(Change, 0)
    grown = shrunk = 0
    for old, new in _pairs(before, after):
        meter.advance(0)
        found = _difference(old, new)
        if found is None:
            continue
        counts[found.change] += 1
        step = (found.after_bytes or 0) - (found.before_bytes or 0)
        grown, shrunk = grown + max(step, 0), shrunk + max(-step, 0)
        if len(entries) < limit:
            entries.append(found)
    return Differences(entries, counts, grown, shrunk, truncated=sum(counts.values()) > len(entries))


def _pairs(before: Iterator[Entry], after: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    old, new = next(before, None), next(after, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.order < new.order):
            yield old, None
            old = next(before, None)
        elif old is None or new.order < old.order:
            yield None, new
            new = next(after, None)
        else:
            yield old, new
            old, new = next(before, None), next(after, None)


def _difference(old: Entry | None, new: Entry | None) -> Difference | None:
    old, new = _there(old, new), _there(new, old)
    if old is None and new is None:
        return None
    if old is None:
        assert new is not None
        return Difference(new.path, Change.ADDED, new.kind, after_bytes=_size(new))
    if new is None:
        return Difference(old.path, Change.REMOVED, old.kind, before_bytes=_size(old))
    if (what := _what(old, new)) == "":
        return None
    return Difference(new.path, Change.CHANGED, new.kind, what, _size(old), _size(new))


def _there(entry: Entry | None, other: Entry | None) -> Entry | None:
    """Return the entry, None when it is not there; what only the other list has is as in the plain image."""
    if entry is None and other is not None and other.base:
        return Entry(
            other.path, "file" if other.kind == "gone" else other.kind, other.size, other.mode, "as in the image"
        )
    return None if entry is None or entry.kind == "gone" else entry


def _what(old: Entry, new: Entry) -> str:
    if old.kind != new.kind:
        return "kind"
    if old.digest != new.digest or old.size != new.size:
        return "target" if old.kind == "link" else "content"
    return "mode" if old.mode != new.mode else ""


def _size(entry: Entry) -> int | None:
    return entry.size if entry.kind == "file" else None
