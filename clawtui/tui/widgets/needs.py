"""What needs a person, as a list to act on: open one, hear no more of one, copy what to type."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.bars import SEVERITIES
from clawtui.tui.presenters import age_cell
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.fields import LEAST_CELLS, broken
from hub.contract import AttentionView

OPEN, SNOOZE = "open", "snooze"
PAGE_SHARE, PAGE_FRAME_CELLS = 0.96, 8
"""Width of a page in the style sheet, and what its frame, its padding and the list's own take of it."""


class Answer(NamedTuple):
    """What was chosen, and what to do with it."""

    need: AttentionView
    verb: str


def title_of(need: AttentionView) -> str:
    """Plain words; an older hub does not send them."""
    return need.title or need.kind.replace("_", " ").capitalize()


def place_of(need: AttentionView) -> tuple[Where, str]:
    """Where it is looked at, and what to point at there: what failed in full, else whom it is about."""
    if need.jobs:
        return Where.JOBS, need.jobs[0]
    if need.target_kind == "dispatch":
        return Where.ROLLOUT, need.target
    if need.target_kind == "gateway":
        return _of_gateway(need)
    if need.tasks:
        return Where.OUTPUT, need.tasks[0]
    return (Where.FLEET, need.target) if need.target_kind == "agent" else (Where.HUB, "")


def _of_gateway(need: AttentionView) -> tuple[Where, str]:
    """The difference where one persona waits, the gateway's personas where several do, else the gateway."""
    act = need.acts[0] if need.acts else None
    if act is None or not act.act.startswith("sync."):
        return Where.GATEWAYS, need.target
    if act.act == "sync.diff" and need.count == 1:
        return Where.PERSONA, act.command.rpartition(" ")[2]
    return Where.SYNC, need.target


INDENT = 2


def need_lines(need: AttentionView, now: datetime, cells: int) -> Text:
    """What and where; why; what to do; the command for it. Each begins a line, in lines of at most `cells`."""
    glyph, style = SEVERITIES[need.severity]
    text = Text.assemble(
        (f"{glyph} {need.severity.value:<8} ", STYLES[style]), (printable(need.target), "bold"),
        f"  {title_of(need)}", (f"  {age_cell(need.since, now)}", STYLES["dim"]),
    )  # fmt: skip
    for part, look in ((need.text, ""), (need.todo, "accent"), (need.acts[0].command if need.acts else "", "dim")):
        for line in broken(part, cells - INDENT) if part else ():
            text.append(f"\n{' ' * INDENT}{line}", STYLES[look])
    return text


class NeedsScreen(ModalScreen[Answer | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "cancel", "Cancel", show=False),
        Binding("j", "move('cursor_down')", "Down", show=False),
        Binding("k", "move('cursor_up')", "Up", show=False),
        Binding("z", "snooze", "Snooze", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(self, needs: Sequence[AttentionView], now: datetime, *, read_only: bool = False) -> None:
        super().__init__()
        self._needs, self._now, self._read_only = tuple(needs), now, read_only

    def compose(self) -> ComposeResult:
        snooze = "" if self._read_only else "z snoozes it for an hour · "
        with Vertical(classes="dialog page needs-list"):
            yield Static(Text(f"Needs you: {len(self._needs)}", style="bold"))
            yield Static(Text(f"enter goes there · {snooze}y copies the command · esc", style=STYLES["dim"]))
            cells = max(int(self.app.size.width * PAGE_SHARE) - PAGE_FRAME_CELLS, LEAST_CELLS)
            options = (Option(need_lines(need, self._now, cells), id=need.id) for need in self._needs)
            yield OptionList(*options, id="needs-choices")

    def on_mount(self) -> None:
        choices = self.query_one(OptionList)
        choices.highlighted = 0
        choices.focus()

    def _meant(self) -> AttentionView | None:
        at = self.query_one(OptionList).highlighted
        return self._needs[at] if at is not None else None

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        need = next((one for one in self._needs if one.id == event.option.id), None)
        self.dismiss(Answer(need, OPEN) if need is not None else None)

    def action_move(self, way: str) -> None:
        choices = self.query_one(OptionList)
        choices.action_cursor_down() if way == "cursor_down" else choices.action_cursor_up()

    def action_snooze(self) -> None:
        need = self._meant()
        if need is not None and not self._read_only:
            self.dismiss(Answer(need, SNOOZE))

    def action_copy(self) -> None:
        need = self._meant()
        if need is not None:
            self.app.copy_to_clipboard(need.acts[0].command if need.acts else printable(need.text))

    def action_cancel(self) -> None:
        self.dismiss(None)
