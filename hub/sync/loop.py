"""The one owner of a gateway's files: runs when it is time, when something changed and when somebody asks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from hub.contract import PersonaSync, SyncReport
from hub.core.effects import Kind
from hub.drivers.containers import Containers
from hub.errors import Conflict, HubError, NotFound, Unavailable
from hub.gateways.book import Gateway
from hub.kernel import Kernel
from hub.surviving import surviving
from hub.sync.built import Built
from hub.sync.changes import Changes
from hub.sync.commands import Outcome, Validator
from hub.sync.container import GatewayContainer
from hub.sync.policy import Cause, Look, Rules, Timer, begun, changed, due_at, ran
from hub.sync.prover import NEVER, Prover
from hub.sync.runner import Ran, Runner, Wish
from hub.sync.state import State, report_view, with_problem, with_proof, with_report
from profiles.sync.errors import SyncError
from profiles.sync.report import Report

BROKEN_SECONDS: Final = 5.0
"""Between two tries of something that broke by a defect."""
MOST_EVENTS: Final = 50
"""When more personas change at once, one event for the gateway stands for all."""

log = structlog.get_logger("hub.sync")
T = TypeVar("T")
Command = Callable[[Sequence[str]], Awaitable[Outcome]]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop needs of the hub. `look`: at a gateway, None when it has no address. `build`: blocks, and raises
    SyncError. `containers`: of the hub's engine, None where it has none."""

    kernel: Kernel
    build: Callable[[Gateway], Built]
    look: Callable[[Gateway], Awaitable[Look | None]]
    changes: Changes
    validator: Validator
    command: Command
    rules: Rules = Rules()
    containers: Containers | None = None


