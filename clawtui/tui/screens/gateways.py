"""OpenClaw gateways: how each is, whom it answers for, and what became of its sync."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.tui import gateways as words
from clawtui.tui.actions import Where
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.sync_acts import Meant
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.gateway_form import GatewayDialog
from clawtui.tui.widgets.table_layout import Row
from hub.contract import AddGateway, GatewayView, SyncQuery, SyncStatus
from hub.errors import Conflict, NotAvailable, NotFound

HELPS = ("gateway.sync", "message.open")
TOO_OLD = "This hub is of an older version, which knows no gateways."
AGAIN_SECONDS = 10.0
"""A look that saw nothing new is told by no word in the feed."""


class GatewaysPane(DetailedListing):
    place = Where.GATEWAYS
    title = "Gateways"
    columns = words.FEW_COLUMNS
    kinds = ("gateway", "sync")
    keys = words.KEYS
    empty = "No gateways."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._known: dict[str, GatewayView] = {}
        self._status: SyncStatus | None = None
        self._too_old = False
        self._asked = 0
        self._pointed = ""

    # --- reading

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._asked, int(store.mono() / AGAIN_SECONDS), *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        try:
            found = (await store.control.gateways()).gateways
            self._known, self._too_old = {one.name: one for one in found}, False
            self.changed()
            self._status = await store.control.sync_status(SyncQuery())
        except (NotFound, NotAvailable):
            self._too_old = not self._known
        self.table.keep_marks(self._known)
        self.changed()

    def _look_again(self) -> None:
        self._asked += 1
        self.ui.refresh_now()

    # --- showing

    def show(self) -> None:
        wanted = words.columns_for(self.table.size.width)
        if self.table.size.width and wanted != self.table.columns:
            self.table.set_columns(wanted)
            self._version += 1
        super().show()
        if self.is_mounted and any(row.key == self._pointed for row in self.table.rows):
            self.table.cursor_key, self._pointed = self._pointed, ""

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale, columns = store.now(), not store.live, self.table.columns
        named = sorted(self._known.values(), key=lambda one: one.name)
        return [words.row(one, words.target_of(self._status, one.name), columns, now, stale) for one in named]

    def notes(self) -> tuple[str, ...]:
        ready = sum(one.state is words.GatewayState.READY for one in self._known.values())
        return (f"{ready} ready",) if self._known else ()

    def empty_text(self) -> str:
        if self._too_old:
            return TOO_OLD
        if self.ui.read_only:
            return (
                "No gateways are known yet.\n\nThis screen is read-only: they appear here as soon as somebody adds one."
            )
        return (
            f"No gateways are known yet.\n\n{self.ui.keymap.first('gateway.add')} names one that exists: its address, "
            "a file with its token, and what its personas are kept in step with."
        )

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        helps = {} if self.ui.read_only else {action: self.ui.keymap.first(action) for action in HELPS}
        return words.detail(self._known[key], self._status, store.now(), helps) if key in self._known else []

    def point_at(self, key: str) -> None:
        self._pointed = key
        self._look_again()

    # --- for actions

    def _one(self) -> GatewayView | None:
        return self._known.get(self.table.cursor_key or "") if self.is_mounted else None

    def _named(self, name: str) -> GatewayView:
        found = self._known.get(name) if name else self._one()
        if found is None:
            raise NotFound(f"there is no gateway {name!r}" if name else "no gateway is meant: put the cursor on one")
        return found

    def addresses(self) -> tuple[str, ...]:
        return self.meant()

    def gateway(self) -> str:
        return self.table.cursor_key or ""

    def roster(self) -> tuple[str, ...]:
        """Addresses of those that the gateway under the cursor answers for."""
        one = self._one()
        return tuple(f"{one.name}/{slug}" for slug in one.roster or ()) if one is not None else ()

    def personas(self) -> tuple[Meant, ...]:
        return ()

    def has(self, needs: str) -> bool:
        if needs == "persona":
            return bool(self.roster())
        return needs == "gateway" and self._one() is not None

    def why_not(self, needs: str) -> str:
        one = self._one()
        return f"{one.name} does not tell whom it answers for" if needs == "persona" and one is not None else ""

    def copied(self) -> str:
        if self.detail.has_focus:
            return self.detail.plain
        return f"clawtui gateway show {self.table.cursor_key}" if self.table.cursor_key else ""

    # --- acts

    async def do_gateway_look(self, name: str) -> None:
        chosen = self._named(name).name

        async def look() -> None:
            self.ui.say(f"▶ looking at {chosen} …", "accent")
            found = await self.ui.acting.control.gateway(chosen)
            self._known[chosen] = found
            self.changed()
            mark = words.sign(found.state)
            why = f": {found.reason}" if found.reason else ""
            self.ui.say(
                f"{mark.glyph} {chosen} is {found.state.value}{why} — clawtui gateway show {chosen}", mark.style
            )

        self.ui.acting.work(look)

    async def do_gateway_add(self, name: str) -> None:
        async def send(request: AddGateway) -> None:
            added = await self.ui.acting.control.add_gateway(request)
            self._looks_at(added)
            token = ["--token-file", request.token_file] if request.token_file else []
            command = self.ui.acting.equivalent("gateway", "add", request.name, "--url", request.url, *token)
            self.ui.say(f"√ {request.name} is known: {added.state.value} — {command}", "ok")

        self.ui.push_screen(GatewayDialog(AddGateway(name=name, url=""), send))

    def _looks_at(self, gateway: GatewayView) -> None:
        self._known[gateway.name] = gateway
        self._pointed = gateway.name
        self.changed()
        self._touch()

    async def do_gateway_sync(self, name: str) -> None:
        gateway = self._own(name, "its sync is set there")

        async def send(request: AddGateway) -> None:
            if request.sync is None and gateway.sync is not None:
                self.ui.call_later(self._ask_end, gateway)  # after the form has gone
                return
            self._looks_at(await self.ui.acting.control.set_gateway_sync(gateway.name, request.sync))
            said = f"kept in step with {request.sync.source}" if request.sync is not None else "only looked at"
            self.ui.say(f"√ {gateway.name} is {said} — clawtui gateway show {gateway.name}", "ok")

        filled = AddGateway(name=gateway.name, url=gateway.url, token_file=gateway.token_file, sync=gateway.sync)
        self.ui.push_screen(GatewayDialog(filled, send, only_sync=True))

    def _ask_end(self, gateway: GatewayView) -> None:
        async def end() -> None:
            self._looks_at(await self.ui.acting.control.set_gateway_sync(gateway.name, None))
            self.ui.say(f"√ {gateway.name} is not synced any more; its files stay", "ok")

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.acting.work(end)

        lines = [*words.removal_lines(gateway)[2:], "The hub goes on looking at the gateway."]
        self.ui.push_screen(ConfirmDialog(f"End the sync of {gateway.name}?", lines, "End"), answered)

    def _own(self, name: str, why: str) -> GatewayView:
        """Raises Conflict for the gateway of the hub's settings."""
        gateway = self._named(name)
        if gateway.origin == words.ENVIRONMENT:
            raise Conflict(
                f"{gateway.name} is of the hub's settings: {why}", code="gateway_of_environment",
                hint="change the hub's environment (OPENCLAW_…) and start it again",
            )  # fmt: skip
        return gateway

    async def do_gateway_remove(self, name: str) -> None:
        gateway = self._own(name, "it cannot be removed here")

        async def remove() -> None:
            await self.ui.acting.control.remove_gateway(gateway.name)
            self._known.pop(gateway.name, None)
            self.changed()
            self._touch()
            command = self.ui.acting.equivalent("gateway", "remove", gateway.name)
            self.ui.say(f"√ {gateway.name} is forgotten; it goes on by itself — {command}", "ok")

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.acting.work(remove)

        self.ui.push_screen(ConfirmDialog(f"Remove {gateway.name}?", words.removal_lines(gateway), "Remove"), answered)

    def _touch(self) -> None:
        if self.ui.store is not None:
            self.ui.store.touch("gateway", "sync")
