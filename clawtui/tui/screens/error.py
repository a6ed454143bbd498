"""What stands in the place of a pane that failed."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from clawtui.tui.actions import Where
from clawtui.tui.screens.pane import Pane
from clawtui.tui.theme import STYLES


class ErrorPane(Pane):
    """Details to read and copy, and a way to have the pane back. Everything else goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "again", "Load again", show=False),
        Binding("y", "copy_report", "Copy", show=False),
    ]

    def __init__(self, place: Where, report: str) -> None:
        super().__init__(classes="error-pane")
        self.place = place
        self.report = report

    def compose(self) -> ComposeResult:
        yield Static(
            Text(f"× The {self.place.value} pane failed. The hub and all other panes go on.", style=STYLES["bad"])
        )
        yield Static(Text(self.report.strip().splitlines()[-1], style=STYLES["bad"]))
        yield Static("Load it again, or copy the details and send them to the developers.")
        with Horizontal(classes="dialog-buttons"):
            yield Button("Load again", id="again", compact=True)
            yield Button("Copy details", id="copy-report", compact=True)
        with VerticalScroll():
            yield Static(Text(self.report))

    def on_mount(self) -> None:
        if self.display:
            self.focus_first()

    def copied(self) -> str:
        return self.report

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "again":
            self.action_again()
        else:
            self.action_copy_report()

    def action_again(self) -> None:
        self.app.call_later(self.ui.main.reload_pane, self.place)

    def action_copy_report(self) -> None:
        self.app.copy_to_clipboard(self.report)
        self.ui.say("copied the details", "ok")
