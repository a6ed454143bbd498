"""The hub itself: how it is and how busy, agents' connections, tokens, and the settings with their origins."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import partial
from typing import Final

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from clawtui.tui.actions import Where
from clawtui.tui.filters import NOTHING, Filter, parse_filter
from clawtui.tui.hub_lines import (
    CONNECTION_COLUMNS,
    CONNECTION_KEYS,
    TOKEN_COLUMNS,
    TOKEN_KEYS,
    connection_detail,
    connection_row,
    health_fields,
    load_fields,
    setting_fields,
    token_name,
    token_opens,
    token_row,
)
from clawtui.tui.screens.detailed import BESIDE
from clawtui.tui.screens.pane import Pane, Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fields import Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Row
from clawtui.tui.widgets.tokens import SecretScreen, TokenDialog
from clawtui.tui.widgets.topbar import Line
from hub.contract import ConnectionList, ConnectionQuery, CreateToken, PageQuery, TokenView
from hub.errors import Forbidden, NotAvailable, NotFound

TOKENS: Final = 500
CONNECTIONS: Final = 200
"""What waits most is among the first; nobody reads more lines."""
LOOK_SECONDS: Final = 2.0
"""The hub is asked again so often while somebody looks: nothing in the feed tells of its load."""
TOO_OLD: Final = "This hub is of an older version, which does not tell."


class Tab(enum.StrEnum):
    OVERVIEW = "overview"
    CONNECTIONS = "connections"
    TOKENS = "tokens"
    SETTINGS = "settings"


class HubPane(Pane):
    place = Where.HUB

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.tab = Tab.OVERVIEW
        self._traffic: ConnectionList | None = None
        self._tokens: dict[str, TokenView] | None = None
        self._traffic_note = self._tokens_note = "not read yet"
        self._looked_at = float("-inf")
        self._looking = False
        self._filters: dict[Tab, Filter] = {}
        self._pointed = ""

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="hub-title")
        yield Fields(id="hub-overview")
        with Container(id="hub-connections", classes="two-parts"):
            with Vertical(classes="part-list"):
                yield FleetTable(CONNECTION_COLUMNS, id="connections-table", empty="Waiting for the hub …")
            yield Fields(id="connection-detail")
        yield FleetTable(TOKEN_COLUMNS, id="hub-tokens", empty="Waiting for the hub …")
        yield Fields(id="hub-settings")

    def on_mount(self) -> None:
        self._front()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= BESIDE, "-beside")

    # --- tabs

    def _front(self) -> None:
        for tab in Tab:
            self.query_one(f"#hub-{tab.value}").display = tab is self.tab

    def show_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._looked_at = float("-inf")
        self.remove_class("zoomed")
        self._front()
        self.focus_first()
        self.ui.refresh_now()

    def focus_first(self) -> None:
        if self.is_mounted:
            shown = self.query_one(f"#hub-{self.tab.value}")
            (shown if shown.focusable else self.query_one("#connections-table")).focus()

    @property
    def table(self) -> FleetTable | None:
        match self.tab:
            case Tab.CONNECTIONS:
                return self.query_one("#connections-table", FleetTable)
            case Tab.TOKENS:
                return self.query_one("#hub-tokens", FleetTable)
            case _:
                return None

    async def do_hub_overview(self, _: str) -> None:
        self.show_tab(Tab.OVERVIEW)

    async def do_hub_connections(self, _: str) -> None:
        self.show_tab(Tab.CONNECTIONS)

    async def do_hub_tokens(self, _: str) -> None:
        self.show_tab(Tab.TOKENS)

    async def do_hub_settings(self, _: str) -> None:
        self.show_tab(Tab.SETTINGS)

    async def do_tab_next(self, _: str) -> None:
        tabs = list(Tab)
        self.show_tab(tabs[(tabs.index(self.tab) + 1) % len(tabs)])

    # --- reading

    def _read_again(self, store: FleetStore) -> None:
        due = store.mono() - self._looked_at >= LOOK_SECONDS
        if store.live and due and not self._looking and self.tab is not Tab.SETTINGS:
            self._looked_at, self._looking = store.mono(), True
            self.background(lambda: self._look(store), "hub")

    async def _look(self, store: FleetStore) -> None:
        try:
            if self.tab is Tab.TOKENS:
                await self._read_tokens(store)
            else:
                await self._read_traffic(store)
        finally:
            self._looking = False
        self.ui.refresh_now()

    async def _read_traffic(self, store: FleetStore) -> None:
        try:
            self._traffic = await store.control.connections(ConnectionQuery(limit=CONNECTIONS))
        except (NotFound, NotAvailable):
            self._traffic_note = TOO_OLD
        except Forbidden as error:
            self._traffic_note = error.message

    async def _read_tokens(self, store: FleetStore) -> None:
        try:
            page = await store.control.tokens(PageQuery(limit=TOKENS))
            self._tokens = {token.id: token for token in page.tokens}
        except Forbidden as error:
            self._tokens_note = f"{error.message}.\n\nTokens need a token with the role admin."

    # --- showing

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        self._read_again(store)
        match self.tab:
            case Tab.OVERVIEW:
                self._show_overview(store)
            case Tab.CONNECTIONS:
                self._show_connections(store)
            case Tab.TOKENS:
                self._show_tokens(store)
            case Tab.SETTINGS:
                self.query_one("#hub-settings", Fields).set_fields(setting_fields(self.ui.settings))
        self._show_title()

    def _show_overview(self, store: FleetStore) -> None:
        health = store.health
        if health is not None:
            load = load_fields(
                self._traffic.load if self._traffic else None, self._traffic_note, health.registry_writable
            )
            fields = [*health_fields(health, self.ui.tick_lag_seconds), *load]
            self.query_one("#hub-overview", Fields).set_fields(fields)

    def _show_connections(self, store: FleetStore) -> None:
        now, table = store.now(), self.query_one("#connections-table", FleetTable)
        views = {view.agent_id: view for view in self._traffic.connections} if self._traffic else {}
        empty = "No agent is connected, and no task waits.\n\nF1 shows the agents; `clawtui logs` of one says why."
        self._fill(table, [connection_row(view, now, not store.live) for view in views.values()],
                   empty if self._traffic else self._traffic_note)  # fmt: skip
        view = views.get(table.cursor_key or "")
        self.set_class(view is None, "-empty")
        self.query_one("#connection-detail", Fields).set_fields(connection_detail(view, now) if view else [])

    def _show_tokens(self, store: FleetStore) -> None:
        now, table = store.now(), self.query_one("#hub-tokens", FleetTable)
        tokens = list((self._tokens or {}).values())
        key = self.ui.keymap.first("token.create")
        empty = f"No tokens yet.\n\n{key} makes one." if self._tokens is not None else self._tokens_note
        self._fill(table, [token_row(token, now, not store.live) for token in tokens], empty)
        if any(row.key == self._pointed for row in table.rows):
            table.cursor_key, self._pointed = self._pointed, ""

    def _fill(self, table: FleetTable, rows: list[tuple[Mapping[str, str], Row]], empty: str) -> None:
        kept = self._filters.get(self.tab, NOTHING)
        table.set_empty("Nothing fits the filter.  Press esc to see all" if rows else empty)
        table.set_rows([row for fields, row in rows if kept.keeps(fields)])

    def _show_title(self) -> None:
        pieces: list[Piece] = [(" Hub ", "bold")]
        pieces += [
            (f" {number} {tab.value.capitalize()} ", "title" if tab is self.tab else "dim")
            for number, tab in enumerate(Tab, 1)
        ]
        if self.tab is Tab.CONNECTIONS and self._traffic is not None:
            shown = len(self._traffic.connections)
            more = f" of {self._traffic.total}" if shown < self._traffic.total else ""
            pieces.append((f" {shown}{more} {'agent' if shown == 1 and not more else 'agents'}", "dim"))
        if self.filter_text:
            pieces.append((f" /{self.filter_text}", "bold"))
        self.query_one("#hub-title", Line).set_pieces(pieces)

    # --- what is under the cursor

    def _meant(self) -> tuple[str, ...]:
        table = self.table if self.is_mounted else None
        if table is None:
            return ()
        cursor = table.cursor_key
        return tuple(sorted(table.marked)) or ((cursor,) if cursor else ())

    def subject(self) -> Subject:
        return Subject(self._meant()) if self.tab is Tab.CONNECTIONS else Subject()

    def has(self, needs: str) -> bool:
        return needs == "token" and self.tab is Tab.TOKENS and bool(self._meant())

    def copied(self) -> str:
        if self.tab in (Tab.OVERVIEW, Tab.SETTINGS):
            return self.query_one(f"#hub-{self.tab.value}", Fields).plain
        return " ".join(self._meant())

    @property
    def filter_text(self) -> str:
        return self._filters.get(self.tab, NOTHING).text

    def set_filter(self, text: str) -> None:
        keys = {Tab.CONNECTIONS: CONNECTION_KEYS, Tab.TOKENS: TOKEN_KEYS}.get(self.tab)
        if keys is not None:
            self._filters[self.tab] = parse_filter(text, keys)
            self.ui.refresh_now()
        elif text:
            self.ui.say("connections (2) and tokens (3) can be filtered", "warn")

    def back(self) -> bool:
        if self.has_class("zoomed") or self.query_one("#connection-detail").has_focus:
            self.remove_class("zoomed")
            self.focus_first()
            return True
        if self.filter_text:
            self.set_filter("")
            return True
        return False

    def on_fleet_table_cursor_moved(self) -> None:
        self.ui.refresh_now()

    def on_fleet_table_chosen(self, event: FleetTable.Chosen) -> None:
        if self.tab is Tab.CONNECTIONS:
            self.add_class("zoomed")
            self.query_one("#connection-detail").focus()

    def on_fleet_table_context_menu(self) -> None:
        self.run_worker(partial(self.ui.doing.do_menu, ""), group="menu")

    # --- tokens

    async def do_token_create(self, name: str) -> None:
        self.show_tab(Tab.TOKENS)

        def answered(request: CreateToken | None) -> None:
            if request is not None:
                self.ui.acting.work(lambda: self._create(request))

        self.ui.push_screen(TokenDialog(), answered)

    async def _create(self, request: CreateToken) -> None:
        created = await self.ui.acting.control.create_token(request)
        self._looked_at, self._pointed = float("-inf"), created.token.id
        words = ["token", "create", *([request.name] if request.name else []), "--role", request.role.value]
        if request.expires_in_seconds:
            words += ["--expires", str(request.expires_in_seconds)]
        self.ui.say(f"√ token {token_name(created.token)} — {self.ui.acting.equivalent(*words)}", "ok")
        self.ui.push_screen(
            SecretScreen(f"Secret of {token_name(created.token)} ({request.role.value})", created.secret)
        )

    async def do_token_revoke(self, token_id: str) -> None:
        known = self._tokens or {}
        tokens = (token_id,) if token_id else tuple(one for one in self._meant() if not known[one].revoked_at)
        if not tokens:
            self.ui.say(
                "it is revoked already" if self._meant() else "no token is meant: put the cursor on one", "warn"
            )
            return

        async def revoke() -> None:
            for one in tokens:
                await self.ui.acting.control.revoke_token(one)
            self._looked_at = float("-inf")
            self.ui.say(f"√ revoked — {self.ui.acting.equivalent('token', 'revoke', tokens[0])}", "ok")

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.acting.work(lambda: revoke())

        named = [f"{token_name(known[one])}: {token_opens(known[one])}" if one in known else one for one in tokens]
        agents = any(one in known and known[one].role is None for one in tokens)
        lines = [*named, "An agent that uses it loses its connection, for good." if agents else
                 "Whoever uses it is shut out at once, for good."]  # fmt: skip
        title = "Revoke the token?" if len(tokens) == 1 else f"Revoke {len(tokens)} tokens?"
        self.ui.push_screen(ConfirmDialog(title, lines, "Revoke"), answered)
