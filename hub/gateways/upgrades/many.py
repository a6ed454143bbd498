"""Upgrading many gateways: one job that begins the upgrades of single ones, a wave at a time.

Each upgrade is a job of its own. A hub that was killed finishes or undoes those that were under way, and begins no
other one: whoever asked decides anew.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hub.contract import InstancePhase, UpgradeGateways
from hub.core.instances import StoredInstance
from hub.core.model import Job, JobId, JobState
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotFound
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.upgrades.upgrading import Upgrading, target
from hub.gateways.upgrades.waves import next_wave
from hub.jobs import JobHandle, Work

KIND: Final = "gateway.upgrades"
LOOK_SECONDS: Final = 30.0


class AskedMany(msgspec.Struct, frozen=True):
    """What the row of a job keeps."""

    names: tuple[str, ...]


class Many:
    """Upgrades many instances as a rollout."""

    def __init__(self, room: InstanceRoom, upgrading: Upgrading) -> None:
        self._room = room
        self._upgrading = upgrading

    async def start(self, request: UpgradeGateways, by: str) -> Job:
        """Commit the rollout and start it.

        Raises:
            NotFound: an instance or the whole choice (code nothing_to_upgrade).
            BadRequest: the image or the version cannot be meant for one of them.
        """
        self._room.kernel.check_writable()
        chosen = self._chosen(request)
        for instance in chosen:
            target(instance, request.to)
        names = tuple(one.name for one in chosen)
        audit = self._room.kernel.audited(
            by, KIND, request.tier or "all", detail=f"{', '.join(names)} to {request.to.image or request.to.version}"
        )
        return await self._room.jobs.start(
            KIND, None, by, lambda job: self._roll(names, request, job), effects=[audit],
            request=msgspec.json.encode(AskedMany(names)).decode(), about=f"{len(names)} gateways",
        )  # fmt: skip

    def again(self, job: Job) -> Work:
        names = msgspec.json.decode(job.request, type=AskedMany).names

        async def work(_: JobHandle) -> dict[str, Any]:
            raise DriverFailed(
                f"the hub was stopped in the middle of upgrading {len(names)} gateways",
                code="interrupted",
                retryable=False,
                hint="Those under way were finished or undone; clawtui gateway list shows which image each has. "
                "Ask again for the others.",
            )

        return work

    def _chosen(self, request: UpgradeGateways) -> list[StoredInstance]:
        book = self._room.book
        if len(set(request.names)) != len(request.names):
            raise BadRequest("a gateway is named twice", field="names")
        found = [book.get(name) for name in request.names] if request.names else book.all()
        if request.tier:
            found = [one for one in found if one.tier == request.tier]
        ready = [one for one in found if request.names or one.phase is not InstancePhase.FAILED]
        if not ready:
            which = f" of the tier {request.tier}" if request.tier else ""
            raise NotFound(
                f"there is no gateway{which} to upgrade", code="nothing_to_upgrade", hint="clawtui gateway list"
            )
        return ready

    async def _roll(self, names: tuple[str, ...], request: UpgradeGateways, job: JobHandle) -> dict[str, Any]:
        running: dict[str, JobId] = {}
        results: dict[str, str] = {}
        stopped = ""
        while True:
            wave = next_wave(names, tuple(running), {name: not why for name, why in results.items()}, request.rollout)
            stopped = stopped or wave.stopped
            for name in () if stopped else wave.names:
                await self._begin(name, request, job.job.by, running, results)
            if not running and (stopped or len(results) == len(names)):
                break
            job.progress(len(results) / len(names), f"{len(results)} of {len(names)}; now {', '.join(running)}")
            await self._wait(running, results)
        return self._report(names, results, stopped)

    async def _begin(
        self, name: str, request: UpgradeGateways, by: str, running: dict[str, JobId], results: dict[str, str]
    ) -> None:
        try:
            running[name] = (await self._upgrading.upgrade(name, request.to, by)).id
        except HubError as exc:
            results[name] = exc.message

    async def _wait(self, running: dict[str, JobId], results: dict[str, str]) -> None:
        """Wait until at least one of them has ended."""
        if not running:
            return
        jobs = self._room.jobs
        try:
            await asyncio.wait_for(self._one_ended(list(running.values())), LOOK_SECONDS)
        except TimeoutError:
            return
        for name, job_id in list(running.items()):
            if jobs.running(job_id) is None:
                ended = await jobs.read(job_id)
                good = ended.state is JobState.SUCCEEDED
                results[name] = "" if good else ended.error.message if ended.error else ended.state.value
                del running[name]

    async def _one_ended(self, job_ids: list[JobId]) -> None:
        ended = asyncio.Event()

        async def one(job_id: JobId) -> None:
            while self._room.jobs.running(job_id) is not None:
                await self._room.jobs.wait_ended(job_id, LOOK_SECONDS)
            ended.set()

        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(one(job_id)) for job_id in job_ids]
            await ended.wait()
            for task in waiting:
                task.cancel()

    def _report(self, names: tuple[str, ...], results: dict[str, str], stopped: str) -> dict[str, Any]:
        failed = {name: why.partition("\n")[0] for name, why in results.items() if why}
        left = [name for name in names if name not in results]
        if stopped or (failed and len(failed) == len(names)):
            first = next(iter(failed.items()))
            raise Conflict(
                f"the rollout was stopped: {stopped or 'all failed'}; {len(results) - len(failed)} upgraded, "
                f"{len(failed)} undone, {len(left)} not begun. {first[0]}: {first[1]}",
                code="rollout_stopped",
                hint=f"not begun: {', '.join(left)}" if left else "clawtui gateway list",
            )
        return {"upgraded": [name for name in names if not results[name]], "failed": failed}
