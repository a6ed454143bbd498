"""Which columns a table shows, and in which order. Nothing changes before it is applied; Escape and Cancel keep all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import keep_buttons_in_sight
from clawtui.tui.widgets.table_layout import Column

KEYS = "space shows or hides · J K move down or up · r all as they were · ^s applies · esc cancels"


class ColumnsDialog(ModalScreen[tuple[str, ...] | None]):
    """Answers with the keys to show in their order, empty for the program's own choice; None when cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("ctrl+s", "apply", "Apply", show=False),
        Binding("space", "mark", "Show or hide", show=False),
        Binding("j", "cursor(1)", "Down", show=False),
        Binding("k", "cursor(-1)", "Up", show=False),
        Binding("J,shift+down", "shift(1)", "Move down", show=False),
        Binding("K,shift+up", "shift(-1)", "Move up", show=False),
        Binding("r", "reset", "As they were", show=False),
    ]

    def __init__(self, columns: Sequence[Column], chosen: Sequence[str], fixed: str) -> None:
        """`columns`: all there are, in the program's order. `fixed` is always shown."""
        super().__init__()
        self._columns = {column.key: column for column in columns}
        self._fixed = fixed
        self._order, self._shown = self._start(chosen)

    def _start(self, chosen: Sequence[str]) -> tuple[list[str], set[str]]:
        known = [key for key in chosen if key in self._columns]
        shown = {*known, self._fixed} if known else set(self._columns)
        return [*known, *(key for key in self._columns if key not in known)], shown

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog columns"):
            yield Static(Text("Columns of the agents", style="bold"), classes="dialog-title")
            yield OptionList(id="choices", compact=True)
            yield Static(Text(KEYS, style=STYLES["dim"]), id="columns-keys")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Apply (^s)", id="do", variant="primary", compact=True)

    def on_mount(self) -> None:
        self._list(0)
        self.query_one(OptionList).focus()

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(OptionList), 8)

    def _list(self, highlighted: int) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        for key in self._order:
            column = self._columns[key]
            mark = "X" if key in self._shown else " "
            about = "always shown" if key == self._fixed else f"{column.width} cells"
            more = (f"  {about}", STYLES["dim"])
            options.add_option(Option(Text.assemble(f"[{mark}] {column.title:<10}", more, no_wrap=True), id=key))
        options.highlighted = highlighted

    @property
    def _at(self) -> int:
        return self.query_one(OptionList).highlighted or 0

    @on(OptionList.OptionSelected)
    def action_mark(self) -> None:
        key = self._order[self._at]
        if key != self._fixed:
            self._shown ^= {key}
            self._list(self._at)

    def action_cursor(self, lines: int) -> None:
        self.query_one(OptionList).highlighted = min(max(self._at + lines, 0), len(self._order) - 1)

    def action_shift(self, lines: int) -> None:
        """Move the column under the cursor; the cursor goes with it."""
        before, after = self._at, min(max(self._at + lines, 0), len(self._order) - 1)
        self._order.insert(after, self._order.pop(before))
        self._list(after)

    def action_reset(self) -> None:
        self._order, self._shown = self._start(())
        self._list(self._at)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "do":
            self.action_apply()
        else:
            self.dismiss(None)

    def action_apply(self) -> None:
        shown = tuple(key for key in self._order if key in self._shown)
        self.dismiss(() if shown == tuple(self._columns) else shown)

    def action_cancel(self) -> None:
        self.dismiss(None)
