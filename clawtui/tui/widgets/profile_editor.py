"""A profile's text to change in place: what is wrong stands beside the line, and below with what helps."""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Static, TextArea

from clawtui.cli.output import printable
from clawtui.tui.profile_text import Format, Remark, remarks
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.text import truncate, width
from hub.contract import ProfileCheck
from hub.errors import HubError

QUIET_SECONDS = 0.3
"""The text is looked at when nobody has typed for so long."""
LEAST_CELLS = 8
"""Where a remark has less room behind its line, it is read by scrolling; below it stands in full in any case."""
Check = Callable[[str], Coroutine[Any, Any, ProfileCheck]]


class Verb(enum.Enum):
    SAVE = "save"
    OUTSIDE = "outside"
    """Go on in the person's own editor."""
    LEAVE = "leave"


class Edited(NamedTuple):
    text: str
    verb: Verb


def _remark(text: str) -> str:
    return f"   × {text}"


class RemarkedArea(TextArea):
    """Words behind lines that are not part of the text."""

    def __init__(self, text: str, *, id: str) -> None:
        self._behind: dict[int, str] = {}
        super().__init__(text, id=id, show_line_numbers=True, soft_wrap=False, tab_behavior="focus", compact=True)

    def set_remarks(self, behind: dict[int, str]) -> None:
        if behind != self._behind:
            self._behind = behind
            self._refresh_size()
            self._line_cache.clear()
            self.refresh()

    def _refresh_size(self) -> None:
        """Room for the words behind the lines too: what is wider than the text is not painted."""
        super()._refresh_size()
        behind = [(line, said) for line, said in self._behind.items() if line < self.document.line_count]
        widths = [width(self.document.get_line(line)) + width(_remark(said)) for line, said in behind]
        wanted = max(widths, default=0) + self.gutter_width + 1
        if wanted > self.virtual_size.width:
            self.virtual_size = Size(wanted, self.virtual_size.height)

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if line_index in self._behind:
            said = _remark(self._behind[line_index])
            room = self.scrollable_content_region.width - self.gutter_width - width(line.plain) - 1
            line.append(truncate(said, room) if room >= LEAST_CELLS else said, STYLES["bad"])
        return line


class ProfileEditor(ModalScreen[Edited | None]):
    """Answers what was written and what is to come of it; None when nothing was changed."""

    AUTO_FOCUS: ClassVar[str | None] = "#profile-text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("ctrl+s", "save", "Save", show=False),
        Binding("ctrl+o", "outside", "Editor", show=False),
        Binding("ctrl+n", "next", "Next mistake", show=False),
    ]

    def __init__(self, name: str, text: str, format: Format, check: Check) -> None:
        super().__init__()
        self._profile, self._text, self._check = name, text, check
        self._format: Format = format
        self._remarks: list[Remark] = []
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog page editor"):
            yield Static(Text(f"Profile {self._profile}", style="bold"))
            yield RemarkedArea(self._text, id="profile-text")
            with VerticalScroll(id="remarks", can_focus=False):
                yield Static(id="remarks-text")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Leave (esc)", id="leave", compact=True)
                yield Button("$EDITOR (^o)", id="outside", compact=True)
                yield Button("Save (^s)", id="save", variant="primary", compact=True)

    def on_mount(self) -> None:
        self._look()

    @property
    def _area(self) -> RemarkedArea:
        return self.query_one(RemarkedArea)

    # --- what is wrong

    @on(TextArea.Changed)
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(QUIET_SECONDS, self._look)

    def _look(self) -> None:
        self.run_worker(partial(self._checked, save=False), group="check", exclusive=True)

    async def _checked(self, *, save: bool) -> None:
        """Ask the hub what is wrong; with `save` and nothing wrong the dialog is done."""
        text = self._area.text
        try:
            found = await self._check(text)
        except HubError as error:
            self._say(Text(f"It cannot be checked now: {printable(error.message)}", STYLES["warn"]))
            return
        self._remarks = remarks(text, self._format, found.problems)
        self._show("Not saved: " if save else "")
        if save and found.valid:
            self.dismiss(Edited(text, Verb.SAVE))
        elif save:
            self._go_to(self._remarks[0])

    def _show(self, before: str = "") -> None:
        behind: dict[int, str] = {}
        said = Text()
        for remark in self._remarks:
            problem = remark.problem
            if remark.line >= 0:
                more = f"{behind[remark.line]}; " if remark.line in behind else ""
                behind[remark.line] = printable(f"{more}{problem.field.rpartition('.')[2]} {problem.message}".strip())
            where = f"line {remark.line + 1}: " if remark.line >= 0 else ""
            said.append(printable(f"× {where}{problem.field} {problem.message}".replace("  ", " ")), STYLES["bad"])
            said.append(f"  {printable(problem.hint)}\n" if problem.hint else "\n", STYLES["dim"])
        count = len(self._remarks)
        if count:
            things = "1 thing is wrong" if count == 1 else f"{count} things are wrong"
            self._say(Text.assemble((f"{before}{things} (^n goes to the next):\n", "bold"), said))
        else:
            self._say(Text("√ nothing is wrong", STYLES["ok"]))
        self._area.set_remarks(behind)

    def _say(self, text: Text) -> None:
        self.query_one("#remarks-text", Static).update(text)

    def _go_to(self, remark: Remark) -> None:
        if remark.line >= 0:
            self._area.move_cursor((remark.line, 0))
        self._area.focus()

    # --- what is done

    def action_next(self) -> None:
        row = self._area.cursor_location[0]
        lines = [one for one in self._remarks if one.line >= 0]
        if lines:
            self._go_to(next((one for one in lines if one.line > row), lines[0]))

    def action_save(self) -> None:
        self.run_worker(partial(self._checked, save=True), group="check", exclusive=True)

    def action_outside(self) -> None:
        self.dismiss(Edited(self._area.text, Verb.OUTSIDE))

    def action_leave(self) -> None:
        text = self._area.text
        self.dismiss(Edited(text, Verb.LEAVE))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "save":
                self.action_save()
            case "outside":
                self.action_outside()
            case _:
                self.action_leave()
