"""A whole hub in the test's own event loop, with a clock that can be moved and agents that tests play.

Use `running_hub` inside the test, not in a fixture: a TaskGroup belongs to one task.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hub.clock import SystemClock
from hub.config import HubConfig, Limits, Timing
from hub.contract import CreateAgent, JobView, RegisterAgent, TaskView
from hub.control import Control, Principal
from hub.core.identity import sha256
from hub.core.model import Now, Role, Task, TaskId, TokenKind
from hub.drivers.base import Driver
from hub.drivers.fake import FakeDriver, FakePlatform, Script
from hub.kernel import Kernel
from hub.service import Hub
from runtime import wire
from runtime.wire import AttemptId, AttemptState, HeldAttempt, ResponseStatus, Welcome
from tests.end_to_end.harness import eventually

ADMIN = Principal(name="test", role=Role.ADMIN)
PATIENCE_SECONDS = 20.0
M = TypeVar("M", bound=wire.Message)


class MovedClock:
    """The machine's clocks plus what the test has added; ids and secrets are real."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.ahead_seconds = 0.0
        self.wall_ahead_ms = 0

    def now(self) -> Now:
        real = self._system.now()
        moved_ms = round(self.ahead_seconds * 1000) + self.wall_ahead_ms
        return Now(real.wall_ms + moved_ms, real.mono + self.ahead_seconds)

    def new_id(self, prefix: str) -> str:
        return self._system.new_id(prefix)

    def new_secret(self, kind: TokenKind) -> str:
        return self._system.new_secret(kind)


class StillClock(MovedClock):
    """A clock on which no time passes but what the test adds."""

    def __init__(self) -> None:
        super().__init__()
        self._start = self._system.now()

    def now(self) -> Now:
        return Now(
            self._start.wall_ms + round(self.ahead_seconds * 1000) + self.wall_ahead_ms,
            self._start.mono + self.ahead_seconds,
        )


