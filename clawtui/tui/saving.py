"""Acts with snapshots: who or what is meant, what it takes or loses, doing it, and seeing what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from clawtui.cli.output import age_text, printable, size_text
from clawtui.tui.actions import Where
from clawtui.tui.snapshots import (
    called,
    deletion_lines,
    estimate_text,
    loss_text,
    outcome,
    schedule_text,
    schedule_words,
    seconds_until,
)
from clawtui.tui.widgets.dialogs import Choice, ConfirmDialog, Picker
from clawtui.tui.widgets.losing import LossDialog
from clawtui.tui.widgets.snapshot_forms import ForkDialog, ScheduleDialog, SnapshotDialog, fork_words, snapshot_words
from hub.contract import (
    AgentView,
    ForkRequest,
    JobView,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
    TakeSnapshot,
)
from hub.control import Control
from hub.core.model import JobState, SnapshotState
from hub.errors import HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

LOOK_SECONDS: Final = 60.0
"""A job is asked about again after so long, until it ends: a big workspace takes its time."""
PAUSE_SECONDS: Final = 0.25
"""Before it is asked again: a hub may answer earlier than it was told to."""
OFFER: Final = "Take a snapshot first"
PAIR: Final = 2
Chosen = Callable[[tuple[str, ...]], Awaitable[None]]


class Saving:
    """Handlers of actions with snapshots."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    @property
    def control(self) -> Control:
        return self.app.acting.control

    @property
    def agents(self) -> dict[str, AgentView]:
        return self.app.store.agents if self.app.store is not None else {}

    def _busy(self, names: Sequence[str]) -> int:
        return sum(len(self.agents[name].running) for name in names if name in self.agents)

    # --- whom and what

    async def _with_agents(self, act: str, title: str, argument: str, then: Chosen) -> None:
        """The named or marked agents or the one under the cursor, of which `act` can be done to; else ask for one."""
        acting = self.app.acting
        names = acting.meant(argument)
        if names:
            if possible := acting.possible(act, names).names:
                await then(possible)
            return
        if not self.agents:
            self.app.say("there is no agent to be saved: f1, then c makes one", "warn")
            return

        if len(self.agents) == 1:
            await self._with_agents(act, title, next(iter(self.agents)), then)
            return

        async def picked(name: str | None) -> None:
            if name is not None and (possible := acting.possible(act, (name,)).names):
                await then(possible)

        choices = [Choice(name, name, agent.status.value) for name, agent in sorted(self.agents.items())]
        self.app.push_screen(Picker(title, choices), picked)

    async def _meant(self, argument: str) -> tuple[SnapshotView, ...]:
        """The named snapshots, else the marked ones, else the one under the cursor. Raises HubError."""
        if not argument:
            return self.app.main.pane.snapshots()
        return tuple([await self.control.snapshot(word) for word in argument.replace(",", " ").split()])

    async def _one(self, argument: str, verb: str) -> SnapshotView | None:
        """The one snapshot that is meant and can be used; says why when there is none."""
        found = await self._meant(argument)
        if len(found) != 1:
            self.app.say(f"{verb} takes one snapshot: {len(found)} are marked; esc clears the marks", "warn")
            return None
        if found[0].state is not SnapshotState.READY:
            why = f": {printable(found[0].reason)}" if found[0].reason else ""
            self.app.say(f"{called(found[0])} is {found[0].state.value}{why}", "warn")
            return None
        return found[0]

    async def _finish(self, job: JobView, what: str) -> JobView:
        """Wait for the job's end. Raises HubError when it failed."""
        ended = await self.control.job(job.id, LOOK_SECONDS)
        while ended.finished_at is None:
            await asyncio.sleep(PAUSE_SECONDS)
            ended = await self.control.job(job.id, LOOK_SECONDS)
        if self.app.store is not None:
            self.app.store.touch("snapshot")
        if ended.state != JobState.SUCCEEDED:
            why = ended.error.message if ended.error else ended.state
            raise HubError(f"{what} failed: {why}", code="act_failed")
        return ended

    # --- taking

    async def do_snapshot_create(self, agents: str) -> None:
        async def ask(names: tuple[str, ...]) -> None:
            async def send(request: TakeSnapshot) -> None:
                job = await self.control.take_snapshot(names[0], request)
                self.app.acting.work(lambda: self.take(names, request, job))

            busy, equivalent = self._busy(names), self.app.acting.equivalent
            self.app.push_screen(SnapshotDialog(names, busy, equivalent, lambda: self._estimate(names), send))

        await self._with_agents("save", "Snapshot of which agent?", agents, ask)

    async def _estimate(self, names: Sequence[str]) -> tuple[str, str]:
        return estimate_text([await self.control.estimate_snapshot(name) for name in names])

    async def take(self, names: Sequence[str], request: TakeSnapshot, begun: JobView | None = None) -> None:
        """One after the other: together they could need more room than there is. Raises HubError at the first
        that fails. `begun`: the job of the first, when it was started already."""
        said = ""
        for name in names:
            self.app.say(f"▶ snapshot {name} …", "accent")
            job, begun = begun or await self.control.take_snapshot(name, request), None
            ended = await self._finish(job, f"snapshot {name}")
            view = await self.control.snapshot(str((ended.result or {}).get("snapshotId") or f"{name}:{request.name}"))
            said = f"√ {called(view)} is saved, {size_text(view.size_bytes)}"
        if len(names) > 1:
            said = f"√ {len(names)} agents are saved"
        self.app.say(f"{said} — {self.app.acting.equivalent(*snapshot_words(names[0], request))}", "ok")

    # --- back to one

    async def do_snapshot_restore(self, snapshot: str) -> None:
        one = await self._one(snapshot, "a restore")
        if one is None:
            return
        if one.agent_id not in self.agents:
            self._make_again(one)
            return
        if self.app.acting.possible("restore", (one.agent_id,)).names:
            self._ask_restore(one)

    def _make_again(self, one: SnapshotView) -> None:
        lines = [
            f"There is no {one.agent_id} now: it is made again under its name, as it was in {one.name}.",
            "Its identity is a new one, and its state is empty. Nothing is lost.",
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._restore(one, first=False))

        self.app.push_screen(ConfirmDialog(f"Make {one.agent_id} again?", lines, "Restore"), answered)

    def _ask_restore(self, one: SnapshotView) -> None:
        name = one.agent_id
        lines = [
            f"{name} goes back to {one.name}, {self._age(one)} old, {size_text(one.size_bytes)}.",
            "What is there now goes: everything in the workspace and elsewhere that is not in it.",
            f"Running there now: {self._busy((name,))}. That is interrupted; queued tasks wait.",
            f"What goes is kept for 24 hours: {self._key('snapshot.unrestore')} takes back the last restore.",
        ]

        dialog = LossDialog(
            f"Restore {name} to {one.name}?", lines, name, "Restore",
            measure=lambda: self.loss((name,)), offer=OFFER,
        )  # fmt: skip

        def answered(yes: bool | None) -> None:
            if yes:
                first = dialog.save_first
                self.app.acting.work(lambda: self._restore(one, first=first))

        self.app.push_screen(dialog, answered)

    def _key(self, action: str) -> str:
        return self.app.keymap.first(action) or f":{action}"

    def _age(self, one: SnapshotView) -> str:
        return age_text(max(-seconds_until(one.created_at, self.app.store.now()), 0)) if self.app.store else ""

    async def _restore(self, one: SnapshotView, *, first: bool) -> None:
        if first:
            await self.take((one.agent_id,), TakeSnapshot())
        self.app.say(f"▶ restore {one.agent_id} to {one.name} …", "accent")
        await self._finish(await self.control.restore(one.id), f"restore {one.agent_id}")
        command = self.app.acting.equivalent("restore", one.agent_id, one.name)
        self.app.say(f"√ {one.agent_id} is at {one.name} again — {command}", "ok")

    async def loss(self, names: Sequence[str]) -> str:
        """How much is there now that a destroy or a restore takes. Raises HubError."""
        sizes = [f"{name}: {loss_text(await self.control.estimate_snapshot(name))}" for name in names]
        return "There now: " + "; ".join(sizes)

    async def do_snapshot_unrestore(self, agent: str) -> None:
        names = self.app.acting.meant(agent)
        if len(names) != 1:
            self.app.say("the undo of a restore takes one agent: put the cursor on it", "warn")
            return
        name = names[0]
        place, now = await self.control.snapshot_place(name), self.app.store.now() if self.app.store else None
        left = seconds_until(place.undo_until, now) if place.undo_until and now else 0.0
        if left <= 0:
            self.app.say(f"there is no restore of {name} to be undone: what one replaces is kept for 24 hours", "warn")
            return
        lines = [
            f"{name} goes back to what it was before its last restore.",
            "Everything that it did since that restore goes, and this cannot be undone.",
            f"Running there now: {self._busy(names)}. That is interrupted; queued tasks wait.",
            f"It is possible for {age_text(left)} yet.",
        ]

        dialog = LossDialog(
            f"Undo the restore of {name}?", lines, name, "Undo", measure=lambda: self.loss((name,)), offer=OFFER
        )

        def answered(yes: bool | None) -> None:
            if yes:
                first = dialog.save_first
                self.app.acting.work(lambda: self._unrestore(name, first=first))

        self.app.push_screen(dialog, answered)

    async def _unrestore(self, name: str, *, first: bool) -> None:
        if first:
            await self.take((name,), TakeSnapshot())
        self.app.say(f"▶ undo the restore of {name} …", "accent")
        await self._finish(await self.control.undo_restore(name), f"undo of the restore of {name}")
        command = self.app.acting.equivalent("restore", name, "--undo")
        self.app.say(f"√ {name} is as before its restore — {command}", "ok")

    # --- more of one

    async def do_snapshot_fork(self, snapshot: str) -> None:
        one = await self._one(snapshot, "a fork")
        if one is None:
            return

        async def send(request: ForkRequest) -> None:
            job = await self.control.fork(one.id, request)
            self.app.acting.work(lambda: self._forked(one, request, job))

        self.app.push_screen(ForkDialog(one, self.app.acting.equivalent, send))

    async def _forked(self, one: SnapshotView, request: ForkRequest, begun: JobView) -> None:
        """Says of each what became of it. Raises HubError when one could not be made."""
        self.app.say(f"▶ fork {called(one)} …", "accent")
        job = await self._finish(begun, f"fork {called(one)}")
        made, failed = outcome(job)
        if failed:
            said = f"{len(made)} of {len(made) + len(failed)} forks are online, not {'; '.join(failed)}"
            raise HubError(said, code="fork_incomplete")
        command = self.app.acting.equivalent(*fork_words(one, request))
        self.app.say(f"√ {', '.join(made)} made of {called(one)} — {command}", "ok")

    # --- two of them

    async def do_snapshot_diff(self, snapshots: str) -> None:
        found = await self._meant(snapshots)
        if len(found) == PAIR:
            # As named; of marked ones the older one is what was before.
            before, after = found if snapshots else sorted(found, key=lambda one: one.created_at)
            await self._compare(before, after)
        elif len(found) == 1:
            await self._choose_other(found[0])
        else:
            self.app.say(f"a difference is of two: {len(found)} are marked", "warn")

    async def _choose_other(self, one: SnapshotView) -> None:
        everything = (await self.control.snapshots(SnapshotQuery())).snapshots
        others = [other for other in everything if other.id != one.id and other.state is SnapshotState.READY]
        if not others:
            self.app.say("there is no other snapshot to compare it with", "warn")
            return
        others.sort(key=lambda other: (other.id != one.parent, other.agent_id != one.agent_id))
        by_id = {other.id: other for other in others}

        async def picked(chosen: str | None) -> None:
            if chosen is not None:
                await self._compare(*sorted((one, by_id[chosen]), key=lambda each: each.created_at))

        choices = [
            Choice(other.id, called(other), f"{'parent, ' if other.id == one.parent else ''}{self._age(other)} old")
            for other in others
        ]
        self.app.push_screen(Picker(f"Compare {called(one)} with", choices), picked)

    async def _compare(self, before: SnapshotView, after: SnapshotView) -> None:
        pane = await self.app.main.go(Where.DIFFERENCE)
        pane.point_at(f"{before.id},{after.id}")

    # --- none of them

    async def do_snapshot_delete(self, snapshots: str) -> None:
        found = await self._meant(snapshots)
        if not found or self.app.store is None:
            return
        known = {one.id: one for one in (await self.control.snapshots(SnapshotQuery())).snapshots}
        lines = deletion_lines(found, known, self.app.store.now())
        one = len(found) == 1
        title = f"Delete the snapshot {called(found[0])}?" if one else f"Delete {len(found)} snapshots?"

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._delete(found))

        expected = found[0].name if one else f"delete {len(found)}"
        self.app.push_screen(LossDialog(title, lines, expected, "Delete"), answered)

    async def _delete(self, chosen: Sequence[SnapshotView]) -> None:
        """Those that came of others first: then nothing has to change its parent. Raises HubError."""
        for one in sorted(chosen, key=lambda each: each.created_at, reverse=True):
            self.app.say(f"▶ delete {called(one)} …", "accent")
            await self._finish(await self.control.delete_snapshot(one.id), f"delete {called(one)}")
        said = called(chosen[0]) if len(chosen) == 1 else f"{len(chosen)} snapshots"
        verb = "is" if len(chosen) == 1 else "are"
        command = self.app.acting.equivalent("snapshots", "delete", called(chosen[0]))
        self.app.say(f"√ {said} {verb} deleted — {command}", "ok")

    # --- by itself

    async def do_snapshot_schedule(self, agents: str) -> None:
        async def ask(names: tuple[str, ...]) -> None:
            name = names[0]
            if len(names) > 1:
                self.app.say("a schedule is of one agent: esc clears the marks", "warn")
                return
            place = await self.control.snapshot_place(name)

            def answered(schedule: SnapshotSchedule | None) -> None:
                if schedule is not None:
                    self.app.acting.work(lambda: self._schedule(name, schedule))

            self.app.push_screen(ScheduleDialog(name, place.schedule, self.app.acting.equivalent), answered)

        await self._with_agents("schedule", "Schedule of which agent?", agents, ask)

    async def _schedule(self, name: str, schedule: SnapshotSchedule) -> None:
        place = await self.control.schedule_snapshots(name, schedule)
        if self.app.store is None:
            return
        self.app.store.touch("snapshot")
        said = schedule_text(place, self.app.store.now())
        what = f"snapshots of {name}: {said}" if schedule.interval_seconds else f"{name} is saved by hand only"
        self.app.say(f"√ {what} — {self.app.acting.equivalent(*schedule_words(name, schedule))}", "ok")
