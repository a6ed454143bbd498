"""The agent: owns the core, feeds it, and owns everything that carries out its effects."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import random
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from runtime import __version__, wire
from runtime.backoff import Backoff
from runtime.companion import Companion, Restarts
from runtime.connection import Connection
from runtime.core import Core
from runtime.credentials import Credentials
from runtime.effects import Effect, Moment, Outcome
from runtime.executors.commands import Commands
from runtime.executors.executor import Executor
from runtime.executors.paths import Paths
from runtime.executors.tree import Marks
from runtime.health import HealthReporter, Sampler
from runtime.journal import Journal, Loaded, load
from runtime.localsock import LocalSocket
from runtime.logs import AgentLog
from runtime.messages import Mailbox
from runtime.performer import Performer
from runtime.reaper import Reaper
from runtime.records import Record
from runtime.router import Router
from runtime.settings import Settings
from runtime.shell import Shells
from runtime.streaming import OutputSender
from runtime.wire import AttemptId

LEAVE_SECONDS: Final = 2.0
"""For the goodbye; a hub that does not read must not keep the agent."""
DRAIN_ACK_SECONDS: Final = 2.0
"""After the last attempt has ended in a drain, how long its result may wait for the hub's `ack`."""


class Agent:
    """One running agent process; it owns its state folder.

    Args:
        reaper: already told whether this process adopts orphans.
        companion: the program of the image, and its arguments, that runs beside; empty = none.
    """

    def __init__(
        self,
        settings: Settings,
        log: AgentLog,
        reaper: Reaper,
        chance: random.Random,
        companion: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._log = log
        self._reaper = reaper
        self._chance = chance
        self._companion_argv = tuple(companion)
        self._companion: Companion | None = None
        self._instance = str(uuid.uuid4())
        self._core = Core(settings.concurrency)
        credentials = Credentials(self._state("credential"), token=settings.token, token_file=settings.token_file)
        self.connection = Connection(settings, credentials, Backoff(self._chance), self, self._log)
        self._timer: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()
        self._all_acked = asyncio.Event()
        self._hellos_waiting = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain and return.

        Raises:
            OSError: the state folder cannot be used.
        """
        self._reaper.install()
        loaded = load(self._state("attempts.log"), self._state("quarantine"))
        async with asyncio.TaskGroup() as tasks:
            self._build(tasks, loaded.records)
            try:
                self._restore(loaded)
                await self._local.start()
                going = [
                    tasks.create_task(self._health.run(), name="health"),
                    tasks.create_task(self.connection.run(), name="connection"),
                ]
                if self._companion is not None:
                    going.append(tasks.create_task(self._companion.run(), name="companion"))
                await stop.wait()
                await self._drain()
                for task in going:
                    task.cancel()
                await asyncio.wait(going)
            finally:
                self._close()

    # --- building ---

    def _state(self, name: str) -> Path:
        return self._settings.state_dir / name

    def _build(self, tasks: asyncio.TaskGroup, past: Sequence[Record]) -> None:
        settings = self._settings
        send = self.connection.send
        self._journal = Journal(
            self._state("attempts.log"),
            past,
            call_in_loop=asyncio.get_running_loop().call_soon_threadsafe,
            on_trouble=self._journal_trouble,
        )
        self._output = OutputSender(self._state("output"), send, send)
        self._build_executors(tasks)
        self._mailbox = Mailbox(
            self._state("outbox"), settings.messages_dir, self._send_message, self._send_when_welcomed
        )
        self._health = HealthReporter(
            Sampler(settings.workspace), self._send_when_welcomed, lambda: self._core.running(), self._chance
        )
        self._local = LocalSocket(settings.state_dir, lambda: self.connection.state, self._mailbox)
        self._router = Router(self, self.connection, self._output, self._shells, self._mailbox, self._health, self._log)
        self._log.on_line = self._send_log_lines

    def _build_executors(self, tasks: asyncio.TaskGroup) -> None:
        settings = self._settings
        marks = Marks(hashlib.sha256(os.fsencode(settings.state_dir.resolve())).hexdigest()[:16])
        paths = Paths(settings.workspace, settings.open_paths)
        commands = Commands(paths, self._state("scripts"), settings.child_environment, marks, sudo=settings.sudo)
        commands.clear_leftovers()
        self._executor = Executor(tasks, commands, paths, self._reaper, self._output, self._finished)
        self._shells = Shells(
            tasks,
            settings.workspace,
            settings.child_environment,
            marks,
            self._reaper,
            self._send_when_welcomed,
            lambda: self.connection.queued_bytes,
        )
        if self._companion_argv:
            self._companion = Companion(
                self._companion_argv,
                settings.workspace,
                settings.child_environment,
                marks,
                self._reaper,
                self._log,
                Restarts(self._chance),
            )
        self._performer = Performer(
            self._journal, self.connection, self._output, self._executor, self._send_hello, self._drained.set
        )

    def _restore(self, loaded: Loaded) -> None:
        self._core, effects = Core.restore(self._settings.concurrency, loaded.records)
        for attempt_id, _ in self._core.held():
            self._output.recover(attempt_id)
        self._output.discard_unknown()
        self._log.info("started", agent=self._settings.agent_id, instance=self._instance, version=__version__)
        if loaded.quarantined is not None:
            self._log.error("attempt_log_corrupt", records_kept=len(loaded.records), moved_to=str(loaded.quarantined))
        self.perform(effects)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._local.close()
        self._shells.close_all()
        self._executor.close()
        if self._companion is not None:
            self._companion.close()
        self._output.close()
        self._journal.close()
        self._reaper.uninstall()

    # --- the core's feed ---

    @property
    def core(self) -> Core:
        """The decisions; whoever asks one must give its effects to `perform`."""
        return self._core

    def now(self) -> Moment:
        return Moment(time.monotonic(), time.time_ns() // 1_000_000)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Carry out effects, and be back when the next deadline comes."""
        self._performer.perform(effects)
        deadline = self._core.next_deadline()
        armed_at = None if self._timer is None else self._timer.when()
        if deadline is None or (armed_at is not None and armed_at <= deadline):
            # A timer that is too early only looks and arms the next one.
            return
        if self._timer is not None:
            self._timer.cancel()
        # The loop's clock is time.monotonic, on every platform we run on.
        self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def acked_all(self) -> None:
        """Note that the hub holds everything, if it does."""
        if not self._core.held():
            self._all_acked.set()

    def _tick(self) -> None:
        self._timer = None
        self.perform(self._core.tick(self.now()))

    def _finished(self, attempt_id: AttemptId, outcome: Outcome) -> None:
        self.perform(self._core.finished(self.now(), attempt_id, outcome))

    # --- the connection's handler ---

    def opened(self) -> None:
        self._hellos_waiting += 1
        self.perform(self._core.hello())

    def received(self, frame: bytes) -> None:
        self._router.route(frame)

    def lost(self) -> None:
        self._output.disconnected()
        self._shells.close_all()
        self.perform(self._core.disconnected(self.now()))

    def welcomed(self, welcome: wire.Welcome) -> None:
        """Take the hub's welcome: output and results that it lacks go out again."""
        self.connection.welcome_received(welcome)
        self._output.connected()
        self.perform(self._core.connected(self.now(), welcome))
        self._mailbox.connected()
        self._health.welcomed(welcome.health_interval_seconds)
        self._log.info("connected", lease_seconds=welcome.lease_seconds)

    # --- what goes out ---

    def _send_hello(self, attempts: list[wire.HeldAttempt]) -> None:
        self._hellos_waiting -= 1
        if self._hellos_waiting:
            # The disk held it up until a newer connection was there, whose own hello comes behind it
            # and may name attempts that this one does not know.
            return
        self.connection.send(
            wire.Hello(
                protocol=wire.ProtocolRange(wire.PROTOCOL_MIN, wire.PROTOCOL_MAX),
                instance=self._instance,
                version=__version__,
                platform=f"{platform.system()} {platform.machine()}".lower(),
                capabilities=list(self._settings.capabilities),
                concurrency=self._settings.concurrency,
                attempts=attempts,
            )
        )

    def _send_when_welcomed(self, message: wire.Message) -> None:
        if self.connection.welcomed:
            self.connection.send(message)

    def _send_message(self, to: str, payload: msgspec.Raw, message_id: str) -> None:
        if self.connection.welcomed:
            self.connection.send(payload, kind="message", to=to, message_id=message_id)

    def _send_log_lines(self) -> None:
        if self.connection.welcomed:
            for level, text in self._log.take():
                self.connection.send(wire.Log(data=text, stream=wire.Stream.AGENT, level=level))

    def _journal_trouble(self, error: OSError | None) -> None:
        if error is None:
            self._log.info("attempt_log_recovered")
        else:
            self._log.error("attempt_log_refused", reason=str(error), hint="free disk space; nothing is lost")

    # --- the end ---

    async def _drain(self) -> None:
        """Let work end, report it, and say goodbye."""
        self._log.info("draining", running=len(self._core.running()), grace_seconds=self._settings.drain_seconds)
        self.perform(self._core.drain(self.now(), self._settings.drain_seconds))
        await self._drained.wait()
        if self._companion is not None:
            # After the tasks, which may need it, and before the good-bye: the hub hears how it ended.
            await self._companion.end()
        self.acked_all()
        if self.connection.welcomed:
            try:
                async with asyncio.timeout(DRAIN_ACK_SECONDS):
                    await self._all_acked.wait()
            except TimeoutError:
                self._log.info("drain_unacked", results=len(self._core.held()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.connection.leave("shutting down")
