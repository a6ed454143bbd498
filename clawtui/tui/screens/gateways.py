"""OpenClaw gateways: how each is and was, whom it answers for, what became of its sync, and those the hub runs."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.errors import UsageError
from clawtui.tui import gateways as words
from clawtui.tui.actions import Where
from clawtui.tui.gateways_instance import instance_fields
from clawtui.tui.gateways_possible import PREFIX, why_not
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.sync_acts import Meant
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.gateway_form import GatewayDialog
from clawtui.tui.widgets.table_layout import Row
from hub.contract import AddGateway, BackupView, GatewayHealth, GatewayHealthQuery, GatewayView, SyncQuery, SyncStatus
from hub.errors import Conflict, NotAvailable, NotFound

HELPS = (
    "gateway.sync", "message.open", "gateway.log", "gateway.restart", "gateway.rollback", "gateway.restore",
    "show.sync",
)  # fmt: skip
LOOKS = ("gateway.log", "show.sync")
"""What helps on a read-only screen too."""
CHECKS = 24
"""So many of the last checks are read of each gateway."""
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
        self._health: dict[str, GatewayHealth] = {}
        self._backups: list[BackupView] | None = None
        self._backups_of: tuple[object, ...] = ()
        self._sort, self._descending = "gateway", False

    def on_mount(self) -> None:
        self.table.set_sort(self._sort, self._descending)

    # --- reading

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._asked, int(store.mono() / AGAIN_SECONDS), *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        try:
            found = (await store.control.gateways()).gateways
            self._known, self._too_old = {one.name: one for one in found}, False
            self.changed()
            self._status = await store.control.sync_status(SyncQuery())
            health = await store.control.gateway_health(GatewayHealthQuery(checks=CHECKS))
            self._health = {one.name: one for one in health.gateways}
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
        if self.ui.store is not None:
            self._look_at_backups(self.ui.store)

    def _look_at_backups(self, store: FleetStore) -> None:
        """Of the gateway under the cursor, where the hub runs it."""
        one = self._one()
        looks = (one.name, store.kinds["gateway"]) if one is not None and one.instance is not None else ()
        if looks == self._backups_of or not store.live:
            return
        if looks[:1] != self._backups_of[:1]:
            self._backups = None
        self._backups_of = looks
        if one is not None and looks:
            self.background(lambda: self._read_backups(store, one.name), "backups")

    async def _read_backups(self, store: FleetStore, name: str) -> None:
        try:
            self._backups = (await store.control.gateway_backups(name)).backups
        except (NotFound, NotAvailable):
            self._backups = None  # gone meanwhile, or a hub that makes none
        self.ui.refresh_now()

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale, columns = store.now(), not store.live, self.table.columns
        known = {name: self._more_of(store, name) for name in self._known}
        ordered = words.sorted_by(self._known.values(), known, self._sort, descending=self._descending)
        return [words.row(one, known[one.name], columns, now, stale) for one in ordered]

    def _more_of(self, store: FleetStore, name: str) -> words.Known:
        instance = self._known[name].instance
        running = (one for one in store.jobs if one.about == name and one.finished_at is None)
        job = next(running, None) if instance is not None else None
        return words.Known(words.target_of(self._status, name), self._health.get(name), job)

    def notes(self) -> tuple[str, ...]:
        if not self._known:
            return ()
        ready = sum(one.state is words.GatewayState.READY for one in self._known.values())
        order = f"by {self._sort}{' reversed' if self._descending else ''}"
        return (f"{ready} ready", *((order,) if self._sort != "gateway" or self._descending else ()))

    def empty_text(self) -> str:
        if self._too_old:
            return TOO_OLD
        if self.ui.read_only:
            return (
                "No gateways are known yet.\n\nThis screen is read-only: they appear here as soon as somebody adds one."
            )
        return (
            f"No gateways are known yet.\n\n{self.ui.keymap.first('gateway.provision')} makes one: a tier, a name, "
            f"keys.\n{self.ui.keymap.first('gateway.add')} names one that exists: its address, "
            "a file with its token, and what its personas are kept in step with."
        )

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        helps = {action: self.ui.keymap.first(action) for action in (LOOKS if self.ui.read_only else HELPS)}
        if key not in self._known:
            return []
        one, now = self._known[key], store.now()
        backups = self._backups if self._backups_of[:1] == (key,) else None
        more = instance_fields(one, self._more_of(store, key), backups, now, helps)
        return words.detail(one, self._status, now, helps, more)

    def point_at(self, key: str) -> None:
        self._pointed = key
        self._look_again()

    # --- order

    async def do_sort_next(self, column: str) -> None:
        keys = [one.key for one in self.table.columns]
        at = keys.index(self._sort) if self._sort in keys else -1
        self._sort_by(column or keys[(at + 1) % len(keys)], turn=bool(column))

    async def do_sort_reverse(self, _: str) -> None:
        self._descending = not self._descending
        self._sorted()

    def on_fleet_table_header_clicked(self, event: FleetTable.HeaderClicked) -> None:
        self._sort_by(event.column_key)

    def _sort_by(self, column: str, turn: bool = True) -> None:
        if column not in words.SORTS:
            raise UsageError(f"there is no column {column!r}", hint=f"columns: {', '.join(words.SORTS)}")
        self._descending = turn and column == self._sort and not self._descending
        self._sort = column
        self._sorted()

    def _sorted(self) -> None:
        self.table.set_sort(self._sort, self._descending)
        self.changed()

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
        if needs.startswith(PREFIX):
            return self._one() is not None and not self.why_not(needs)
        return needs == "gateway" and self._one() is not None

    def why_not(self, needs: str) -> str:
        """Of marked ones those that it can be done to are meant; so it is refused where it can be done to none."""
        one = self._one()
        if one is None:
            return ""
        if needs.startswith(PREFIX):
            act = needs.removeprefix(PREFIX)
            meant = [self._known[name] for name in self.meant() if name in self._known]
            reasons = [(each.name, why_not(act, each)) for each in meant]
            if not reasons or not all(why for _, why in reasons):
                return ""
            return " ".join(reasons[0]) + (f"; and {len(reasons) - 1} more" if len(reasons) > 1 else "")
        return f"{one.name} does not tell whom it answers for" if needs == "persona" else ""

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

        if why := why_not("forget", gateway):
            key = self.ui.keymap.first("gateway.destroy")
            hint = f"{key} destroys it" if key else ""
            raise Conflict(f"{gateway.name} {why}", code="gateway_provisioned", hint=hint)
        self.ui.push_screen(ConfirmDialog(f"Remove {gateway.name}?", words.removal_lines(gateway), "Remove"), answered)

    def _touch(self) -> None:
        if self.ui.store is not None:
            self.ui.store.touch("gateway", "sync")
