"""The kernel: the pure fleet, the pipeline that carries out its effects, and the clock.

Everything in the hub that decides goes through here: call a method of `fleet` with `now()`, then
`push` the effects (nobody waits) or `commit` them (an answer waits). After a failed commit the
fleet is thrown away and built anew from the registry; that is the same path as a start. A decision
that broke, by an exception that none raises on purpose, is treated in the same way.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

import structlog

from hub import audit
from hub.clock import Clock, JumpWatch
from hub.config import HubConfig
from hub.connections.table import LinkTable
from hub.core.book import DispatchLimits
from hub.core.effects import Close, Delete, Effect, Kind, Publish, Save, Send
from hub.core.fleet import Fleet, FleetLimits, Stored
from hub.core.model import TERMINAL, Job, Now, Task, TaskId, TaskState, attempt_id
from hub.errors import DecisionFailed, HubError, NotFound, StorageFull, Unavailable
from hub.feed import Feed
from hub.metrics import Metrics
from hub.notices import Notices
from hub.output import OutputStore
from hub.pipeline import Pipeline
from hub.registry.load import Snapshot
from hub.registry.store import Registry
from hub.surviving import surviving
from runtime.wire import GoawayReason

PROBE_SECONDS = 1.0
"""How often a registry that refused a write is tried again."""
MAX_SLEEP_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0
"""What breaks every time is tried no oftener: a deadline's decision costs all connections each time."""
RETRY_AFTER_MS = 5_000
CLOSE_RESTART = 1012

log = structlog.get_logger("hub.kernel")


