"""Snapshots in words: as rows with their lineage, one in full, and what acts on them take and lose. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from clawtui.cli.output import age_text, printable, size_text
from clawtui.tui.journal import moment
from clawtui.tui.lineage import Drawn
from clawtui.tui.presenters import age_cell
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import Sign, doubted
from hub.contract import JobView, SnapshotEstimate, SnapshotPlace, SnapshotSchedule, SnapshotView
from hub.core.model import Consistency, SnapshotState

COLUMNS: Final = (
    Column("agent", "AGENT", 14, "left"),
    Column("name", "SNAPSHOT", 20, "left", True),
    Column("state", "STATE", 10, "left"),
    Column("age", "AGE", 6, "right"),
    Column("size", "SIZE", 5, "right"),
    Column("how", "SAVED", 5, "left"),
    Column("current", "CURRENT", 7, "left"),
    Column("parent", "PARENT", 16, "left"),
)
FEW_COLUMNS: Final = COLUMNS[:-1]
"""Where there is no room: the parent also is the one that the drawing begins at."""
OWN_COLUMNS: Final = FEW_COLUMNS[1:]
"""Beside an agent its name says nothing."""
FEW_OWN_COLUMNS: Final = tuple(column for column in OWN_COLUMNS if column.key != "how")
WIDE_CELLS, MEDIUM_CELLS = 96, 66
"""Tables of so many cells have room for the column of parents, and for all others."""
LEAST_COLUMNS: Final = tuple(column for column in FEW_COLUMNS if column.key not in ("how", "size"))
KEYS: Final = frozenset(
    {"agent", "name", "state", "saved", "current", "parent", "profile", "driver", "id", "by", "scheduled", "note"}
)
SIGNS: Final = {
    SnapshotState.READY: Sign("√", "ok"),
    SnapshotState.CREATING: Sign("◔", "accent"),
    SnapshotState.BROKEN: Sign("×", "bad"),
}
MEANING: Final = {
    Consistency.CRASH: "frozen meanwhile, its tasks go on",
    Consistency.CLEAN: "stopped meanwhile, its tasks are interrupted",
}
WAS: Final = {
    Consistency.CRASH: "it was frozen: files are as after a power cut",
    Consistency.CLEAN: "it did not run: every file is whole",
}


def called(snapshot: SnapshotView) -> str:
    """AGENT:NAME, which verbs take too."""
    return f"{snapshot.agent_id}:{snapshot.name}"


def of(snapshot_id: str | None, known: Mapping[str, SnapshotView]) -> str:
    """What a parent is called; an id when it is not listed."""
    if snapshot_id is None:
        return ""
    return called(known[snapshot_id]) if snapshot_id in known else snapshot_id


def fields(snapshot: SnapshotView, known: Mapping[str, SnapshotView]) -> dict[str, str]:
    """What the filter looks at."""
    return {
        "agent": snapshot.agent_id, "name": snapshot.name, "state": snapshot.state.value,
        "saved": snapshot.consistency.value, "current": "yes" if snapshot.current else "no",
        "parent": of(snapshot.parent, known), "profile": snapshot.profile, "driver": snapshot.driver,
        "id": snapshot.id, "by": snapshot.by.removeprefix("user:"), "scheduled": "yes" if snapshot.scheduled else "no",
        "note": printable("; ".join((*snapshot.notes, snapshot.reason or ""))),
    }  # fmt: skip


def row(drawn: Drawn, known: Mapping[str, SnapshotView], columns: Sequence[Column], now: datetime, stale: bool) -> Row:
    one = drawn.snapshot
    sign = SIGNS.get(one.state, Sign("·", ""))
    parent = known.get(one.parent or "")
    # Of the same agent the name will do.
    above = parent.name if parent is not None and parent.agent_id == one.agent_id else of(one.parent, known)
    cells = {
        "agent": Cell(one.agent_id),
        "name": Cell(f"{drawn.drawing}{one.name}", "accent" if one.current else ""),
        "state": Cell(f"{sign.glyph} {doubted(one.state.value, stale)}", sign.style),
        "age": Cell(age_cell(one.created_at, now), "dim"),
        "size": Cell(size_text(one.size_bytes) or "" if one.state is not SnapshotState.CREATING else ""),
        "how": Cell(one.consistency.value, "dim"),
        "current": Cell("● yes" if one.current else "", "accent"),
        "parent": Cell(above, "dim"),
    }
    return Row(one.id, tuple(cells[column.key] for column in columns), stale)


def columns_for(cells: int) -> tuple[Column, ...]:
    """Which columns leave room for names in a table of `cells`."""
    if cells >= WIDE_CELLS:
        return COLUMNS
    return FEW_COLUMNS if cells >= MEDIUM_CELLS else LEAST_COLUMNS


# --- one in full


def detail(
    one: SnapshotView, known: Mapping[str, SnapshotView], place: SnapshotPlace | None, now: datetime, there: bool
) -> list[Field]:
    """`place`: where its agent stands, as far as that was read; `there`: whether that agent still is."""
    sign = SIGNS.get(one.state, Sign("·", ""))
    found = [
        Field("Snapshot", called(one), "bold", one.id),
        Field("State", f"{sign.glyph} {one.state.value}", sign.style),
    ]
    if one.reason:
        found.append(Field("Why", printable(one.reason), "bad"))
    by = "by its schedule" if one.scheduled else f"by {one.by.removeprefix('user:')}" if one.by else ""
    found += [
        Field("Taken", moment(one.created_at), "", " ".join(part for part in (_ago(one, now), by) if part)),
        Field("Saved", one.consistency.value, "", WAS.get(one.consistency, "")),
        Field("Size", size_text(one.size_bytes) or "", "", _parts(one)),
        *_lineage(one, known),
        Field("Current", *_current(one, there)),
        Field("Made of", f"{one.driver or 'no driver'}", "", f"profile {one.profile}" if one.profile else ""),
    ]
    found += [Field("Note", printable(note), "warn") for note in one.notes]
    if place is not None:
        found += agent_fields(place, known, now)
    if one.state is SnapshotState.READY:
        found.append(Field("Command", f"clawtui restore {one.agent_id} {one.name}", "", "y copies its id"))
    return found


def _ago(one: SnapshotView, now: datetime) -> str:
    return f"{age_cell(one.created_at, now)} ago"


def _parts(one: SnapshotView) -> str:
    image = f", image {size_text(one.image_bytes)}" if one.image or one.image_bytes else ""
    return f"workspace {size_text(one.volume_bytes)} in {_files(one.files)}{image}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _lineage(one: SnapshotView, known: Mapping[str, SnapshotView]) -> list[Field]:
    below = [other for other in known.values() if other.parent == one.id]
    named = ", ".join(other.name if other.agent_id == one.agent_id else called(other) for other in below)
    return [
        Field("Parent", of(one.parent, known) or "none: it is the first of its line", "" if one.parent else "dim"),
        Field("Children", named or "none", "" if named else "dim"),
    ]


def _current(one: SnapshotView, there: bool) -> tuple[str, str]:
    if one.current:
        return f"yes: {one.agent_id} goes on from here", "accent"
    if not there:
        return f"no: there is no {one.agent_id} now; a restore makes it again", "warn"
    return f"no: {one.agent_id} stands elsewhere", "dim"


def agent_fields(place: SnapshotPlace, known: Mapping[str, SnapshotView], now: datetime) -> list[Field]:
    """The schedule, and the restore that can be undone."""
    found = [Field("Schedule", schedule_text(place, now), "" if place.schedule.interval_seconds else "dim")]
    if place.undo_until and (left := seconds_until(place.undo_until, now)) > 0:
        found.append(Field("Way back", f"the last restore can be undone for {age_text(left)}", "accent"))
    return found


def seconds_until(at: str, now: datetime) -> float:
    return (datetime.fromisoformat(at) - now).total_seconds()


def schedule_text(place: SnapshotPlace, now: datetime) -> str:
    schedule = place.schedule
    if not schedule.interval_seconds:
        return "none"
    parts = [f"every {span(schedule.interval_seconds)}"]
    if place.next_at:
        left = seconds_until(place.next_at, now)
        parts.append(f"next in {age_text(left)}" if left > 0 else "due now")
    if schedule.keep_last:
        parts.append(f"keeps the last {schedule.keep_last}")
    if schedule.keep_days:
        parts.append(f"keeps {schedule.keep_days:g} days")
    return ", ".join([*parts, schedule.consistency.value])


def span(seconds: int) -> str:
    """A length of time as it is typed: `6h`."""
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    return next(f"{seconds // size}{unit}" for unit, size in sizes if seconds % size == 0)


def schedule_words(agent: str, schedule: SnapshotSchedule) -> list[str]:
    """The verb that does the same."""
    words = ["snapshots", "schedule", agent]
    if not schedule.interval_seconds:
        return [*words, "--off"]
    words += ["--every", span(schedule.interval_seconds)]
    if schedule.keep_last:
        words += ["--keep-last", str(schedule.keep_last)]
    if schedule.keep_days:
        words += ["--keep-days", f"{schedule.keep_days:g}"]
    return [*words, "--clean"] if schedule.consistency is Consistency.CLEAN else words


# --- what acts take and lose


def total_text(snapshots: Sequence[SnapshotView]) -> str:
    """Of all of them; those that are broken or not whole yet are counted."""
    parts = [f"{size_text(sum(one.size_bytes for one in snapshots))} in all"] if snapshots else []
    for state in (SnapshotState.CREATING, SnapshotState.BROKEN):
        if count := sum(one.state is state for one in snapshots):
            parts.append(f"{SIGNS[state].glyph} {count} {state.value}")
    return " · ".join(parts)


def estimate_text(found: Sequence[SnapshotEstimate]) -> tuple[str, str]:
    """What saving takes and what room there is, with its style; several agents are one sum."""
    volume, image = (sum(getattr(one, name) for one in found) for name in ("volume_bytes", "image_bytes"))
    free = min((one.free_bytes for one in found), default=0)
    text = f"about {size_text(volume)} of workspace"
    if image:
        text += f" and {size_text(image)} of image"
    if volume >= free:
        return f"! {text}: too much, only {size_text(free)} are free on the hub's disk", "bad"
    return f"{text}; {size_text(free)} are free on the hub's disk", ""


def loss_text(found: SnapshotEstimate) -> str:
    image = f" and {size_text(found.image_bytes)} elsewhere" if found.image_bytes else ""
    return f"about {size_text(found.volume_bytes)} of workspace{image}"


def deletion_lines(chosen: Sequence[SnapshotView], known: Mapping[str, SnapshotView], now: datetime) -> list[str]:
    lines = [f"{called(one)}: {size_text(one.size_bytes)}, {_ago(one, now)}" for one in chosen]
    ids = {one.id for one in chosen}
    hanging = [other for other in known.values() if other.parent in ids and other.id not in ids]
    if hanging:
        names = ", ".join(called(one) for one in hanging[:3]) + (" …" if len(hanging) > 3 else "")
        lines.append(f"What came of it stays: {names}.")
    return [*lines, "This cannot be undone. Agents are not touched."]


def outcome(job: JobView) -> tuple[list[str], list[str]]:
    """Of a fork the agents that were made, and why others were not."""
    forks: list[dict[str, Any]] = (job.result or {}).get("forks", [])
    made = [str(one.get("agentId")) for one in forks if one.get("state") == "online"]
    failed = [
        f"{one.get('agentId')}: {one.get('error') or one.get('state')}" for one in forks if one.get("state") != "online"
    ]
    return made, [printable(one) for one in failed]


def empty_text(key: Callable[[str], str], *, agents: bool, read_only: bool) -> str:
    """The place without snapshots; `key` gives an action's key."""
    first = "No snapshots yet.\n\nA snapshot is an agent as it was at one moment: it can be put back, be made into new "
    first += "agents, and be compared with another one.\n\n"
    if read_only:
        return f"{first}This screen is read-only: snapshots appear here as soon as somebody takes one."
    if not agents:
        return f"{first}There is no agent to be saved: {key('show.fleet')}, then {key('agent.create')} makes one."
    return (
        f"{first}{key('snapshot.create')} saves an agent; it shows first what that takes. "
        f"{key('snapshot.schedule')} lets the hub do it by itself, every few hours."
    )


def no_own(key: Callable[[str], str], why: str, *, read_only: bool) -> str:
    """The tab of an agent without snapshots; `why` it can have none."""
    if why:
        return f"It {why}"
    if read_only:
        return "No snapshots of this agent yet"
    return (
        f"No snapshots of this agent yet.  Press {key('snapshot.create')} to take one, "
        f"{key('snapshot.schedule')} to have them taken by themselves"
    )
