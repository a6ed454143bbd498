"""Gateways' containers in memory: see `hub.drivers.cells.Cells`, and `FakeEngine` for what tests can make them do."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import AsyncIterator

import msgspec

from hub.drivers.base import LogLine, LogRequest, RestartPolicy
from hub.drivers.cells import (
    Capacity,
    CellBuilt,
    CellGone,
    CellHandle,
    CellId,
    CellMade,
    CellPlan,
    CellRecipe,
    CellSeen,
    CellState,
    ImageSeen,
    Progress,
)
from hub.drivers.cells_checks import check_name, check_plan, clamp, plan_hash
from hub.drivers.fake.cells_engine import KILLED, CellStep, FakeCell
from hub.drivers.fake.cells_objects import NAME, FakeCellObjects
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable, NotFound


class FakeCells(FakeCellObjects):
    """Those of one hub."""

    # --- images ------------------------------------------------------------------------------------

    async def pull(self, reference: str, progress: Progress, platform: str = "") -> ImageSeen:
        await self.engine.step(CellStep.PULL, reference)
        if reference in self.engine.pull_errors:
            raise self.engine.pull_errors[reference]
        image = self.engine.registry.get(reference)
        if image is None:
            raise NotFound(f"the registry has no image {reference}", code="image_missing", driver=NAME)
        if platform and image.seen.platform != platform:
            raise NotAvailable(
                f"{reference} is an image for {image.seen.platform}, not for {platform}", code="platform_missing"
            )
        progress(0.5, f"pulling {reference}: 1 of 2 MiB")
        self.engine.images[reference] = image
        progress(1.0, f"{reference} is here")
        return image.seen

    async def image(self, reference: str) -> ImageSeen | None:
        found = self.engine.find_image(reference)
        return found.seen if found is not None else None

    async def images(self, repository: str) -> list[ImageSeen]:
        found = {
            image.seen.id: image.seen for name, image in self.engine.images.items() if _repository(name) == repository
        }
        return sorted(found.values(), key=lambda seen: -(seen.created_at or 0))

    async def wanted(self, recipe: CellRecipe) -> str:
        digest = hashlib.sha256(msgspec.json.encode(recipe, order="deterministic")).hexdigest()[:12]
        return f"{recipe.repository}:{recipe.version}-{digest}"

    async def build(self, recipe: CellRecipe, progress: Progress, *, rebuild: bool = False) -> CellBuilt:
        await self.engine.step(CellStep.BUILD, recipe.version)
        reference = await self.wanted(recipe)
        if reference in self.engine.images and not rebuild:
            return CellBuilt(reference, built=False)
        progress(0.0, f"building {reference}")
        self.engine.offer(reference, self.engine.built_behaviour, local=True)
        del self.engine.registry[reference]
        progress(1.0, f"{reference} is built")
        return CellBuilt(reference, built=True)

    # --- containers --------------------------------------------------------------------------------

    async def create(self, plan: CellPlan, progress: Progress) -> CellMade:
        check_plan(plan)
        await self.engine.step(CellStep.CREATE, plan.cell.instance)
        fitting, notes = clamp(plan, self.engine.capacity)
        there = self.engine.find(plan.name)
        if there is not None:
            self._check_owner("container", plan.name, self._owner_of(there), plan.cell)
            if plan_hash(there.plan) != plan_hash(plan):
                raise Conflict(
                    f"the container {plan.name} exists already and was made from another plan", code="cell_exists"
                )
            return CellMade(there.handle, notes)
        self._check_needs(plan)
        image = self.engine.find_image(plan.image)
        if image is None:
            raise NotFound(f"the engine does not have the image {plan.image}", code="image_missing", driver=NAME)
        for volume in plan.volumes:
            if not volume.adopted:
                await self.ensure_volume(plan.cell, volume.name)
        handle = CellHandle(plan.cell.instance, plan.cell.uid, f"{self.engine.number():064x}")
        made = FakeCell(self._hub_id, handle, plan.name, plan, image, image.behaviour, self.engine.now_ms())
        self.engine.containers[handle.container] = made
        for note in notes:
            progress(0.9, note)
        progress(1.0, f"{plan.name} is made with {fitting.cpus or 'all'} CPUs")
        return CellMade(handle, notes)

    def _check_needs(self, plan: CellPlan) -> None:
        if plan.network != "bridge":
            network = self.engine.networks.get(plan.network)
            if network is None:
                raise NotFound(f"there is no network {plan.network}", code="network_missing", field="network")
            self._check_owner("network", plan.network, network.owner, plan.cell)
        for volume in plan.volumes:
            if volume.adopted and volume.name not in self.engine.volumes:
                raise NotFound(f"there is no volume {volume.name}", code="volume_missing", field="volumes")

    async def start(self, handle: CellHandle) -> None:
        await self.engine.step(CellStep.START, handle.instance)
        one = self._owned(handle)
        if one.state is CellState.PAUSED:
            one.state = CellState.RUNNING
        if one.state is CellState.RUNNING:
            return
        taken = self._taken(one)
        if taken is not None:
            raise Conflict(
                f"gateway {handle.instance} cannot be started: port {taken} is taken", code="port_taken", field="port"
            )
        behaviour = one.behaviour
        if behaviour.start_error:
            one.reason = behaviour.start_error
            raise DriverFailed(
                f"gateway {handle.instance} cannot be started: {behaviour.start_error}", code="cell_start_failed",
                retryable=False,
            )  # fmt: skip
        one.state, one.started_at, one.looks, one.starts = CellState.RUNNING, self.engine.now_ms(), 0, one.starts + 1
        one.exit_code, one.oom_killed, one.finished_at = None, False, None
        one.log = [*one.log, *behaviour.log]
        if behaviour.oom_killed or behaviour.exit_code is not None:
            one.exit_code = KILLED if behaviour.exit_code is None else behaviour.exit_code
            one.oom_killed, one.finished_at = behaviour.oom_killed, self.engine.now_ms()
            one.state = CellState.EXITED if one.plan.restart is RestartPolicy.NO else CellState.RESTARTING

    def _taken(self, one: FakeCell) -> int | None:
        others = {
            entry.port
            for other in self.engine.containers.values()
            if other is not one and other.state in (CellState.RUNNING, CellState.PAUSED, CellState.RESTARTING)
            for entry in other.plan.ports
        }
        return next((entry.port for entry in one.plan.ports if entry.port in self.engine.taken_ports | others), None)

    async def stop(self, handle: CellHandle, grace_seconds: float) -> None:
        await self.engine.step(CellStep.STOP, handle.instance)
        one = self._owned(handle)
        if one.state in (CellState.RUNNING, CellState.PAUSED, CellState.RESTARTING):
            # One that was stopped still has the exit code of what it did before.
            code = one.exit_code if one.state is CellState.RESTARTING else 0
            one.state, one.exit_code, one.finished_at = CellState.EXITED, code, self.engine.now_ms()

    async def kill(self, handle: CellHandle) -> None:
        await self.engine.step(CellStep.KILL, handle.instance)
        one = self._owned(handle)
        if one.state in (CellState.RUNNING, CellState.PAUSED):
            one.state, one.exit_code, one.finished_at = CellState.EXITED, KILLED, self.engine.now_ms()

    async def pause(self, handle: CellHandle) -> None:
        await self.engine.step(CellStep.PAUSE, handle.instance)
        self._freeze(handle, CellState.PAUSED)

    async def unpause(self, handle: CellHandle) -> None:
        await self.engine.step(CellStep.UNPAUSE, handle.instance)
        self._freeze(handle, CellState.RUNNING)

    def _freeze(self, handle: CellHandle, state: CellState) -> None:
        one = self._owned(handle)
        if one.state not in (CellState.RUNNING, CellState.PAUSED):
            raise Conflict(f"gateway {handle.instance} does not run: its container is {one.state}", driver=NAME)
        one.state = state

    async def rename(self, handle: CellHandle, name: str) -> None:
        await self.engine.step(CellStep.RENAME, handle.instance)
        check_name(name)
        one, there = self._owned(handle), self.engine.find(name)
        if there is not None and there is not one:
            raise Conflict(f"the name {name} is taken", driver=NAME)
        one.name = name

    async def remove(self, handle: CellHandle) -> None:
        await self.engine.step(CellStep.REMOVE, handle.instance)
        found = self.engine.containers.get(handle.container)
        if found is not None and self._owner_of(found) == (self._hub_id, handle.instance, handle.uid):
            del self.engine.containers[handle.container]

    async def inspect(self, handle: CellHandle) -> CellSeen:
        await self.engine.step(CellStep.INSPECT, handle.instance)
        one = self._owned(handle)
        if one.state is CellState.RESTARTING:
            one.restarts += 1
        return self._see(one)

    async def cells(self, cell: CellId | None = None) -> list[CellSeen]:
        mine = [one for one in self.engine.containers.values() if one.hub_id == self._hub_id]
        found = [self._see(one) for one in mine if cell is None or one.handle.cell == cell]
        return sorted(found, key=lambda seen: (seen.name, seen.container))

    async def look(self, reference: str) -> CellSeen | None:
        found = self.engine.find(reference)
        return self._see(found) if found is not None else None

    async def environment(self, reference: str) -> dict[str, str]:
        found = self.engine.find(reference)
        if found is None:
            raise CellGone(f"there is no container {reference[:100]!r}", driver=NAME)
        return {**found.plan.environment, **found.plan.secrets}

    def _see(self, one: FakeCell) -> CellSeen:
        mine = one.hub_id == self._hub_id
        return CellSeen(
            handle=one.handle if mine else None,
            name=one.name,
            container=one.handle.container,
            state=one.state,
            image=one.plan.image,
            image_id=one.image.seen.id,
            exit_code=one.exit_code,
            oom_killed=one.oom_killed,
            reason=one.reason,
            created_at=one.created_at,
            started_at=one.started_at,
            finished_at=one.finished_at,
            restarts=one.restarts,
            labels=one.plan.labels,
            environment=tuple(sorted({*one.plan.environment, *one.plan.secrets})),
            command=one.plan.command,
            user=one.plan.user,
            ports=one.plan.ports,
            volumes=one.plan.volumes,
            mounts=one.plan.mounts,
            networks=(one.plan.network,),
            cpus=one.plan.cpus and min(one.plan.cpus, float(self.engine.capacity.cpus)),
            memory_bytes=one.plan.memory_bytes and min(one.plan.memory_bytes, self.engine.capacity.memory_bytes),
            ours=bool(one.hub_id),
        )

    async def logs(self, handle: CellHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        await self.engine.step(CellStep.LOGS, handle.instance)
        lines = self._owned(handle).log
        for text in lines if request.lines is None else lines[len(lines) - request.lines :]:
            yield LogLine(text=text, at=self.engine.now_ms())

    async def put_file(self, handle: CellHandle, path: str, content: bytes, *, uid: int, mode: int = 0o600) -> None:
        await self.engine.step(CellStep.PUT_FILE, handle.instance)
        if not path.startswith("/") or path.endswith("/") or ".." in path.split("/"):
            raise BadRequest(f"{path[:200]!r} is no absolute path of a file", field="path", driver=NAME)
        files, name = self._place(self._owned(handle), path)
        files[name] = content

    async def get_file(self, handle: CellHandle, path: str, most_bytes: int = 4 * 2**20) -> bytes:
        await self.engine.step(CellStep.GET_FILE, handle.instance)
        files, name = self._place(self._owned(handle), path)
        if name not in files:
            if any(other.startswith(f"{name}/") for other in files):
                raise BadRequest(f"{path} is no regular file", driver=NAME)
            raise NotFound(f"there is no file {path} in gateway {handle.instance}", code="file_missing", driver=NAME)
        if len(files[name]) > most_bytes:
            raise BadRequest(f"{path} has {len(files[name])} bytes, more than {most_bytes}", driver=NAME)
        return files[name]

    def _place(self, one: FakeCell, path: str) -> tuple[dict[str, bytes], str]:
        for volume in one.plan.volumes:
            if path.startswith(f"{volume.target}/"):
                return self.engine.volumes[volume.name].files, posixpath.relpath(path, volume.target)
        return one.files, path

    # --- the engine --------------------------------------------------------------------------------

    async def capacity(self) -> Capacity:
        await self.engine.step(CellStep.CAPACITY, "")
        running = sum(one.state is CellState.RUNNING for one in self.engine.containers.values())
        return msgspec.structs.replace(self.engine.capacity, containers_running=running)

    async def close(self) -> None:
        """There is nothing to release."""

    # --- parts -------------------------------------------------------------------------------------

    def _owner_of(self, one: FakeCell) -> tuple[str, str, str] | None:
        return (one.hub_id, one.handle.instance, one.handle.uid) if one.hub_id else None

    def _owned(self, handle: CellHandle) -> FakeCell:
        found = self.engine.containers.get(handle.container)
        if found is None or self._owner_of(found) != self._mark(handle.cell):
            raise CellGone(
                f"the container {handle.container[:12]} of gateway {handle.instance} is not there any more", driver=NAME
            )
        return found


def _repository(reference: str) -> str:
    plain = reference.partition("@")[0]
    head, colon, tag = plain.rpartition(":")
    return head if colon and "/" not in tag else plain
