"""One task on many agents: who has it, how far it is, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from clawtui.tui.actions import Where
from clawtui.tui.screens.listing import Listing
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import TASK_SIGNS, task_sign
from hub.contract import DispatchMember, DispatchView
from hub.core.model import TaskState

CANARY = "canary"
FAILED = frozenset({TaskState.FAILED, TaskState.TIMED_OUT, TaskState.REJECTED, TaskState.LOST})


class RolloutPane(Listing):
    place = Where.ROLLOUT
    title = "Rollout"
    columns = (
        Column("agent", "AGENT", 20, "left"),
        Column("state", "STATE", 14, "left"),
        Column("wave", "WAVE", 8, "left"),
        Column("task", "TASK", 20, "left", True),
    )
    kinds = ("task", "dispatch")
    keys = frozenset({"agent", "state", "task"})
    empty = (
        "This rollout met no agent.\n\nF1, then t, makes another one: name agents, or give a selector that fits some. "
        "F2 shows all tasks, and m on one of them its rollout."
    )

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._view: DispatchView | None = None

    def point_at(self, key: str) -> None:
        self._about, self._view = key, None
        self.changed()

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._about, *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        if self._about:
            self._view = await store.control.dispatch_status(self._about)
            self.changed()

    def heading(self) -> str:
        view = self._view
        if view is None:
            return f"Rollout {self._about}"
        return rollout_heading(view, self.app.size.width - self._room_taken())

    def _room_taken(self) -> int:
        """Cells of what `Listing` puts after the heading: numbers, filter and marks."""
        filtered = len(f" of {self._all} · /{self._filter.text}") if self._filter.text else 0
        return filtered + len(f"  {self._all}") + (len(f" · {self._all} marked") if self.table.marked else 0)

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        view = self._view
        if view is None:
            return []
        canary = view.rollout.canary
        return [_member(member, place < canary, not store.live) for place, member in enumerate(view.tasks)]

    def subject(self) -> Subject:
        members = {member.task_id: member.agent_id for member in (self._view.tasks if self._view else ())}
        tasks = self.meant()
        return Subject(tuple(members[task] for task in tasks if task in members), tasks)

    def rollout(self) -> str:
        return self._about

    def on_fleet_table_chosen(self, event: FleetTable.Chosen) -> None:
        self.run_worker(partial(self.ui.acting.do_task_open, event.key), group="open")


def rollout_heading(view: DispatchView, width: int) -> str:
    """What the rollout is, in at most `width` cells where that is possible: rules go first, its state stays."""
    counts = " ".join(_count(state, count) for state, count in view.counts.items() if count)
    failed = " ".join(_count(state, count) for state, count in view.counts.items() if count and state in FAILED)
    rules = view.rollout
    long = [f"canary {rules.canary}"] if rules.canary else []
    long += [f"{rules.concurrency} at once"] if rules.concurrency else []
    long += [f"stops after {rules.stop_on_failures} failed"] if rules.stop_on_failures else []
    short = [word for word, number in (("canary", rules.canary), ("stops", rules.stop_on_failures)) if number]
    head = f"Rollout {view.dispatch_id} · {view.state}"
    versions = (
        (head, counts, ", ".join(long) or "all at once", "agents"), (head, counts, ", ".join(short), "agents"),
        (head, counts, "agents"), (head, failed, "agents"), (head, "agents"),
        (f"{view.dispatch_id} {view.state}", "agents"),
    )  # fmt: skip
    texts = [" · ".join(part for part in version if part) for version in versions]
    return next((text for text in texts if len(text) <= width), texts[-1])


def _count(state: str, count: int) -> str:
    """Glyph, number and word of one state."""
    glyph = f"{TASK_SIGNS[TaskState(state)].glyph} " if state in TASK_SIGNS else ""
    return f"{glyph}{count} {state.replace('_', ' ')}"


def _member(member: DispatchMember, canary: bool, stale: bool) -> tuple[Mapping[str, str], Row]:
    sign = task_sign(member.status)
    state = "held" if member.held else member.status.value
    cells = (
        Cell(member.agent_id),
        Cell(f"{sign.glyph} {state}", "dim" if member.held else sign.style),
        Cell(CANARY if canary else "", "accent"),
        Cell(member.task_id, "dim"),
    )
    fields = {"agent": member.agent_id, "state": state, "task": member.task_id}
    return fields, Row(member.task_id, cells, stale)
