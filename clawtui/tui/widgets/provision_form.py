"""The forms of a gateway that the hub makes: first its tier, by the tiers' figures, then all that is its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Final, Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from clawtui.cli.output import printable, size_text
from clawtui.errors import UsageError
from clawtui.tui.gateways_instance import UNLIMITED, tier_more, tier_text
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Choose, Field, Form, Send, labelled
from hub.contract import HostView, ProvisionGateway, TierView
from hub.errors import HubError

KINDS: Final = ("official", "coollabsio", "npm")
Source = Literal["", "registry", "folder", "convex"]
SOURCES: Final[tuple[Source, ...]] = ("registry", "folder")
"""Convex is set afterwards, with its address and its token."""
KEYS: Final = (
    ("ANTHROPIC_API_KEY", "Anthropic key", "anthropic"), ("OPENAI_API_KEY", "OpenAI key", "openai"),
)  # fmt: skip
"""Providers' keys that have a field of their own; any other one is named."""
HIDDEN: Final = "hidden; never shown again"
ABOUT: Final = "Keys go into a file that only the hub's user reads. Paths are those of the hub's machine."
HEADS: Final = ("TIER", "CPUS", "MEMORY", "SESSIONS", "WORKSPACE", "BROWSER", "USD")
WIDTHS: Final = (11, 5, 7, 9, 10, 8, 6)


def tier_line(tier: TierView) -> str:
    """The tier as a line of the table."""
    if not tier.valid:
        return f"{tier.name:<{WIDTHS[0]}} {tier_text(tier)}"
    cells = (
        tier.name, f"{tier.cpus:g}", size_text(tier.memory_bytes) or "",
        UNLIMITED if tier.sessions is None else str(tier.sessions),
        UNLIMITED if tier.workspace_bytes is None else size_text(tier.workspace_bytes) or "",
        "yes" if tier.browser else "no", f"{tier.cost_per_month:g}",
    )  # fmt: skip
    return "  ".join(f"{cell:<{cells_}}" for cell, cells_ in zip(cells, WIDTHS, strict=True)).rstrip()


