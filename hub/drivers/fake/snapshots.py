"""Saving fake agents: the archive is a real file, the rest is values in memory."""

from __future__ import annotations

import io
import os
import tarfile
from typing import Protocol

from hub.archives.pack import HashingFile
from hub.archives.unpack import check
from hub.archives.work import Meter, translated
from hub.core.model import AgentId, Consistency, Observed
from hub.drivers.base import AgentHandle, AgentPlan, Progress
from hub.drivers.fake.platform import FakeAgent, FakePlatform
from hub.drivers.fake.steps import Step
from hub.drivers.snapshots import WORKSPACE_ARCHIVE, Captured, CaptureOrder, Estimate, Seed, VolumeArchive
from hub.errors import Conflict, DriverFailed


class Life(Protocol):
    """What the driver does for snapshots."""

    def present(self, handle: AgentHandle) -> FakeAgent: ...

    def begin(self, agent: FakeAgent) -> None: ...

    async def step(self, step: Step, agent_id: AgentId) -> None: ...


class FakeSnapshots:
    """See `hub.drivers.snapshots.Snapshotter`."""

    def __init__(self, life: Life, platform: FakePlatform) -> None:
        self._life = life
        self._platform = platform

    async def estimate(self, handle: AgentHandle) -> Estimate:
        agent = self._life.present(handle)
        await self._life.step(Step.ESTIMATE, agent.plan.agent_id)
        return Estimate(sum(map(len, agent.files.values())), 1_000)

    async def capture(self, handle: AgentHandle, order: CaptureOrder, progress: Progress) -> Captured:
        agent = self._life.present(handle)
        before = agent.state
        clean = order.consistency is Consistency.CLEAN or before is Observed.EXITED
        if before is Observed.RUNNING:
            agent.state = Observed.EXITED if clean else Observed.PAUSED
        try:
            await self._life.step(Step.CAPTURE, agent.plan.agent_id)
            target = HashingFile(order.folder / WORKSPACE_ARCHIVE)
            try:
                target.write(_archive(agent.files))
                target.sync()
            except OSError as exc:
                target.abandon()
                raise translated(exc) from exc
            self._platform.images.add(order.snapshot_id)
        finally:
            if before is Observed.RUNNING and clean:
                self._life.begin(agent)
            agent.state = before
        progress(1.0, "saved")
        archive = VolumeArchive("workspace", "/workspace", WORKSPACE_ARCHIVE, target.sha256, target.tell())
        return Captured(
            volumes=(archive,),
            consistency=Consistency.CLEAN if clean else Consistency.CRASH,
            image=f"fake:{order.snapshot_id}",
            image_id=order.snapshot_id,
            image_bytes=1_000,
            base_image="fake:base",
        )

    async def discard(self, snapshot_id: str) -> None:
        await self._life.step(Step.DISCARD, AgentId(""))
        self._platform.images.discard(snapshot_id)

    async def prepare(
        self, handle: AgentHandle, plan: AgentPlan, seed: Seed, generation: int, progress: Progress
    ) -> None:
        agent = self._life.present(handle)
        await self._life.step(Step.PREPARE, agent.plan.agent_id)
        agent.aside[generation] = read_files(seed)

    async def active(self, handle: AgentHandle) -> int:
        return self._life.present(handle).generation

    async def activate(
        self, handle: AgentHandle, plan: AgentPlan, generation: int, grace_seconds: float, *, run: bool
    ) -> None:
        agent = self._life.present(handle)
        await self._life.step(Step.ACTIVATE, agent.plan.agent_id)
        if agent.generation != generation:
            if generation not in agent.aside:
                raise DriverFailed(f"there is no generation {generation}", retryable=False)
            agent.state = Observed.EXITED
            agent.aside[agent.generation] = agent.files
            agent.files = agent.aside.pop(generation)
            agent.generation = generation
        if run and agent.state is not Observed.RUNNING:
            self._life.begin(agent)
        self._platform.changed()

    async def drop(self, handle: AgentHandle, generation: int) -> None:
        agent = self._life.present(handle)
        await self._life.step(Step.DROP, agent.plan.agent_id)
        if agent.generation == generation:
            raise Conflict(f"generation {generation} is the active one")
        agent.aside.pop(generation, None)

    async def sweep(self) -> None:
        """There are no helpers."""


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(files, key=os.fsencode):
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(files[name])
            tar.addfile(info, io.BytesIO(files[name]))
    return buffer.getvalue()


def read_files(seed: Seed) -> dict[str, bytes]:
    """Return the workspace of a seed. Raises DriverFailed when it is damaged."""
    check(Meter(), seed.archive, seed.sha256)
    with tarfile.open(seed.archive) as tar:
        contents = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar.getmembers()}
        return {name: content.read() for name, content in contents.items() if content is not None}
