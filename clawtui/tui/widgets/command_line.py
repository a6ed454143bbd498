"""The line at the bottom for `:` commands and `/` filters, with a history each and completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from clawtui.tui.memory import Memory

HISTORY = 200
CHARACTERS_MAX = 65_536
"""More than a task may have; what is pasted beyond is cut, and that is said."""


class Completion(Suggester):
    """Offers the history first, then words."""

    def __init__(self, history: list[str], words: Callable[[str], Iterable[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._history, self._words = history, words

    async def get_suggestion(self, value: str) -> str | None:
        for past in reversed(self._history):
            if past.startswith(value) and past != value:
                return past
        return next((word for word in self._words(value) if word != value), None)


class LineInput(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "past(-1)", "Before", show=False),
        Binding("down", "past(1)", "After", show=False),
        Binding("tab", "complete", "Complete", show=False),
        Binding("escape", "leave", "Leave", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(compact=True, max_length=CHARACTERS_MAX, select_on_focus=False)
        self.cursor_blink = False
        self.history: list[str] = []
        self._place = 0

    def begin(self, history: list[str], suggester: Suggester | None, text: str) -> None:
        self.history, self._place = history, len(history)
        self.suggester = suggester
        self.value = text
        self.cursor_position = len(text)

    def action_past(self, step: int) -> None:
        self._place = min(max(self._place + step, 0), len(self.history))
        self.value = self.history[self._place] if self._place < len(self.history) else ""
        self.cursor_position = len(self.value)

    def action_complete(self) -> None:
        """Take what is offered: at the end of the line that is what the right arrow does."""
        self.cursor_position = len(self.value)
        self.action_cursor_right()

    def _on_paste(self, event: events.Paste) -> None:
        """A paste that is too long is cut and that is said; Textual would refuse it whole, and take its first line."""
        event.prevent_default()
        event.stop()
        text = " ".join(event.text.split("\n")).strip()
        room = CHARACTERS_MAX - len(self.value)
        self.insert_text_at_cursor(text[:room])
        if len(text) > room:
            self.post_message(CommandLine.Cut(len(text) - room))

    def action_leave(self) -> None:
        self.post_message(CommandLine.Left())


class CommandLine(Horizontal):
    """Hidden until `ask`; tells `Entered` or `Left`."""

    @dataclass
    class Entered(Message):
        mode: str
        text: str

    @dataclass
    class Typed(Message):
        """While a filter is typed."""

        mode: str
        text: str

    @dataclass
    class Cut(Message):
        """A paste was too long by so many characters."""

        characters: int

    class Left(Message):
        pass

    def __init__(self, memory: Memory | None = None) -> None:
        """`memory`: what was entered before this start, and where it is kept for the next."""
        super().__init__(id="command-line")
        self.display = False
        self.mode = ":"
        self._memory = memory or Memory()
        self.histories: dict[str, list[str]] = {}

    def compose(self) -> ComposeResult:
        yield Static(":", id="prompt")
        yield LineInput()

    def ask(self, mode: str, text: str = "", words: Callable[[str], Iterable[str]] | None = None) -> None:
        self.mode = mode
        self.query_one("#prompt", Static).update(mode)
        history = self.histories.setdefault(mode, self._memory.history(mode))
        line = self.query_one(LineInput)
        line.begin(history, None if words is None else Completion(history, words), text)
        self.display = True
        line.focus()

    def close(self) -> None:
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self.mode == "/":
            self.post_message(self.Typed(self.mode, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        history = self.histories[self.mode]
        if event.value and (not history or history[-1] != event.value):
            history.append(event.value)
            del history[:-HISTORY]
            self._memory.entered(self.mode, event.value)
        self.post_message(self.Entered(self.mode, event.value))
