"""What a run of the sync would do, file by file; it can be run from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from clawtui.tui.sync import reports_text
from hub.contract import SyncReport


class SyncPlanScreen(ModalScreen[bool]):
    """Answers whether it is to be run. The focus is on the button that does nothing."""

    AUTO_FOCUS: ClassVar[str | None] = "#close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,space", "scroll(10)", "Down", show=False),
        Binding("pageup", "scroll(-10)", "Up", show=False),
    ]

    def __init__(self, reports: Sequence[SyncReport], *, may_run: bool) -> None:
        super().__init__()
        self._reports, self._may_run = tuple(reports), may_run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog page"):
            yield Static(Text("Dry run: what a run would do now", style="bold"), classes="dialog-title")
            with VerticalScroll(can_focus=False):
                yield Static(id="plan-text")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close (esc)", id="close", compact=True)
                if self._may_run:
                    yield Button("Sync now", id="do", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        cells = self.query_one(VerticalScroll).scrollable_content_region.width
        self.query_one("#plan-text", Static).update(reports_text(self._reports, cells))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "do")

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        self.dismiss(False)
