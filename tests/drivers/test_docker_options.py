"""Options of a container on a real engine, GPUs that are not there, and what a Compose file needs beforehand."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec.structs import replace

from hub.core.model import Observed
from hub.drivers.base import LogRequest
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Plugin, PluginConfig, PluginInterface
from hub.drivers.docker.checks import host_of
from hub.drivers.docker.engine import Call, EngineNotFound, EngineRefused, EngineUnreachable
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.plan import Host, Way, check_host, plan_container
from hub.drivers.docker.plan_checks import without_gpu
from hub.drivers.networks import NetworkOrder
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable
from profiles.model import Machine, parse_machine
from tests.drivers.contract import no_progress
from tests.drivers.docker_bench import DockerBench, FaultyConnect, Outside
from tests.drivers.test_docker_compose import WEB, agent_plan, container

SHARED = "openclaw-agents"
ISOLATED = "openclaw-agents-isolated"
"""In tests of removal: other hubs of the engine have agents in the shared network, hardly ever in this one."""


def notes_of(machine: Machine, host: Host) -> list[str]:
    way = Way(network=SHARED, url="ws://host.docker.internal:9090", hub_host="172.30.0.1")
    return plan_container(agent_plan(machine), WEB, "base:1", host, way)[1]


def test_what_the_engine_does_not_enforce_is_said() -> None:
    machine = parse_machine({"security": {"apparmor": "mine", "selinux": ["type:t"]}, "logging": "none"})
    bare = Host(cpus=8, memory_bytes=2**36, apparmor=False, selinux=False)
    assert [note.split(":")[0] for note in notes_of(machine, bare)] == [
        "AppArmor profile mine is not enforced", "SELinux label type", "log driver none",
    ]  # fmt: skip
    assert [note.split(":")[0] for note in notes_of(machine, Host(cpus=8, memory_bytes=2**36))] == ["log driver none"]


@pytest.mark.parametrize(
    ("gpu", "words"), [("all", "all GPUs"), (2, "2 GPUs"), (["GPU-1", "GPU-2"], "GPUs GPU-1, GPU-2")]
)
def test_a_container_with_gpus_that_cannot_be_started_says_what_was_asked_for(gpu: object, words: str) -> None:
    plan = container(agent_plan(parse_machine({"gpu": gpu})))
    told = without_gpu(plan, EngineRefused("no such device", engine_status=500))
    assert isinstance(told, NotAvailable)
    assert (told.code, told.field) == ("no_gpu", "machine.gpu")
    assert f"was to have {words}, and" in told.message
    assert "no such device" in told.message


def test_other_failures_stay_what_they_are() -> None:
    refused, gone = EngineRefused("x", engine_status=500), EngineUnreachable("no engine")
    assert without_gpu(container(agent_plan(Machine())), refused) is refused
    assert without_gpu(container(agent_plan(parse_machine({"gpu": "all"}))), gone) is gone


# --- on the engine ---------------------------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[str]:
    """A name for a network that nothing else has; what is made with it is removed."""
    made, outside = f"clawtui-test-{secrets.token_hex(4)}", Outside()
    yield made
    with contextlib.suppress(EngineNotFound):
        outside.engine.call(Call("DELETE", f"/networks/{made}"))
    outside.close()


@pytest.fixture
async def bench(tmp_path: Path, network: str) -> AsyncIterator[DockerBench]:
    """Ends before the network does, which its agents may be in."""
    made = DockerBench(tmp_path)
    yield made
    await made.close()


@pytest.mark.docker
async def test_every_option_reaches_the_engine(bench: DockerBench) -> None:
    machine = parse_machine({
        "limits": {
            "pids": 99, "ulimits": {"core": 0}, "cpuset": "0", "cpu_shares": 99, "memory_swap": -1,
            "memory_reservation": "100m", "shm_size": "70m",
        },
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}}, "stop_grace": 3,
        "health": {"interval": 5}, "security": {"cap_add": ["NET_BIND_SERVICE"]},
    })  # fmt: skip
    plan = replace(bench.plan(), machine=machine, pids=99, memory_bytes=2**30)
    await bench.driver.create(plan, no_progress)
    found = bench.outside.container(f"openclaw-agent-{plan.agent_id}")
    host = found["HostConfig"]
    assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]
    assert (host["PidsLimit"], host["CpusetCpus"], host["CpuShares"], host["ShmSize"]) == (99, "0", 99, 70 << 20)
    assert (host["Memory"], host["MemorySwap"], host["MemoryReservation"]) == (2**30, -1, 100 << 20)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}
    assert (found["Config"]["StopTimeout"], found["Config"]["Healthcheck"]["Interval"]) == (3, 5 * 10**9)
    assert host["CapAdd"] == ["NET_BIND_SERVICE"]


def test_a_log_driver_that_the_engine_does_not_have_is_refused_with_those_it_has() -> None:
    host = Host(cpus=8, memory_bytes=2**36, log_drivers=("none", "local", "acme/logs:2", "loki:latest", "loki"))
    for known in ("", "none", "local", "acme/logs:2", "loki"):
        check_host(parse_machine({"logging": {"driver": known}} if known else {}), host)
    with pytest.raises(BadRequest) as refused:
        check_host(parse_machine({"logging": "gelf"}), host)
    assert (refused.value.field, "local, loki" in refused.value.hint) == ("machine.logging.driver", True)
    # An engine that does not say what it has is to judge for itself.
    check_host(parse_machine({"logging": "gelf"}), Host(cpus=8, memory_bytes=2**36))


def test_installed_log_drivers_count_and_other_plugins_do_not() -> None:
    def plugin(name: str, kind: str, *, enabled: bool = True) -> Plugin:
        return Plugin(name, enabled, PluginConfig(PluginInterface([kind])))

    installed = [
        plugin("loki:latest", "docker.logdriver/1.0"), plugin("acme/logs:2", "docker.logdriver/1.0"),
        plugin("off:latest", "docker.logdriver/1.0", enabled=False), plugin("ssh:latest", "docker.volumedriver/1.0"),
    ]  # fmt: skip
    assert steps.log_drivers_in(installed) == ["loki:latest", "acme/logs:2", "loki"]


class Answering:
    """An engine that has an answer for each path, or refuses."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers

    def call(self, call: Call) -> bytes:
        if call.path not in self._answers:
            raise EngineRefused("forbidden", engine_status=403)
        return self._answers[call.path]

    def open(self, call: Call) -> NoReturn:
        raise AssertionError(f"nothing is streamed here: {call.path}")

    def close(self) -> None:
        return


