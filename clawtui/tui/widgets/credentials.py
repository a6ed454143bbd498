"""How to get into a gateway, shown once; below it how far the work on the gateway is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from clawtui.cli.output import printable
from clawtui.tui.jobs import job_what
from clawtui.tui.presenters import bar
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import keep_buttons_in_sight
from clawtui.tui.words import job_sign
from hub.contract import Credentials, JobView

WORD: Final = "saved"
"""What is typed to close it: one key too many must not lose a token."""
ONCE: Final = "The token is shown this once: nothing shows it again. Keep it now."
STEPS: Final = 6
LOOK_SECONDS: Final = 0.25
"""How often the job that the screen knows is looked at; the hub is not asked for it."""


class CredentialsDialog(ModalScreen[None]):
    """Closes by the typed word only. `watch` gives the job that goes on, as the screen knows it."""

    AUTO_FOCUS: ClassVar[str | None] = "#typed"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stay", "Close", show=False),
        Binding("ctrl+y", "copy", "Copy the token", show=False),
    ]

    def __init__(self, title: str, credentials: Credentials, watch: Callable[[], JobView | None]) -> None:
        super().__init__()
        self._title, self._credentials, self._watch = title, credentials, watch

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog credentials"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(self._text())
                yield Static(id="credentials-job")
            yield Static(Text(ONCE, style=STYLES["warn"]), id="credentials-once")
            yield Static(Text.assemble("Type ", (WORD, "bold"), " to close (^y copies the token):"))
            yield Input(id="typed", compact=True)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Copy token (^y)", id="copy", compact=True)
                yield Button("Close", id="do", variant="primary", disabled=True, compact=True)

    def _text(self) -> Text:
        one = self._credentials
        lines = [("URL", one.url), ("Open at", one.public_url), ("User", one.user), ("Token", one.token)]
        text = Text()
        for label, value in lines:
            if value:
                text.append(f"{label:<8}", STYLES["dim"])
                text.append(f"{printable(value)}\n", "bold" if label == "Token" else "")
        return text

    def on_mount(self) -> None:
        self._show()
        self.set_interval(LOOK_SECONDS, self._show)

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 10)

    def _show(self) -> None:
        self.query_one("#credentials-job", Static).update(job_text(self._watch()))

    # --- closing

    @property
    def _right(self) -> bool:
        return self.query_one("#typed", Input).value.strip() == WORD

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#do", Button).disabled = not self._right

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if self._right:
            self.dismiss(None)
        else:
            self.action_stay()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "copy":
            self.action_copy()
        elif self._right:
            self.dismiss(None)

    def action_stay(self) -> None:
        said = Text(f"{ONCE} Then type {WORD}.", style=STYLES["bad"])
        self.query_one("#credentials-once", Static).update(said)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._credentials.token)
        self.query_one("#credentials-once", Static).update(Text(f"Copied. {ONCE}", style=STYLES["ok"]))


def job_text(job: JobView | None) -> Text:
    """How far the job is, with its last steps."""
    if job is None:
        return Text("It is being made …", style=STYLES["dim"])
    mark = job_sign(job.state)
    text = Text(no_wrap=True, overflow="ellipsis")
    runs = job.finished_at is None
    share = f" {bar(job.progress, 16)} {job.progress:.0%}" if runs else ""
    text.append(f"{mark.glyph} {job.state}{share}", STYLES[mark.style])
    if job.error is not None:
        text.append(f"  {job_what(job)}", STYLES["bad"])
    # What is waited for is told again and again, in turn.
    said = list(dict.fromkeys(step.message for step in reversed(job.steps)))[:STEPS]
    for message in reversed(said):
        text.append(f"\n  {printable(message)}", STYLES["dim"])
    return text
