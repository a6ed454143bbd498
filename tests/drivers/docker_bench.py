"""A real engine under the driver's contract tests, seen from outside the driver: raw calls, nothing of its logic."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import struct
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import AgentHandle, AgentPlan, RestartPolicy
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, Connect, Engine, EngineNotFound, EngineStream, unreachable
from hub.drivers.docker.image import BuildOptions
from tests.drivers.contract import Bench

BASE_IMAGE = "debian:bookworm-slim"

STAND_IN = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
pipe = "/var/lib/clawtui/orders"
if not os.path.exists(pipe):
    os.mkfifo(pipe)
with os.fdopen(os.open(pipe, os.O_RDWR), "r") as orders:
    for order in orders:
        word, _, rest = order.rstrip("\\n").partition(" ")
        if word == "say":
            print(rest, flush=True)
        else:
            os._exit(int(rest))
"""
PYTHON = "/opt/clawtui/bin/python"
STAND_IN_COMMAND = (PYTHON, "-c", STAND_IN)
"""Runs until it is told to end; obeys `say TEXT` and `exit CODE` in its pipe."""


def build_options() -> BuildOptions:
    """What a build needs here, as a hub finds it."""
    return BuildOptions.from_environment(os.environ)


class Reach:
    """What a hub tells its driver; remembers where it was asked to listen."""

    def __init__(self, hub_id: str, folder: Path, agents_port: int = 9) -> None:
        self.hub_id = hub_id
        self.state_folder = str(folder)
        self.socket_path = str(folder / "hub.sock")
        self.hub_file = str(folder / "hub.json")
        self.agents_port = agents_port
        self.listening: list[str] = []
        self.offered: list[AgentUid] = []

    async def listen_agents_on(self, host: str) -> None:
        self.listening.append(host)

    async def withdraw_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> None:
        """Nothing listens here."""

    async def offer_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> str:
        self.offered.append(uid)
        folder = Path(self.state_folder) / "run" / uid
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        return str(folder)


class RelayReach(Reach):
    """Listens where it is asked to, and hands every connection on to a hub on loopback."""

    def __init__(self, hub_id: str, folder: Path, agents_port: int) -> None:
        super().__init__(hub_id, folder, agents_port)
        self.relays: list[asyncio.Server] = []
        self._relayed: set[asyncio.StreamWriter] = set()

    async def listen_agents_on(self, host: str) -> None:
        if host not in self.listening:
            self.relays.append(await asyncio.start_server(self._relay, host, self.agents_port))
        await super().listen_agents_on(host)

    def close(self) -> None:
        for relay in self.relays:
            relay.close()
        for writer in self._relayed:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.agents_port)
        ends = {writer, there_writer}
        self._relayed |= ends
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, there_writer))
            group.create_task(_copy(there_reader, writer))
        self._relayed -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Outside:
    """The engine as somebody else sees it."""

    def __init__(self) -> None:
        self.engine = Connector(None, os.environ)()

    def close(self) -> None:
        self.engine.close()

    def get(self, path: str, **params: str) -> Any:
        return msgspec.json.decode(self.engine.call(Call("GET", path, params)))

    def post(self, path: str, body: object = None, **params: str) -> bytes:
        return self.engine.call(Call("POST", path, params, body=body))

    def container(self, name: str) -> Any:
        """Return the engine's whole description; raises EngineNotFound."""
        return self.get(f"/containers/{name}/json")

    def named(self, name: str) -> list[str]:
        """Name everything on the engine with this name."""
        found: list[str] = []
        for kind, path in (("container", f"/containers/{name}/json"), ("volume", f"/volumes/{name}")):
            try:
                self.get(path)
            except EngineNotFound:
                continue
            found.append(f"{kind} {name}")
        return found

    def marked(self, label: str) -> list[str]:
        """Name every container and volume with this label."""
        condition = msgspec.json.encode({"label": [label]}).decode()
        containers = self.get("/containers/json", all="1", filters=condition)
        volumes = self.get("/volumes", filters=condition)
        names = [f"container {entry['Names'][0]}" for entry in containers]
        return names + [f"volume {entry['Name']}" for entry in volumes["Volumes"] or []]

    def run_in(self, name: str, *command: str) -> tuple[int, str]:
        """Run a command in a container; return its exit code and its output."""
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": command}
        made = msgspec.json.decode(self.post(f"/containers/{name}/exec", body))
        frames = self.post(f"/exec/{made['Id']}/start", {"Detach": False})
        output = b""
        while frames:
            (length,) = struct.unpack(">L", frames[4:8])
            output, frames = output + frames[8 : 8 + length], frames[8 + length :]
        ended = self.get(f"/exec/{made['Id']}/json")
        return ended["ExitCode"], output.decode()

    def file(self, name: str, path: str) -> tuple[tarfile.TarInfo, bytes]:
        """Return a file of a container, running or not, with its owner and mode."""
        data = self.engine.call(Call("GET", f"/containers/{name}/archive", {"path": path}))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            entry = archive.next()
            assert entry is not None
            content = archive.extractfile(entry)
            assert content is not None
            return entry, content.read()

    def make_container(self, name: str, **config: object) -> str:
        made = msgspec.json.decode(self.post("/containers/create", {"Image": BASE_IMAGE, **config}, name=name))
        return made["Id"]

    def remove_container(self, name: str) -> None:
        self.engine.call(Call("DELETE", f"/containers/{name}", {"force": "1", "v": "1"}))

    def remove_volume(self, name: str) -> None:
        self.engine.call(Call("DELETE", f"/volumes/{name}"))


