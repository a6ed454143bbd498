"""What loses data, with how large it is, and a snapshot first if wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import TypeNameDialog, keep_buttons_in_sight
from clawtui.tui.widgets.forms import Flag
from hub.errors import HubError

MEASURING = "Measuring how much that is …"
Measure = Callable[[], Awaitable[str]]
"""How much goes, as a sentence."""


class LossDialog(TypeNameDialog):
    """Answers as its base does; then `save_first` says whether a snapshot is wanted before."""

    def __init__(
        self, title: str, lines: Sequence[str], expected: str, verb: str, *, measure: Measure | None = None,
        offer: str = "", why_none: str = "",
    ) -> None:  # fmt: skip
        """`offer`: what the box for a snapshot says; `why_none`: why none can be taken, of some or of all."""
        super().__init__(title, lines, expected, verb)
        self._measure, self._offer, self._why_none = measure, offer, why_none

    def more(self) -> ComposeResult:
        if self._measure is not None:
            yield Static(Text(MEASURING, style=STYLES["dim"]), id="loss-size")
        if self._why_none:
            yield Static(Text(f"No snapshot first: {self._why_none}.", style=STYLES["warn"]))

    def options(self) -> ComposeResult:
        if self._offer:
            yield Flag(self._offer, id="save-first", compact=True)

    @property
    def save_first(self) -> bool:
        return any(flag.value for flag in self.query(Flag))

    def on_mount(self) -> None:
        super().on_mount()
        if self._measure is not None:
            self.run_worker(self._tell(self._measure), exit_on_error=False)

    async def _tell(self, measure: Measure) -> None:
        try:
            text, style = await measure(), ""
        except HubError as error:
            text, style = f"How much that is, is not known: {error.message}", STYLES["warn"]
        for shown in self.query("#loss-size").results(Static):
            shown.update(Text(text, style=style))

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 11 if self._offer else 9)