class Kernel:
    """Owner of the fleet. One event loop, one pipeline."""

    def __init__(
        self,
        config: HubConfig,
        clock: Clock,
        registry: Registry,
        output: OutputStore,
        feed: Feed,
        metrics: Metrics,
    ) -> None:
        self.config = config
        self.clock = clock
        self.registry = registry
        self.output = output
        self.feed = feed
        self.metrics = metrics
        self.links = LinkTable(clock, metrics)
        self.notices = Notices()
        self._jumps = JumpWatch(clock.now())
        self.fleet = Fleet(self._limits(), self._broke)
        self.draining = False
        """The hub stops: no agent is let in any more."""
        self.unfinished_jobs: list[Job] = []
        self.on_recovered: Callable[[], Awaitable[None]] | None = None
        """Called after a rebuild, with `unfinished_jobs` as the registry has them."""
        self._pipeline = Pipeline(registry, self._perform, self._on_failure, metrics.commit)
        self._rebuild = asyncio.Event()
        self._rearm = asyncio.Event()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._stopping = False

    @property
    def writable(self) -> bool:
        """False between a failed commit, or a decision that broke, and the recovery from it."""
        return self._pipeline.failed is None

    @property
    def trouble(self) -> str:
        """Why it is not writable now; empty when it is."""
        failed = self._pipeline.failed
        return f"nothing can be changed now: {failed.message}" if failed is not None else ""

    def now(self) -> Now:
        return self.clock.now()

    async def restore(self) -> None:
        """Build the fleet from the registry. Called at the start and after a failed commit."""
        snapshot = await self.registry.load()
        fleet = Fleet(self._limits(), self._broke)
        effects = fleet.restore(_stored(snapshot), self.now())
        self.fleet = fleet
        self.unfinished_jobs = snapshot.jobs
        self._pipeline.reopen()
        self.push(effects)

    # --- effects

    def push(self, effects: Sequence[Effect]) -> None:
        """Have effects carried out; nobody waits for them."""
        self._pipeline.push(effects)
        self._rearm.set()

    async def commit(self, effects: Sequence[Effect]) -> None:
        """Have effects carried out and wait for their commit. Raises StorageFull, Unavailable."""
        self._rearm.set()
        await self._pipeline.commit(effects)

    async def settle(self) -> None:
        """Wait until everything decided so far is committed."""
        await self._pipeline.settle()

    async def wait_settled(self) -> None:
        """Wait until everything decided so far is committed, or was thrown away by a rebuild, however long
        the registry does not write. Raises Unavailable when the hub stops."""
        while True:
            try:
                return await self.settle()
            except HubError as exc:
                if self._stopping or exc.code == "stopping":
                    raise
                await self._healthy.wait()

    def check_writable(self) -> None:
        """Raises StorageFull or Unavailable at once, before anything is decided that could not be kept."""
        if (failed := self._pipeline.failed) is not None:
            raise failed

    def audited(self, who: str, what: str, target: str, outcome: str = "ok", detail: str = "") -> Save:
        """The effect that puts an act into the audit, redacted."""
        return Save(audit.entry(self.now().wall_ms, who, what, target, outcome, detail))

    def _perform(self, effect: Effect) -> None:
        try:
            self._carry_out(effect)
        except Exception as exc:  # noqa: BLE001 - told to everybody who can do something about it
            self._broke(exc)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send():
                self.links.send(effect)
            case Close():
                self.links.close(effect)
            case Publish():
                self.feed.publish(effect.kind, effect.id, effect.gone, agent=effect.agent)
            case Save(record=Task() as task, overlay=False):
                self._task_saved(task)
            case Save() | Delete():
                return
            case _:
                assert_never(effect)

    def _task_saved(self, task: Task) -> None:
        """Count ends, and tell those who wait for output that will not come any more."""
        if task.state in TERMINAL:
            self.metrics.task_ended(task.state)
            self.output.finish(task.attempt_id)
        elif task.attempt > 1 and task.state is TaskState.QUEUED:
            self.output.finish(attempt_id(task.id, task.attempt - 1))

    # --- loops

    async def run_pipeline(self) -> None:
        await self._pipeline.run()

    async def run_clock(self) -> None:
        """Tell the fleet the time whenever one of its deadlines has come."""
        broken = 0
        while not self._stopping:
            deadline = self.fleet.next_deadline()
            self._rearm.clear()
            wait = MAX_SLEEP_SECONDS
            if deadline is not None:
                wait = min(wait, max(0.0, deadline - self.now().mono))
            await self._wait(self._rearm, wait)
            self._look_at_clocks()
            # A rearm comes with every decision; the fleet is asked only when something is due.
            deadline = self.fleet.next_deadline()
            if deadline is None or deadline > self.now().mono:
                continue
            try:
                self.push(self.fleet.tick(self.now()))
                broken = 0
            except DecisionFailed:
                broken += 1
                await asyncio.sleep(_longer(broken))

    def _look_at_clocks(self) -> None:
        """Say so when the wall clock jumped: times that people see do not fit together across it."""
        now = self.now()
        if (jump := self._jumps.look(now)) is not None:
            log.warning("wall_clock_jumped", seconds=round(jump.seconds, 3))
            self.metrics.clock_jumped()
            self.notices.say("clock", str(jump), now)

    async def run_recovery(self) -> None:
        """After a failed commit or a broken decision: wait until the registry writes again, then rebuild."""
        broken = 0
        while True:
            await self._rebuild.wait()
            if self._stopping:
                return
            # Cleared before and not after: what fails meanwhile asks for another rebuild.
            self._rebuild.clear()
            recovered, broken = False, broken + 1
            with surviving(self.notices, self.now, "recovery_broken", "the hub cannot rebuild its state"):
                recovered = await self._try_recover()
                broken = 0
            if broken:
                # Half rebuilt, and agents may have come to it already.
                self._start_over()
            if not recovered:
                self._rebuild.set()
                await asyncio.sleep(_longer(broken))

    def stop(self) -> None:
        """End the loops after everything that was decided has been committed."""
        self._stopping = True
        self._rearm.set()
        self._rebuild.set()
        self._healthy.set()
        self._pipeline.stop()

    async def _try_recover(self) -> bool:
        if self._stopping:
            return True
        # What was decided before a decision broke is sound, and must be in the registry before that is read.
        await self._pipeline.wait_idle()
        try:
            await self.registry.probe()
            await self.restore()
            if self.on_recovered is not None:
                await self.on_recovered()
        except HubError as exc:
            log.warning("not_recovered", error=exc.message)
            return False
        log.info("recovered")
        self._healthy.set()
        self.feed.announce_gap()
        return True

    def _on_failure(self, error: HubError) -> None:
        """Memory is ahead of the disk: send every agent away and rebuild."""
        log.error("commit_failed", error=error.message)
        self.metrics.commit_failed()
        self._start_over()

    def _broke(self, exc: Exception) -> HubError:
        """A decision broke, or what it decided cannot be carried out: memory is not to be trusted any more.

        Returns what whoever asked for it is told.
        """
        error_id = self.clock.new_id("e")
        # Written out here, because a logger that adds local variables would put tokens into the log.
        log.error("decision_failed", error_id=error_id, traceback="".join(traceback.format_exception(exc)))
        self.metrics.decision_failed()
        self.notices.say(
            "decision", f"internal error {error_id}: the hub rebuilt its state; its log has why", self.now()
        )
        self._pipeline.break_off(_rebuilding)
        self._start_over()
        return DecisionFailed.of(error_id)

    def _start_over(self) -> None:
        self._healthy.clear()
        self.links.close_all(GoawayReason.OVERLOADED, RETRY_AFTER_MS, CLOSE_RESTART)
        self.links.forget_all()
        self._rebuild.set()

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    def _limits(self) -> FleetLimits:
        timing, limits = self.config.timing, self.config.limits
        return FleetLimits(
            dispatch=DispatchLimits(
                queue_tasks=limits.queue_tasks,
                queue_bytes=limits.queue_bytes,
                lost_after_seconds=timing.lost_after_seconds,
                cancel_grace_ms=int(timing.cancel_grace_seconds * 1000),
            ),
            stale_after_seconds=timing.stale_after_seconds,
            queued_messages=limits.queued_messages,
        )

    # --- waiting for what others decide

    async def wait_task_ended(self, task_id: str, seconds: float) -> None:
        """Wait until a task is no longer open and its end is committed, at most `seconds`.

        An end that cannot be committed, because the disk is full or the hub starts over, is not waited for.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.is_open(task_id):
                    await self.feed.wait_for(Kind.TASK, task_id)
        except TimeoutError:
            return
        try:
            await self.settle()
        except (StorageFull, Unavailable):
            # A read: what was committed is there, and is the truth.
            return

    def is_open(self, task_id: str) -> bool:
        """True while the task has not ended, as far as decisions go."""
        task = self.fleet.dispatcher.book.tasks.get(TaskId(task_id))
        return task is not None and task.state is not TaskState.LOST

    async def read_task(self, task_id: str) -> Task:
        """Return the committed task. Raises NotFound."""
        task = await self.registry.task(task_id)
        if task is None:
            raise NotFound(f"there is no task {task_id[:64]}", hint="clawtui tasks list")
        return task


def _longer(broken: int) -> float:
    """Return the seconds before what broke so often in a row is tried again."""
    # A power without a bound would itself break, once something has not worked for a day.
    return min(MAX_PAUSE_SECONDS, PROBE_SECONDS * 2.0 ** min(broken, 16))


def _rebuilding() -> Unavailable:
    return Unavailable(
        "the hub rebuilds its state after an internal error", code="rebuilding", retry_after_seconds=PROBE_SECONDS
    )


def _stored(snapshot: Snapshot) -> Stored:
    return Stored(
        agents=snapshot.agents,
        tasks=snapshot.open_tasks,
        dispatches=snapshot.dispatches,
        tokens=snapshot.tokens,
        policies=snapshot.policies,
        messages=snapshot.messages,
        next_task_seq=snapshot.next_task_seq,
    )
