"""Upgrades and rollbacks as jobs: the record says at each moment what the next start has to do with what it finds.

PREPARING  the old container serves; the image is built or pulled
COPYING    the old one is stopped and set aside; the new one is made on copies of its volumes
CHECKING   the new one runs and is judged; good: the record is of the new one from now on
RETURNING  bad: the new one is gone, everything is as before, and the old one is started
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from hub.contract import InstancePhase, UpgradeGateway
from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.instances import Change, ChangeKind, ChangeStep, StoredInstance, Wanted
from hub.core.model import Job
from hub.drivers.cells import CellGone
from hub.errors import BadRequest, Conflict, DriverFailed, HubError
from hub.gateways.backups.taking import Taking
from hub.gateways.images import check_version, have_image, version_of
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.kinds import find_kind, image_reference
from hub.gateways.upgrades.policy import Verdict, committed, finishes, new_volumes
from hub.gateways.upgrades.swap import Swap, Told
from hub.jobs import JobHandle, Work

UPGRADE: Final = "gateway.upgrade"
ROLLBACK: Final = "gateway.rollback"
POSSIBLE: Final = (InstancePhase.RUNNING, InstancePhase.STOPPED, InstancePhase.FAILED)
UNDONE: Final = "upgrade_undone"
TARGET_HINT: Final = "--to-version 2026.9.6, or --image REPOSITORY:TAG or REPOSITORY@sha256:DIGEST"

log = structlog.get_logger("hub.upgrades")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of a job keeps. `undo`: of a change that could not be undone before."""

    name: str
    uid: str
    change: str
    undo: bool = False


