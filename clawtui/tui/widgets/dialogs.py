"""Dialogs. Cancel is the default of every one, and Escape always cancels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from clawtui.tui.theme import STYLES

SHOWN_CHOICES = 200
SHARE = 0.92
"""Of the terminal's lines that a dialog may take, as in the style sheet."""
LEAST_LINES = 2


def keep_buttons_in_sight(dialog: Screen[Any], inner: Widget, others: int) -> None:
    """Let the `inner` part scroll before anything else of the dialog, in `others` lines, leaves a small terminal."""
    inner.styles.max_height = max(int(dialog.size.height * SHARE) - others, LEAST_LINES)


class ConfirmDialog(ModalScreen[bool]):
    """Stops work: says what, Cancel has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Cancel", show=False),
        Binding("left,right,h,l", "other", "Other button", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], verb: str) -> None:
        super().__init__()
        self._title, self._lines, self._verb = title, tuple(lines), verb

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(Text("\n".join(self._lines)))
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._verb, id="do", variant="error", compact=True)

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).focus()

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 7)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "do")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_other(self) -> None:
        self.focus_next()


class TypeNameDialog(ModalScreen[bool]):
    """Loses data: only the typed name opens the button."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    def __init__(self, title: str, lines: Sequence[str], expected: str, verb: str) -> None:
        super().__init__()
        self._title, self._lines, self._expected, self._verb = title, tuple(lines), expected, verb

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(Text("\n".join(self._lines)))
                yield from self.more()
            yield Static(Text.assemble("Type ", (self._expected, "bold"), " to go on:"))
            yield Input(id="typed", compact=True)
            yield from self.options()
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._verb, id="do", variant="error", disabled=True, compact=True)

    def more(self) -> ComposeResult:
        """What else is said of what goes."""
        yield from ()

    def options(self) -> ComposeResult:
        """What can be chosen besides."""
        yield from ()

    def on_mount(self) -> None:
        self.query_one("#typed", Input).focus()

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 9)

    @property
    def _right(self) -> bool:
        return self.query_one("#typed", Input).value == self._expected

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#do", Button).disabled = not self._right

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.dismiss(self._right)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "do" and self._right)

    def action_cancel(self) -> None:
        self.dismiss(False)


class Choice(NamedTuple):
    """`more`: what stands greyed at the right, e.g. the key. `grey`: it cannot be done now, and `more` says why."""

    id: str
    text: str
    more: str = ""
    grey: bool = False


class Picker(ModalScreen[str | None]):
    """Palette and context menu: type to narrow, Enter takes, Escape leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("down", "move('cursor_down')", "Down", show=False),
        Binding("up", "move('cursor_up')", "Up", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._choices = title, tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog picker"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            yield Input(placeholder="type to find", id="find", compact=True)
            yield OptionList(id="choices", compact=True)

    def on_mount(self) -> None:
        self._narrow("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        words = text.lower().split()
        options = self.query_one(OptionList)
        options.clear_options()
        found = [choice for choice in self._choices if all(w in f"{choice.text} {choice.id}".lower() for w in words)]
        width = max((len(choice.text) for choice in self._choices), default=0)
        for choice in found[:SHOWN_CHOICES]:
            title = (choice.text.ljust(width), STYLES["dim"] if choice.grey else "")
            label = Text.assemble(title, (f"  {choice.more}", STYLES["dim"]), no_wrap=True)
            options.add_option(Option(label, id=choice.id))
        if found:
            options.highlighted = 0

    def action_move(self, way: str) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if way == "cursor_down" else options.action_cursor_up()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None and options.option_count:
            self.dismiss(options.get_option_at_index(options.highlighted).id)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_cancel(self) -> None:
        self.dismiss(None)


class TextScreen(ModalScreen[None]):
    """A page of text to read and to copy: help, the last error."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "close", "Close", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
        Binding("pagedown,space", "scroll(10)", "Down", show=False),
        Binding("pageup", "scroll(-10)", "Up", show=False),
        Binding("g,home", "first", "First", show=False),
        Binding("G,end", "last", "Last", show=False),
    ]

    def __init__(self, title: str, text: Text | Callable[[int], Text]) -> None:
        """`text`: as it is, or made for so many cells."""
        super().__init__()
        self._title, self._made = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog page"):
            yield Static(Text(f"{self._title}   (esc closes, y copies)", style="bold"), classes="dialog-title")
            with VerticalScroll(can_focus=True):
                yield Static(id="page-text")

    @property
    def _text(self) -> Text:
        if isinstance(self._made, Text):
            return self._made
        return self._made(self.query_one(VerticalScroll).scrollable_content_region.width)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        self.query_one("#page-text", Static).update(self._text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_first(self) -> None:
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_last(self) -> None:
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._text.plain)

    def action_close(self) -> None:
        self.dismiss(None)
