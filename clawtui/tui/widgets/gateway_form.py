"""The form of a gateway that exists already: where it is, and what its personas are kept in step with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from clawtui.cli.values import pairs
from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Choose, Field, Form, Send, labelled
from hub.contract import AddGateway, MountMapping, SyncSettings
from hub.errors import BadRequest, HubError

SOURCES: Final = ("registry", "folder", "convex")
ABOUT: Final = "Paths are those of the hub's machine. Without a source the gateway is only looked at."
NEW: Final = SyncSettings(workspace_root="", config_path="")
"""What is left as it is here is the hub's own choice."""
_TEXTS: Final = (
    ("workspaceRoot", "Workspaces", "e.g. /srv/openclaw/agents"),
    ("configPath", "Config", "e.g. /srv/openclaw/openclaw.json"),
    ("folder", "Folder", "source folder: where profile files are"),
    ("convexUrl", "Convex URL", "source convex: e.g. https://x.convex.cloud"),
    ("convexAccount", "Account", "source convex: whose agents"),
    ("convexTokenFile", "Convex token", "source convex: a file with the token"),
    ("personas", "Only", "SLUG SLUG; none = all"),
    ("mounts", "Mounts", "HOST=CONTAINER …: how the gateway sees paths"),
    ("agentsFile", "Instructions", "a file: shared by every AGENTS.md"),
    ("modelsFile", "Models", "a TOML file: more of the model map"),
    ("systemAgent", "System agent", "the slug that acts where none is named"),
    ("restartCommand", "Restart by", "e.g. docker restart openclaw"),
    ("container", "Container", "of the gateway, on the hub's engine; none = no container"),
    ("fileMode", "File mode", "0644"),
    ("folderMode", "Folder mode", "0755"),
    ("owner", "Owner", "UID or UID:GID"),
    ("intervalSeconds", "Every s", "60"),
)
"""Fields of a sync that are texts: name, title, an example."""
_WORDS: Final = frozenset({"personas", "mounts", "restartCommand"})
_CHOICES: Final = (("shape", "Roster shape", ("auto", "entries", "list")),
                   ("reload", "Reload", ("auto", "hot", "restart", "off")))  # fmt: skip


def _id(name: str) -> str:
    return f"g-{name.lower()}"


class GatewayDialog(Form):
    """Answers an AddGateway. With `only_sync` its name and address stand already, and only its sync is asked for."""

    AUTO_FOCUS: ClassVar[str | None] = "Input, Select"
    PLACES: ClassVar[Mapping[str, str]] = {
        name: _id(name)
        for name in (
            "name", "url", "tokenFile", "source",
            *(name for name, _, _ in _TEXTS), *(name for name, _, _ in _CHOICES),
        )
    }  # fmt: skip

    def __init__(self, filled: AddGateway | None = None, send: Send | None = None, *, only_sync: bool = False) -> None:
        super().__init__(send)
        self._filled = filled or AddGateway(name="", url="")
        self._only_sync = only_sync

    def compose(self) -> ComposeResult:
        filled, sync = self._filled, self._filled.sync or NEW
        title = f"Sync of {filled.name}" if self._only_sync else "A gateway that exists already"
        with Vertical(classes="dialog form"):
            yield Static(Text(title, style="bold"), classes="dialog-title")
            with VerticalScroll():
                if not self._only_sync:
                    yield from labelled("Name", Field(filled.name, placeholder="e.g. main", id=_id("name")))
                    yield from labelled("URL", Field(filled.url, placeholder="http://127.0.0.1:18789", id=_id("url")))
                    token = Field(filled.token_file, placeholder="a file; none = no token", id=_id("tokenFile"))
                    yield from labelled("Token file", token)
                yield Static(Text(ABOUT, style=STYLES["dim"]), classes="form-hint")
                source = sync.source if self._filled.sync is not None else ""
                chosen = Choose(SOURCES, value=source, prompt="none: not synced", id=_id("source"))
                yield from labelled("Source", chosen)
                given = msgspec.to_builtins(sync) if self._filled.sync is not None else {}
                for name, label, example in _TEXTS:
                    value = _written(name, given.get(name))
                    yield from labelled(label, Field(value, placeholder=example, id=_id(name)))
                for name, label, choices in _CHOICES:
                    yield from labelled(label, _choice(name, choices, str(given.get(name, "auto"))))
            yield from self.buttons("Set" if self._only_sync else "Add")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    def wrong(self, error: HubError) -> Widget | None:
        """The hub names a field by its way: `sync.mounts[0].host` is wrong in the field of mounts."""
        parts = [re.sub(r"\[.*", "", part) for part in (error.field or "").split(".")]
        known = next((part for part in parts if part in self.PLACES), None)
        if known is not None and (not self._only_sync or self.query(f"#{self.PLACES[known]}")):
            error.field = known
        elif error.field in self.PLACES:
            error.field = None
        return super().wrong(error)

    # --- what was filled in

    def answer(self) -> AddGateway:
        filled = self._filled
        if self._only_sync:
            return AddGateway(name=filled.name, url=filled.url, token_file=filled.token_file, sync=self._sync())
        name, url = self.value(f"#{_id('name')}"), self.value(f"#{_id('url')}")
        if not name:
            raise UsageError("the gateway needs a name", field="name")
        if not url:
            raise UsageError("where is it?", field="url", hint="such as http://127.0.0.1:18789")
        return AddGateway(name=name, url=url, token_file=self.value(f"#{_id('tokenFile')}"), sync=self._sync())

    def _sync(self) -> SyncSettings | None:
        source = self.query_one(f"#{_id('source')}", Select).value
        given = {name: self._given(name) for name, _, _ in _TEXTS}
        given = {name: value for name, value in given.items() if value not in ("", [])}
        if not isinstance(source, str):
            if given and not self._only_sync:
                raise UsageError(
                    "without a source nothing is synced", field="source",
                    hint=f"choose one, or leave {', '.join(given)} empty",
                )  # fmt: skip
            return None
        for name, what in (("workspaceRoot", "workspaces"), ("configPath", "its openclaw.json")):
            if name not in given:
                raise UsageError(f"where are its {what.removeprefix('its ')}?", field=name, hint="on the hub's machine")
        choices = {name: self.query_one(f"#{_id(name)}", Select).value for name, _, _ in _CHOICES}
        try:
            return msgspec.convert({"source": source, **given, **choices}, SyncSettings)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(" - at `$.")
            raise BadRequest(said, field=place.rstrip("`") or None) from error

    def _given(self, name: str) -> Any:
        text = self.value(f"#{_id(name)}")
        if not text or name not in _WORDS:
            return _number(text, name) if name == "intervalSeconds" and text else text
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"a quote is not closed: {error}", field=name) from error
        if name == "mounts":
            found = pairs(words, name)
            return [msgspec.to_builtins(MountMapping(host=host, container=where)) for host, where in found.items()]
        return words


def _number(text: str, name: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a whole number", field=name)
    return int(text)


def _choice(name: str, choices: tuple[str, ...], value: str) -> Select[str]:
    options = [(one, one) for one in choices]
    return Select(
        options, value=value if value in choices else choices[0], allow_blank=False, id=_id(name), compact=True
    )


def _written(name: str, value: Any) -> str:
    """A value of the settings as it is typed."""
    if not value:
        return ""
    if name == "mounts":
        return shlex.join(f"{one['host']}={one['container']}" for one in value)
    return shlex.join(value) if isinstance(value, list) else str(value)
