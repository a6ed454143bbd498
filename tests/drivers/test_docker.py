"""The Docker driver on a real engine: the contract, the defaults as the engine has them, and faults at every step."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.core.model import AgentUid, Observed
from hub.drivers.base import AgentHandle, AgentPlan, LogRequest, Mount, RestartPolicy
from hub.drivers.docker import DockerDriver, steps
from hub.drivers.docker.engine import Call, EngineRefused
from hub.errors import BadRequest, Conflict, DriverFailed, HubError
from tests.drivers.contract import (
    GRACE_SECONDS,
    Bench,
    DriverContract,
    close_stream,
    collect,
    no_progress,
    texts,
    wait_for_line,
    wait_for_state,
    wait_until,
)
from tests.drivers.docker_bench import PYTHON, DockerBench, FaultyConnect, Reach

pytestmark = pytest.mark.docker


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerBench]:
    made = DockerBench(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def driver(bench: DockerBench) -> DockerDriver:
    return bench.driver


def open_resources() -> tuple[int, int]:
    """Count this process's stream threads and open descriptors."""
    streams = [thread for thread in threading.enumerate() if thread.name == "docker-stream"]
    return len(streams), len(os.listdir("/proc/self/fd"))


class TestDockerDriver(DriverContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        made = DockerBench(tmp_path)
        yield made
        await made.close()


def name_of(plan: AgentPlan) -> str:
    return f"openclaw-agent-{plan.agent_id}"


def with_fields(plan: AgentPlan, **fields: object) -> AgentPlan:
    return msgspec.structs.replace(plan, **fields)


# --- what the engine has of a plan -----------------------------------------------------------------


async def test_the_engine_has_every_secure_default(bench: DockerBench, driver: DockerDriver) -> None:
    plan = with_fields(bench.plan(), memory_bytes=256 * 2**20, cpus=0.5, labels={"team": "blue"})
    await driver.create(plan, no_progress)
    found = bench.outside.container(name_of(plan))
    host, config = found["HostConfig"], found["Config"]
    kept = (
        "Init", "CapDrop", "CapAdd", "SecurityOpt", "Privileged", "ReadonlyRootfs", "PidsLimit", "NanoCpus", "Memory",
        "MemorySwap", "Ulimits", "LogConfig", "NetworkMode", "PortBindings", "Devices", "PidMode", "IpcMode",
    )  # fmt: skip
    assert {name: host[name] for name in kept} == {
        "Init": True,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "ReadonlyRootfs": False,
        "PidsLimit": 512,
        "NanoCpus": 500_000_000,
        "Memory": 256 * 2**20,
        "MemorySwap": 256 * 2**20,
        "Ulimits": [{"Name": "nofile", "Soft": 16_384, "Hard": 16_384}],
        "LogConfig": {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}},
        "NetworkMode": "openclaw-agents",
        "PortBindings": None,
        "Devices": None,
        "PidMode": "",
        "IpcMode": "private",
    }
    assert config["User"] == "1000:1000"
    assert config["Healthcheck"]["Test"][1:] == [PYTHON, "-P", "-m", "runtime.healthcheck"]
    labels = config["Labels"]
    assert len(labels.pop("clawtui.plan-hash")) == 64
    assert labels == {
        "clawtui.owner": "clawtui",
        "clawtui.hub-id": bench.hub_id,
        "clawtui.agent-id": plan.agent_id,
        "clawtui.agent-uid": plan.uid,
        "clawtui.label.team": "blue",
    }
    assert plan.join_token not in str(found), "a secret must not be in what `docker inspect` shows"