class TargetLoop:
    """The sync of one gateway. `first_run` is set after the first run, however it ended."""

    def __init__(self, gateway: Gateway, needs: Needs) -> None:
        assert gateway.sync is not None
        self.gateway = gateway
        self.first_run = asyncio.Event()
        self._needs = needs
        self._kernel = needs.kernel
        self._interval = float(gateway.sync.interval_seconds)
        self._container = GatewayContainer(gateway.sync.container, needs.containers)
        self._runner = Runner(
            lambda: needs.build(gateway), needs.validator, lambda: self._kernel.now().wall_ms, self._container
        )
        self._prover = Prover(gateway.name, self._see, self._restart, needs.rules, self._mono)
        self._timer = Timer(tick_at=self._mono())
        self._wake = asyncio.Event()
        self._requests: deque[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = deque()
        self._closed = False
        self._fingerprint = ""
        """Of what the config was made of at the last run."""
        self._trouble: SyncError | None = None
        """Of the last run, when it could do nothing."""
        self.state = State(
            gateway=gateway.name,
            source=gateway.sync.source,
            workspace_root=gateway.sync.workspace_root,
            config_path=gateway.sync.config_path,
        )

    # --- for the desk

    @property
    def idle(self) -> bool:
        """No change waits for a run."""
        return self._timer.first_change is None

    @property
    def settled(self) -> bool:
        """No look at the gateway is due before the next run."""
        return self._prover.next_look == NEVER

    def poke(self) -> None:
        """Something changed that the personas or their files are made of."""
        self._timer = changed(self._timer, self._mono())
        self._wake.set()

    def again(self) -> None:
        """Somebody wants it tried once more: what did not work before says nothing any more."""
        self._prover.forget()
        self.poke()

    def hurry(self) -> None:
        """Look at the gateway soon, if it has not taken its config yet."""
        self._prover.hurry()
        self._wake.set()

    async def run_now(self, wish: Wish) -> SyncReport:
        """Run after what runs now, and look for a while whether the gateway takes it."""
        return await self._ask(lambda: self._asked(wish))

    async def resolve(self, slug: str, wish: Wish) -> PersonaSync:
        """Run with decisions. Raises Conflict when the run failed as a whole."""

        async def work() -> PersonaSync:
            report = await self._asked(wish)
            persona = self.state.personas.get(slug)
            if persona is None:
                raise Conflict(report.problem or f"there is no persona {slug} any more", code="sync_failed")
            if self._trouble is not None:
                raise conflict(self._trouble)
            return persona.view

        return await self._ask(work)

    @property
    def runner(self) -> Runner:
        """For reading; what changes files goes through the loop."""
        return self._runner

    def persona(self, slug: str) -> PersonaSync:
        """Raises NotFound."""
        found = self.state.personas.get(slug)
        if found is None:
            there = ", ".join(sorted(self.state.personas)[:10]) or "no persona"
            raise NotFound(
                f"gateway {self.gateway.name} has no persona {slug[:64]!r}",
                code="unknown_persona",
                hint=f"there is {there}; clawtui sync status {self.gateway.name}",
            )
        return found.view

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                sound = False
                with surviving(self._kernel.notices, self._kernel.now, "sync_broken", self._harm()):
                    await self._turn()
                    sound = True
                self.first_run.set()
                await (self._sleep() if sound else asyncio.sleep(BROKEN_SECONDS))
        finally:
            self.close()

    # --- turns

    def _harm(self) -> str:
        return f"the files of gateway {self.gateway.name} are not kept in step"

    def _mono(self) -> float:
        return self._kernel.now().mono

    async def _sleep(self) -> None:
        due = min(due_at(self._timer, self._needs.rules), self._prover.next_look)
        if self._requests or due <= self._mono():
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(due - self._mono()):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _turn(self) -> None:
        now = self._mono()
        if self._requests:
            await self._serve(*self._requests.popleft())
        elif due_at(self._timer, self._needs.rules) <= now:
            changes = self._timer.first_change is not None
            first = not self.first_run.is_set()
            await self._run(Cause.START if first else Cause.CHANGE if changes else Cause.TICK, Wish())
        elif self._prover.next_look <= now:
            await self._look()

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have something done in the loop's own task: whoever asks may go away in the middle."""
        if self._closed:
            raise self._over()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieved)
        self._requests.append((work, future))
        self._wake.set()
        return await asyncio.shield(future)

    async def _serve(self, work: Callable[[], Awaitable[Any]], future: asyncio.Future[Any]) -> None:
        try:
            future.set_result(await work())
        except HubError as exc:
            future.set_exception(exc)
        except SyncError as exc:
            future.set_exception(conflict(exc))
        except asyncio.CancelledError:
            future.set_exception(self._over())
            raise
        except BaseException:
            future.set_exception(Unavailable("the sync broke off; the hub's log has why", code="sync_broken"))
            raise

    def close(self) -> None:
        """Take no more requests and tell those who wait; also of a loop that never began to run."""
        self._closed = True
        self.first_run.set()
        while self._requests:
            self._requests.popleft()[1].set_exception(self._over())
        self._needs.changes.drop(self.gateway.name)

    def _over(self) -> Conflict:
        return Conflict(f"the sync of gateway {self.gateway.name} was ended or set anew", code="sync_ended")

    # --- running

    async def _asked(self, wish: Wish) -> SyncReport:
        until = self._mono() + self._needs.rules.answer_seconds
        report = await self._run(Cause.ASKED, wish)
        while not wish.dry_run and self._prover.next_look < until:
            await asyncio.sleep(max(0.0, self._prover.next_look - self._mono()))
            await self._look()
        return report

    async def _run(self, cause: Cause, wish: Wish) -> SyncReport:
        restarts, self._trouble = self._prover.restarts_made, None
        if not wish.dry_run:
            self._timer = begun(self._timer, self._mono(), self._interval)
            self._show(msgspec.structs.replace(self.state, running=True))
        try:
            look = await self._see()
            done = await self._runner.run(look, wish, self._prover.held, unproven=self._prover.unproven)
        except SyncError as exc:
            self._trouble = exc
            return self._failed(exc, cause, wish)
        except Exception:
            self._failed(SyncError("internal error: the last run broke off; the hub's log has why"), cause, wish)
            raise
        finally:
            self._show(msgspec.structs.replace(self.state, running=False))
        if wish.dry_run:
            return report_view(self.gateway.name, done.report, dry_run=True, restarted=False, problem=_said(done))
        self._needs.changes.aim(self.gateway.name, done.aim, self.poke)
        rewrote = done.report.config_changed and done.fingerprint == self._fingerprint
        self._timer = ran(self._timer, cause, self._mono(), rewrote=rewrote)
        self._fingerprint = done.fingerprint
        await self._prover.begin(done, look)
        self._ran(done)
        restarted = self._prover.restarts_made > restarts
        return report_view(
            self.gateway.name, done.report, dry_run=False, restarted=restarted, problem=self.state.problem
        )

    async def _look(self) -> None:
        await self._prover.look()
        now_ms = self._kernel.now().wall_ms
        held = self._prover.held
        state = with_proof(self.state, self._prover.proof, now_ms)
        if held is not None:
            state = with_problem(state, held.why, held.hint, now_ms)
        self._show(self._proven(state, now_ms))

    async def _see(self) -> Look | None:
        return await self._needs.look(self.gateway)

    def _ran(self, done: Ran) -> None:
        report, held, now_ms = done.report, self._prover.held, self._kernel.now().wall_ms
        problem, hint = _said(done), done.hint
        if report.config_problem:
            problem, hint = report.config_problem, report.config_hint
        if held is not None:
            problem, hint = held.why, held.hint
        state = with_report(self.state, report, self._prover.proof, now_ms)
        state = with_problem(state, problem, hint, now_ms)
        state = msgspec.structs.replace(
            state,
            last_run_ms=now_ms,
            last_ok_ms=state.last_ok_ms if problem else now_ms,
            next_run_ms=now_ms + round(self._interval * 1000),
            archived=(*report.archived, *(one for one in state.archived if one not in report.archived))[:MOST_EVENTS],
            seconds=report.seconds,
        )
        self._log(report, problem)
        self._kernel.metrics.sync_ran(not problem, self.gateway.name, report.seconds)
        self._show(self._proven(state, now_ms))

    def _failed(self, error: SyncError, cause: Cause, wish: Wish) -> SyncReport:
        problem = error.message
        if not wish.dry_run:
            now_ms = self._kernel.now().wall_ms
            self._timer = ran(self._timer, cause, self._mono(), rewrote=False)
            state = with_problem(self.state, problem, error.hint, now_ms)
            next_ms = now_ms + round(self._interval * 1000)
            self._show(msgspec.structs.replace(state, last_run_ms=now_ms, next_run_ms=next_ms))
            self._kernel.metrics.sync_ran(False, self.gateway.name, 0.0)
            log.warning("sync_failed", gateway=self.gateway.name, problem=problem)
        return report_view(
            self.gateway.name, Report(personas=()), dry_run=wish.dry_run, restarted=False, problem=problem
        )

    async def _restart(self, built: Built) -> Outcome:
        if built.restart_command:
            return await self._needs.command(built.restart_command)
        return await self._container.restart()

    def _proven(self, state: State, now_ms: int) -> State:
        verified = now_ms if self._prover.proven else state.verified_ms
        return msgspec.structs.replace(state, proof=self._prover.words, verified_ms=verified)

    def _log(self, report: Report, problem: str) -> None:
        if report.written or report.config_changed or report.archived:
            log.info(
                "synced", gateway=self.gateway.name, written=report.written, config_changed=report.config_changed,
                archived=list(report.archived), seconds=round(report.seconds, 3),
            )  # fmt: skip
        if problem and problem != self.state.problem:
            log.warning("sync_problem", gateway=self.gateway.name, problem=problem)

    # --- telling

    def _show(self, state: State) -> None:
        """Take over a state and tell observers what is otherwise than before."""
        before, self.state = self.state, state
        slugs = state.personas.keys() | before.personas.keys()
        news = [slug for slug in sorted(slugs) if _view(state, slug) != _view(before, slug)]
        feed, name = self._kernel.feed, self.gateway.name
        for slug in news if len(news) <= MOST_EVENTS else ():
            feed.publish(Kind.SYNC, f"{name}/{slug}", gone=slug not in state.personas)
        if news or _told(state) != _told(before):
            feed.publish(Kind.SYNC, name)


def conflict(error: SyncError) -> Conflict:
    return Conflict(error.message, code="sync_failed", hint=error.hint)


def _said(done: Ran) -> str:
    return "; ".join(done.problems[:5])


def _view(state: State, slug: str) -> PersonaSync | None:
    found = state.personas.get(slug)
    return found.view if found is not None else None


def _told(state: State) -> tuple[object, ...]:
    """What is worth an event: not that a run found everything as it was."""
    return state.problem, state.proof, state.archived, state.running and not state.last_run_ms


def _retrieved(future: asyncio.Future[Any]) -> None:
    """Nobody may be there any more to hear how it ended."""
    if not future.cancelled():
        future.exception()