def test_what_log_drivers_there_are_is_not_known_where_installed_ones_are_not_told() -> None:
    info = b'{"ServerVersion":"1","NCPU":2,"MemTotal":9,"Plugins":{"Log":["local"]}}'
    loki = b'[{"Name":"loki:latest","Enabled":true,"Config":{"Interface":{"Types":["docker.logdriver/1.0"]}}}]'
    both = host_of(steps.system(Answering({"/info": info, "/plugins": loki})))
    assert both.log_drivers == ("none", "local", "loki:latest", "loki")
    assert host_of(steps.system(Answering({"/info": info}))).log_drivers == ()


@pytest.mark.docker
async def test_an_unknown_log_driver_and_cores_are_refused_before_anything_is_built(bench: DockerBench) -> None:
    told: list[str] = []
    for machine in ({"logging": "nosuch"}, {"limits": {"cpuset": "4000"}}):
        plan = replace(bench.plan(), machine=parse_machine(machine))
        with pytest.raises(BadRequest):
            await bench.driver.create(plan, lambda _done, line: told.append(line))
        assert await bench.leftovers(plan) == []
    assert told == []


@pytest.mark.docker
@pytest.mark.parametrize("logging", [{"driver": "nosuch"}, {"driver": "json-file", "options": {"bad": "1"}}])
async def test_a_log_driver_that_is_not_there_leaves_nothing_behind(bench: DockerBench, logging: object) -> None:
    plan = replace(bench.plan(), machine=parse_machine({"logging": logging}))
    with pytest.raises((BadRequest, DriverFailed)):
        await bench.driver.create(plan, no_progress)
    assert await bench.leftovers(plan) == []


@pytest.mark.docker
async def test_a_log_that_nobody_keeps_is_an_error_with_another_way(bench: DockerBench) -> None:
    plan = replace(bench.plan(), machine=parse_machine({"logging": "none"}))
    handle = await bench.driver.create(plan, no_progress)
    with pytest.raises(DriverFailed) as refused:
        await anext(bench.driver.logs(handle, LogRequest()))
    assert "--source runtime" in refused.value.hint


@pytest.mark.docker
async def test_without_a_gpu_the_refusal_is_clear_and_nothing_is_left(bench: DockerBench) -> None:
    if bench.outside.get("/info").get("Runtimes", {}).get("nvidia"):
        pytest.skip("docker tests: this engine may have a GPU")
    plan = replace(bench.plan(), machine=parse_machine({"gpu": "all"}))
    with pytest.raises(NotAvailable) as refused:
        await bench.driver.create(plan, no_progress)
    assert refused.value.code == "no_gpu"
    assert await bench.leftovers(plan) == []


