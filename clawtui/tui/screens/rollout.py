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
from clawtui.tui.words import task_sign
from hub.contract import DispatchMember, DispatchView

CANARY = "canary"


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
    empty = "This rollout met no agent"

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
        counts = " ".join(f"{task_sign_text(state)} {count}" for state, count in view.counts.items())
        rules = view.rollout
        words = [f"canary {rules.canary}"] if rules.canary else []
        words += [f"{rules.concurrency} at once"] if rules.concurrency else []
        words += [f"stops after {rules.stop_on_failures} failures"] if rules.stop_on_failures else []
        return f"Rollout {view.dispatch_id} · {view.state} · {counts} · {', '.join(words) or 'all at once'} · agents"

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


def task_sign_text(state: str) -> str:
    return state.replace("_", " ")


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
