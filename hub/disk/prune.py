"""Cleaning up: a plan that names every object, and its execution, in which each is judged once more.

A plan is kept in memory and carried out at most once. Its job removes one object after the other; stopped
anywhere, by a cancel or with its hub, it has removed whole objects only and goes on with none.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec

from hub.contract import PrunePlan, PruneRequest
from hub.core.model import Job, JobState, SnapshotState
from hub.core.view import rfc3339
from hub.disk.desk import DiskDesk
from hub.disk.files import remove_log
from hub.disk.things import HUB, ORDER, PRUNABLE, Kind, Thing, disk_object
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotAvailable, NotFound
from hub.jobs import JobHandle, Jobs, Work
from hub.snapshots.service import Snapshots

KIND: Final = "prune"
LIFE_MS: Final = 15 * 60_000
"""What was unused then may be in use now; each object is judged again anyway."""
AWAY: Final = frozenset({"engine_unreachable", "unavailable"})
"""A platform that is away now will not come back for the next object."""
REMOVE_SECONDS: Final = 600.0
MOST_PLANS: Final = 32
MOST_OBJECTS: Final = 5_000
"""In one plan; the rest is in the next."""


class Planned(msgspec.Struct, frozen=True):
    """`expires_ms`: since the epoch."""

    view: PrunePlan
    things: tuple[Thing, ...]
    expires_ms: int


class Prune:
    """Makes plans and carries them out."""

    def __init__(self, desk: DiskDesk, jobs: Jobs, snapshots: Snapshots) -> None:
        self._desk = desk
        self._kernel = desk.kernel
        self._jobs = jobs
        self._snapshots = snapshots
        self._plans: OrderedDict[str, Planned] = OrderedDict()

    async def plan(self, request: PruneRequest) -> PrunePlan:
        """Return what could go. Raises BadRequest for a kind that is never cleaned up."""
        kinds = _kinds(request.kinds)
        survey = await self._desk.survey()
        things = [
            thing
            for thing in survey.things
            if thing.kind in kinds and thing.holding.unused and (request.all or not thing.holding.newest)
        ]
        # The engine wants images that are built on others removed before those; the survey has them in that order.
        things = sorted(things, key=lambda thing: ORDER[thing.kind])[:MOST_OBJECTS]
        notes = [
            f"{place} {kind.value}: {why}" for (place, kind), why in sorted(survey.unknown.items()) if kind in kinds
        ]
        now_ms = self._kernel.now().wall_ms
        view = PrunePlan(
            id=self._kernel.clock.new_id("prune"),
            expires_at=rfc3339(now_ms + LIFE_MS) or "",
            objects=[disk_object(thing) for thing in things],
            frees_bytes=sum(thing.holding.frees_bytes or 0 for thing in things),
            data=any(thing.is_data for thing in things),
            notes=[*notes, *survey.notes],
        )
        self._plans[view.id] = Planned(view, tuple(things), now_ms + LIFE_MS)
        while len(self._plans) > MOST_PLANS:
            self._plans.popitem(last=False)
        return view

    async def start(self, plan_id: str, *, data: bool, by: str) -> Job:
        """Commit the execution of a plan and start it.

        Raises:
            NotFound: there is no such plan, any more.
            Conflict: it removes data, and that was not confirmed.
        """
        kernel, planned = self._kernel, self._plans.get(plan_id)
        if planned is None or planned.expires_ms <= kernel.now().wall_ms:
            self._plans.pop(plan_id, None)
            raise NotFound(
                f"there is no plan {plan_id[:64]} (any more)", hint="Make a new one: clawtui prune", code="no_such_plan"
            )
        if planned.view.data and not data:
            raise Conflict(
                "this plan removes what agents have made, which nobody can make again",
                code="data_not_confirmed",
                hint="Confirm it with `data`: true, or name only other kinds.",
            )
        names = [f"{thing.kind.value} {thing.holding.name}" for thing in planned.things]
        audit = kernel.audited(by, "prune", plan_id, detail=f"{len(names)} objects: {', '.join(names)}"[:2_000])
        del self._plans[plan_id]
        request = msgspec.json.encode({"plan": plan_id, "objects": names}).decode()
        return await self._jobs.start(
            KIND, None, by, lambda job: self._execute(planned, job), effects=[audit], request=request
        )

    def resume(self, job: Job) -> Work:
        """A plan that a stopped hub was carrying out is not gone on with: nobody is there who wanted it now."""

        async def end(_handle: JobHandle) -> dict[str, Any]:
            raise DriverFailed(
                "the hub stopped in the middle; the rest of the plan was not removed",
                code="interrupted",
                hint="clawtui prune makes a new plan",
            )

        return end

    async def _execute(self, planned: Planned, job: JobHandle) -> dict[str, Any]:
        removed: list[str] = []
        skipped: dict[str, str] = {}
        freed = 0
        for number, thing in enumerate(planned.things):
            name = f"{thing.kind.value} {thing.holding.name}"
            job.progress(number / len(planned.things), f"removing {name}")
            try:
                await self._remove(thing, job.job.by)
            except HubError as exc:
                self._tell(job, name, exc.message)
                if exc.code in AWAY:
                    done = f"{len(removed)} of {len(planned.things)} objects were removed before"
                    raise DriverFailed(f"{exc.message}; {done}", hint=exc.hint, code=exc.code) from exc
                skipped[name] = exc.message
                continue
            removed.append(name)
            freed += thing.holding.frees_bytes or 0
            self._tell(job, name)
        return {"removed": removed, "freedBytes": freed, "skipped": skipped}

    def _tell(self, job: JobHandle, name: str, problem: str = "") -> None:
        outcome = "failed" if problem else "ok"
        self._kernel.push([self._kernel.audited(job.job.by, "prune.remove", name, outcome, problem)])

    async def _remove(self, thing: Thing, by: str) -> None:
        """Judge the thing as it is now, and remove it. Raises Conflict when somebody needs it."""
        match thing:
            case Thing(place=place) if place != HUB:
                keeper = self._desk.drivers.get(place).disk
                if keeper is None:
                    raise NotAvailable(f"driver {place} cannot clean up", driver=place)
                await keeper.remove(thing.holding, await self._desk.known())
            case Thing(kind=Kind.LOGS):
                if thing.holding.agent_id in self._kernel.fleet.agents:
                    raise Conflict(f"there is an agent {thing.holding.agent_id} again")
                await self._desk.workers.run(remove_log, self._kernel.config.state_folder, thing)
            case Thing(kind=Kind.SNAPSHOTS):
                await self._remove_snapshot(thing, by)
            case _:
                raise BadRequest(f"{thing.kind.value} are not cleaned up")

    async def _remove_snapshot(self, thing: Thing, by: str) -> None:
        snapshot = await self._kernel.registry.snapshot(thing.holding.snapshot_id)
        room = self._snapshots.room
        if snapshot is None:
            await room.workers.run(room.shelf.remove, thing.holding.snapshot_id)
            return
        if snapshot.state is not SnapshotState.BROKEN:
            raise Conflict(f"snapshot {snapshot.agent_id}:{snapshot.name} is in use")
        job = await self._snapshots.deleting.start(snapshot, by)
        await self._jobs.wait_ended(job.id, REMOVE_SECONDS)
        ended = await self._jobs.read(job.id)
        if ended.state is not JobState.SUCCEEDED:
            why = ended.error.message if ended.error else f"its delete, job {job.id}, is {ended.state.value}"
            raise DriverFailed(why)


def _kinds(asked: list[str]) -> frozenset[Kind]:
    known = {kind.value: kind for kind in PRUNABLE}
    for name in asked:
        if name not in known:
            raise BadRequest(f"{name[:40]!r} cannot be cleaned up", field="kinds", hint=f"one of {', '.join(known)}")
    return frozenset(known[name] for name in asked or known)