async def test_the_default_restart_policy_is_the_engines(bench: DockerBench, driver: DockerDriver) -> None:
    plan = with_fields(bench.plan(), restart=RestartPolicy.UNLESS_STOPPED)
    await driver.create(plan, no_progress)
    assert bench.outside.container(name_of(plan))["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


async def test_inside_the_agent_is_nobody_special(bench: DockerBench, driver: DockerDriver) -> None:
    plan = bench.plan()
    await driver.create(plan, no_progress)
    script = (
        "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/1/status; stat -c '%u %a' /workspace /var/lib/clawtui;"
        " ulimit -n; cat /proc/1/comm; touch /workspace/x && echo writable"
    )
    code, output = bench.outside.run_in(name_of(plan), "sh", "-c", script)
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0] == "1000"
    assert {"CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} < set(lines)
    assert lines[4:] == ["1000 755", "1000 700", "16384", "docker-init", "writable"]


async def test_more_than_the_machine_has_is_clamped_and_said(bench: DockerBench, driver: DockerDriver) -> None:
    told: list[str] = []
    plan = with_fields(bench.plan(), cpus=10_000.0, memory_bytes=2**50, disk_bytes=2**30)
    await driver.create(plan, lambda _fraction, line: told.append(line))
    info = bench.outside.get("/info")
    host = bench.outside.container(name_of(plan))["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (info["NCPU"] * 10**9, info["MemTotal"])
    assert any("CPUs asked for" in line for line in told)
    assert any("GiB asked for" in line for line in told)
    assert driver.features.disk_limit == (not any("disk size is not enforced" in line for line in told))


async def test_a_read_only_agent_can_write_where_it_must(bench: DockerBench, driver: DockerDriver) -> None:
    plan = with_fields(bench.plan(), read_only=True, tmpfs=("/scratch",))
    handle = await driver.create(plan, no_progress)
    for place in ("/workspace", "/var/lib/clawtui", "/tmp", "/scratch"):
        assert bench.outside.run_in(name_of(plan), "touch", f"{place}/x") == (0, ""), place
    assert "tmpfs on /run " in bench.outside.run_in(name_of(plan), "mount")[1]
    code, _ = bench.outside.run_in(name_of(plan), "touch", "/home/agent/x")
    assert code != 0
    await driver.renew_token(handle, "ctj_readonly")
    assert await bench.token(handle) == "ctj_readonly"


async def test_mounts_of_a_folder_and_of_a_volume(bench: DockerBench, driver: DockerDriver, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "file").write_text("from the host")
    volume = f"{bench.hub_id}-data"
    mounts = (
        Mount(source=str(folder), target="/mnt/folder", read_only=True),
        Mount(source=volume, target="/mnt/volume"),
    )
    plan = with_fields(bench.plan(), mounts=mounts)
    handle = await driver.create(plan, no_progress)
    assert bench.outside.run_in(name_of(plan), "cat", "/mnt/folder/file") == (0, "from the host")
    assert bench.outside.run_in(name_of(plan), "touch", "/mnt/folder/x")[0] != 0
    await driver.destroy(handle)
    assert bench.outside.named(volume) == [f"volume {volume}"], "the operator's volume is not the agent's"
    bench.outside.remove_volume(volume)


async def test_sudo_is_there_only_where_it_was_asked_for(bench: DockerBench, driver: DockerDriver) -> None:
    told: list[str] = []
    plan, plain = with_fields(bench.plan(), sudo=True), bench.plan()
    await driver.create(plan, lambda _fraction, line: told.append(line))
    await driver.create(plain, no_progress)
    assert bench.outside.run_in(name_of(plan), "sudo", "-n", "id", "-u") == (0, "0\n")
    assert bench.outside.container(name_of(plan))["HostConfig"]["SecurityOpt"] == []
    assert any(line.startswith("sudo:") for line in told)
    assert bench.outside.run_in(name_of(plain), "sh", "-c", "command -v sudo")[0] != 0


@pytest.mark.parametrize(
    "fields",
    [
        {"mounts": (Mount(source="/no/such/folder", target="/mnt"),)},
        {"network": "no-such-network"},
        {"environment": {"HUB_URL": "ws://elsewhere"}},
        {"mounts": (Mount(source="openclaw-agent-other.state", target="/mnt"),)},
    ],
)
async def test_what_cannot_be_is_the_callers_mistake_and_leaves_nothing(
    bench: DockerBench, driver: DockerDriver, fields: dict[str, object]
) -> None:
    plan = with_fields(bench.plan(), **fields)
    with pytest.raises(BadRequest):
        await driver.create(plan, no_progress)
    assert await bench.leftovers(plan) == []


# --- networks --------------------------------------------------------------------------------------

LISTEN = (
    "import socket; s = socket.create_server(('0.0.0.0', 7777)); print('listening', flush=True)\n"
    "while True: s.accept()[0].close()"
)
DIAL = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"


async def test_agents_do_not_reach_each_other(bench: DockerBench) -> None:
    server_driver = bench.make_driver(command=(PYTHON, "-u", "-c", LISTEN))
    server, client = bench.plan(), bench.plan()
    handle = await server_driver.create(server, no_progress)
    await wait_for_line(server_driver, handle, "listening")
    await bench.driver.create(client, no_progress)
    networks = bench.outside.container(name_of(server))["NetworkSettings"]["Networks"]
    address = networks["openclaw-agents"]["IPAddress"]
    dial = (PYTHON, "-c", DIAL, address, "7777")
    assert bench.outside.run_in(name_of(server), *dial) == (0, ""), "it does listen"
    code, output = bench.outside.run_in(name_of(client), *dial)
    assert code != 0
    assert "timed out" in output


async def test_the_host_is_where_the_hub_was_asked_to_listen(bench: DockerBench, driver: DockerDriver) -> None:
    for network in ("", "isolated"):
        plan = with_fields(bench.plan(), network=network)
        await driver.create(plan, no_progress)
        gateway = bench.reaches[0].listening[-1]
        with socket.create_server((gateway, 0)) as listener:
            port = str(listener.getsockname()[1])
            dial = (PYTHON, "-c", DIAL, "host.docker.internal", port)
            assert bench.outside.run_in(name_of(plan), *dial) == (0, ""), network
        environment = bench.outside.container(name_of(plan))["Config"]["Env"]
        assert "HUB_URL=ws://host.docker.internal:9" in environment


async def test_the_networks_are_as_documented(bench: DockerBench, driver: DockerDriver) -> None:
    for wanted, name, internal in (("", "openclaw-agents", False), ("isolated", "openclaw-agents-isolated", True)):
        await driver.create(with_fields(bench.plan(), network=wanted), no_progress)
        found = bench.outside.get(f"/networks/{name}")
        assert (found["Driver"], found["Internal"]) == ("bridge", internal)
        assert found["Options"] == {"com.docker.network.bridge.enable_icc": "false"}
        assert found["Labels"] == {"clawtui.owner": "clawtui"}, "shared by hubs: no hub's id"


async def test_an_agent_without_network_has_the_socket_folder(bench: DockerBench, driver: DockerDriver) -> None:
    plan = with_fields(bench.plan(), network="none", read_only=True)
    await driver.create(plan, no_progress)
    assert bench.reaches[0].offered == [plan.uid]
    assert bench.reaches[0].listening == []
    folder = bench.folder / "run" / plan.uid
    (folder / "agent.sock").touch()
    code, output = bench.outside.run_in(name_of(plan), "sh", "-c", "ls /run/clawtui; ls /sys/class/net; echo $HUB_URL")
    assert (code, output.split()) == (0, ["agent.sock", "lo", "unix:/run/clawtui/agent.sock"])


async def test_a_restarted_hub_listens_again_for_agents_that_exist(bench: DockerBench, driver: DockerDriver) -> None:
    await driver.create(bench.plan(), no_progress)
    without = with_fields(bench.plan(), network="none")
    await driver.create(without, no_progress)
    fresh = await bench.restarted_driver()
    await fresh.list_agents()
    await fresh.list_agents()
    assert bench.reaches[-1].listening == bench.reaches[0].listening
    assert bench.reaches[-1].offered == [without.uid]


async def test_the_shared_network_stays_as_long_as_any_agent_needs_it(bench: DockerBench, driver: DockerDriver) -> None:
    stopped = await driver.create(bench.plan(), no_progress)
    await driver.stop(stopped, GRACE_SECONDS)
    other = bench.make_driver(hub_id=f"{bench.hub_id}-other")
    passing = await other.create(bench.plan(), no_progress)
    await other.destroy(passing)
    await driver.start(stopped)
    await driver.destroy(stopped)
    condition = msgspec.json.encode({"network": ["openclaw-agents"]}).decode()
    users = bench.outside.get("/containers/json", all="1", filters=condition)
    networks = bench.outside.get("/networks")
    names = [network["Name"] for network in networks]
    assert ("openclaw-agents" in names) == bool(users)


# --- others' objects -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".state"])
async def test_a_foreign_volume_of_the_same_name_is_left_alone(
    bench: DockerBench, driver: DockerDriver, suffix: str
) -> None:
    plan = bench.plan()
    volume = name_of(plan) + suffix
    bench.outside.post("/volumes/create", {"Name": volume, "Labels": {"made-by": "somebody"}})
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await driver.create(plan, no_progress)
    await driver.undo_create(plan.agent_id, plan.uid)
    assert await bench.leftovers(plan) == [f"volume {volume}"]
    bench.outside.remove_volume(volume)


async def test_a_name_of_another_hub_or_of_an_earlier_agent_is_a_conflict(
    bench: DockerBench, driver: DockerDriver
) -> None:
    plan = bench.plan()
    handle = await driver.create(plan, no_progress)
    other = await bench.other_hubs_driver()
    with pytest.raises(Conflict, match="belongs to another hub"):
        await other.create(with_fields(plan, uid=AgentUid("another")), no_progress)
    with pytest.raises(Conflict, match="earlier agent"):
        await driver.create(with_fields(plan, uid=AgentUid("another")), no_progress)
    assert (await driver.inspect(handle)).state is Observed.RUNNING


async def test_parallel_creates(bench: DockerBench, driver: DockerDriver) -> None:
    plans = [bench.plan() for _ in range(6)]
    rival = with_fields(plans[0], uid=AgentUid(f"{plans[0].uid}-rival"))
    async with asyncio.TaskGroup() as group:
        made = [group.create_task(driver.create(plan, no_progress)) for plan in plans]
        lost = group.create_task(refusal_of(driver, rival))
    assert isinstance(lost.result(), Conflict)
    assert {seen.handle for seen in await driver.list_agents()} == {task.result() for task in made}
    async with asyncio.TaskGroup() as group:
        for task in made:
            group.create_task(driver.destroy(task.result()))
    assert [await bench.leftovers(plan) for plan in (*plans, rival)] == [[]] * 7


async def refusal_of(driver: DockerDriver, plan: AgentPlan) -> HubError | None:
    try:
        await driver.create(plan, no_progress)
    except HubError as exc:
        return exc
    return None


# --- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_create_that_fails_at_any_call_leaves_nothing(bench: DockerBench, how: str) -> None:
    """Each call of a create fails once, or its answer is lost after the engine did it."""
    for number in range(60):
        faulty = FaultyConnect(lambda at, _call, number=number: how if at == number else None)
        plan = bench.plan()
        error = await refusal_of(driver := bench.make_driver(connect=faulty), plan)
        await driver.stop_driver()
        if not faulty.failed:
            assert number > 8, "a create has more calls than that"
            assert error is None
            return
        if error is None:
            # A look whose answer is not needed any more; nothing else may go unnoticed.
            assert faulty.failed[0].method == "GET"
            await bench.driver.undo_create(plan.agent_id, plan.uid)
        assert await bench.leftovers(plan) == [], faulty.failed
    pytest.fail("a create does not end")


async def test_an_engine_that_dies_during_a_create_is_named_and_undone_later(bench: DockerBench) -> None:
    def dead_from_start_on(_number: int, call: Call) -> str | None:
        nonlocal dead
        dead = dead or call.path.endswith("/start")
        return "before" if dead else None

    dead = False
    plan = bench.plan()
    driver = bench.make_driver(connect=FaultyConnect(dead_from_start_on))
    with pytest.raises(DriverFailed, match="undoing it failed too"):
        await driver.create(plan, no_progress)
    assert len(await bench.leftovers(plan)) >= 3
    await bench.driver.undo_create(plan.agent_id, plan.uid)
    assert await bench.leftovers(plan) == []


async def test_what_cannot_be_removed_is_named(bench: DockerBench, driver: DockerDriver) -> None:
    plan = bench.plan()
    handle = await driver.create(plan, no_progress)
    volume = name_of(plan)
    user = bench.outside.make_container(
        f"{bench.hub_id}-user", HostConfig={"Mounts": [{"Type": "volume", "Source": volume, "Target": "/mnt"}]}
    )
    with pytest.raises(DriverFailed, match=f"volume {volume}"):
        await driver.destroy(handle)
    bench.outside.remove_container(user)
    await driver.destroy(handle)
    assert await bench.leftovers(plan) == []


async def test_no_engine_is_an_answer_and_never_a_crash(tmp_path: Path) -> None:
    driver = DockerDriver(Reach("hub", tmp_path), base_url=f"unix://{tmp_path}/no.sock", environment={})
    fingerprint = await driver.fingerprint()
    assert not fingerprint.usable
    assert f"{tmp_path}/no.sock" in fingerprint.reason
    assert "clawtui doctor" in fingerprint.hint
    handle = AgentHandle("docker", '{"id":"a","uid":"u"}')
    with pytest.raises(DriverFailed) as caught:
        await driver.inspect(handle)
    assert caught.value.code == "engine_unreachable"
    with pytest.raises(DriverFailed):
        await collect(driver, handle, LogRequest())
    await driver.stop_driver()


# --- observations ----------------------------------------------------------------------------------


async def test_an_agent_that_ran_out_of_memory_says_so(bench: DockerBench) -> None:
    driver = bench.make_driver(command=(PYTHON, "-c", "b = bytearray(500_000_000)"))
    handle = await driver.create(with_fields(bench.plan(), memory_bytes=64 * 2**20), no_progress)
    seen = await wait_for_state(driver, handle, Observed.EXITED)
    assert (seen.out_of_memory, seen.exit_code) == (True, 137)


async def test_an_agent_that_the_engine_keeps_restarting_is_not_called_running(bench: DockerBench) -> None:
    driver = bench.make_driver(command=(PYTHON, "-c", "raise SystemExit(3)"))
    handle = await driver.create(with_fields(bench.plan(), restart=RestartPolicy.ALWAYS), no_progress)

    async def restarting() -> bool:
        seen = await driver.inspect(handle)
        return seen.state is Observed.UNKNOWN and seen.reason == "restarting after exit code 3"

    await wait_until(restarting, "the engine waits before the next restart")


async def test_a_resumed_agent_is_not_called_ill(bench: DockerBench, driver: DockerDriver) -> None:
    handle = await driver.create(bench.plan(), no_progress)
    await driver.pause(handle)
    await driver.resume(handle)
    assert (await driver.inspect(handle)).reason == ""


@pytest.mark.parametrize("refusals", [2, steps.FREEZE_ATTEMPTS])
async def test_an_agent_that_cannot_be_frozen_at_once_is_tried_again_a_few_times(
    bench: DockerBench, driver: DockerDriver, refusals: int
) -> None:
    handle = await driver.create(bench.plan(), no_progress)
    seen: list[Call] = []

    def first_ones_fail(_number: int, call: Call) -> str | None:
        if call.path.endswith("/pause"):
            seen.append(call)
            return "before" if len(seen) <= refusals else None
        return None

    busy = EngineRefused("OCI runtime pause failed: unable to freeze: unknown", engine_status=500)
    hasty = bench.make_driver(connect=FaultyConnect(first_ones_fail, lambda: busy))
    if refusals < steps.FREEZE_ATTEMPTS:
        await hasty.pause(handle)
        assert (await hasty.inspect(handle)).state is Observed.PAUSED
    else:
        with pytest.raises(DriverFailed, match="unable to freeze"):
            await hasty.pause(handle)
        assert (await hasty.inspect(handle)).state is Observed.RUNNING
    assert len(seen) == min(refusals + 1, steps.FREEZE_ATTEMPTS)


async def test_a_watcher_subscribes_again(bench: DockerBench) -> None:
    opened: list[Call] = []

    def first_two_fail(_number: int, call: Call) -> str | None:
        if call.path == "/events":
            opened.append(call)
        return "before" if call.path == "/events" and len(opened) <= 2 else None

    driver = bench.make_driver(connect=FaultyConnect(first_two_fail))
    async with asyncio.timeout(20):
        async for _ in driver.watch():
            break
    assert len(opened) == 3


# --- logs ------------------------------------------------------------------------------------------

TALK = "import sys, time; print('out', flush=True); print('err', file=sys.stderr, flush=True); time.sleep(600)"


async def test_log_lines_have_stream_and_time(bench: DockerBench) -> None:
    driver = bench.make_driver(command=(PYTHON, "-c", TALK))
    handle = await driver.create(bench.plan(), no_progress)
    await wait_for_line(driver, handle, "err")
    lines = await collect(driver, handle, LogRequest())
    assert {(line.text, line.stream) for line in lines} == {("out", "stdout"), ("err", "stderr")}
    newest = max(line.at or 0 for line in lines)
    assert newest > 0
    assert texts(await collect(driver, handle, LogRequest(since_ms=newest + 1))) == []
    assert len(await collect(driver, handle, LogRequest(since_ms=newest - 60_000))) == 2


async def test_a_very_long_line_comes_in_pieces(bench: DockerBench, driver: DockerDriver) -> None:
    talker = bench.make_driver(command=(PYTHON, "-c", "print('x' * 200_000, flush=True); print('end')"))
    handle = await talker.create(bench.plan(), no_progress)
    await wait_for_line(driver, handle, "end")
    lines = texts(await collect(driver, handle, LogRequest()))
    assert lines[-1] == "end"
    assert "".join(lines[:-1]) == "x" * 200_000
    assert max(len(line) for line in lines) <= 64 * 1024


async def test_logs_that_are_left_early_close_their_threads_and_sockets(
    bench: DockerBench, driver: DockerDriver
) -> None:
    handle = await driver.create(bench.plan(), no_progress)
    await bench.say(handle, "hello")
    await wait_for_line(driver, handle, "hello")
    _, before = open_resources()
    for _ in range(20):
        lines = driver.logs(handle, LogRequest(follow=True))
        assert (await anext(lines)).text == "hello"
        await close_stream(lines)

    async def as_before() -> bool:
        return open_resources() == (0, before)

    await wait_until(as_before, "threads and descriptors are back")


async def test_followers_who_are_cancelled_close_too(bench: DockerBench, driver: DockerDriver) -> None:
    handle = await driver.create(bench.plan(), no_progress)

    async def five_streams() -> bool:
        return open_resources()[0] == 5

    async def no_streams() -> bool:
        return open_resources()[0] == 0

    async def follow_and_cancel() -> tuple[int, int]:
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(collect(driver, handle, LogRequest(follow=True))) for _ in range(5)]
            await wait_until(five_streams, "all follow")
            for follower in followers:
                follower.cancel()
        await wait_until(no_streams, "their threads end")
        return open_resources()

    # Each round may add a connection of a control thread, of which there are eight.
    counts = [await follow_and_cancel() for _ in range(12)]
    assert counts[-1][1] - counts[0][1] <= 8
