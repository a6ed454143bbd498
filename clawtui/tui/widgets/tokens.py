"""Making a token, and showing its secret once."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from clawtui.cli.values import seconds
from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from hub.contract import CreateToken
from hub.core.model import Role

ROLES: Final = {
    Role.VIEWER: "viewer: looks", Role.OPERATOR: "operator: makes agents, gives tasks", Role.ADMIN: "admin: everything",
}  # fmt: skip


class TokenDialog(ModalScreen[CreateToken | None]):
    """Name, role and life; Cancel has the last word by Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield Static(Text("New token", style="bold"), classes="dialog-title")
            with Horizontal(classes="field"):
                yield Label("Name")
                yield Input(id="name", placeholder="who or what it is for", compact=True)
            with Horizontal(classes="field"):
                yield Label("Role")
                choices = [(text, role) for role, text in ROLES.items()]
                yield Select(choices, id="role", value=Role.VIEWER, allow_blank=False, compact=True)
            with Horizontal(classes="field"):
                yield Label("Expires")
                yield Input(id="expires", placeholder="never; or e.g. 12h, 30d", compact=True)
            yield Static(id="form-note")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Make", id="do", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#name", Input).focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._answer()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "do":
            self._answer()
        else:
            self.dismiss(None)

    def _answer(self) -> None:
        name = self.query_one("#name", Input).value.strip()
        life = self.query_one("#expires", Input).value.strip()
        try:
            expires = seconds(life, "Expires") if life else None
        except UsageError as error:
            self.query_one("#form-note", Static).update(Text(f"{error.message} {error.hint}", style=STYLES["warn"]))
            self.query_one("#expires", Input).focus()
            return
        role = Role(str(self.query_one("#role", Select).value))
        self.dismiss(CreateToken(name=name, role=role, expires_in_seconds=expires))

    def action_cancel(self) -> None:
        self.dismiss(None)


class SecretScreen(ModalScreen[None]):
    """The secret of a new token. `y` copies it; once closed it is nowhere to be read again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy", show=False),
        Binding("escape,q", "close", "Close", show=False),
    ]

    def __init__(self, title: str, secret: str) -> None:
        super().__init__()
        self._title, self._secret = title, secret

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            yield Static(
                Text(self._secret, style=STYLES["accent"], overflow="fold"), classes="dialog-text", id="secret"
            )
            yield Static(Text("It is shown only this once. y copies it, esc closes."), id="secret-note")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Copy", id="copy", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one("#copy", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.action_close()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._secret)
        self.query_one("#secret-note", Static).update(Text("√ Copied. esc closes, and it is gone.", style=STYLES["ok"]))

    def action_close(self) -> None:
        self.dismiss(None)