class RunningHub:
    """An open hub as tests use it: `control` is the admin's."""

    def __init__(self, hub: Hub, clock: MovedClock, platform: FakePlatform, folder: Path) -> None:
        self.hub = hub
        self.clock = clock
        self.platform = platform
        self.folder = folder
        self.control: Control = hub.control(ADMIN)

    @property
    def kernel(self) -> Kernel:
        return self.hub.kernel

    @property
    def url(self) -> str:
        return self.hub.agents_url()

    @property
    def port(self) -> int:
        """Where agents are served on loopback."""
        return int(self.url.rpartition(":")[2])

    def move(self, seconds: float) -> None:
        """Let time pass on both clocks, at once."""
        self.clock.ahead_seconds += seconds
        # A decision, even an empty one, makes the hub look at its deadlines again.
        self.hub.kernel.push([])

    async def register(self, name: str = "a") -> str:
        """Register an agent that tests play; returns its token."""
        return (await self.control.register(RegisterAgent(agent_id=name))).token

    @contextlib.asynccontextmanager
    async def playing(self, name: str = "a", **hello: Any) -> AsyncIterator[PlayedAgent]:
        """Register an agent and connect it."""
        agent = PlayedAgent(self.url, name, await self.register(name))
        await agent.connect(**hello)
        try:
            yield agent
        finally:
            await agent.close()

    async def create(self, name: str = "a", **fields: Any) -> JobView:
        return await self.control.create_agent(CreateAgent(name=name, driver="fake", **fields))

    def created(self, name: str = "a") -> PlayedAgent:
        """The agent that the fake driver has made, to be connected: it joins with the token it was given."""
        return PlayedAgent(self.url, name, self.platform.agent(name).token, credential=f"cta_{name}")

    async def job(self, job_id: str) -> JobView:
        """Wait for a job's end."""
        job = await self.control.job(job_id, PATIENCE_SECONDS)
        assert job.state != "running", job
        return job

    async def ping(self, agent: str = "a", **options: Any) -> str:
        """Submit a no-op; returns the task's id."""
        return (await self.control.submit(agent, {"type": "ping"} | options)).task_id

    def decided(self, task_id: str) -> Task:
        """The open (or lost) task as decisions see it."""
        return self.kernel.fleet.dispatcher.book.tasks[TaskId(task_id)]

    async def task(self, task_id: str) -> TaskView:
        """The task as it is now, with everything decided so far committed."""
        if self.kernel.writable:
            await self.kernel.settle()
        return await self.control.get_task(task_id)

    async def ended(self, task_id: str, *, seconds: float = PATIENCE_SECONDS) -> TaskView:
        """Wait for the task's end."""

        async def over() -> TaskView | None:
            task = await self.control.get_task(task_id, min(seconds, PATIENCE_SECONDS))
            return task if task.terminal else None

        return await eventually(over, seconds=seconds, what=f"task {task_id} ends")

    async def until(self, condition: Callable[[], Any], what: str = "", *, seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait until something in this process is true."""

        async def holds() -> Any:
            return condition()

        return await eventually(holds, seconds=seconds, what=what)

    async def status(self, name: str, wanted: str) -> None:
        """Wait until the agent is shown so."""

        async def shown() -> bool:
            return (await self.control.agent(name)).status == wanted

        await eventually(shown, seconds=PATIENCE_SECONDS, what=f"{name} is {wanted}")

    async def audited(self, what: str) -> list[tuple[str, str]]:
        """Target and outcome of the audit's entries of one kind, newest first."""
        await self.hub.kernel.settle()
        entries, _ = await self.hub.kernel.registry.audit(1000)
        return [(entry.target, entry.outcome) for _, entry in entries if entry.what == what]


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for sockets inside."""
    folder = Path(tempfile.mkdtemp(prefix="ct"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def running_hub(
    folder: Path | None = None,
    *,
    clock: MovedClock | None = None,
    platform: FakePlatform | None = None,
    script: Script | None = None,
    drivers: Callable[[Any], list[Driver]] | None = None,
    timing: Timing | None = None,
    limits: Limits | None = None,
    **config: Any,
) -> AsyncIterator[RunningHub]:
    """Open a hub with the fake driver; without `folder` its state goes with it."""
    clock, platform = clock or MovedClock(), platform or FakePlatform()

    def fake(reach: Any) -> list[Driver]:
        return [FakeDriver(reach.hub_id, platform, script=script)]

    with contextlib.ExitStack() as stack:
        path = folder or stack.enter_context(short_folder()) / "s"
        settings = HubConfig(
            state_folder=path,
            agents_port=0,
            api_port=0,
            timing=timing or Timing(drain_seconds=1.0),
            limits=limits or Limits(),
            **config,
        )
        async with Hub.open(settings, drivers=drivers or fake, clock=clock) as hub:
            yield RunningHub(hub, clock, platform, path)


class PlayedAgent:
    """A full agent that only speaks the protocol; the test says what."""

    def __init__(self, url: str, name: str, token: str, *, credential: str | None = None) -> None:
        self.url = url
        self.name = name
        self.token = token
        self.credential = credential
        self.socket: ClientConnection | None = None
        self._kept: deque[tuple[wire.Envelope, wire.Message | None]] = deque()
        self._count = 0

    async def dial(self, *, subprotocol: str | None = wire.SUBPROTOCOL) -> None:
        """Open the WebSocket, without a hello. Raises InvalidStatus when refused."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.credential is not None:
            headers[wire.CREDENTIAL_HEADER] = sha256(self.credential)
        self._kept.clear()
        self.socket = await connect(
            f"{self.url}/agent/{self.name}",
            additional_headers=headers,
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=2,
        )

    async def connect(
        self,
        attempts: Iterable[HeldAttempt] = (),
        *,
        instance: str = "one",
        concurrency: int = 1,
        **more: Any,
    ) -> Welcome:
        """Dial and say hello; returns the welcome."""
        await self.dial()
        await self.send(
            wire.Hello(
                protocol=wire.ProtocolRange(1, 1),
                instance=instance,
                concurrency=concurrency,
                attempts=list(attempts),
                **more,
            )
        )
        return await self.receive(Welcome)

    async def send(self, payload: Any, *, kind: str | None = None, to: str = "hub", message_id: str = "") -> str:
        """Send one message; returns its envelope id."""
        self._count += 1
        envelope_id = message_id or f"{self.name}-{self._count}"
        frame = wire.encode(
            payload,
            sender=self.name,
            to=to,
            message_id=envelope_id,
            timestamp_ms=time.time_ns() // 1_000_000,
            kind=kind,
        )
        await self.raw(frame)
        return envelope_id

    async def raw(self, frame: str | bytes) -> None:
        assert self.socket is not None
        await self.socket.send(frame)

    async def receive(self, kind: type[M], seconds: float = PATIENCE_SECONDS) -> M:
        """Wait for the next message of a type; others are kept for later."""
        for entry in self._kept:
            if isinstance(entry[1], kind):
                self._kept.remove(entry)
                return entry[1]
        deadline = time.monotonic() + seconds
        while True:
            envelope, message = await self.receive_any(deadline - time.monotonic())
            if isinstance(message, kind):
                return message
            self._kept.append((envelope, message))

    async def receive_any(self, seconds: float = PATIENCE_SECONDS) -> tuple[wire.Envelope, wire.Message | None]:
        """The next frame. Raises ConnectionClosed, TimeoutError."""
        assert self.socket is not None
        try:
            async with asyncio.timeout(seconds):
                text = await self.socket.recv()
        except TimeoutError as exc:
            raise AssertionError(f"{self.name}: nothing came within {seconds:.0f} s; kept: {list(self._kept)}") from exc
        envelope = wire.decode_envelope(text)
        return envelope, None if envelope.type == "message" else wire.decode_payload(envelope, wire.FROM_HUB)

    async def receive_task(self, seconds: float = PATIENCE_SECONDS) -> AttemptId:
        return (await self.receive(wire.TaskFrame, seconds)).attempt_id

    async def accept(self, attempt: AttemptId) -> None:
        await self.send(wire.Accepted(attempt))

    async def respond(self, attempt: AttemptId, status: str = "succeeded", **fields: Any) -> None:
        await self.send(wire.Response(status=ResponseStatus(status), attempt_id=attempt, **fields))

    async def report_health(self) -> None:
        await self.send(wire.Health())

    async def settle(self) -> None:
        """Wait until the hub has read everything sent so far: it answers what it does not know."""
        asked = await self.send({}, kind="no-such-type")
        while (await self.receive(wire.Error)).reply_to != asked:
            continue

    async def wait_closed(self, seconds: float = PATIENCE_SECONDS) -> int | None:
        """Wait for the end of the connection; returns the close code."""
        assert self.socket is not None
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.socket.recv()
                except ConnectionClosed:
                    return self.socket.close_code

    async def close(self) -> None:
        """A clean close; nothing happens when it is closed already."""
        if self.socket is not None:
            await self.socket.close()

    def abort(self) -> None:
        """Break the connection without a word."""
        assert self.socket is not None
        self.socket.transport.abort()


def held(attempt: AttemptId, state: AttemptState = AttemptState.RUNNING, offset: int = 0) -> HeldAttempt:
    return HeldAttempt(attempt, state, offset)
