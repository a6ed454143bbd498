"""Snapshots of the scripted fleet: lines that branch, a fork, broken ones, one of a destroyed agent. All data."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from hub.contract import (
    DiffEntry,
    JobView,
    SnapshotDiff,
    SnapshotEstimate,
    SnapshotList,
    SnapshotPlace,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
)
from hub.core.model import Consistency, SnapshotState
from hub.errors import NotFound
from tests.tui.office_script import ago
from tests.tui.scripted import DONE, ScriptedHub

GIB: Final = 1024**3
MIB: Final = 1024**2
_R, _B = SnapshotState.READY, SnapshotState.BROKEN
_Line = tuple[str, str, str, str | None, float, int, SnapshotState]
# Id, agent, name, parent, seconds ago, bytes, state.
_SNAPSHOTS: Final[tuple[_Line, ...]] = (
    ("sn_b1", "builder-1", "clean-install", None, 900_000, 310 * MIB, _R),
    ("sn_b2", "builder-1", "before-upgrade", "sn_b1", 400_000, 2 * GIB, _R),
    ("sn_b3", "builder-1", "try-clang", "sn_b2", 300_000, 3 * GIB, _R),
    ("sn_b4", "builder-1", "try-clang-lto", "sn_b3", 280_000, 3 * GIB, _R),
    ("sn_b5", "builder-1", "2026-03-13-0300", "sn_b2", 130_000, 2 * GIB, _R),
    ("sn_b6", "builder-1", "2026-03-14-0300", "sn_b5", 43_000, 2 * GIB + 200 * MIB, _R),
    ("sn_f1", "builder-2", "first-day", "sn_b2", 90_000, 2 * GIB, _R),
    ("sn_m1", "migrator", "0041", None, 700_000, 140 * MIB, _R),
    ("sn_m2", "migrator", "0042", "sn_m1", 3_000, 0, _B),
    ("sn_o1", "old-wiki", "last", None, 5_000_000, 1 * GIB, _R),
)  # fmt: skip
CURRENT: Final = frozenset({"sn_b6", "sn_f1", "sn_m1"})


def snapshots() -> list[SnapshotView]:
    """Newest first, as the hub gives them."""
    found = [
        SnapshotView(
            id=key, agent_id=agent, name=name, parent=parent, created_at=ago(age), size_bytes=size, state=state,
            consistency=Consistency.CLEAN if name == "clean-install" else Consistency.CRASH, agent_uid=f"u-{agent}",
            driver="docker", profile="builder", image=f"openclaw-agent-snapshot:{key}", image_bytes=size // 8,
            volume_bytes=size - size // 8, files=size // 40_000, scheduled=name.startswith("2026"),
            current=key in CURRENT, by="hub" if name.startswith("2026") else "user:ada",
            notes=["2 sockets are left out"] if key == "sn_b3" else [],
            reason="the engine went away: its image could not be removed yet" if state is _B else None,
        )
        for key, agent, name, parent, age, size, state in _SNAPSHOTS
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def difference(before: str, after: str) -> SnapshotDiff:
    files = (
        ("/workspace/web/build/release.tar", "added", "file", "", None, 412 * MIB),
        ("/workspace/web/package-lock.json", "changed", "file", "content", 412_000, 431_800),
        ("/workspace/web/run.sh", "changed", "file", "mode", 812, 812),
        ("/workspace/web/src/legacy", "removed", "folder", "", None, None),
        ("/workspace/web/src/legacy/parser.c", "removed", "file", "", 48_000, None),
        ("/usr/local/bin/clang", "added", "link", "", None, 17),
        ("/etc/ld.so.cache", "changed", "file", "content", 21_000, 24_400),
    )  # fmt: skip
    entries = [
        DiffEntry(path=path, change=change, kind=kind, what=what, before_bytes=old, after_bytes=new)
        for path, change, kind, what, old, new in files
    ]
    counts = {"added": 2, "removed": 2, "changed": 3}
    return SnapshotDiff(
        before=before, after=after, entries=entries, counts=counts, bytes_added=412 * MIB + 23_217, bytes_removed=48_000
    )


def answer(hub: ScriptedHub, known: list[SnapshotView] | None = None) -> ScriptedHub:
    """Let the hub have these snapshots; `known` may be changed afterwards."""
    known = snapshots() if known is None else known

    def some(query: SnapshotQuery) -> SnapshotList:
        return SnapshotList(snapshots=[one for one in known if query.agent in (None, one.agent_id)])

    def one(reference: str) -> SnapshotView:
        found = next((each for each in known if reference in (each.id, f"{each.agent_id}:{each.name}")), None)
        if found is None:
            raise NotFound(f"there is no snapshot {reference}")
        return found

    def place(agent_id: str) -> SnapshotPlace:
        at = next((each for each in known if each.agent_id == agent_id and each.current), None)
        if agent_id != "builder-1":
            return SnapshotPlace(agent_id=agent_id, parent=at.id if at else None)
        schedule = SnapshotSchedule(interval_seconds=86_400, keep_last=7, keep_days=30)
        return SnapshotPlace(
            agent_id=agent_id, parent=at.id if at else None, schedule=schedule, next_at=ago(-43_400),
            undo_until=ago(-7_000),
        )  # fmt: skip

    def estimate(agent_id: str) -> SnapshotEstimate:
        return SnapshotEstimate(agent_id=agent_id, volume_bytes=2 * GIB, image_bytes=280 * MIB, free_bytes=61 * GIB)

    hub.answers |= {
        "snapshots": some, "snapshot": one, "snapshot_place": place, "estimate_snapshot": estimate,
        "diff_snapshots": lambda before, query: difference(before, query.other),
        "take_snapshot": DONE, "delete_snapshot": DONE, "restore": DONE, "undo_restore": DONE, "fork": DONE,
        "schedule_snapshots": lambda name, schedule: SnapshotPlace(agent_id=name, schedule=schedule),
    }  # fmt: skip
    return hub


def ended(**fields: Any) -> JobView:
    """A job that has ended well, with a result."""
    return replace(DONE, **fields)
