"""Which VM profiles are migrated, and where to: files of the machine that this screen runs on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Field, Form, Send, labelled
from hub.errors import HubError

ABOUT = (
    "Paths are those of the machine that this screen runs on, not of the hub's. First it is shown what became of each "
    "profile; nothing is written before you say so. To prove one on a real engine: clawtui profile migrate … --check."
)


class Wanted(NamedTuple):
    """Files or folders, and the folder to write to; empty = only look."""

    what: tuple[str, ...] = ()
    out: str = ""


class MigrationDialog(Form):
    """Answers a Wanted. With `where` the files stand already, and a folder is needed."""

    AUTO_FOCUS: ClassVar[str | None] = "Input"
    PLACES: ClassVar[Mapping[str, str]] = {"what": "m-what", "out": "m-out"}

    def __init__(self, filled: Wanted, send: Send, *, where: bool = False) -> None:
        super().__init__(send)
        self._filled, self._where = filled, where

    def compose(self) -> ComposeResult:
        title = "Where to write them" if self._where else "Migrate VM profiles"
        with Vertical(classes="dialog form"):
            yield Static(Text(title, style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield Static(Text(f"{ABOUT}\n", style=STYLES["dim"]), classes="form-hint")
                if not self._where:
                    what = Field(shlex.join(self._filled.what), placeholder="FILE-OR-FOLDER …", id="m-what")
                    yield from labelled("Profiles", what)
                example = "a folder" if self._where else "a folder; none = only look"
                yield from labelled("Write to", Field(self._filled.out, placeholder=example, id="m-out"))
            yield from self.buttons("Compare" if self._where else "Look")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    def wrong(self, error: HubError) -> Widget | None:
        """What could not be read is said at the field that names it."""
        if error.field not in self.PLACES and not self._where:
            error.field = "what"
        return super().wrong(error)

    def answer(self) -> Wanted:
        out = self.value("#m-out")
        if self._where:
            if not out:
                raise UsageError("which folder?", field="out")
            return Wanted(self._filled.what, out)
        try:
            what = tuple(shlex.split(self.value("#m-what")))
        except ValueError as error:
            raise UsageError(f"a quote is not closed: {error}", field="what") from error
        if not what:
            raise UsageError("which profiles?", field="what", hint="files that end with .json, .yaml; or a folder")
        return Wanted(what, out)
