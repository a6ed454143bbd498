"""One widget in an app, and what a terminal would show of it."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.hint_bar import HintBar
from clawtui.tui.widgets.log_view import LogView


class OneWidget(App[None]):
    """Shows `widget` and collects what it says."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.said: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_fleet_table_cursor_moved(self, message: FleetTable.CursorMoved) -> None:
        self.said.append(message)

    def on_fleet_table_chosen(self, message: FleetTable.Chosen) -> None:
        self.said.append(message)

    def on_fleet_table_marks_changed(self, message: FleetTable.MarksChanged) -> None:
        self.said.append(message)

    def on_fleet_table_header_clicked(self, message: FleetTable.HeaderClicked) -> None:
        self.said.append(message)

    def on_fleet_table_context_menu(self, message: FleetTable.ContextMenu) -> None:
        self.said.append(message)

    def on_log_view_copied(self, message: LogView.Copied) -> None:
        self.said.append(message)

    def on_hint_bar_pressed(self, message: HintBar.Pressed) -> None:
        self.said.append(message)


def screen_text(app: App[None]) -> list[str]:
    """What is on the screen, line by line, without styles and without the spaces at the end."""
    return [strip.text.rstrip() for strip in painted(app)]


def painted(app: App[None]) -> list[Strip]:
    """The screen as strips; each must be exactly as wide as the screen."""
    width = app.size.width
    strips = app.screen._compositor.render_strips()  # what the terminal gets; there is no public way to read it
    assert all(cell_len(strip.text) == width for strip in strips)
    return strips
