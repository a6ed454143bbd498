"""One line of text that is asked for."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Label, Static

from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Field, Form


class AskDialog(Form):
    """Answers what was typed, None when it was left."""

    AUTO_FOCUS = "#asked"

    def __init__(self, title: str, label: str, value: str = "", about: str = "", verb: str = "Go on") -> None:
        super().__init__()
        self._title, self._label, self._value, self._about, self._verb = title, label, value, about, verb

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            with VerticalScroll():
                if self._about:
                    yield Static(Text(f"{self._about}\n", style=STYLES["dim"]), classes="form-hint")
                with Horizontal(classes="field"):
                    yield Label(self._label, classes="field-name")
                    yield Field(self._value, id="asked")
            yield from self.buttons(self._verb)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    def answer(self) -> str:
        text = self.value("#asked")
        if not text:
            raise UsageError("it needs a name")
        return text
