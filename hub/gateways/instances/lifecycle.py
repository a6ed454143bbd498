"""Starting, stopping, restarting and destroying an instance, each as a job that the next start goes on with."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.contract import DestroyGateway, DestroyPlan, GatewayAct, InstancePhase
from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.instances import StoredInstance, Wanted
from hub.core.model import Job
from hub.drivers.cells import STOP_GRACE_SECONDS, CellGone
from hub.errors import Conflict
from hub.gateways.instances.model import ACT, DESTROY, PROVISION, cell_of
from hub.gateways.instances.provisioning import Provisioning
from hub.gateways.instances.removing import remove_everything
from hub.gateways.instances.room import InstanceRoom
from hub.jobs import JobHandle, Work

_WANTED: Final = {
    GatewayAct.START: Wanted.RUNNING,
    GatewayAct.RESTART: Wanted.RUNNING,
    GatewayAct.STOP: Wanted.STOPPED,
}


class AskedAct(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of a job keeps."""

    name: str
    uid: str
    act: GatewayAct


class AskedDestroy(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    uid: str
    backups: bool = False


class Lifecycle:
    """Acts on instances, one at a time for each."""

    def __init__(self, room: InstanceRoom, provisioning: Provisioning) -> None:
        self._room = room
        self._provisioning = provisioning

    # --- start, stop, restart

    async def act(self, name: str, act: GatewayAct, by: str) -> Job:
        """Commit what is wanted and start doing it. Raises NotFound, Conflict, StorageFull, Unavailable."""
        room, kernel = self._room, self._room.kernel
        kernel.check_writable()
        instance = room.idle(name)
        room.cells(instance)
        wanted = replace(instance, wanted=_WANTED[act], given_up=False)
        asked = AskedAct(name=name, uid=instance.uid, act=act)
        job = await room.jobs.start(
            ACT, None, by, self._work(asked),
            effects=[Save(wanted), Publish(Kind.GATEWAY, name), kernel.audited(by, f"gateway.{act.value}", name)],
            request=msgspec.json.encode(asked).decode(), about=name,
        )  # fmt: skip
        room.book.expect(wanted)
        return job

    def again(self, job: Job) -> Work:
        return self._work(msgspec.json.decode(job.request, type=AskedAct))

    def _work(self, asked: AskedAct) -> Work:
        async def work(job: JobHandle) -> dict[str, Any]:
            room = self._room
            async with room.hold(asked.name):
                instance = room.book.present(asked.name, asked.uid)
                if asked.act is not GatewayAct.START:
                    instance = await self._stop(instance, job)
                if asked.act is not GatewayAct.STOP:
                    try:
                        instance = await self._start(instance, job)
                    except Exception as exc:
                        await room.fail(instance, exc)
                        raise
                return {"gateway": asked.name, "phase": instance.phase.value}

        return work

    async def _stop(self, instance: StoredInstance, job: JobHandle) -> StoredInstance:
        """Turns that run are finished first, for which OpenClaw takes up to 315 s."""
        room = self._room
        job.progress(0.1, f"stopping {instance.name}; running turns are finished first, at most {STOP_GRACE_SECONDS} s")
        try:
            if instance.container:
                await room.cells(instance).stop(room.handle(instance), STOP_GRACE_SECONDS)
        except CellGone:
            job.progress(0.3, "its container is gone")
        seen = await room.look(instance)
        present = room.book.present(instance.name, instance.uid)
        stopped = replace(
            present,
            phase=InstancePhase.STOPPED,
            exit_code=seen.exit_code if seen is not None else None,
            oom_killed=False,
            reason="",
        )
        return await room.book.save(stopped)

    async def _start(self, instance: StoredInstance, job: JobHandle) -> StoredInstance:
        """Start the container, made again where it is gone, and wait for the gateway."""
        room = self._room
        if await room.look(instance) is None:
            await asyncio.to_thread(room.folders.settle, instance)
            instance = await self._provisioning.ensure_cell(instance, job)
        job.progress(0.6, f"starting {instance.name}")
        await self._provisioning.start_cell(instance)
        await self._provisioning.introduce(instance, job.job.by)
        await room.wait_ready(
            instance, room.kernel.config.timing.instance_ready_seconds, lambda text: job.progress(0.8, text)
        )
        present = room.book.present(instance.name, instance.uid)
        running = replace(present, phase=InstancePhase.RUNNING, reason="", exit_code=None, oom_killed=False)
        return await room.book.save(running)

    # --- destroy

    async def plan(self, name: str) -> DestroyPlan:
        """Say what a destroy removes. Raises NotFound."""
        room = self._room
        instance = room.book.get(name)
        cells, cell = room.cells(instance), cell_of(instance)
        objects = [f"container {seen.name}" for seen in await cells.cells(cell)]
        volumes = await cells.volumes(cell)
        objects += [f"volume {volume}" for volume in volumes]
        objects += [f"network {instance.network}"] if instance.network else []
        objects += [f"folder {room.folders.paths(name).folder}", f"gateway {name}"]
        saved = [one for one in await room.kernel.registry.backups() if one.gateway == name]
        return DestroyPlan(name=name, objects=objects, data=bool(volumes), backups=len(saved))

    async def destroy(self, name: str, request: DestroyGateway, by: str) -> Job:
        """Commit the end of an instance and start removing it. Raises NotFound, Conflict, StorageFull, Unavailable."""
        room, kernel = self._room, self._room.kernel
        kernel.check_writable()
        instance = room.book.get(name)
        if instance.phase is not InstancePhase.PROVISIONING and instance.phase is not InstancePhase.DESTROYING:
            room.idle(name)
        if (await self.plan(name)).data and not request.data:
            raise Conflict(
                f"destroying {name} removes its data",
                code="data_not_confirmed",
                hint=f"clawtui gateway destroy {name} shows what, and asks",
            )
        doomed = replace(room.book.present(name, instance.uid), phase=InstancePhase.DESTROYING)
        asked = AskedDestroy(name=name, uid=instance.uid, backups=request.backups)
        effects: list[Effect] = [Save(doomed), Publish(Kind.GATEWAY, name), kernel.audited(by, DESTROY, name)]
        job = await room.jobs.start(
            DESTROY, None, by, self._removal(asked),
            effects=effects, request=msgspec.json.encode(asked).decode(), about=name,
        )  # fmt: skip
        room.book.expect(doomed)
        # Committed first: what is being made must not be undone for a destroy that could not be kept.
        for kind in (PROVISION, ACT):
            room.jobs.cancel_about(name, kind)
        return job

    def destroy_again(self, job: Job) -> Work:
        return self._removal(msgspec.json.decode(job.request, type=AskedDestroy))

    def _removal(self, asked: AskedDestroy) -> Work:
        async def work(job: JobHandle) -> dict[str, Any]:
            room = self._room
            async with room.hold(asked.name):
                instance = room.book.find(asked.name)
                if instance is not None and instance.uid == asked.uid:
                    await remove_everything(
                        room, instance, job.job.by, lambda line: job.progress(0.5, line), backups=asked.backups
                    )
            return {"gateway": asked.name}

        return work
