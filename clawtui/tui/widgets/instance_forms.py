"""Forms of acts on gateways that the hub runs: upgrade one or many, back up, restore, import, destroy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Select, Static

from clawtui.cli.output import printable
from clawtui.errors import UsageError
from clawtui.tui.gateways_instance import backup_text
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import TypeNameDialog, keep_buttons_in_sight
from clawtui.tui.widgets.forms import Choose, Field, Flag, Form, Send, labelled
from hub.contract import (
    BackupGateway,
    BackupView,
    DestroyGateway,
    DestroyPlan,
    GatewayView,
    ImportGateway,
    RestoreGateway,
    RolloutRequest,
    UpgradeGateway,
    UpgradeGateways,
)

SHOWN: Final = 8
UPGRADE: Final = (
    "Its data are copied first; the old container stays untouched, and comes back by itself if the new one does not "
    "become ready."
)


class _GatewayForm(Form):
    def head(self, title: str) -> ComposeResult:
        yield Static(Text(title, style="bold"), classes="dialog-title")

    def hint(self, text: str) -> Static:
        return Static(Text(printable(text), style=STYLES["dim"]), classes="form-hint")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    def to(self) -> UpgradeGateway:
        """Raises UsageError."""
        image, version = self.value("#u-image"), self.value("#u-version")
        if not image and not version:
            raise UsageError("to what?", field="version", hint="a version such as 2026.9.6, or an image")
        if image and version:
            raise UsageError("an image or a version, not both", field="image", hint="leave one of them empty")
        return UpgradeGateway(image=image, version=version)

    def to_fields(self) -> ComposeResult:
        yield from labelled("Version", Field(placeholder="of OpenClaw, e.g. 2026.9.6", id="u-version"))
        yield from labelled("or image", Field(placeholder="by tag or digest", id="u-image"))


class UpgradeDialog(_GatewayForm):
    """Answers an UpgradeGateway."""

    AUTO_FOCUS: ClassVar[str | None] = "#u-version"
    PLACES: ClassVar[Mapping[str, str]] = {"image": "u-image", "version": "u-version"}

    def __init__(self, gateway: GatewayView, send: Send | None = None) -> None:
        super().__init__(send)
        self._gateway = gateway

    def compose(self) -> ComposeResult:
        one = self._gateway
        image = one.instance.image if one.instance is not None else ""
        with Vertical(classes="dialog form"):
            yield from self.head(f"Upgrade {one.name}")
            with VerticalScroll():
                yield self.hint(f"Now: {one.version or 'version not known'}, {image}")
                yield from self.to_fields()
                yield self.hint(UPGRADE)
            yield from self.buttons("Upgrade")

    def answer(self) -> UpgradeGateway:
        return self.to()


class UpgradeManyDialog(_GatewayForm):
    """Answers an UpgradeGateways: those that are named, else a tier, else all."""

    AUTO_FOCUS: ClassVar[str | None] = "#u-version"
    PLACES: ClassVar[Mapping[str, str]] = {
        "image": "u-image", "version": "u-version", "to.image": "u-image", "to.version": "u-version",
        "names": "u-names", "tier": "u-tier", "canary": "u-canary", "concurrency": "u-concurrency",
        "stopOnFailures": "u-stop",
    }  # fmt: skip

    def __init__(
        self, names: Sequence[str], tiers: Sequence[str], tier: str = "", left_out: str = "", send: Send | None = None
    ) -> None:
        super().__init__(send)
        self._names, self._tiers, self._tier, self._left_out = tuple(names), tuple(tiers), tier, left_out

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield from self.head("Upgrade many gateways, one after the other")
            with VerticalScroll():
                names = Field(" ".join(self._names), placeholder="NAME NAME; none = all of the tier", id="u-names")
                yield from labelled("Gateways", names)
                chosen = self._tier if self._tier in self._tiers else ""
                yield from labelled("or tier", Choose(self._tiers, value=chosen, prompt="every tier", id="u-tier"))
                yield from self.to_fields()
                yield from labelled("Canary", Field("1", placeholder="so many first", id="u-canary", type="integer"))
                yield from labelled("At once", Field("1", placeholder="0: all", id="u-concurrency", type="integer"))
                yield from labelled("Stop after", Field("1", placeholder="0: never", id="u-stop", type="integer"))
                yield self.hint(UPGRADE)
                if self._left_out:
                    yield self.hint(f"Left out: {self._left_out}")
            yield from self.buttons("Upgrade")

    def answer(self) -> UpgradeGateways:
        tier = self.query_one("#u-tier", Select).value
        names = self.value("#u-names").replace(",", " ").split()
        if names and isinstance(tier, str):
            raise UsageError("names or a tier, not both", field="tier", hint="leave one of them empty")
        rollout = RolloutRequest(
            canary=self._count("canary"), concurrency=self._count("concurrency"), stop_on_failures=self._count("stop")
        )
        return UpgradeGateways(names=names, tier=tier if isinstance(tier, str) else "", to=self.to(), rollout=rollout)

    def _count(self, name: str) -> int:
        text = self.value(f"#u-{name}") or "0"
        if not text.isdecimal():
            field = "stopOnFailures" if name == "stop" else name
            raise UsageError(f"{text!r} is not a whole number", field=field)
        return int(text)


class BackupDialog(_GatewayForm):
    """Answers a BackupGateway."""

    AUTO_FOCUS: ClassVar[str | None] = "#b-how"
    STOP, PAUSE = "stopped meanwhile", "frozen meanwhile"

    def __init__(self, names: Sequence[str], left_out: str = "", send: Send | None = None) -> None:
        super().__init__(send)
        self._names, self._left_out = tuple(names), left_out

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield from self.head(f"Back up {', '.join(self._names[:SHOWN])}")
            with VerticalScroll():
                how = Select([(one, one) for one in (self.STOP, self.PAUSE)], value=self.STOP, allow_blank=False,
                             id="b-how", compact=True)  # fmt: skip
                yield from labelled("It is", how)
                yield self.hint("Data, config and secrets are saved together; nobody is answered meanwhile. Stopped is "
                                "surer, frozen is faster.")  # fmt: skip
                if self._left_out:
                    yield self.hint(f"Left out: {self._left_out}")
            yield from self.buttons("Back up")

    def answer(self) -> BackupGateway:
        return BackupGateway(pause=self.query_one("#b-how", Select).value == self.PAUSE)


class RestoreDialog(_GatewayForm):
    """Answers a RestoreGateway; without a name it takes the place of the one it was."""

    AUTO_FOCUS: ClassVar[str | None] = "#r-name"
    PLACES: ClassVar[Mapping[str, str]] = {"name": "r-name"}

    def __init__(self, backup: BackupView, send: Send | None = None) -> None:
        super().__init__(send)
        self._backup = backup

    def compose(self) -> ComposeResult:
        one = self._backup
        with Vertical(classes="dialog form"):
            yield from self.head(f"Restore {one.gateway} from {one.id}")
            with VerticalScroll():
                yield self.hint(f"{backup_text(one)}, of {one.created_at}")
                placeholder = f"another name; none = it takes the place of {one.gateway}"
                yield from labelled("As", Field(placeholder=placeholder, id="r-name"))
                yield self.hint("Its token is a new one, and shown once.")
            yield from self.buttons("Restore")

    def answer(self) -> RestoreGateway:
        return RestoreGateway(backup=self._backup.id, name=self.value("#r-name"))


class ImportDialog(_GatewayForm):
    """Answers an ImportGateway."""

    AUTO_FOCUS: ClassVar[str | None] = "#i-name"
    PLACES: ClassVar[Mapping[str, str]] = {
        "name": "i-name", "container": "i-container", "stateFolder": "i-state", "config": "i-config", "tier": "i-tier",
        "host": "i-host", "subdomain": "i-subdomain", "tokenFile": "i-token",
    }  # fmt: skip

    def __init__(self, tiers: Sequence[str], name: str = "", send: Send | None = None) -> None:
        super().__init__(send)
        self._tiers, self._name = tuple(tiers), name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield from self.head("Import a gateway that exists")
            with VerticalScroll():
                yield self.hint("A container is taken over where it is. One that runs from source is made anew with a "
                                "copy of its state; stop it first. Paths are those of the hub's machine.")  # fmt: skip
                yield from labelled("Name", Field(self._name, placeholder="e.g. acme", id="i-name"))
                yield from labelled("Container", Field(placeholder="its name or id", id="i-container"))
                yield from labelled("or state", Field(placeholder="e.g. /home/me/.openclaw", id="i-state"))
                yield from labelled("Config", Field(placeholder="none = openclaw.json in there", id="i-config"))
                yield from labelled("Token file", Field(placeholder="a file with its token", id="i-token"))
                tier = "pro" if "pro" in self._tiers else ""
                yield from labelled("Tier", Choose(self._tiers, value=tier, prompt="pro", id="i-tier"))
                yield from labelled("Host", Field(placeholder="none = this hub's engine", id="i-host"))
                yield from labelled("Subdomain", Field(placeholder="none = not open to others", id="i-subdomain"))
            yield from self.buttons("Import")

    def answer(self) -> ImportGateway:
        name, container, state = self.value("#i-name"), self.value("#i-container"), self.value("#i-state")
        if not name:
            raise UsageError("the gateway needs a name", field="name")
        if bool(container) == bool(state):
            raise UsageError("a container or a state folder", field="container", hint="exactly one of the two")
        tier = self.query_one("#i-tier", Select).value
        return ImportGateway(
            name=name, container=container, state_folder=state, config=self.value("#i-config"),
            tier=tier if isinstance(tier, str) else "pro", host=self.value("#i-host"),
            subdomain=self.value("#i-subdomain"), token_file=self.value("#i-token"),
        )  # fmt: skip


class DestroyDialog(TypeNameDialog):
    """The plan, and the typed name; `request` is what was agreed to."""

    def __init__(self, plan: DestroyPlan) -> None:
        data = ["Conversations and memory are among it: nobody can make them again."] if plan.data else []
        lines = [*(printable(one) for one in plan.objects), *data]
        super().__init__(f"Destroy {plan.name}?", lines, plan.name, "Destroy")
        self._plan = plan

    def options(self) -> ComposeResult:
        if self._plan.backups:
            count = "its backup" if self._plan.backups == 1 else f"its {self._plan.backups} backups"
            yield Flag(f"{count} too; else kept", id="save-first", compact=True)

    @property
    def request(self) -> DestroyGateway:
        return DestroyGateway(data=self._plan.data, backups=any(flag.value for flag in self.query(Flag)))

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 11 if self._plan.backups else 9)