class DockerBench(Bench):
    """One hub with its driver on the real engine; ids that nobody else on the engine has."""

    def __init__(self, folder: Path) -> None:
        self.hub_id = f"test-{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self.outside = Outside()
        self.reaches: list[Reach] = []
        self._drivers: list[DockerDriver] = []
        self._foreign: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._driver = self.make_driver()

    def make_driver(
        self,
        hub_id: str | None = None,
        command: tuple[str, ...] = STAND_IN_COMMAND,
        connect: Connect | None = None,
        reach: Reach | None = None,
        build: BuildOptions | None = None,
    ) -> DockerDriver:
        reach = reach or Reach(hub_id or self.hub_id, self.folder)
        self.reaches.append(reach)
        driver = DockerDriver(reach, build=build or build_options(), command=command, connect=connect)
        self._drivers.append(driver)
        return driver

    def plan(self) -> AgentPlan:
        number = next(self._numbers)
        return AgentPlan(
            agent_id=AgentId(f"{self.hub_id}-{number}"),
            uid=AgentUid(f"{self.hub_id}-{number}"),
            hub_id=self.hub_id,
            join_token=f"ctj_contract{number}",
            # The engine would bring back what the tests end.
            restart=RestartPolicy.NO,
        )

    @property
    def driver(self) -> DockerDriver:
        return self._driver

    async def restarted_driver(self) -> DockerDriver:
        return self.make_driver()

    async def other_hubs_driver(self) -> DockerDriver:
        return self.make_driver(hub_id=f"{self.hub_id}-other")

    async def broken_driver(self) -> DockerDriver:
        # The last call of a create. A program that does not exist would start: the engine starts its own init.
        def at_start(_number: int, call: Call) -> str | None:
            return "before" if call.path.endswith("/start") else None

        return self.make_driver(connect=FaultyConnect(at_start))

    async def end_agent(self, handle: AgentHandle, exit_code: int) -> None:
        self._order(handle, f"exit {exit_code}")

    async def say(self, handle: AgentHandle, text: str) -> None:
        self._order(handle, f"say {text}")

    def _order(self, handle: AgentHandle, order: str) -> None:
        script = f"while [ ! -p /var/lib/clawtui/orders ]; do sleep 0.02; done; echo '{order}' >/var/lib/clawtui/orders"
        code, output = self.outside.run_in(self.name_of(handle), "timeout", "10", "sh", "-c", script)
        # An agent that ends takes the shell with it.
        assert code == 0 or order.startswith("exit"), output

    def name_of(self, handle: AgentHandle) -> str:
        return f"openclaw-agent-{msgspec.json.decode(handle.ref)['id']}"

    async def token(self, handle: AgentHandle) -> str:
        entry, content = self.outside.file(self.name_of(handle), "/var/lib/clawtui/token")
        assert (entry.uid, entry.gid, entry.mode & 0o7777) == (1000, 1000, 0o600)
        return content.decode()

    async def make_foreign(self, plan: AgentPlan) -> None:
        name = f"openclaw-agent-{plan.agent_id}"
        self._foreign[name] = self.outside.make_container(name, Labels={"made-by": "somebody"})

    async def foreign_intact(self, plan: AgentPlan) -> bool:
        name = f"openclaw-agent-{plan.agent_id}"
        found = self.outside.container(name)
        return found["Id"] == self._foreign[name] and found["Config"]["Labels"] == {"made-by": "somebody"}

    async def leftovers(self, plan: AgentPlan) -> list[str]:
        name = f"openclaw-agent-{plan.agent_id}"
        by_name = self.outside.named(name) + self.outside.named(f"{name}.state")
        return by_name + self.outside.marked(f"clawtui.agent-uid={plan.uid}")

    async def close(self) -> None:
        cleaner = self.make_driver()
        for seen in await cleaner.list_agents():
            await cleaner.destroy(seen.handle)
        for name in self._foreign:
            self.outside.remove_container(name)
        for driver in self._drivers:
            await driver.stop_driver()
        self.outside.close()


def no_answer() -> Exception:
    return unreachable("the test's engine", TimeoutError())


class FaultyConnect:
    """A way to the engine on which chosen calls fail. Counts the calls of all threads.

    Args:
        fail: tells for the call's number (from 0) and the call what happens: None, "before" the
            engine sees it, or "after" it did it, so that only the answer is lost.
    """

    def __init__(self, fail: Callable[[int, Call], str | None], error: Callable[[], Exception] = no_answer) -> None:
        self._inner = Connector(None, os.environ)
        self._fail = fail
        self._error = error
        self._numbers = itertools.count()
        self.failed: list[Call] = []

    def __call__(self) -> Engine:
        return _FaultyEngine(self._inner(), self)

    def check(self, call: Call) -> str | None:
        how = self._fail(next(self._numbers), call)
        if how is not None:
            self.failed.append(call)
        return how

    def error(self) -> Exception:
        return self._error()


class _FaultyEngine:
    def __init__(self, inner: Engine, owner: FaultyConnect) -> None:
        self._inner = inner
        self._owner = owner

    def call(self, call: Call) -> bytes:
        how = self._owner.check(call)
        if how == "before":
            raise self._owner.error()
        answer = self._inner.call(call)
        if how == "after":
            raise self._owner.error()
        return answer

    def open(self, call: Call) -> EngineStream:
        if self._owner.check(call) is not None:
            raise self._owner.error()
        return self._inner.open(call)

    def close(self) -> None:
        self._inner.close()
