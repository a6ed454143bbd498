"""The local socket: the container's health check, and messages from tasks."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import wire
from runtime.connection import LinkState, Phase
from runtime.healthcheck import ask
from runtime.localpath import local_socket_path
from runtime.localsock import is_on_schedule
from tests.runtime.fakehub import FakeHub
from tests.runtime.harness import SOURCE, agent_process, running_agent, wait_for


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    hub = FakeHub()
    async with hub.running(tmp_path / "hub.sock"), running_agent(tmp_path, f"unix:{tmp_path}/hub.sock"):
        await hub.wait_connected()
        yield hub


async def call(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a module of the runtime as a task would; return exit code and all it says."""

    def run() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "AGENT_STATE_DIR": str(folder / "state")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return await asyncio.to_thread(run)


async def test_a_connected_agent_is_healthy(hub: FakeHub, tmp_path: Path) -> None:
    await wait_for(lambda: bool(hub.peer.of(wire.Health)))
    assert await call(tmp_path, "runtime.healthcheck") == (0, "healthy: connected \n")
    mode = os.stat(local_socket_path(str(tmp_path / "state"))).st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_an_absent_hub_does_not_make_an_agent_unhealthy(tmp_path: Path) -> None:
    async with running_agent(tmp_path, f"unix:{tmp_path}/none.sock") as running:
        await wait_for(lambda: running.agent.connection.state.phase is Phase.WAITING)
        code, text = await call(tmp_path, "runtime.healthcheck")
    assert code == 0
    assert text.startswith("healthy: ")


async def test_no_agent_is_unhealthy(tmp_path: Path) -> None:
    code, text = await call(tmp_path, "runtime.healthcheck")
    assert code == 1
    assert text.startswith("unhealthy: the agent does not answer")


def test_a_connection_behind_its_schedule_is_unhealthy() -> None:
    assert is_on_schedule(LinkState(Phase.CONNECTED, 0, 0), now=10_000)
    assert is_on_schedule(LinkState(Phase.WAITING, 0, 50), now=60)
    assert not is_on_schedule(LinkState(Phase.WAITING, 0, 50), now=61)
    assert not is_on_schedule(LinkState(Phase.DIALLING, 0, 25), now=36)


async def test_the_check_is_light() -> None:
    program = (
        "import sys, runtime.healthcheck; print([m for m in ('asyncio','msgspec','websockets') if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=-1, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    output, _ = await process.communicate()
    assert output == b"[]\n"


async def test_a_task_sends_a_message(hub: FakeHub, tmp_path: Path) -> None:
    code, text = await call(tmp_path, "runtime.send", "b1", '{"x": [1, "ü"]}')
    assert code == 0
    await hub.wait_until(lambda: any(e.type == "message" for e, _ in hub.peer.received))
    (envelope,) = [e for e, _ in hub.peer.received if e.type == "message"]
    assert (envelope.to, envelope.sender, envelope.id) == ("b1", "a1", text.strip())
    assert json.loads(bytes(envelope.payload)) == {"x": [1, "ü"]}
    await wait_for(lambda: not list((tmp_path / "state/outbox").iterdir()))


async def test_a_message_waits_for_the_hub_and_a_refusal_ends_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.auto_ack = False
    code, text = await call(tmp_path, "runtime.send", "--wait", "0", "b1", "1")
    assert code == 0
    assert "kept: the hub has not answered yet" in text
    hub.drop()
    await hub.wait_connected(2)
    await hub.wait_until(lambda: any(e.type == "message" for e, _ in hub.peer.received))
    (envelope,) = [e for e, _ in hub.peer.received if e.type == "message"]
    await hub.send(wire.Error(code="not_permitted", reply_to=envelope.id))
    await wait_for(lambda: not list((tmp_path / "state/outbox").iterdir()))


@pytest.mark.parametrize(("refusal", "code"), [("not_allowed", 4), ("queue_full", 1), ("unknown_receiver", 1)])
async def test_the_sender_learns_that_the_hub_refused(hub: FakeHub, tmp_path: Path, refusal: str, code: int) -> None:
    hub.auto_ack = False
    why = "no policy lets a1 send messages to b1 (clawtui policy allow a1 b1)"
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(call(tmp_path, "runtime.send", "--wait", "60", "b1", "1"))
        await hub.wait_until(lambda: any(e.type == "message" for e, _ in hub.peer.received))
        (envelope,) = [e for e, _ in hub.peer.received if e.type == "message"]
        await hub.send(wire.Error(code=refusal, message=why, reply_to=envelope.id))
    assert sending.result() == (code, f"not sent: {why}\n")
    assert list((tmp_path / "state/outbox").iterdir()) == []


async def test_the_hubs_word_comes_while_the_sender_waits_for_it(hub: FakeHub, tmp_path: Path) -> None:
    """Over a connection that breaks in between."""
    hub.auto_ack = False
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(call(tmp_path, "runtime.send", "--wait", "60", "b1", "1"))
        await hub.wait_until(lambda: any(e.type == "message" for e, _ in hub.peer.received))
        hub.auto_ack = True
        hub.drop()
    code, text = sending.result()
    assert (code, len(text.strip())) == (0, 36)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["b1"], 2, "usage"),
        (["b1", "{"], 2, "not JSON"),
        (["--wait", "b1", "1"], 2, "usage"),
        (["--wait", "-1", "b1", "1"], 2, "usage"),
        (["--wait", "nan", "b1", "1"], 2, "usage"),
        (["No Name", "1"], 1, "not an agent's name"),
    ],
)
async def test_bad_messages_are_refused(
    hub: FakeHub, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    got, text = await call(tmp_path, "runtime.send", *arguments)
    assert got == code
    assert says in text


async def test_nonsense_is_answered(hub: FakeHub, tmp_path: Path) -> None:
    answer = await asyncio.to_thread(ask, str(tmp_path / "state"), {"op": "dance"})
    assert answer["ok"] is False


def test_a_long_state_folder_gets_a_short_socket(tmp_path: Path) -> None:
    short = local_socket_path("/s")
    long = local_socket_path(str(tmp_path / ("x" * 100)))
    assert short == "/s/health.sock"
    assert len(long) < 104
    assert long != local_socket_path(str(tmp_path / ("y" * 100)))


async def test_one_agent_per_state_folder(tmp_path: Path) -> None:
    hub = FakeHub()
    async with hub.running(tmp_path / "hub.sock") as url:
        with agent_process(tmp_path, url):
            await hub.wait_connected()
            with agent_process(tmp_path, url) as second:
                assert await asyncio.to_thread(second.wait, 10) == 1
    assert "another agent runs" in (tmp_path / "agent.log").read_text()


async def test_bad_settings_end_the_process_with_a_line(tmp_path: Path) -> None:
    with agent_process(tmp_path, "http://nowhere") as process:
        assert await asyncio.to_thread(process.wait, 10) == 2
    assert '"variable":"HUB_URL"' in (tmp_path / "agent.log").read_text()


async def test_a_module_in_the_workspace_does_not_hijack_the_agent(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/websockets.py").write_text("raise SystemExit(99)")
    hub = FakeHub()
    async with hub.running(tmp_path / "hub.sock") as url:
        with agent_process(tmp_path, url):
            await hub.wait_connected()
