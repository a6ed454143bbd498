"""A task's output while it runs and after, with what the task is on top."""

from __future__ import annotations

import codecs
from functools import partial

from textual.app import ComposeResult

from clawtui.follow import closed, follow_output
from clawtui.tui.actions import Where
from clawtui.tui.logging_view import Batch, LogFilter
from clawtui.tui.presenters import task_status, task_took, task_what
from clawtui.tui.screens.pane import Pane, Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.log_store import LogLineView
from clawtui.tui.widgets.log_view import LogView
from clawtui.tui.widgets.topbar import Line
from clawtui.tui.words import task_sign
from hub.contract import TaskView

LINE_CHARACTERS = 1_048_576
"""A line without an end is shown in pieces of this size."""


class Lines:
    """Bytes of one stream to whole lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        if len(self._rest) > LINE_CHARACTERS:
            whole.append(self._rest)
            self._rest = ""
        return whole

    def end(self) -> list[str]:
        rest, self._rest = self._rest, ""
        return [rest] if rest else []


class OutputPane(Pane):
    place = Where.OUTPUT

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._shown_task: TaskView | None = None
        self._reads: tuple[object, ...] = ()
        self._looks: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="output-title")
        yield Line(stay=True, id="output-about")
        view = LogView()
        self.log_filter = LogFilter(view)
        yield view

    def on_mount(self) -> None:
        self.view.focus()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def point_at(self, key: str) -> None:
        self._about, self._shown_task, self._reads = key, None, ()
        self.ui.refresh_now()

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted or not self._about:
            return
        if store.live and self._reads != (self._about,):
            self._reads = (self._about,)
            self.background(partial(self._follow, store, self._about), "output")
        looks = (self._about, store.kinds["task"], store.live)
        if store.live and looks != self._looks:
            self._looks = looks
            self.background(partial(self._look, store, self._about), "task")
        self.query_one("#output-title", Line).set_pieces(self._title(store))

    def _title(self, store: FleetStore) -> list[Piece]:
        task = self._shown_task
        if task is None:
            return [(f" Task {self._about}", "bold")]
        sign = task_sign(task.status)
        took = task_took(task, store.now())
        code = f" exit {task.exit_code}" if task.exit_code is not None else ""
        state = f"{sign.glyph} {task_status(task)}{code}{f' {took}' if took else ''}"
        why = task.error.message or task.error.code if task.error else task.note
        self.query_one("#output-about", Line).set_pieces(
            [(f" {task_what(task)}", ""), (f"  {why}" if why else "", "warn")]
        )
        return [
            (f" {task.agent_id} ", "bold"),
            (state, sign.style),
            (f" · {self._about} · {self.log_filter.says()}", "dim"),
        ]

    async def _look(self, store: FleetStore, task_id: str) -> None:
        self._shown_task = await store.control.get_task(task_id)
        self.ui.refresh_now()

    async def _follow(self, store: FleetStore, task_id: str) -> None:
        self.view.clear()
        self.view.set_empty("No output yet")
        batch, streams = Batch(self.view), {"stdout": Lines(), "stderr": Lines()}
        output = follow_output(store.control, task_id, say=lambda text: self.ui.say(text, "warn"))
        self.background(batch.run, "batch")
        async with closed(output) as pieces:
            async for piece in pieces:
                if piece.skipped:
                    await batch.put("", LogLineView(f"— {piece.skipped} bytes were cut here —", level="warn"))
                for text in streams.setdefault(piece.stream, Lines()).take(piece.data):
                    await batch.put("", _line(piece.stream, text))
        for stream, lines in streams.items():
            for text in lines.end():
                await batch.put("", _line(stream, text))
        batch.flush()
        self.view.set_empty("The task ended without any output")

    def leave(self) -> None:
        self._reads = ()
        self.workers.cancel_node(self)

    def subject(self) -> Subject:
        return Subject((self._shown_task.agent_id,) if self._shown_task else (), (self._about,) if self._about else ())

    @property
    def filter_text(self) -> str:
        return self.log_filter.text

    def set_filter(self, text: str) -> None:
        self.log_filter.set(text)
        self.ui.refresh_now()

    def set_context(self, lines: int | None) -> None:
        self.log_filter.set_context(lines)
        self.ui.refresh_now()

    def log_view(self) -> LogView | None:
        return self.view

    def focus_first(self) -> None:
        if self.is_mounted:
            self.view.focus()

    def back(self) -> bool:
        if not self.log_filter.text:
            return False
        self.set_filter("")
        return True


def _line(stream: str, text: str) -> LogLineView:
    return LogLineView(text, level="error" if stream == "stderr" else "")
