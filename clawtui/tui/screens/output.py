"""A task's output while it runs and after, with what the task is on top."""

from __future__ import annotations

from functools import partial

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.logs.output import TaskOutput
from clawtui.tui.presenters import task_status, task_took, task_what
from clawtui.tui.screens.log_place import LogPlace
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.words import task_sign
from hub.contract import TaskView


class OutputPane(LogPlace):
    place = Where.OUTPUT

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._shown_task: TaskView | None = None
        self._reads: tuple[object, ...] = ()
        self._looks: tuple[object, ...] = ()

    def point_at(self, key: str) -> None:
        if key != self._about:
            self._about, self._shown_task, self._reads = key, None, ()
        self.ui.refresh_now()

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted or not self._about:
            return
        looks = (self._about, store.kinds["task"], store.live)
        if store.live and looks != self._looks:
            self._looks = looks
            self.background(partial(self._look, store, self._about), "task")
        task = self._shown_task
        # Another attempt writes another output, from its beginning.
        if task is not None and (task.id, task.attempt) != self._reads:
            self._reads = (task.id, task.attempt)
            self.read(TaskOutput(store.control, task.id, lambda text: self.ui.say(text, "warn")))
        self.keep_reading(store)
        ended = task is not None and task.terminal
        self.view.set_empty(self.nothing("The task ended without any output" if ended else "No output yet"))
        self.title.set_pieces([(" Output ", "bold"), (self.log_filter.says(), "")])
        self.about.set_pieces(self._what(store))

    async def _look(self, store: FleetStore, task_id: str) -> None:
        self._shown_task = await store.control.get_task(task_id)
        self.ui.refresh_now()

    def _what(self, store: FleetStore) -> list[Piece]:
        task = self._shown_task
        if task is None:
            return [(f" {printable(self._about)}", "dim")]
        sign = task_sign(task.status)
        took = task_took(task, store.now())
        code = f" exit {task.exit_code}" if task.exit_code is not None else ""
        why = task.error.message or task.error.code if task.error else task.note
        return [
            (f" {printable(task.agent_id)} ", "bold"),
            (f"{sign.glyph} {task_status(task)}{code}{f' {took}' if took else ''}", sign.style),
            (f"  {printable(why)}" if why else "", "warn"),
            (f"  {task_what(task)}", ""),
            (f"  {task.id}", "dim"),
        ]

    # --- for actions

    def selection(self) -> str:
        return self._about

    def subject(self) -> Subject:
        return Subject((self._shown_task.agent_id,) if self._shown_task else (), (self._about,) if self._about else ())
