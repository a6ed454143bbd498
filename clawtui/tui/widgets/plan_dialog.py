"""What a clean-up would remove, each thing with its reason; only typed words open the button."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from clawtui.tui.disk import plan_said, plan_text
from clawtui.tui.theme import STYLES
from hub.contract import PrunePlan

PLAIN, DATA = "remove", "remove data"
WARNING = "Some of it is work of agents (data): nobody can make it again."


class PlanDialog(ModalScreen[bool]):
    """The list scrolls while one types."""

    AUTO_FOCUS: ClassVar[str | None] = "#typed"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("down", "scroll(1)", "Down", show=False),
        Binding("up", "scroll(-1)", "Up", show=False),
        Binding("pagedown", "scroll(10)", "Down", show=False),
        Binding("pageup", "scroll(-10)", "Up", show=False),
    ]

    def __init__(self, plan: PrunePlan) -> None:
        super().__init__()
        self._plan = plan
        self._expected = DATA if plan.data else PLAIN

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog page"):
            yield Static(Text(f"Clean up: {plan_said(self._plan)}", style="bold"), classes="dialog-title")
            with VerticalScroll(can_focus=False):
                yield Static(id="plan-text")
            if self._plan.data:
                yield Static(Text(WARNING, style=STYLES["bad"]))
            yield Static(Text.assemble("Type ", (self._expected, "bold"), " to go on (arrows scroll the list):"))
            yield Input(id="typed", compact=True)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Remove", id="do", variant="error", disabled=True, compact=True)

    def on_mount(self) -> None:
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        cells = self.query_one(VerticalScroll).scrollable_content_region.width
        self.query_one("#plan-text", Static).update(plan_text(self._plan, cells))

    @property
    def _right(self) -> bool:
        return self.query_one("#typed", Input).value.strip() == self._expected

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#do", Button).disabled = not self._right

    @on(Input.Submitted)
    def _submitted(self) -> None:
        # A wrong word changes nothing: the plan stays open to be read again.
        if self._right:
            self.dismiss(True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "do" and self._right)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_cancel(self) -> None:
        self.dismiss(False)
