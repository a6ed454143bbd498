"""The board: the fleet's newest tasks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from clawtui.tui.actions import Where
from clawtui.tui.presenters import TASK_COLUMNS, TASK_FILTER_KEYS, task_fields, task_row
from clawtui.tui.screens.listing import Listing
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Row
from hub.contract import TaskQuery, TaskView

TASKS = 300


class TasksPane(Listing):
    place = Where.TASKS
    title = "Newest tasks"
    columns = TASK_COLUMNS
    kinds = ("task", "dispatch")
    keys = TASK_FILTER_KEYS
    empty = (
        "No tasks yet.\n\nb   runs a command on agents\nt   makes a task of any type, or a rollout to many agents\n\n"
        "Without agents there is nothing to run on: F1, then a, makes a first one."
    )

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._tasks: dict[str, TaskView] = {}

    async def read(self, store: FleetStore) -> None:
        page = await store.control.tasks(TaskQuery(limit=TASKS))
        self._tasks = {task.id: task for task in page.tasks}
        self.changed()

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale = store.now(), not store.live
        return [(task_fields(task), task_row(task, now, stale)) for task in self._tasks.values()]

    def subject(self) -> Subject:
        tasks = self.meant()
        agents = tuple(dict.fromkeys(self._tasks[task].agent_id for task in tasks if task in self._tasks))
        return Subject(agents, tasks)

    def rollout(self) -> str:
        task = self._tasks.get(self.table.cursor_key or "")
        return (task.dispatch_id or "") if task is not None else ""

    def on_fleet_table_chosen(self, event: FleetTable.Chosen) -> None:
        self.run_worker(partial(self.ui.acting.do_task_open, event.key), group="open")
