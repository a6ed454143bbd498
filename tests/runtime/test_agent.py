"""A whole agent against a fake hub: every task type, reconnection, crashes, drain."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from runtime import wire
from runtime.wire import AttemptId, AttemptState, Encoding, Interpreter, OnDisconnect, Response, ResponseStatus
from tests.runtime.fakehub import FakeHub
from tests.runtime.harness import agent_process, alive, kill, read_pids, running_agent, wait_for

SUCCEEDED, FAILED, REJECTED = ResponseStatus.SUCCEEDED, ResponseStatus.FAILED, ResponseStatus.REJECTED


@pytest.fixture
async def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
async def url(hub: FakeHub, tmp_path: Path) -> AsyncIterator[str]:
    async with hub.running(tmp_path / "hub.sock") as url:
        yield url


@pytest.fixture
async def agent(hub: FakeHub, url: str, tmp_path: Path) -> AsyncIterator[FakeHub]:
    """The hub of a running, connected agent."""
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        yield hub


def code(response: Response) -> str | None:
    return None if response.error is None else response.error.code


def result(response: Response) -> dict[str, object]:
    return msgspec.json.decode(response.result, type=dict[str, object])


# --- task types ---


async def test_ping(agent: FakeHub) -> None:
    response = await agent.run("t:1", wire.Ping())
    assert response.status is SUCCEEDED
    assert response.started_at is not None


async def test_exec_streams_and_returns_tails(agent: FakeHub) -> None:
    response = await agent.run("t:1", wire.Exec(command="echo out; echo $X >&2", env={"X": "err"}))
    assert (response.status, response.exit_code, response.stdout, response.stderr) == (SUCCEEDED, 0, "out\n", "err\n")
    assert sorted(bytes(agent.output[AttemptId("t:1")]).split()) == [b"err", b"out"]
    assert agent.accepted(AttemptId("t:1")) == 1


async def test_a_failed_command_keeps_its_exit_code(agent: FakeHub) -> None:
    response = await agent.run("t:1", wire.Exec(command="exit 3"))
    assert (response.status, response.exit_code, code(response)) == (FAILED, 3, "exit_code")


async def test_exec_runs_in_the_workspace_without_secrets(agent: FakeHub, tmp_path: Path) -> None:
    response = await agent.run("t:1", wire.Exec(command="pwd; env"))
    assert response.stdout is not None
    lines = response.stdout.splitlines()
    assert lines[0] == str(tmp_path / "work")
    assert "ctu_test" not in response.stdout
    assert "CLAWTUI_ATTEMPT=t:1" in lines


@pytest.mark.parametrize(
    ("interpreter", "script"),
    [
        (Interpreter.BASH, 'echo "$1 $(pwd)"; [[ -n $BASH_VERSION ]]; read x || true'),
        (Interpreter.PYTHON, "import os, sys; print(sys.argv[1], os.getcwd())"),
        (Interpreter.NODE, "console.log(process.argv[2], process.cwd())"),
    ],
)
async def test_scripts(agent: FakeHub, tmp_path: Path, interpreter: Interpreter, script: str) -> None:
    response = await agent.run("t:1", wire.Script(script=script, args=["one two"], interpreter=interpreter))
    assert (response.status, response.stdout) == (SUCCEEDED, f"one two {tmp_path / 'work'}\n")
    await wait_for(lambda: not list((tmp_path / "state/scripts").iterdir()))


async def test_files(agent: FakeHub, tmp_path: Path) -> None:
    assert (await agent.run("w:1", wire.FileWrite(file_path="d/x", content="hi"))).status is SUCCEEDED
    assert (tmp_path / "work/d/x").read_text() == "hi"
    assert result(await agent.run("r:1", wire.FileRead(file_path="d/x")))["content"] == "hi"
    response = await agent.run("o:1", wire.FileRead(file_path="../state/lock"))
    assert (response.status, code(response)) == (FAILED, "path_outside_workspace")


async def test_a_large_file_comes_whole_through_the_output(agent: FakeHub, tmp_path: Path) -> None:
    data = os.urandom(16 * 1024 * 1024)
    (tmp_path / "work/big").write_bytes(data)
    response = await agent.run("t:1", wire.FileRead(file_path="big", encoding=Encoding.BASE64))
    assert (response.status, response.truncated, result(response)["size"]) == (SUCCEEDED, False, len(data))
    assert bytes(agent.output[AttemptId("t:1")]) == data


async def test_git(agent: FakeHub, tmp_path: Path) -> None:
    work = tmp_path / "work"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True, "cwd": work}
    subprocess.run(["git", "init", "--bare", "-b", "main", "origin.git"], **quiet)
    response = await agent.run("c:1", wire.GitClone(repo="origin.git", destination="copy"))
    assert (response.status, result(response)) == (SUCCEEDED, {"path": str(work / "copy")})
    commit = "cd copy && echo 1 > x && git add x && git -c user.name=a -c user.email=a@b commit -qm one"
    assert (await agent.run("e:1", wire.Exec(command=commit))).status is SUCCEEDED
    assert (await agent.run("p:1", wire.GitPush(repo_path="copy"))).status is SUCCEEDED
    assert (await agent.run("d:1", wire.GitClone(repo=f"file://{work}/origin.git", branch="main"))).status is SUCCEEDED
    assert (work / "origin/x").read_text() == "1\n"
    assert (await agent.run("l:1", wire.GitPull(repo_path="origin"))).status is SUCCEEDED


async def test_build_and_test(agent: FakeHub) -> None:
    assert (await agent.run("b:1", wire.Build(command="echo built"))).stdout == "built\n"
    response = await agent.run("t:1", wire.Test(command="echo '== 1 failed, 2 passed in 0.10s =='; exit 1"))
    assert (response.status, response.exit_code) == (FAILED, 1)
    assert result(response) == {"runner": "pytest", "passed": 2, "failed": 1, "total": 3, "durationSeconds": 0.1}


async def test_sudo_is_rejected_where_it_is_not_allowed(agent: FakeHub) -> None:
    response = await agent.run("t:1", wire.Exec(command="id", sudo=True))
    assert (response.status, code(response)) == (REJECTED, "sudo_unavailable")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "dance"}, "bad_task"),
        ({"type": "exec"}, "bad_task"),
        ({"type": "exec", "command": "x", "cwd": "none"}, "bad_cwd"),
        ({"type": "exec", "command": "a\0b"}, "bad_command"),
    ],
)
async def test_impossible_tasks_end(agent: FakeHub, spec: dict[str, object], expected: str) -> None:
    assert code(await agent.run("t:1", spec)) == expected


async def test_a_flood_is_cut_in_the_middle_and_marked(agent: FakeHub) -> None:
    command = "printf begin; head -c 40000000 /dev/zero | tr '\\0' x; printf end"
    response = await agent.run("t:1", wire.Exec(command=command))
    attempt_id = AttemptId("t:1")
    assert (response.status, response.truncated) == (SUCCEEDED, True)
    kept = agent.output[attempt_id]
    assert kept.startswith(b"begin")
    assert kept.endswith(b"end")
    assert agent.offset(attempt_id) == 40_000_008
    assert 15_000_000 < len(kept) <= wire.MAX_TASK_OUTPUT_BYTES
    assert response.stdout is not None
    assert response.stdout.endswith("end")


# --- time and cancel ---


async def test_a_timeout_ends_the_tree(agent: FakeHub, tmp_path: Path) -> None:
    response = await agent.run("t:1", wire.Exec(command="sleep 60 & echo $! > s.pid; wait"), timeout_ms=200)
    assert (response.status, code(response)) == (ResponseStatus.TIMED_OUT, "timed_out")
    assert not alive(int((tmp_path / "work/s.pid").read_text()))


async def test_cancel_ends_a_tree_that_resists(agent: FakeHub, tmp_path: Path) -> None:
    script = "trap '' TERM; (trap '' TERM; setsid sh -c 'echo $$ > s.pid; exec sleep 60') & sleep 60"
    attempt_id = await agent.submit("t:1", wire.Exec(command=script))
    pids = await read_pids(tmp_path / "work", 1)
    await agent.send(wire.Cancel(attempt_id, grace_ms=100))
    response = await agent.wait_response(attempt_id)
    assert response.status is ResponseStatus.CANCELLED
    assert not any(alive(pid) for pid in pids)


DAEMON = "setsid setsid env -i sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}.pid; sleep 60' & wait; sleep 60"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the limits of other processes")
async def test_cancel_finds_a_daemon_without_environment_and_leaves_those_of_others(
    hub: FakeHub, url: str, tmp_path: Path
) -> None:
    """Forked twice, in a session of its own, environment cleared, parents gone: before anybody looked."""
    async with running_agent(tmp_path, url, AGENT_CONCURRENCY="2"):
        await hub.wait_connected()
        mine, other = [
            await hub.submit(f"{name}:1", wire.Exec(command=DAEMON.format(name))) for name in ("mine", "other")
        ]
        await read_pids(tmp_path / "work", 2)
        pids = {name: int((tmp_path / f"work/{name}.pid").read_text()) for name in ("mine", "other")}
        await hub.send(wire.Cancel(mine, grace_ms=100))
        response = await hub.wait_response(mine)
        assert response.status is ResponseStatus.CANCELLED
        assert not alive(pids["mine"])
        assert alive(pids["other"])
        await hub.send(wire.Cancel(other, grace_ms=100))
        await hub.wait_response(other)
        assert not alive(pids["other"])


async def test_cancel_before_the_start_is_on_disk(agent: FakeHub) -> None:
    attempt_id = await agent.submit("t:1", wire.Exec(command="sleep 60"))
    await agent.send(wire.Cancel(attempt_id, grace_ms=0))
    assert (await agent.wait_response(attempt_id)).status is ResponseStatus.CANCELLED


async def test_the_concurrency_limit_holds(hub: FakeHub, url: str, tmp_path: Path) -> None:
    async with running_agent(tmp_path, url, AGENT_CONCURRENCY="1"):
        await hub.wait_connected()
        first = await hub.submit("a:1", wire.Exec(command="while [ ! -e go ]; do sleep 0.01; done"))
        second = await hub.submit("b:1", wire.Exec(command="true"))
        await hub.run("p:1", wire.Ping())
        assert (hub.accepted(first), hub.accepted(second)) == (1, 0)
        (tmp_path / "work/go").write_text("")
        await hub.wait_response(second)
        assert len(hub.responses(first)) == 1


# --- delivery ---


async def test_the_same_attempt_runs_once(agent: FakeHub, tmp_path: Path) -> None:
    for _ in range(10):
        await agent.submit("t:1", wire.Exec(command="echo ran >> count"))
    await agent.wait_response(AttemptId("t:1"))
    await agent.run("p:1", wire.Ping())
    assert (tmp_path / "work/count").read_text() == "ran\n"


async def test_a_result_is_sent_again_until_it_is_acknowledged(hub: FakeHub, url: str, tmp_path: Path) -> None:
    hub.auto_ack = False
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        first = await hub.run("t:1", wire.Exec(command="echo once >> count; cat count"))
        hub.drop()
        peer = await hub.wait_connected(2)
        (held,) = peer.of(wire.Hello)[0].attempts
        assert (held.attempt_id, held.state, held.output_offset) == ("t:1", AttemptState.FINISHED, 5)
        await hub.wait_until(lambda: len(hub.responses(AttemptId("t:1"))) == 2)
        assert hub.responses(AttemptId("t:1"))[1].stdout == first.stdout == "once\n"
        await hub.send(wire.Ack(responses=[AttemptId("t:1")]))
        hub.drop()
        assert (await hub.wait_connected(3)).of(wire.Hello)[0].attempts == []


async def test_output_goes_on_where_the_hub_has_it(hub: FakeHub, url: str, tmp_path: Path) -> None:
    def plan(hello: wire.Hello) -> wire.Welcome:
        resend = [wire.Resend(a.attempt_id, hub.offset(a.attempt_id)) for a in hello.attempts]
        return wire.Welcome(reconnect_spread_seconds=0.01, plan=wire.Plan(resend=resend))

    hub.welcome = plan
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        script = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two"
        attempt_id = await hub.submit("t:1", wire.Exec(command=script))
        await hub.wait_until(lambda: hub.offset(attempt_id) == 4)
        hub.drop()
        (tmp_path / "work/go").write_text("")
        response = await hub.wait_response(attempt_id)
        assert (response.status, response.stdout) == (SUCCEEDED, "one\ntwo\n")
        assert hub.output[attempt_id] == b"one\ntwo\n"


async def test_the_plan_can_kill(hub: FakeHub, url: str, tmp_path: Path) -> None:
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        attempt_id = await hub.submit("t:1", wire.Exec(command="echo $$ > s.pid; exec sleep 60"))
        (pid,) = await read_pids(tmp_path / "work", 1)
        hub.welcome = lambda _: wire.Welcome(reconnect_spread_seconds=0.01, plan=wire.Plan(kill=[attempt_id]))
        hub.drop()
        await hub.wait_connected(2)
        await wait_for(lambda: not alive(pid))
        hub.drop()
        await hub.wait_connected(3)
        assert hub.responses(attempt_id) == []


async def test_without_a_hub_for_a_lease_a_task_that_asks_for_it_is_stopped(
    hub: FakeHub, url: str, tmp_path: Path
) -> None:
    hub.welcome = lambda _: wire.Welcome(lease_seconds=0.2, reconnect_spread_seconds=0.01)
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        for name, mode in (("stop", OnDisconnect.STOP), ("go", OnDisconnect.CONTINUE)):
            command = f"echo $$ > {name}.pid; exec sleep 60"
            await hub.submit(f"{name}:1", wire.Exec(command=command), on_disconnect=mode)
        await read_pids(tmp_path / "work", 2)
        hub.refuse_with = (503, {})
        hub.drop()
        await wait_for(lambda: not alive(int((tmp_path / "work/stop.pid").read_text())))
        assert alive(int((tmp_path / "work/go.pid").read_text()))
        hub.refuse_with = None
        assert code(await hub.wait_response(AttemptId("stop:1"))) == "interrupted"


async def test_frames_that_cannot_be_understood_are_answered(agent: FakeHub) -> None:
    for frame in ("{", "[" * 100_000, '{"type": "task", "payload": 7}', '{"type": "dance", "id": "x"}'):
        await agent.peer.socket.send(frame)
    await agent.peer.socket.send(b"\xff\x00")
    await agent.wait_until(lambda: len(agent.peer.of(wire.Error)) == 5)
    codes = sorted(error.code for error in agent.peer.of(wire.Error))
    assert codes == ["malformed"] * 4 + ["unknown_type"]
    await agent.send(wire.Error(code="x", reply_to="y"))
    assert (await agent.run("p:1", wire.Ping())).status is SUCCEEDED
    assert len(agent.peer.of(wire.Error)) == 5


# --- crashes ---


async def test_a_killed_agent_interrupts_its_task_and_never_runs_it_again(
    hub: FakeHub, url: str, tmp_path: Path
) -> None:
    script = "echo ran >> count; echo before; sleep 60 & setsid sh -c 'echo $$ > s.pid; exec sleep 60' & wait"
    with agent_process(tmp_path, url) as process:
        await hub.wait_connected()
        attempt_id = await hub.submit("t:1", wire.Exec(command=script))
        (pid,) = await read_pids(tmp_path / "work", 1)
        await hub.wait_until(lambda: hub.offset(attempt_id) == 7)
        kill(process)
    assert alive(pid)
    with agent_process(tmp_path, url) as process:
        peer = await hub.wait_connected(2)
        (held,) = peer.of(wire.Hello)[0].attempts
        assert held == wire.HeldAttempt(attempt_id, AttemptState.RUNNING, 7)
        await hub.submit("t:1", wire.Exec(command=script))
        response = await hub.wait_response(attempt_id)
        assert (response.status, code(response)) == (FAILED, "interrupted")
        assert not alive(pid)
        assert (await hub.run("p:1", wire.Ping())).status is SUCCEEDED
    assert (tmp_path / "work/count").read_text() == "ran\n"


async def test_a_killed_agent_keeps_unacknowledged_results_and_output(hub: FakeHub, url: str, tmp_path: Path) -> None:
    hub.auto_ack = False
    with agent_process(tmp_path, url) as process:
        await hub.wait_connected()
        first = await hub.run("t:1", wire.Exec(command="echo kept"))
        kill(process)
    hub.output.clear()
    with agent_process(tmp_path, url):
        await hub.wait_connected(2)
        await hub.wait_until(lambda: len(hub.responses(AttemptId("t:1"))) == 2)
        again = hub.responses(AttemptId("t:1"))[1]
        assert (again.stdout, again.started_at) == (first.stdout, first.started_at)
        assert hub.output[AttemptId("t:1")] == b"kept\n"


async def test_a_corrupt_log_is_put_aside_and_the_hub_is_told(hub: FakeHub, url: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "attempts.log").write_bytes(b"CTALOG1\n" + b"torn")
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        await hub.wait_until(lambda: any("attempt_log_corrupt" in log.data for log in hub.agent_log()))
    (line,) = [log for log in hub.agent_log() if "attempt_log_corrupt" in log.data]
    assert (line.level, line.stream) == ("error", wire.Stream.AGENT)
    (kept,) = (state / "quarantine").iterdir()
    assert kept.read_bytes() == b"torn"


# --- the end ---


async def test_a_drain_lets_work_end_and_says_goodbye(hub: FakeHub, url: str, tmp_path: Path) -> None:
    async with running_agent(tmp_path, url, AGENT_DRAIN_SECONDS="30") as running:
        await hub.wait_connected()
        attempt_id = await hub.submit("t:1", wire.Exec(command="while [ ! -e go ]; do sleep 0.01; done"))
        await hub.wait_until(lambda: hub.accepted(attempt_id) == 1)
        running.stop.set()
        await hub.wait_until(lambda: any("draining" in log.data for log in hub.agent_log()))
        late = await hub.submit("late:1", wire.Exec(command="true"))
        (tmp_path / "work/go").write_text("")
        assert (await hub.wait_response(attempt_id)).status is SUCCEEDED
        await hub.wait_until(lambda: hub.peer.closed)
    assert [bye.reason for bye in hub.peer.of(wire.Bye)] == ["shutting down"]
    assert hub.peer.socket.close_code == 1000
    assert (hub.accepted(late), hub.responses(late)) == (0, [])


async def test_sigterm_stops_what_outlasts_the_drain(hub: FakeHub, url: str, tmp_path: Path) -> None:
    with agent_process(tmp_path, url) as process:
        await hub.wait_connected()
        attempt_id = await hub.submit("t:1", wire.Exec(command="echo $$ > s.pid; exec sleep 60"))
        (pid,) = await read_pids(tmp_path / "work", 1)
        process.send_signal(signal.SIGTERM)
        response = await hub.wait_response(attempt_id)
        assert (response.status, code(response)) == (FAILED, "interrupted")
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert not alive(pid)


async def test_a_second_signal_ends_at_once(hub: FakeHub, url: str, tmp_path: Path) -> None:
    with agent_process(tmp_path, url, AGENT_DRAIN_SECONDS="60") as process:
        await hub.wait_connected()
        await hub.submit("t:1", wire.Exec(command="echo $$ > s.pid; exec sleep 60"))
        (pid,) = await read_pids(tmp_path / "work", 1)
        process.send_signal(signal.SIGTERM)
        await hub.wait_until(lambda: any("draining" in log.data for log in hub.agent_log()))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 130
        os.kill(pid, signal.SIGKILL)


async def test_messages_between_agents(agent: FakeHub, tmp_path: Path) -> None:
    await agent.send({"hello": 1}, kind="message", sender="b1")
    await agent.wait_until(lambda: any(ack.messages for ack in agent.peer.of(wire.Ack)))
    (file,) = (tmp_path / "work/.clawtui/inbox").iterdir()
    assert json.loads(file.read_text())["payload"] == {"hello": 1}


async def test_shells(agent: FakeHub) -> None:
    await agent.send(wire.Shell(op=wire.ShellOp.OPEN, shell_id="s", rows=30, cols=99))
    await agent.send(
        wire.Shell(op=wire.ShellOp.DATA, shell_id="s", data=base64.b64encode(b"stty size; exit 5\n").decode())
    )
    await agent.wait_until(lambda: any(s.op is wire.ShellOp.EXIT for s in agent.peer.of(wire.Shell)))
    steps = agent.peer.of(wire.Shell)
    text = b"".join(base64.b64decode(s.data or "") for s in steps)
    assert b"30 99" in text
    assert steps[-1].exit_code == 5


async def test_health_follows_the_welcome_and_a_watch(agent: FakeHub) -> None:
    await agent.wait_until(lambda: len(agent.peer.of(wire.Health)) == 1)
    first = agent.peer.of(wire.Health)[0]
    assert first.memory is not None
    assert first.memory.used > 1_000_000
    await agent.send(wire.Watch(interval_seconds=0.01, ttl_seconds=0.3))
    await agent.wait_until(lambda: len(agent.peer.of(wire.Health)) >= 3)
