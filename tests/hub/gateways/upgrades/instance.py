"""A hub that runs a gateway on an engine in memory, with a real HTTP port in front of it, and ways to kill that hub."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from hub.config import Timing
from hub.contract import InstancePhase, JobView, ProvisionGateway, UpgradeGateway
from hub.core.instances import StoredInstance
from hub.drivers.fake import FakeDriver, FakePlatform
from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.cells_engine import Answer, Behaviour, CellStep, FakeCell, FakeEngine
from tests.hub.running import RunningHub, running_hub, short_folder

NAME = "acme"
CONTAINER = f"openclaw-cell-{NAME}"
OLD, NEW = "ghcr.io/openclaw/openclaw:2026.8.2", "ghcr.io/openclaw/openclaw:2026.9.6"
TALK = {"agents/main/agent/openclaw-agent.sqlite": b"what was said", "state/one": b"1"}
QUICK = Timing(
    drain_seconds=1.0, instance_ready_seconds=2.0, instance_poll_seconds=0.02, instance_steady_seconds=0.06,
    gateway_seconds=3600.0,
)  # fmt: skip
_READY = b'{"ready":true,"failing":[]}'
_PAGE = b"<!doctype html><title>OpenClaw</title>"


class Port:
    """Answers at a port of this machine as the engine says."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            # Somebody looked whether the port is free.
            writer.close()
            return
        path = request.split(b" ")[1].decode()
        answer = self.engine.probe(self.number) if path == "/readyz" else self._state()
        if answer is Answer.HANG:
            await reader.read()
        elif answer is not Answer.REFUSED:
            status, kind, body = _answer(path, answer)
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    def _state(self) -> Answer:
        """As the last look found it, without counting as one."""
        for one in self.engine.containers.values():
            if one.state == "running" and any(port.port == self.number for port in one.plan.ports):
                return one.behaviour.answer if one.looks > one.behaviour.ready_after else Answer.LIVE
        return Answer.REFUSED


def _answer(path: str, answer: Answer) -> tuple[str, str, bytes]:
    if answer is Answer.HTML:
        return "200 OK", "text/html", _PAGE
    if path == "/readyz" and answer is Answer.LIVE:
        return "503 Service Unavailable", "application/json", b'{"ready":false,"failing":["startup-sidecars"]}'
    bodies = {
        "/readyz": _READY,
        "/healthz": b'{"ok":true,"status":"live"}',
        "/startupz": b'{"ok":true,"status":"started","version":"2026.9.6"}',
        "/v1/models": b'{"data":[{"id":"openclaw/main"}]}',
    }
    found = bodies.get(path)
    return ("200 OK", "application/json", found) if found else ("404 Not Found", "application/json", b"{}")


class Run:
    """One hub over an engine. The engine, the state folder and the port outlive it."""

    def __init__(self, hub: RunningHub, engine: FakeEngine) -> None:
        self.hub = hub
        self.engine = engine

    @property
    def instance(self) -> StoredInstance:
        return self.hub.hub.running.instances.room.book.get(NAME)

    @property
    def shared(self) -> Path:
        return self.hub.hub.running.instances.room.folders.paths(NAME).shared

    @property
    def folder(self) -> Path:
        return self.hub.hub.running.instances.room.folders.paths(NAME).folder

    def state(self) -> dict[str, bytes]:
        """What is in the volume that serves."""
        return self.engine.volumes[self.instance.volumes[0]].files

    def serving(self) -> FakeCell:
        return self.engine.cell(CONTAINER)

    def running(self) -> list[str]:
        return sorted(one.name for one in self.engine.containers.values() if one.state == "running")

    async def upgrade(self, image: str = NEW) -> JobView:
        job = await self.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=image))
        return await self.hub.job(job.id)

    async def rollback(self) -> JobView:
        return await self.hub.job((await self.hub.control.roll_back_gateway(NAME)).id)

    async def idle(self) -> StoredInstance:
        """Wait until no job works on the instance."""
        await self.hub.until(lambda: not self.instance.busy, "the instance is idle")
        return self.instance