class Upgrading:
    """Upgrades instances one by one, and goes on with those of a killed hub."""

    def __init__(self, room: InstanceRoom, swap: Swap, taking: Taking) -> None:
        self._room = room
        self._swap = swap
        self._taking = taking

    # --- asking

    async def upgrade(self, name: str, request: UpgradeGateway, by: str) -> Job:
        """Commit an upgrade and start it.

        Raises:
            NotFound, BadRequest (field image or version), Conflict (busy, no container), StorageFull, Unavailable.
        """
        async with self._room.hold(name):
            instance = self._ready(name)
            image = target(instance, request)
            kind = find_kind(instance.image_kind)
            change_id = self._room.kernel.clock.new_id("up")
            change = Change(
                id=change_id,
                kind=ChangeKind.UPGRADE,
                step=ChangeStep.PREPARING,
                phase=instance.phase,
                image=image,
                version=request.version,
                volumes=new_volumes(instance, tuple(one.suffix for one in kind.volumes), change_id),
            )
            return await self._begin(instance, change, by, f"to {image or request.version}")

    async def roll_back(self, name: str, by: str) -> Job:
        """Commit the way back to what the last upgrade replaced, and start it.

        Raises:
            NotFound, Conflict (busy; nothing is kept, code no_previous), StorageFull, Unavailable.
        """
        async with self._room.hold(name):
            instance = self._room.idle(name)
            if instance.change is not None:
                # An undo that failed: what was kept is still there.
                return await self._begin(instance, instance.change, by, "what could not be undone", undo=True)
            instance = self._ready(name)
            if not instance.previous_container:
                raise Conflict(
                    f"there is nothing that {name} could go back to: it was not upgraded, or has been rolled back",
                    code="no_previous",
                    hint=f"clawtui gateway backups {name} lists what can be restored",
                )
            change = Change(
                id=self._room.kernel.clock.new_id("up"),
                kind=ChangeKind.ROLLBACK,
                step=ChangeStep.PREPARING,
                phase=instance.phase,
                image=instance.previous_image,
                image_id=instance.previous_image_id,
                version=instance.previous_version,
                container=instance.previous_container,
                volumes=instance.previous_volumes,
            )
            return await self._begin(instance, change, by, f"to {instance.previous_image}")

    def _ready(self, name: str) -> StoredInstance:
        room = self._room
        room.kernel.check_writable()
        instance = room.idle(name)
        if instance.change is not None:
            raise Conflict(
                f"the last upgrade of {name} could not be undone: {instance.reason}",
                code="not_undone",
                hint=f"clawtui gateway rollback {name} tries again",
            )
        room.handle(instance)
        room.cells(instance)
        return instance

    async def _begin(
        self, instance: StoredInstance, change: Change, by: str, detail: str, *, undo: bool = False
    ) -> Job:
        room, name = self._room, instance.name
        changed = replace(instance, phase=InstancePhase.UPGRADING, change=change)
        asked = Asked(name=name, uid=instance.uid, change=change.id, undo=undo)
        what = UPGRADE if change.kind is ChangeKind.UPGRADE and not undo else ROLLBACK
        effects: list[Effect] = [
            Save(changed),
            Publish(Kind.GATEWAY, name),
            room.kernel.audited(by, what, name, detail=f"{instance.image} {detail}"),
        ]
        room.book.expect(changed)
        try:
            return await room.jobs.start(
                what, None, by, self._work(asked), effects=effects,
                request=msgspec.json.encode(asked).decode(), about=name,
            )  # fmt: skip
        except HubError:
            room.book.expect(instance)
            raise

    def again(self, job: Job) -> Work:
        """Go on with, or undo, what a killed hub left."""
        return self._work(msgspec.json.decode(job.request, type=Asked), resumed=True)

    # --- doing

    def _work(self, asked: Asked, *, resumed: bool = False) -> Work:
        async def work(job: JobHandle) -> dict[str, Any]:
            async with self._room.hold(asked.name):
                instance = self._room.book.present(asked.name, asked.uid)
                if instance.change is None or instance.change.id != asked.change:
                    return await self._ended_before(instance)
                if asked.undo:
                    return await self._undo_by_hand(instance, instance.change, job)
                return await self._carry_out(instance, instance.change, job, resumed=resumed)

        return work

    async def _undo_by_hand(self, instance: StoredInstance, change: Change, job: JobHandle) -> dict[str, Any]:
        error = await self._back(instance, change.reason or "it could not be undone at once", job)
        if error.code != UNDONE:
            raise error
        return {"gateway": instance.name, "image": instance.image, "version": instance.version}

    async def _ended_before(self, instance: StoredInstance) -> dict[str, Any]:
        """The hub was killed after the last commit: what is left to do is to clear away and to start."""
        await self._swap.settle(instance)
        if instance.undone:
            raise DriverFailed(f"gateway {instance.name}: {instance.undone}", code=UNDONE, retryable=False)
        return await self._tidy(instance, [])

    async def _carry_out(
        self, instance: StoredInstance, change: Change, job: JobHandle, *, resumed: bool
    ) -> dict[str, Any]:
        try:
            if change.step is ChangeStep.RETURNING:
                raise DriverFailed(change.reason or "it was being undone", code="interrupted")
            if change.step is not ChangeStep.PREPARING and not (resumed and finishes(change)):
                raise DriverFailed("the hub was stopped in the middle of it", code="interrupted")
            return await self._forth(instance, change, job)
        except asyncio.CancelledError:
            # A hub that stops has seconds only; what it does not get done, the next start does.
            why = "it was cancelled" if job.cancelled else "the hub was stopped in the middle of it"
            await self._back(self._now(instance), why, job)
            raise
        except Exception as exc:
            why = exc.message if isinstance(exc, HubError) else f"{type(exc).__name__}: {exc}"
            raise await self._back(self._now(instance), why, job) from exc

    def _now(self, instance: StoredInstance) -> StoredInstance:
        return self._room.book.present(instance.name, instance.uid)

    async def _forth(self, instance: StoredInstance, change: Change, job: JobHandle) -> dict[str, Any]:
        began = self._room.kernel.now().mono
        if change.step is ChangeStep.PREPARING:
            if change.kind is ChangeKind.UPGRADE:
                change, instance = await self._with_image(instance, change, _part(job, 0.0, 0.35))
            await self._swap.forget_kept(instance)
            change, instance = await self._keep(instance, replace(change, step=ChangeStep.COPYING))
            change, instance = await self._exchange(instance, change, job)
        job.progress(0.65, f"starting {change.image}")
        await self._swap.start(instance, change.container)
        told = _part(job, 0.65, 0.3)
        judged = await self._swap.try_out(instance, change.container, told)
        if judged.verdict is Verdict.BAD:
            raise DriverFailed(judged.reason, code="not_healthy")
        done = await self._commit(instance, change)
        result = await self._tidy(done, [])
        job.progress(1.0, f"{done.name} runs {done.image}")
        return {**result, "seconds": round(self._room.kernel.now().mono - began, 1)}

    async def _with_image(self, instance: StoredInstance, change: Change, told: Told) -> tuple[Change, StoredInstance]:
        kind = find_kind(instance.image_kind)
        told(0.0, f"the image {change.image or change.version}")
        version = "" if change.image else change.version
        found = await have_image(
            self._room.cells(instance), kind, told, image=change.image, version=version,
            platform=instance.platform, again=True,
        )  # fmt: skip
        if found.seen.id == instance.image_id and instance.phase is not InstancePhase.FAILED:
            told(1.0, f"{found.reference} is the image that runs; it is made anew from it")
        full = replace(
            change,
            image=found.reference,
            image_id=found.seen.id,
            version=change.version or version_of(found.reference),
        )
        return await self._keep(instance, full)

    async def _exchange(
        self, instance: StoredInstance, change: Change, job: JobHandle
    ) -> tuple[Change, StoredInstance]:
        """Stop the old one, and make the other one."""
        swap = self._swap
        await swap.stop_old(instance, _part(job, 0.35, 0.0))
        job.progress(0.4, f"keeping what {instance.name} has")
        await swap.keep_shared(instance)
        if change.kind is ChangeKind.UPGRADE:
            await swap.copy_volumes(instance, change, _part(job, 0.4, 0.2))
            handle = await swap.make(instance, change, _part(job, 0.6, 0.05))
            change = replace(change, container=handle.container)
        else:
            await self._save_newer(instance, job)
            await swap.put_previous(instance, change)
        change, instance = await self._keep(instance, replace(change, step=ChangeStep.CHECKING))
        return change, instance

    async def _save_newer(self, instance: StoredInstance, job: JobHandle) -> None:
        """What was said since the upgrade goes with a rollback, so it is saved before. A full disk is no reason to stay
        at a version that somebody wants to leave."""
        try:
            backup = await self._taking.within(instance, job)
        except HubError as exc:
            job.progress(0.6, f"the newer state is not saved: {exc.message}")
            log.warning("newer_not_saved", gateway=instance.name, error=exc.message)
        else:
            job.progress(0.6, f"the newer state is saved as backup {backup}")

    async def _keep(self, instance: StoredInstance, change: Change) -> tuple[Change, StoredInstance]:
        return change, await self._room.book.save(replace(self._now(instance), change=change))

    async def _commit(self, instance: StoredInstance, change: Change) -> StoredInstance:
        """From here on the instance is the new one."""
        phase = InstancePhase.RUNNING if instance.wanted is Wanted.RUNNING else InstancePhase.STOPPED
        return await self._room.book.save(replace(committed(self._now(instance), change), phase=phase))

    async def _tidy(self, done: StoredInstance, notes: list[str]) -> dict[str, Any]:
        """Clear away what nobody goes back to. What cannot be is told, and does not make the upgrade fail."""
        room, notes = self._room, list(notes)
        try:
            await self._swap.write_run(done)
            await self._swap.settle(done)
            notes += [f"left behind: {line}" for line in await self._swap.clear(done)]
        except HubError as exc:
            notes.append(f"not tidied up: {exc.message}")
        if (gateway := room.gateways.book.find(done.name)) is not None and done.wanted is Wanted.RUNNING:
            await room.gateways.watch.look(gateway)
        await room.look(done)
        return {
            "gateway": done.name, "image": done.image, "imageId": done.image_id, "version": done.version,
            "previousImage": done.previous_image, "movedFrom": done.moved_from, "notes": notes,
        }  # fmt: skip

    # --- undoing

    async def _back(self, instance: StoredInstance, why: str, job: JobHandle) -> DriverFailed:
        """Undo everything, start the old container, and return the error that says so."""
        change = instance.change
        if change is None:
            # It was good and committed: only the tidying up met a stop.
            return DriverFailed(why, code="not_tidied")
        what = "upgrade" if change.kind is ChangeKind.UPGRADE else "rollback"
        first = why.partition("\n")[0]
        job.progress(0.97, f"going back: {first}"[:300])
        try:
            kept_in = await self._undo(instance, change, first)
            done = await self._old_again(self._now(instance), f"the {what} to {change.image} was undone: {first}")
        except (HubError, OSError) as exc:
            return await self._stuck(instance, what, why, exc)
        said = f"; what it printed is in {kept_in}" if kept_in else ""
        log.warning("upgrade_undone", gateway=instance.name, image=change.image, why=first)
        return DriverFailed(
            f"gateway {instance.name}: {done.undone or first}{said}. {done.image} is in force again, with its data as "
            "before",
            code=UNDONE,
            retryable=False,
            hint=f"clawtui gateway show {instance.name}",
        )

    async def _undo(self, instance: StoredInstance, change: Change, why: str) -> str:
        """Make everything as before but the start; returns where the log of the new container is."""
        if change.step in (ChangeStep.PREPARING, ChangeStep.RETURNING):
            return ""
        log_file = await self._swap.keep_log(instance, change) if change.kind is ChangeKind.UPGRADE else ""
        await self._swap.take_away(instance, change)
        await self._swap.put_back(instance)
        await self._keep(instance, replace(change, step=ChangeStep.RETURNING, reason=why))
        return log_file

    async def _old_again(self, instance: StoredInstance, undone: str) -> StoredInstance:
        """Start the old container where it is to run, and close the record."""
        change = instance.change
        phase = change.phase if change is not None else InstancePhase.RUNNING
        # One that had failed was stopped by the hub, and stays so.
        if phase is InstancePhase.RUNNING and instance.wanted is Wanted.RUNNING:
            await self._swap.start(instance, instance.container)
        done = await self._room.book.save(replace(instance, phase=phase, change=None, undone=undone))
        for line in await self._swap.clear(done):
            log.warning("upgrade_left", gateway=instance.name, left=line)
        if (gateway := self._room.gateways.book.find(done.name)) is not None:
            await self._room.gateways.watch.look(gateway)
        return done

    async def _stuck(self, instance: StoredInstance, what: str, why: str, exc: Exception) -> DriverFailed:
        """Neither there nor back: a person is needed, and nothing of the data is gone."""
        said = exc.message if isinstance(exc, HubError) else str(exc)
        gone = isinstance(exc, CellGone)
        reason = f"the {what} failed ({why.partition(chr(10))[0]}) and could not be undone: {said}"
        present = self._now(instance)
        failed = replace(present, phase=InstancePhase.FAILED, reason=reason, change=None if gone else present.change)
        await self._room.book.save(failed)
        volumes = ", ".join(instance.volumes)
        return DriverFailed(
            f"gateway {instance.name}: {reason}. Its data is in the volumes {volumes}",
            code="not_undone",
            retryable=False,
            hint=f"clawtui gateway rollback {instance.name} tries again",
        )


def target(instance: StoredInstance, request: UpgradeGateway) -> str:
    """Return the image's reference, "" for one that the hub builds from a version. Raises BadRequest."""
    kind = find_kind(instance.image_kind)
    if bool(request.image) == bool(request.version):
        raise BadRequest("name the image or the version to upgrade to", field="image", hint=TARGET_HINT)
    if request.version and kind.built:
        check_version(request.version)
        return ""
    return image_reference(kind, request.image, request.version)


def _part(job: JobHandle, begin: float, share: float) -> Told:
    return lambda done, line: job.progress(begin + done * share, line)
