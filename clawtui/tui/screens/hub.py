"""The hub itself: how it is, where it listens, its drivers, tokens, and the settings with their origins."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from clawtui.cli.output import age_text, printable
from clawtui.settings import SPECS, Settings
from clawtui.tui.actions import Where
from clawtui.tui.screens.pane import Pane
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.detail import lined
from clawtui.tui.widgets.topbar import Line
from hub.contract import HubHealth, PageQuery, TokenView
from hub.errors import Forbidden

TOKENS = 100
LABEL_CELLS = 26


class HubPane(Pane):
    place = Where.HUB

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._tokens: list[TokenView] | None = None
        self._tokens_note = "not read yet"
        self._reads: tuple[object, ...] = ()
        self._shown: tuple[Piece, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="hub-title")
        with VerticalScroll(can_focus=True):
            yield Static(id="hub-text")

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        reads = (store.kinds["audit"], store.live)
        if store.live and reads != self._reads:
            self._reads = reads
            self.background(lambda: self._read(store), "tokens")
        health = store.health
        pieces = hub_lines(health, self._tokens, self._tokens_note, self.ui.tick_lag_seconds) if health else []
        pieces += setting_lines(self.ui.settings)
        if tuple(pieces) != self._shown:
            self._shown = tuple(pieces)
            self.query_one("#hub-text", Static).update(lined(pieces))
        self.query_one(Line).set_pieces([(f" Hub {health.hub_id if health else ''}", "bold")])

    async def _read(self, store: FleetStore) -> None:
        try:
            self._tokens = (await store.control.tokens(PageQuery(limit=TOKENS))).tokens
        except Forbidden as error:
            self._tokens_note = error.message
        self.ui.refresh_now()

    def copied(self) -> str:
        return "".join(text for text, _ in self._shown)


def _field(label: str, text: str, style: str = "") -> list[Piece]:
    return [(f" {label:<{LABEL_CELLS}} ", "dim"), (printable(text), style), ("\n", "")]


def _head(text: str) -> list[Piece]:
    return [(f"\n {text}\n", "bold")]


def hub_lines(health: HubHealth, tokens: list[TokenView] | None, note: str, screen_lag: float) -> list[Piece]:
    lines = _field("State", health.status, "ok" if health.status == "ok" else "bad")
    for problem in health.problems:
        lines += _field("", problem, "bad")
    lines += _field("Version", health.version) + _field("Up", age_text(health.uptime_seconds))
    lines += _field("Loop lag", f"hub {health.loop_lag_seconds * 1000:.1f} ms, screen {screen_lag * 1000:.1f} ms")
    lines += _field("Registry", "writable" if health.registry_writable else "not writable",
                    "" if health.registry_writable else "bad")  # fmt: skip
    for name, address in health.addresses.items():
        lines += _field(f"Address ({name})", address)
    lines += _head("Agents and tasks")
    lines += _field("Agents", ", ".join(f"{count} {state}" for state, count in health.agents.items()) or "none")
    lines += _field("Tasks", ", ".join(f"{count} {state}" for state, count in health.tasks.items()) or "none")
    lines += _head("Drivers")
    for driver in health.drivers:
        state = f"usable {driver.version}" if driver.usable else f"not usable: {driver.reason} {driver.hint}"
        lines += _field(driver.name, state.strip(), "ok" if driver.usable else "warn")
    lines += _head("Tokens")
    if tokens is None:
        return lines + _field("", note, "dim")
    for token in tokens:
        state = "revoked" if token.revoked_at else "used" if token.used else "valid"
        about = f"{token.kind} {token.role or ''} {token.agent_id or ''} {state}"
        lines += _field(token.name or token.id, " ".join(about.split()), "dim" if token.revoked_at else "")
    return lines if tokens else lines + _field("", "none", "dim")


def setting_lines(settings: Settings) -> list[Piece]:
    """Every setting with where its value comes from; secrets stay secret."""
    lines = _head("Settings of this program")
    for name, spec in SPECS.items():
        value = getattr(settings, name)
        shown = "…" if spec.row.secret and value else _text(value)
        origin = settings.origin(name)
        lines += [*_field(name, shown, "")[:-1], (f"   {origin}\n", "dim" if origin == "default" else "accent")]
    return lines


def _text(value: object) -> str:
    if value is None or value == "":
        return "—"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
