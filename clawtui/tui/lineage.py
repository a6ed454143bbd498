"""The lineage of snapshots drawn as a tree, oldest on top. Pure.

A child goes on in its parent's column; further children branch off to the right before it does, so that
a long line of snapshots stays as narrow as a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from hub.contract import SnapshotView

GOES_ON, BRANCH = "│ ", "├─"
FIRST, NEXT, LAST, ASIDE, ALONE = "┌", "├", "└", "┬", "─"
"""A line's first snapshot, one that it goes on from, its last; the first of a branch; one without any relative."""
MOST_CELLS: Final = 12
"""A drawing that is wider than this is cut at its left, with an ellipsis: the name matters more."""


class Drawn(NamedTuple):
    """`drawing` ends in a blank and stands before the name."""

    drawing: str
    snapshot: SnapshotView


def tree(snapshots: Sequence[SnapshotView]) -> list[Drawn]:
    """All of them, each below its parent; those whose parent is not among them begin a tree, by agent and time."""
    known = {one.id: one for one in snapshots}
    children: dict[str | None, list[SnapshotView]] = {}
    for one in sorted(snapshots, key=_order):
        parent = one.parent if one.parent in known and not _circular(one, known) else None
        children.setdefault(parent, []).append(one)
    newest = _newest(children, known)
    found: list[Drawn] = []
    # What is left to draw: a snapshot, the columns to its left, and its sign with and without children.
    left = [(root, "", FIRST, ALONE) for root in reversed(children.get(None, []))]
    while left:
        one, before, goes_on, ends = left.pop()
        below = sorted(children.get(one.id, []), key=lambda child: (newest[child.id], child.id))
        head = before[:-2] + BRANCH if goes_on == ASIDE else before
        found.append(Drawn(_narrow(f"{head}{goes_on if below else ends} "), one))
        if below:
            left.append((below[-1], before, NEXT, LAST))
            left += [(child, f"{before}{GOES_ON}", ASIDE, ALONE) for child in reversed(below[:-1])]
    return found


def _order(one: SnapshotView) -> tuple[str, str, str]:
    return one.agent_id, one.created_at, one.id


def _circular(one: SnapshotView, known: dict[str, SnapshotView]) -> bool:
    """Whether its ancestors lead back to it: that is a defect of what was read, and must not loop here."""
    seen: set[str] = set()
    at: SnapshotView | None = one
    while at is not None and at.parent is not None:
        if at.id in seen:
            return True
        seen.add(at.id)
        at = known.get(at.parent)
    return False


def _newest(children: dict[str | None, list[SnapshotView]], known: dict[str, SnapshotView]) -> dict[str, str]:
    """Of each snapshot the time of the newest one that came of it: the line that goes on straight leads there."""
    order: list[str] = []
    left = [one.id for one in children.get(None, [])]
    while left:
        at = left.pop()
        order.append(at)
        left += [child.id for child in children.get(at, [])]
    newest: dict[str, str] = {}
    for at in reversed(order):
        newest[at] = max([known[at].created_at, *(newest[child.id] for child in children.get(at, []))])
    return newest


def _narrow(drawing: str) -> str:
    return drawing if len(drawing) <= MOST_CELLS else f"…{drawing[-(MOST_CELLS - 1) :]}"


def without_gaps(kept: Sequence[SnapshotView], everything: Sequence[SnapshotView]) -> list[SnapshotView]:
    """`kept` with the nearest kept ancestor as parent, so that a filtered tree is a tree."""
    parents = {one.id: one.parent for one in everything}
    ids = {one.id for one in kept}
    return [_under(one, parents, ids) for one in kept]


def _under(one: SnapshotView, parents: dict[str, str | None], ids: set[str]) -> SnapshotView:
    parent, seen = one.parent, {one.id}
    while parent is not None and parent not in ids and parent not in seen:
        seen.add(parent)
        parent = parents.get(parent)
    return one if parent == one.parent else replace(one, parent=parent if parent in ids else None)
