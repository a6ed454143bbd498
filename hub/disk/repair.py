"""Putting the ownership of an agent's workspace right, as a job."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hub.acts import Acts
from hub.core.model import Agent, Job
from hub.drivers.base import AgentHandle
from hub.drivers.upkeep import Repairs
from hub.driverset import DriverSet
from hub.errors import DriverFailed, NotAvailable
from hub.jobs import JobHandle, Jobs, Work
from hub.kernel import Kernel

KIND: Final = "repair"


class Request(msgspec.Struct, frozen=True):
    everything: bool = False


class Repair:
    """Starts repairs. Repeating one is harmless, so one that a stopped hub left is done again."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, acts: Acts) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._jobs = jobs
        self._acts = acts

    async def start(self, agent_id: str, *, everything: bool, by: str) -> Job:
        """Raises NotFound, Conflict for an agent that no driver made, NotAvailable."""
        agent = self._kernel.fleet.agent(agent_id)
        self._part(agent)
        request = Request(everything)
        audit = self._kernel.audited(by, "agent.repair", agent.id, detail="everybody's files" if everything else "")
        return await self._jobs.start(
            KIND, agent.id, by, lambda job: self._repair(agent, request, job), effects=[audit],
            request=msgspec.json.encode(request).decode(),
        )  # fmt: skip

    def resume(self, job: Job) -> Work:
        async def again(handle: JobHandle) -> dict[str, Any]:
            agent = self._kernel.fleet.agent(job.agent_id or "")
            return await self._repair(agent, msgspec.json.decode(job.request, type=Request), handle)

        return again

    def _part(self, agent: Agent) -> tuple[Repairs, AgentHandle]:
        driver, handle = self._acts.driver_of(agent)
        if driver.repairs is None:
            raise NotAvailable(f"driver {driver.name} cannot repair workspaces", driver=driver.name)
        return driver.repairs, handle

    async def _repair(self, agent: Agent, request: Request, job: JobHandle) -> dict[str, Any]:
        repairs, handle = self._part(agent)
        # The agent goes on; nobody destroys or restores it meanwhile.
        async with self._acts.hold(agent.uid):
            self._acts.present(agent.id, agent.uid)
            done = await repairs.repair(handle.ref, everything=request.everything, progress=job.progress)
        if done.left:
            raise DriverFailed(
                f"{done.left} of {done.seen} files keep their owner: {done.first}; {done.changed} were given back",
                code="not_repaired",
                hint="A process agent's files belong to the hub's user: sudo chown -h USER FILE changes one.",
                retryable=False,
                agent=agent.id,
            )
        return {"agentId": agent.id, "files": done.seen, "changed": done.changed}