class World:
    """What outlives a hub: an engine, a folder, a port."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine()
        self.folder = folder
        self.port = Port(self.engine)

    @contextlib.asynccontextmanager
    async def hub(self, **more: Any) -> AsyncIterator[Run]:
        engine = self.engine

        def drivers(reach: Any) -> list[Any]:
            return [FakeDriver(reach.hub_id, FakePlatform(), cells=FakeCells(reach.hub_id, engine))]

        async with running_hub(self.folder, drivers=drivers, timing=QUICK, **more) as hub:
            yield Run(hub, engine)

    def freeze(self) -> World:
        """What a kill at this moment leaves: copies, so that what the hub does from here on does not count."""
        folder = self.folder.with_name(f"{self.folder.name}k")
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.sock", "hub.json", "*.lock"))
        other = World(folder)
        before, self.engine.before = self.engine.before, None
        other.engine = copy.deepcopy(self.engine)
        self.engine.before = before
        other.port = self.port
        return other

    def take_over(self) -> None:
        """From now on the port answers for this engine."""
        self.port.engine = self.engine


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    with short_folder() as folder:
        made = World(folder / "s")
        server = await asyncio.start_server(made.port.serve, "127.0.0.1", 0)
        made.port.number = server.sockets[0].getsockname()[1]
        made.engine.offer(OLD)
        made.engine.offer(NEW)
        async with server:
            yield made


async def provision(run: Run, port: int, name: str = NAME, **more: Any) -> None:
    """Make the gateway, with a conversation in its state and a file in its workspace."""
    request = ProvisionGateway(name=name, tier="pro", image_kind="official", image=OLD, **more)
    room = run.hub.hub.running.instances.room
    # The test's own server listens at the port, which a hub would not give out.
    job, _ = await run.hub.hub.running.instances.provisioning.start(request, "test")
    room.book.expect(at(room.book.get(name), port))
    ended = await run.hub.job(job.id)
    assert ended.state == "succeeded", ended
    run.engine.volumes[room.book.get(name).volumes[0]].files.update(TALK)
    workspace = room.folders.paths(name).workspaces / "main"
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / "MEMORY.md").write_text("as it was\n")


def at(instance: StoredInstance, port: int) -> StoredInstance:
    """Return it at another port."""
    return replace(instance, port=port)


def breaks_at(world: World, step: CellStep, nth: int) -> asyncio.Event:
    """Make the engine hang for ever at the nth call of a step; the event is set when it does."""
    reached, counted = asyncio.Event(), 0

    async def before(now: CellStep, name: str) -> None:
        nonlocal counted
        if now is step:
            counted += 1
            if counted == nth:
                reached.set()
                await asyncio.Event().wait()

    world.engine.before = before
    return reached


def unchanged(run: Run) -> None:
    """Everything of the old version is as it was, and nothing of another one is left."""
    instance = run.instance
    assert (instance.image, instance.phase, instance.change) == (OLD, InstancePhase.RUNNING, None)
    assert run.running() == [CONTAINER]
    assert run.serving().plan.image == OLD
    assert {name: run.state()[name] for name in TALK} == TALK
    assert (run.shared / "agents/main/MEMORY.md").read_text() == "as it was\n"
    assert list(run.engine.volumes) == list(instance.volumes)
    assert len(run.engine.containers) == 1


BROKEN = {
    "exit 78": Behaviour(exit_code=78, log=("[gateway] existing config is invalid",)),
    "killed for memory": Behaviour(oom_killed=True),
    "answers pages": Behaviour(answer=Answer.HTML),
    "never ready": Behaviour(ready_after=1_000_000),
    "ends again and again": Behaviour(exit_code=1),
    "cannot be started": Behaviour(start_error="no such file: openclaw"),
}
