"""Acts on gateways that the hub runs: make, start, stop, upgrade, go back, back up, restore, import, destroy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from clawtui.tui.actions import Where
from clawtui.tui.gateways_instance import backup_text
from clawtui.tui.gateways_work import GatewayWork, listed
from clawtui.tui.widgets.dialogs import Choice, ConfirmDialog, Picker, TypeNameDialog
from clawtui.tui.widgets.instance_forms import (
    BackupDialog,
    DestroyDialog,
    ImportDialog,
    RestoreDialog,
    UpgradeDialog,
    UpgradeManyDialog,
)
from clawtui.tui.widgets.provision_form import ProvisionDialog, TierDialog
from hub.contract import (
    BackupGateway,
    BackupView,
    DestroyGateway,
    GatewayAct,
    HostView,
    ImportGateway,
    JobView,
    ProvisionGateway,
    RestoreGateway,
    TierView,
    UpgradeGateway,
    UpgradeGateways,
)
from hub.errors import Conflict, NotAvailable, NotFound

TURNS: Final = "Turns that run are finished first, which takes five minutes at most. Nobody is answered meanwhile."


class Operating(GatewayWork):
    """Handlers of actions on gateways that the hub runs."""

    # --- its log

    async def do_gateway_log(self, words: str) -> None:
        one = await self._one("log", words)
        pane = await self.app.main.go(Where.GATEWAY_LOG)
        pane.point_at(one.name)

    # --- start, stop, restart

    async def do_gateway_start(self, words: str) -> None:
        self._work(lambda: self._act(GatewayAct.START, words))

    async def do_gateway_stop(self, words: str) -> None:
        self._work(lambda: self._act(GatewayAct.STOP, words, ask=True))

    async def do_gateway_restart(self, words: str) -> None:
        self._work(lambda: self._act(GatewayAct.RESTART, words, ask=True))

    async def _act(self, act: GatewayAct, words: str, *, ask: bool = False) -> None:
        found, left_out = await self._possible(act.value, words)
        names, control = [one.name for one in found], self.app.acting.control

        async def work() -> None:
            await self._many(act.value, names, lambda name: control.act_on_gateway(name, act), left_out)

        if not ask:
            await work()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._work(work)

        verb = act.value.capitalize()
        title = f"{verb} {names[0]}?" if len(names) == 1 else f"{verb} {len(names)} gateways?"
        lines = [listed(names), TURNS, *([f"Left out: {left_out}."] if left_out else [])]
        self.app.push_screen(ConfirmDialog(title, lines, verb), answered)

    # --- new ones

    async def do_gateway_provision(self, name: str) -> None:
        self._work(lambda: self._ask_tier(name))

    async def _ask_tier(self, name: str) -> None:
        control = self.app.acting.control
        tiers = {tier.name: tier for tier in (await control.tiers()).tiers}
        if not tiers:
            raise Conflict("the hub has no tiers", code="no_tiers", hint="clawtui gateway tiers")
        hosts = await self._hosts()
        taken = {one.name for one in (await control.gateways()).gateways}

        def answered(chosen: str | None) -> None:
            if chosen is not None:
                self._ask_order(tiers[chosen], hosts, name, taken)

        self.app.push_screen(TierDialog(list(tiers.values())), answered)

    async def _hosts(self) -> list[HostView]:
        try:
            return (await self.app.acting.control.hosts()).hosts
        except (NotAvailable, NotFound):
            return []  # this hub has its own engine only

    def _ask_order(self, tier: TierView, hosts: list[HostView], name: str, taken: set[str]) -> None:
        async def send(request: ProvisionGateway) -> None:
            made = await self.app.acting.control.provision_gateway(request)
            title = f"{request.name} is being made: how to get in"
            # After the form has gone.
            self.app.call_later(self._show_credentials, title, made.credentials, made.job)
            self._work(lambda: self._made(request, made.job))

        filled = ProvisionGateway(name=name, tier=tier.name)
        self.app.push_screen(ProvisionDialog(tier, hosts, filled, taken, send))

    async def _made(self, request: ProvisionGateway, job: JobView) -> None:
        self._point_at(request.name)
        self.app.say(f"▶ provision {request.name} …", "accent")
        ended = await self._ended("provision", request.name, job)
        words = ["gateway", "provision", request.name, "--tier", request.tier]
        took = _seconds_of(ended)
        self.app.say(f"√ {request.name} is ready{took} — {self.app.acting.equivalent(*words)}", "ok")

    def _point_at(self, name: str) -> None:
        pane = self.app.main.pane
        if pane.place is Where.GATEWAYS:
            pane.point_at(name)

    async def do_gateway_import(self, name: str) -> None:
        self._work(lambda: self._ask_import(name))

    async def _ask_import(self, name: str) -> None:
        tiers = [tier.name for tier in (await self.app.acting.control.tiers()).tiers if tier.valid]

        async def send(request: ImportGateway) -> None:
            job = await self.app.acting.control.import_gateway(request)
            self._point_at(request.name)
            self._work(lambda: self._imported(request, job))

        self.app.push_screen(ImportDialog(tiers, name, send))

    async def _imported(self, request: ImportGateway, job: JobView) -> None:
        self.app.say(f"▶ import {request.name} …", "accent")
        await self._ended("import", request.name, job)
        self.app.say(f"√ {request.name} is run by the hub from now on — clawtui gateway show {request.name}", "ok")

    # --- other versions

    async def do_gateway_upgrade(self, words: str) -> None:
        self._work(lambda: self._ask_upgrade(words))

    async def _ask_upgrade(self, words: str) -> None:
        found, left_out = await self._possible("upgrade", words)
        if len(found) > 1:
            await self._ask_many([one.name for one in found], "", left_out)
            return
        one = found[0]

        async def send(request: UpgradeGateway) -> None:
            job = await self.app.acting.control.upgrade_gateway(one.name, request)
            self._work(lambda: self._upgraded(one.name, request, job))

        self.app.push_screen(UpgradeDialog(one, send))

    async def _upgraded(self, name: str, request: UpgradeGateway, job: JobView) -> None:
        to = request.version or request.image
        self.app.say(f"▶ upgrade {name} to {to} …", "accent")
        await self._ended("upgrade", name, job)
        key = self.app.keymap.first("gateway.rollback")
        self.app.say(f"√ {name} is upgraded to {to}{f'; {key} goes back' if key else ''}", "ok")

    async def do_gateway_upgrade_all(self, tier: str) -> None:
        self._work(lambda: self._ask_many([], tier, ""))

    async def _ask_many(self, names: list[str], tier: str, left_out: str) -> None:
        tiers = [one.name for one in (await self.app.acting.control.tiers()).tiers]
        if tier and tier not in tiers:
            raise NotFound(f"there is no tier {tier!r}", hint=f"there is {', '.join(tiers)}")

        async def send(request: UpgradeGateways) -> None:
            job = await self.app.acting.control.upgrade_gateways(request)
            self._work(lambda: self._all_upgraded(request, job))

        self.app.push_screen(UpgradeManyDialog(names, tiers, tier, left_out, send))

    async def _all_upgraded(self, request: UpgradeGateways, job: JobView) -> None:
        to = request.to.version or request.to.image
        whom = listed(request.names) or (f"all of {request.tier}" if request.tier else "all gateways")
        self.app.say(f"▶ upgrade {whom} to {to}; {self.app.keymap.first('show.jobs')} shows how far it is …", "accent")
        await self._ended("upgrade", whom, job)
        self.app.say(f"√ {whom}: upgraded to {to}", "ok")

    async def do_gateway_rollback(self, words: str) -> None:
        self._work(lambda: self._ask_rollback(words))

    async def _ask_rollback(self, words: str) -> None:
        one = await self._one("rollback", words)
        before = one.instance.previous_image if one.instance is not None else ""
        lines = [f"Back to {before}, with its data as they were before the upgrade.",
                 "What was said and written since then is not in them."]  # fmt: skip

        async def work() -> None:
            self.app.say(f"▶ {one.name} goes back …", "accent")
            await self._ended("rollback", one.name, await self.app.acting.control.roll_back_gateway(one.name))
            self.app.say(f"√ {one.name} is what it was before: {before}", "ok")

        self._typed(f"Take {one.name} back?", lines, one.name, "Go back", work)

    def _typed(
        self, title: str, lines: Sequence[str], name: str, verb: str, work: Callable[[], Awaitable[None]]
    ) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._work(work)

        self.app.push_screen(TypeNameDialog(title, lines, name, verb), answered)

    # --- backups

    async def do_gateway_backup(self, words: str) -> None:
        self._work(lambda: self._ask_backup(words))

    async def _ask_backup(self, words: str) -> None:
        found, left_out = await self._possible("backup", words)
        names = [one.name for one in found]
        control = self.app.acting.control

        async def send(request: BackupGateway) -> None:
            options = ["--pause"] if request.pause else []
            self._work(
                lambda: self._many(
                    "backup", names, lambda name: control.backup_gateway(name, request), left_out, *options
                )
            )

        self.app.push_screen(BackupDialog(names, left_out, send))

    async def _pick_backup(self, title: str, words: str, picked: Callable[[BackupView], None]) -> None:
        name = next(iter(words.replace(",", " ").split() or self.app.main.pane.addresses()), "")
        found = (await self.app.acting.control.gateway_backups(name)).backups
        if not found:
            key = self.app.keymap.first("gateway.backup")
            raise NotFound(f"there is no backup of {name or 'any gateway'}", hint=f"{key} makes one" if key else "")
        by_id = {one.id: one for one in found}
        choices = [Choice(one.id, f"{one.gateway}  {one.created_at}", backup_text(one)) for one in found]

        def answered(chosen: str | None) -> None:
            if chosen is not None:
                picked(by_id[chosen])

        self.app.push_screen(Picker(title, choices), answered)

    async def do_gateway_restore(self, words: str) -> None:
        self._work(lambda: self._pick_backup("Restore which backup?", words, self._ask_restore))

    def _ask_restore(self, backup: BackupView) -> None:
        def answered(request: RestoreGateway | None) -> None:
            if request is None:
                return
            if request.name not in ("", backup.gateway):
                self._work(lambda: self._restore(backup, request))
                return
            lines = [f"What is in {backup.gateway} now is replaced by the backup of {backup.created_at}.",
                     "Its token is a new one: whoever has the old one is not let in any more."]  # fmt: skip
            work = partial(self._restore, backup, request)
            self._typed(f"Put {backup.gateway} back?", lines, backup.gateway, "Restore", work)

        self.app.push_screen(RestoreDialog(backup), answered)

    async def _restore(self, backup: BackupView, request: RestoreGateway) -> None:
        name = request.name or backup.gateway
        self.app.say(f"▶ restore {name} …", "accent")
        made = await self.app.acting.control.restore_gateway(request)
        self._show_credentials(f"{name} is being restored: how to get in", made.credentials, made.job)
        await self._ended("restore", name, made.job)
        again = ["--name", request.name] if request.name else []
        command = self.app.acting.equivalent("gateway", "restore", backup.id, *again)
        self.app.say(f"√ {name} is restored — {command}", "ok")

    async def do_gateway_delete_backup(self, words: str) -> None:
        self._work(lambda: self._pick_backup("Delete which backup?", words, self._ask_delete))

    def _ask_delete(self, backup: BackupView) -> None:
        async def work() -> None:
            await self.app.acting.control.delete_gateway_backup(backup.id)
            self._touch()
            self.app.say(f"√ the backup {backup.id} of {backup.gateway} is deleted", "ok")

        lines = [f"{backup.gateway}, {backup.created_at}: {backup_text(backup)}", "Nobody can make it again."]
        self._typed("Delete the backup?", lines, backup.id, "Delete", work)

    # --- none of it

    async def do_gateway_destroy(self, words: str) -> None:
        self._work(lambda: self._ask_destroy(words))

    async def _ask_destroy(self, words: str) -> None:
        one = await self._one("destroy", words)
        plan = await self.app.acting.control.plan_destroy_gateway(one.name)
        dialog = DestroyDialog(plan)

        def answered(yes: bool | None) -> None:
            if yes:
                request = dialog.request
                self._work(lambda: self._destroy(one.name, request))

        self.app.push_screen(dialog, answered)

    async def _destroy(self, name: str, request: DestroyGateway) -> None:
        self.app.say(f"▶ destroy {name} …", "accent")
        await self._ended("destroy", name, await self.app.acting.control.destroy_gateway(name, request))
        self.app.say(f"√ {name} is destroyed — {self.app.acting.equivalent('gateway', 'destroy', name)}", "ok")


def _seconds_of(job: JobView) -> str:
    """How long it took, where the hub tells it."""
    result = job.result if isinstance(job.result, dict) else {}
    seconds = result.get("deploySeconds", result.get("seconds"))
    return f" after {seconds:.0f} s" if isinstance(seconds, int | float) else ""
