"""A hub that cannot start says why and what helps; one that is told to stop under load stops cleanly; a command
that is streaming goes on over a restart."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from hub.config import HubConfig
from hub.errors import StartFailed
from hub.service import Hub
from tests.end_to_end.harness import HubProcess, eventually
from tests.faults.checker import History, check_nobody_left
from tests.hub.running import running_hub, short_folder

FAILED = 1


def serve(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Try to start a hub; it is expected to end by itself."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CLAWTUI_")}
    environment |= {"CLAWTUI_HOME": str(home), "CLAWTUI_DRIVERS": "process"}
    return subprocess.run(
        [sys.executable, "-m", "clawtui", "--serve", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


FREE_PORTS = ("--port-agents", "0", "--port-api", "0")


async def test_a_second_hub_on_the_same_folder_is_told_how_to_attach(hub: HubProcess) -> None:
    await hub.start()
    second = await asyncio.to_thread(serve, hub.home, *FREE_PORTS)
    assert second.returncode == FAILED
    assert str(hub.pid) in second.stderr
    assert f"clawtui --home {hub.home} list" in second.stderr
    assert "Traceback" not in second.stderr
    assert (await hub.call("GET", "/health"))["status"] == "ok"
    assert hub.stop() == 0


def test_a_busy_port_names_its_owner_and_leaves_nothing_behind() -> None:
    with short_folder() as folder, socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = str(owner.getsockname()[1])
        failed = serve(folder / "s", "--port-agents", port, "--port-api", "0")
        assert failed.returncode == FAILED
        assert port in failed.stderr
        assert f"pid {os.getpid()}" in failed.stderr
        assert "--port-agents" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not (folder / "s" / "hub.json").exists()
        assert not (folder / "s" / "hub.sock").exists()


async def started(folder: Path) -> None:
    """Start a hub in this process; raises what it raises."""
    config = HubConfig(state_folder=folder, agents_port=0, api_port=0, drivers=())
    async with Hub.open(config):
        return


async def test_a_failed_start_raises_its_own_error_and_frees_the_folder() -> None:
    with short_folder() as folder, socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        config = HubConfig(state_folder=folder / "s", agents_port=owner.getsockname()[1], api_port=0, drivers=())
        with pytest.raises(StartFailed) as failed:
            async with Hub.open(config):
                raise AssertionError("it started")
        assert failed.value.code == "port_busy"
        await started(folder / "s")


def spoil_with_text(database: Path) -> None:
    database.write_bytes(b"this is no database, but somebody's notes" * 1_000)


def spoil_the_middle(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
    database.write_bytes(bytes(content))


def make_newer(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 4711")
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_with_text, spoil_the_middle, make_newer])
async def test_a_database_that_cannot_be_used_is_left_alone_and_explained(spoil: object) -> None:
    assert callable(spoil)
    with short_folder() as folder:
        async with running_hub(folder / "s") as hub:
            for number in range(30):
                await hub.register(f"a{number}")
        database = folder / "s" / "registry.db"
        spoil(database)
        before = database.read_bytes()
        with pytest.raises(StartFailed) as failed:
            await started(folder / "s")
        assert failed.value.hint
        assert str(database) in failed.value.message + failed.value.hint
        assert database.read_bytes() == before
        said = serve(folder / "s", *FREE_PORTS)
        assert (said.returncode, "Traceback" in said.stderr) == (FAILED, False)
        assert failed.value.message[:40] in said.stderr


def test_a_folder_that_is_not_ours_is_refused() -> None:
    with short_folder() as folder:
        (folder / "file").write_text("")
        failed = serve(folder / "file", *FREE_PORTS)
        assert failed.returncode == FAILED
        assert "--home" in failed.stderr
        assert "Traceback" not in failed.stderr


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
async def test_a_hub_told_to_stop_under_load_stops_cleanly(hub: HubProcess, number: signal.Signals) -> None:
    """Exit code 0, no traceback; agents live on and come back; each acknowledged task ends once."""
    await hub.start()
    await hub.create("a")
    await hub.create("b")
    history = History()
    stopping = asyncio.Event()

    async def submit(agent: str) -> None:
        async with hub.client() as client:
            while not stopping.is_set():
                try:
                    answer = await client.post(f"/agents/{agent}/task", json={"type": "exec", "command": "echo x"})
                except httpx.HTTPError:
                    return
                if answer.status_code == 202:
                    history.submitted(answer.json()["taskId"])

    async with asyncio.TaskGroup() as group:
        for agent in ("a", "a", "b", "b"):
            group.create_task(submit(agent))

        async def loaded() -> bool:
            return len(history.runs) >= 40

        await eventually(loaded)
        assert await asyncio.to_thread(hub.stop, number) == 0
        stopping.set()
    assert "Traceback" not in hub.log
    assert not (hub.home / "hub.json").exists()

    await hub.start()
    for task_id in history.runs:
        history.shown(await hub.ended_task(task_id))
    history.check_ended()
    assert {run.seen[-1] for run in history.runs.values()} == {"succeeded"}
    await hub.destroy("a", "b")
    await check_nobody_left(hub.home / "agents")
    assert hub.stop() == 0


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
async def test_a_streaming_exec_goes_on_over_a_restart_of_the_hub(
    hub: HubProcess, tmp_path: Path, killed: bool
) -> None:
    """The command line follows on: every line once and in order, then the command's own exit code."""
    await hub.start()
    await hub.create("a")
    command = "for n in $(seq 1 50); do echo line $n; done; while ! test -e go; do sleep 0.05; done; echo end; exit 7"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CLAWTUI_")}
    out = tmp_path / "out"
    with out.open("wb") as file:
        cli = subprocess.Popen(
            [sys.executable, "-m", "clawtui", "exec", "a", command],
            env=environment | {"CLAWTUI_HOME": str(hub.home)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
        )
    try:

        async def streamed() -> bool:
            return "line 50\n" in out.read_text()

        await eventually(streamed, what="the output so far has come")
        hub.kill() if killed else hub.stop()
        (workspace,) = (hub.home / "agents").glob("*/workspace")
        (workspace / "go").touch()
        await hub.start()
        code = await asyncio.to_thread(cli.wait, 40)
    finally:
        cli.kill()
        _, said = cli.communicate()
    assert out.read_text() == "".join(f"line {n}\n" for n in range(1, 51)) + "end\n", said
    assert code == 7, said
    await hub.destroy("a")


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
async def test_a_followed_log_goes_on_over_a_restart_of_the_hub(hub: HubProcess, tmp_path: Path, killed: bool) -> None:
    """Every line that the agent wrote, also while no hub was there, comes once and in order."""
    await hub.start()
    await hub.create("a")
    (log,) = (hub.home / "agents").glob("*/agent.log")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CLAWTUI_")}
    out = tmp_path / "out"
    with out.open("wb") as file:
        cli = subprocess.Popen(
            [sys.executable, "-m", "clawtui", "logs", "a", "--follow", "-n", "0", "--plain"],
            env=environment | {"CLAWTUI_HOME": str(hub.home)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
        )

    def shown() -> list[str]:
        return [line.partition("\t")[2] for line in out.read_text().splitlines()]

    async def caught_up() -> bool:
        return shown() == log.read_text().splitlines() != []

    try:
        await eventually(caught_up, what="the log so far is shown")
        before = len(shown())
        hub.kill() if killed else hub.stop()
        await hub.start()

        async def back() -> bool:
            return (await hub.call("GET", "/agents/a"))["status"] == "online"

        await eventually(back, what="the agent is back")
        await eventually(caught_up, what="the rest is shown, once")
        assert len(shown()) > before
    finally:
        cli.send_signal(signal.SIGINT)
        _, said = cli.communicate(timeout=40)
    assert cli.returncode == 0, said
    assert b"the hub is back" in said
    await hub.destroy("a")


async def test_a_state_folder_can_be_moved_to_a_hub_elsewhere() -> None:
    """What a stopped hub leaves is whole: copied, it starts."""
    with short_folder() as folder:
        async with running_hub(folder / "s") as hub:
            await hub.register("a")
            task_id = await hub.ping()
        shutil.copytree(folder / "s", folder / "t")
        async with running_hub(folder / "t") as hub:
            assert (await hub.task(task_id)).status == "queued"
