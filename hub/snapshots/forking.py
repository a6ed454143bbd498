"""New agents from a snapshot: forks, and an agent that was destroyed. Each has its own identity and credential."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.core.effects import Save
from hub.core.model import Agent, AgentId, AgentUid, Job, JobState, Observed, Snapshot, SnapshotLine
from hub.core.names import check_agent_id
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotFound
from hub.jobs import JobHandle
from hub.snapshots.room import Room

KIND: Final = "fork"
AT_ONCE: Final = 4
"""Forks of one request that are made at the same time."""
MOST_FORKS: Final = 64
LONGEST_NAME: Final = 40
LOOK_SECONDS: Final = 30.0


class Request(msgspec.Struct, frozen=True):
    snapshot: str
    names: tuple[str, ...]


class Forking:
    """Makes agents from snapshots."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def make_again(self, snapshot: Snapshot, by: str) -> Job:
        """Start making an agent that was destroyed, under its own name: a new incarnation with an empty state."""
        audit = self._room.kernel.audited(
            by, "agent.restore", snapshot.agent_id, detail=f"{snapshot.name} ({snapshot.id}), made again"
        )
        return await self._make(snapshot, snapshot.agent_id, by, audit)

    async def _make(self, snapshot: Snapshot, name: str, by: str, *effects: Save) -> Job:
        room = self._room
        driver, _ = room.part(snapshot.driver)
        seed = await room.seed(snapshot)
        agent = self._agent(snapshot, check_agent_id(name))
        line = SnapshotLine(uid=agent.uid, agent_id=agent.id, parent=snapshot.id)
        return await room.acts.make(driver, agent, by, [Save(line), *effects], seed)

    def _agent(self, snapshot: Snapshot, agent_id: AgentId) -> Agent:
        kernel = self._room.kernel
        spec = msgspec.json.decode(snapshot.template.spec or "{}")
        spec["name"] = agent_id
        # Made by the driver, whoever made the one that was saved.
        spec.pop("composed", None)
        return replace(
            snapshot.template,
            id=agent_id,
            uid=AgentUid(kernel.clock.new_id("u")),
            created_at=kernel.now().wall_ms,
            observed=Observed.CREATING,
            spec=msgspec.json.encode(spec).decode(),
        )

    async def fork(self, snapshot: Snapshot, count: int, names: list[str], by: str) -> Job:
        """Commit a fork and start it. Raises BadRequest, Conflict for names that are taken."""
        room, kernel = self._room, self._room.kernel
        chosen = tuple(check_agent_id(name, "names") for name in names) or self._free_names(snapshot, count)
        if not 1 <= len(chosen) <= MOST_FORKS or (names and count not in (0, len(names))):
            raise BadRequest(f"a fork makes 1 to {MOST_FORKS} agents, one per name", field="count")
        if len(set(chosen)) != len(chosen):
            raise BadRequest("each fork needs a name of its own", field="names")
        for name in chosen:
            if name in kernel.fleet.agents:
                raise Conflict(f"there is an agent {name} already", code="agent_exists", hint="Choose another name.")
        await room.seed(snapshot)
        request = Request(snapshot.id, chosen)
        about = f"{snapshot.agent_id}:{snapshot.name}"
        audit = kernel.audited(by, "agent.fork", about, detail=", ".join(chosen))
        return await room.jobs.start(
            KIND, None, by, lambda job: self._fork(snapshot, chosen, by, job), effects=[audit],
            request=msgspec.json.encode(request).decode(), about=about,
        )  # fmt: skip

    def _free_names(self, snapshot: Snapshot, count: int) -> tuple[AgentId, ...]:
        if not 1 <= count <= MOST_FORKS:
            raise BadRequest(f"a fork makes 1 to {MOST_FORKS} agents", field="count")
        taken, names, number = self._room.kernel.fleet.agents, list[AgentId](), 1
        while len(names) < count:
            ending = f"-fork-{number}"
            name = AgentId(snapshot.agent_id[: LONGEST_NAME - len(ending)].rstrip("-") + ending)
            if name not in taken:
                names.append(name)
            number += 1
        return tuple(names)

    async def _fork(self, snapshot: Snapshot, names: tuple[AgentId, ...], by: str, job: JobHandle) -> dict[str, Any]:
        results: dict[str, dict[str, Any]] = {}
        room = asyncio.Semaphore(AT_ONCE)

        async def one(name: AgentId) -> None:
            async with room:
                results[name] = await self._fork_one(snapshot, name, by)
                job.progress(len(results) / len(names), f"{len(results)} of {len(names)} forks")

        job.progress(0.0, f"making {', '.join(names)}")
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
        return self._report(snapshot, [results[name] for name in names])

    async def _fork_one(self, snapshot: Snapshot, name: AgentId, by: str) -> dict[str, Any]:
        jobs = self._room.jobs
        try:
            child = await self._make(snapshot, name, by)
        except HubError as exc:
            return _failed(name, exc.message)
        try:
            while jobs.running(child.id) is not None:
                await jobs.wait_ended(child.id, LOOK_SECONDS)
        except asyncio.CancelledError:
            if jobs.running(child.id) is not None:
                jobs.cancel(child.id)
            raise
        return self._result(name, await jobs.read(child.id))

    def _result(self, name: str, job: Job) -> dict[str, Any]:
        if job.state is not JobState.SUCCEEDED:
            return _failed(name, job.error.message if job.error else job.state.value) | {"jobId": job.id}
        agent = self._room.kernel.fleet.agents.get(AgentId(name))
        return {"agentId": name, "uid": agent.uid if agent else None, "state": "online", "jobId": job.id}

    def _report(self, snapshot: Snapshot, forks: list[dict[str, Any]]) -> dict[str, Any]:
        failed = [fork for fork in forks if fork["state"] != "online"]
        if len(failed) == len(forks):
            raise DriverFailed(f"no fork could be made: {failed[0]['error']}", code="fork_failed")
        return {"snapshotId": snapshot.id, "forks": forks, "failed": len(failed)}

    async def resume(self, job: JobHandle) -> dict[str, Any]:
        """Say what became of the forks: each of them is finished or undone by its own job."""
        room = self._room
        try:
            request = msgspec.json.decode(job.job.request, type=Request)
        except msgspec.MsgspecError as exc:
            raise NotFound("this job's request cannot be read") from exc
        forks: list[dict[str, Any]] = []
        for name in request.names:
            await self._wait_made(AgentId(name))
            agent = room.kernel.fleet.agents.get(AgentId(name))
            line = await room.line(agent) if agent is not None else None
            if agent is None or line is None or line.parent != request.snapshot:
                forks.append(_failed(name, "the hub was stopped before it was made"))
            else:
                forks.append({"agentId": name, "uid": agent.uid, "state": "online"})
        snapshot = await room.kernel.registry.snapshot(request.snapshot)
        if snapshot is None or all(fork["state"] != "online" for fork in forks):
            raise DriverFailed("the fork was not finished; nothing of it is left", code="interrupted")
        return self._report(snapshot, forks)

    async def _wait_made(self, name: AgentId) -> None:
        jobs = self._room.jobs
        while (child := jobs.running_of(name, "create")) is not None:
            await jobs.wait_ended(child, LOOK_SECONDS)


def _failed(name: str, why: str) -> dict[str, Any]:
    return {"agentId": name, "uid": None, "state": "failed", "error": why}