class TierDialog(ModalScreen[str | None]):
    """Answers the name of a tier that can be used; what is more to say of the one under the cursor stands below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("j", "move('cursor_down')", "Down", show=False),
        Binding("k", "move('cursor_up')", "Up", show=False),
    ]
    AUTO_FOCUS: ClassVar[str | None] = "OptionList"

    def __init__(self, tiers: Sequence[TierView], chosen: str = "pro") -> None:
        super().__init__()
        self._tiers, self._chosen = {tier.name: tier for tier in tiers}, chosen

    def compose(self) -> ComposeResult:
        head = "  ".join(f"{title:<{cells}}" for title, cells in zip(HEADS, WIDTHS, strict=True))
        with Vertical(classes="dialog tiers"):
            yield Static(Text("A new gateway: which tier?   (enter goes on, esc cancels)", style="bold"),
                         classes="dialog-title")  # fmt: skip
            yield Static(Text(head, style=STYLES["dim"], no_wrap=True))
            yield OptionList(
                *(Option(self._label(tier), id=tier.name, disabled=not tier.valid) for tier in self._tiers.values()),
                id="tiers", compact=True,
            )  # fmt: skip
            yield Static(id="tier-more")

    def _label(self, tier: TierView) -> Text:
        return Text(printable(tier_line(tier)), style="" if tier.valid else STYLES["bad"], no_wrap=True)

    def on_mount(self) -> None:
        names = list(self._tiers)
        wanted = self._chosen if self._chosen in names else next(iter(names), "")
        options = self.query_one(OptionList)
        if wanted:
            options.highlighted = names.index(wanted)
        broken = [tier for tier in self._tiers.values() if not tier.valid]
        if broken and len(broken) == len(names):
            self._tell(broken[0])

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._tell(self._tiers[str(event.option.id)])

    def _tell(self, tier: TierView) -> None:
        self.query_one("#tier-more", Static).update(Text("\n".join(tier_more(tier)), style=STYLES["dim"]))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(str(event.option.id))

    def action_move(self, way: str) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if way == "cursor_down" else options.action_cursor_up()

    def action_cancel(self) -> None:
        self.dismiss(None)


def secret(id: str, placeholder: str = HIDDEN) -> Field:
    """A field that shows dots."""
    field = Field(placeholder=placeholder, id=id)
    field.password = True
    return field


class ProvisionDialog(Form):
    """Answers a ProvisionGateway. Every mistake stands beside its field, all at once where the hub tells them all."""

    AUTO_FOCUS: ClassVar[str | None] = "#w-name"
    PLACES: ClassVar[Mapping[str, str]] = {
        "name": "w-name", "customer": "w-customer", "subdomain": "w-subdomain", "imageKind": "w-kind",
        "image": "w-image", "version": "w-version", "platform": "w-platform", "host": "w-host", "port": "w-port",
        "gatewayToken": "w-token", "source": "w-source", "folder": "w-folder", "key": "w-key-name",
        "value": "w-key-value", **{f"keys.{name}": f"w-{slug}" for name, _, slug in KEYS},
    }  # fmt: skip

    def __init__(
        self, tier: TierView, hosts: Sequence[HostView] = (), filled: ProvisionGateway | None = None,
        taken: Collection[str] = (), send: Send | None = None,
    ) -> None:  # fmt: skip
        """`filled`: what stands in it already, without secrets; `taken`: names of gateways that are there."""
        super().__init__(send)
        self._tier, self._hosts, self._taken = tier, tuple(hosts), frozenset(taken)
        self._filled = filled or ProvisionGateway(name="")

    def compose(self) -> ComposeResult:
        filled, tier = self._filled, self._tier
        with Vertical(classes="dialog form"):
            yield Static(Text(f"A new gateway of the tier {tier.name}", style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield Static(Text(tier_text(tier), style=STYLES["dim"]), classes="form-hint")
                yield from labelled("Name", Field(filled.name, placeholder="e.g. acme", id="w-name"))
                customer = Field(filled.customer, placeholder="whose it is; none = the name", id="w-customer")
                yield from labelled("Customer", customer)
                yield from labelled("Subdomain", Field(filled.subdomain, placeholder="acme.example.com; none = not "
                                                       "open to others", id="w-subdomain"))  # fmt: skip
                yield Static(Text(ABOUT, style=STYLES["dim"]), classes="form-hint")
                for _, title, slug in KEYS:
                    yield from labelled(title, secret(f"w-{slug}"))
                other = Field(placeholder="its variable, e.g. GEMINI_API_KEY", id="w-key-name")
                yield from labelled("Other key", other)
                yield from labelled("its value", secret("w-key-value"))
                yield from labelled("Token", secret("w-token", "hidden; none = one is made, and shown once"))
                yield from self._origin(filled)
            yield from self.buttons("Provision")

    def _origin(self, filled: ProvisionGateway) -> ComposeResult:
        """What it is run from, where, and what its personas come from."""
        own = self._tier.image_kind
        kinds = tuple(dict.fromkeys((*((own,) if own else ()), *KINDS)))
        kind = Choose(kinds, value=filled.image_kind if filled.image_kind in kinds else "",
                      prompt=f"as the tier says: {own}" if own else "its kind", id="w-kind")  # fmt: skip
        yield from labelled("Image kind", kind)
        image = Field(filled.image, placeholder="by tag or digest; none = the kind's", id="w-image")
        yield from labelled("Image", image)
        version = Field(filled.version, placeholder="of OpenClaw; none = the kind's", id="w-version")
        yield from labelled("Version", version)
        yield from labelled("Platform", Field(filled.platform, placeholder="e.g. linux/arm64", id="w-platform"))
        names = tuple(host.name for host in self._hosts)
        if names:
            chosen = filled.host if filled.host in names else ""
            host = Choose(names, value=chosen, prompt="this hub's engine", id="w-host")
            yield from labelled("Host", host)
        else:
            yield from labelled("Host", Field(filled.host, placeholder="none = this hub's engine", id="w-host"))
        port = str(filled.port) if filled.port is not None else ""
        yield from labelled("Port", Field(port, placeholder="none = the next free one", id="w-port", type="integer"))
        source = Choose(SOURCES, value=filled.source, prompt="none: no personas", id="w-source")
        yield from labelled("Personas of", source)
        folder = Field(filled.folder, placeholder="source folder: where profiles are", id="w-folder")
        yield from labelled("Folder", folder)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    # --- what is wrong

    def wrong(self, error: HubError) -> Widget | None:
        """All that the hub told, each beside its field; the first one gets the focus."""
        told = error.problems or ((error.field or "", error.message, error.hint),)
        found = [HubError(message, field=self._place(field), hint=hint) for field, message, hint in told]
        without = [one for one in found if one.field not in self.PLACES]
        # The base clears what was said before, and says what belongs to no field below them all.
        first = super().wrong((without or found)[0])
        for one in found:
            self._beside(one)
        places = [place for one in found if (place := self.PLACES.get(one.field or ""))]
        return self.query_one(f"#{places[0]}") if places else first

    def _place(self, field: str) -> str:
        """Keys without a field of their own stand in that of others."""
        if field.startswith("keys.") and field not in self.PLACES:
            return "value"
        return field

    def _beside(self, error: HubError) -> None:
        place = self.PLACES.get(error.field or "")
        if place is None:
            return
        said = self.query_one(f"#{place}-wrong", Static)
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        said.update(Text(f"× {printable(text)}", style=STYLES["bad"]))
        said.display = True

    # --- what was filled in

    def answer(self) -> ProvisionGateway:
        name = self.value("#w-name")
        if not name:
            raise UsageError("the gateway needs a name", field="name", hint="such as acme")
        if name in self._taken:
            raise UsageError(f"there is a gateway {name} already", field="name", hint="choose another name")
        return ProvisionGateway(
            name=name, customer=self.value("#w-customer"), subdomain=self.value("#w-subdomain"), tier=self._tier.name,
            image_kind=self._chosen("#w-kind"), image=self.value("#w-image"), version=self.value("#w-version"),
            platform=self.value("#w-platform"), host=self._host(), port=self._port(), keys=self._keys(),
            gateway_token=self.value("#w-token"), source=self._source(), folder=self.value("#w-folder"),
        )  # fmt: skip

    def _chosen(self, selector: str) -> str:
        value = self.query_one(selector, Select).value
        return value if isinstance(value, str) else ""

    def _host(self) -> str:
        return self._chosen("#w-host") if self._hosts else self.value("#w-host")

    def _source(self) -> Source:
        chosen = self._chosen("#w-source")
        for source in SOURCES:
            if source == chosen:
                return source
        return ""

    def _port(self) -> int | None:
        text = self.value("#w-port")
        if not text:
            return None
        if not text.isdecimal() or not 0 < int(text) < 65_536:
            raise UsageError(f"{text} is no port", field="port", hint="1 to 65535; none = the next free one")
        return int(text)

    def _keys(self) -> dict[str, str]:
        keys = {name: value for name, _, slug in KEYS if (value := self.value(f"#w-{slug}"))}
        name, value = self.value("#w-key-name"), self.value("#w-key-value")
        if bool(name) != bool(value):
            missing = "value" if name else "key"
            raise UsageError("a key is a variable and its value", field=missing, hint="fill in both, or none")
        return {**keys, **({name: value} if name else {})}