@pytest.mark.docker
async def test_a_network_stays_while_somebody_is_expected_in_it(bench: DockerBench) -> None:
    driver, plan = bench.driver, replace(bench.plan(), network="isolated")
    file = await driver.compose.export([plan])
    (extra,) = file.document["services"][str(plan.agent_id)]["extra_hosts"]  # pyright: ignore
    assert extra == f"host.docker.internal:{bench.reaches[0].listening[0]}"
    other = replace(bench.plan(), network="isolated")
    await driver.destroy(await driver.create(other, no_progress))
    assert bench.outside.get(f"/networks/{ISOLATED}")["Name"] == ISOLATED
    await driver.destroy(driver.compose.handle(plan.agent_id, plan.uid))
    with pytest.raises(EngineNotFound):
        bench.outside.get(f"/networks/{ISOLATED}")


@pytest.mark.docker
async def test_who_is_expected_after_a_restart_finds_network_and_hub(bench: DockerBench) -> None:
    driver, plan = bench.driver, replace(bench.plan(), network="isolated")
    driver.compose.expect(plan)
    assert await driver.list_agents() == []
    assert bench.outside.get(f"/networks/{ISOLATED}")["Name"] == ISOLATED
    assert len(bench.reaches[0].listening) == 1
    # Another hub of the engine saw nobody in it.
    bench.outside.engine.call(Call("DELETE", f"/networks/{ISOLATED}"))
    await driver.list_agents()
    assert bench.outside.get(f"/networks/{ISOLATED}")["Name"] == ISOLATED
    driver.compose.expect(replace(plan, network="none"))
    await driver.list_agents()
    assert bench.reaches[0].offered == [plan.uid]
    await driver.destroy(driver.compose.handle(plan.agent_id, plan.uid))


@pytest.mark.docker
async def test_a_network_that_another_hub_takes_away_under_a_create_is_made_again(bench: DockerBench) -> None:
    taken: list[Call] = []

    def take_away_once(_number: int, call: Call) -> str | None:
        if call.path.endswith("/start") and not taken:
            taken.append(call)
            bench.outside.engine.call(Call("DELETE", f"/networks/{ISOLATED}"))
        return None

    driver, plan = bench.make_driver(connect=FaultyConnect(take_away_once)), replace(bench.plan(), network="isolated")
    told: list[str] = []
    handle = await driver.create(plan, lambda _done, line: told.append(line))
    assert (await driver.inspect(handle)).state is Observed.RUNNING
    assert [line for line in told if "another hub removed it" in line]
    await driver.destroy(handle)
    assert await bench.leftovers(plan) == []


@pytest.mark.docker
async def test_a_network_of_the_operators_is_not_removed_under_those_who_wait(bench: DockerBench, network: str) -> None:
    driver, plan = bench.driver, replace(bench.plan(), network=network)
    with pytest.raises(BadRequest, match="there is no network"):
        await driver.compose.export([plan])
    await driver.networks.create(NetworkOrder(name=network))
    await driver.compose.export([plan])
    with pytest.raises(Conflict, match="wait for the network"):
        await driver.networks.remove(network)
    await driver.destroy(driver.compose.handle(plan.agent_id, plan.uid))
    await driver.networks.remove(network)


@pytest.mark.docker
async def test_an_agent_that_is_there_is_exported_as_it_is(bench: DockerBench, network: str) -> None:
    driver, plan = bench.driver, bench.plan()
    await driver.networks.create(NetworkOrder(name=network))
    handle = await driver.create(plan, no_progress)
    await driver.networks.connect(handle, network)
    file = await driver.compose.export([plan])
    document: dict[str, dict[str, dict[str, object]]] = file.document  # pyright: ignore
    service = document["services"][str(plan.agent_id)]
    name = f"openclaw-agent-{plan.agent_id}"
    found = bench.outside.container(name)
    assert (service["container_name"], service["image"]) == (name, found["Config"]["Image"])
    assert service["networks"] == [SHARED, network]
    assert Identity(bench.hub_id, plan.agent_id, plan.uid).owns(service["labels"])  # pyright: ignore
    assert document["volumes"][name] == {"name": name, "external": True}
    assert file.images[plan.agent_id].built


@pytest.mark.docker
async def test_a_foreign_container_of_the_name_is_a_conflict(bench: DockerBench) -> None:
    plan = bench.plan()
    await bench.make_foreign(plan)
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.driver.compose.export([plan])
    assert await bench.foreign_intact(plan)
