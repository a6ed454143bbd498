"""What clawtui takes of disks: kinds with their sizes, what of them nobody needs, and a clean-up by a plan."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from clawtui.tui.actions import Where
from clawtui.tui.disk import (
    ALL,
    DISK_COLUMNS,
    DISK_KEYS,
    clean_words,
    disk_detail,
    disk_rows,
    freed_said,
    kinds_of,
    plan_said,
    row_key,
)
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.plan_dialog import PlanDialog
from clawtui.tui.widgets.table_layout import Row
from hub.contract import DiskQuery, DiskView, PruneExecute, PrunePlan, PruneRequest
from hub.core.model import JobState
from hub.errors import HubError

AGAIN_SECONDS = 30.0
"""Looking at disks is work for the engine: not more often than this by itself."""


class DiskPane(DetailedListing):
    place = Where.DISK
    title = "Disk"
    columns = DISK_COLUMNS
    kinds = ()
    keys = DISK_KEYS
    empty = "Nothing takes room yet.\n\nImages, volumes, snapshots, logs and outputs appear here with their sizes."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._view: DiskView | None = None
        self._asked = 0

    # --- reading

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._asked, int(store.mono() / AGAIN_SECONDS), *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        self._view = await store.control.disk(DiskQuery(objects=True))
        # What was cleaned up away is meant no longer.
        self.table.keep_marks({ALL, *map(row_key, self._view.rows)})
        self.changed()

    def _look_again(self) -> None:
        self._asked += 1
        self.ui.refresh_now()

    # --- showing

    def show(self) -> None:
        super().show()
        if self.is_mounted and self._view is None:
            self.table.set_empty("Looking at the disks …\n\nWith many images this takes some seconds.")

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        return disk_rows(self._view, not store.live) if self._view is not None else []

    def notes(self) -> tuple[str, ...]:
        unused = sum(row.unused_count for row in self._view.rows) if self._view is not None else 0
        return (f"{unused} unused",) if unused else ()

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        keys = {} if self.ui.read_only else {"disk.clean": self.ui.keymap.first("disk.clean")}
        return disk_detail(self._view, key, store.now(), keys) if self._view is not None else []

    def has(self, needs: str) -> bool:
        return needs == "disk" and bool(self.meant())

    def copied(self) -> str:
        return self.detail.plain if self.detail.has_focus else "clawtui disk --objects"

    # --- cleaning up

    async def do_disk_look(self, _: str) -> None:
        self._look_again()

    async def do_disk_clean(self, kinds: str) -> None:
        self._plan(kinds, newest=False)

    async def do_disk_clean_more(self, kinds: str) -> None:
        self._plan(kinds, newest=True)

    def _plan(self, words: str, *, newest: bool) -> None:
        """Kinds by name, else the marked ones, else the one under the cursor."""
        kinds = sorted(set(words.replace(",", " ").split()) - {"all"}) if words else kinds_of(self.meant())
        self.ui.say("▶ looking what nobody needs …", "accent")
        self.ui.acting.work(lambda: self._ask(kinds, newest=newest))

    async def _ask(self, kinds: list[str], *, newest: bool) -> None:
        plan = await self.ui.acting.control.plan_prune(PruneRequest(kinds=kinds, all=newest))
        if not plan.objects:
            of = f" of {', '.join(kinds)}" if kinds else ""
            known = f"; not known: {'; '.join(plan.notes)}" if plan.notes else ""
            self.ui.say(f"nothing{of} is unused{known}", "warn" if known else "ok")
            return
        self.ui.say(plan_said(plan))

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.acting.work(lambda: self._carry_out(plan, clean_words(kinds, newest=newest, data=plan.data)))
            else:
                self.ui.say("nothing was removed", "ok")

        self.ui.push_screen(PlanDialog(plan), answered)

    async def _carry_out(self, plan: PrunePlan, words: list[str]) -> None:
        control, ui = self.ui.acting.control, self.ui
        job = await control.prune(plan.id, PruneExecute(data=plan.data))
        ui.say(f"▶ cleaning up: {plan_said(plan)} …", "accent")
        if ui.store is not None:
            ui.store.touch("job")
        ended = await ui.acting.ended(job)
        self._look_again()
        result: dict[str, Any] = ended.result if isinstance(ended.result, dict) else {}
        if ended.state != JobState.SUCCEEDED:
            why = ended.error.message if ended.error else ended.state
            raise HubError(f"the clean-up did not end well: {why}", code="act_failed", hint="F6 shows what it did")
        removed, skipped = result.get("removed", []), result.get("skipped", {})
        left = "".join(f"; left {name}: {why}" for name, why in skipped.items())
        said = f"√ {freed_said(plan, removed, result.get('freedBytes', 0))}{left}"
        ui.say(f"{said} — {shlex.join(words)}", "warn" if left else "ok")
