"""The Compose file and the engine's JSON say the same of every container."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import AgentPlan, Mount
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.plan import ContainerPlan, Host, Way, plan_container
from hub.drivers.docker.plan_checks import check_plan
from hub.drivers.docker.render_compose import ComposeAgent, render_compose
from hub.drivers.docker.render_engine import render_engine
from hub.errors import BadRequest
from profiles.model import Machine, parse_machine
from tests.composing import compose_command

LOGGING = ("local", "json-file", "none", "syslog")
HOST = Host(cpus=8, memory_bytes=2**36, disk_note="")
WEB = Identity("h1", AgentId("web"), AgentUid("u1"))
FULL: dict[str, object] = {
    "sudo": True,
    "security": {
        "cap_add": ["NET_BIND_SERVICE"], "read_only": True, "tmpfs": ["/cache:size=64m"],
        "apparmor": "docker-default", "selinux": ["type:container_t"],
    },
    "limits": {
        "pids": 100, "ulimits": {"nofile": 1024, "core": {"soft": 0, "hard": 10}}, "cpu_shares": 512, "cpuset": "0-3,6",
        "memory_swap": "8G", "memory_reservation": "1G", "shm_size": "128m",
    },
    "health": {"interval": 10, "timeout": 2.5, "start_period": 60, "retries": 5},
    "logging": {"driver": "json-file", "options": {"max-file": "9"}},
    "stop_grace": 29.5,
    "gpu": ["GPU-1"],
}  # fmt: skip


def agent_plan(machine: Machine, **fields: Any) -> AgentPlan:
    known: dict[str, Any] = {
        "cpus": machine.resources.cpus, "memory_bytes": machine.resources.memory_bytes, "sudo": machine.sudo,
        "pids": machine.limits.pids or 512, "read_only": machine.security.read_only,
        "tmpfs": tuple(tmpfs.path for tmpfs in machine.security.tmpfs),
    }  # fmt: skip
    plan = AgentPlan(agent_id=WEB.agent_id, uid=WEB.uid, hub_id=WEB.hub_id, join_token="secret", machine=machine)
    return msgspec.structs.replace(plan, **(known | fields))


def container(plan: AgentPlan, way: Way | None = None) -> ContainerPlan:
    way = way or Way(network="openclaw-agents", url="ws://host.docker.internal:9090", hub_host="172.30.0.1")
    return plan_container(plan, WEB, "openclaw-agent-base:abc", HOST, way)[0]


def both(plan: ContainerPlan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The engine's body and the service of the Compose file."""
    file: Any = render_compose([ComposeAgent(agent_id=WEB.agent_id, identity=WEB, plan=plan, token_file="tokens/web")])
    engine: Any = msgspec.json.decode(msgspec.json.encode(render_engine(plan)))
    return engine, read_by_compose(msgspec.json.decode(msgspec.json.encode(file["services"]["web"])))


def read_by_compose(value: Any) -> Any:
    """What Compose makes of values, where no variable is set."""
    match value:
        case str():
            return re.sub(r"\$(\$|\w+|\{\w*\})?", lambda found: "$" if found[1] == "$" else "", value)
        case list():
            return [read_by_compose(one) for one in value]
        case dict():
            return {name: read_by_compose(one) for name, one in value.items()}
        case _:
            return value


def compare(engine: dict[str, Any], service: dict[str, Any]) -> None:
    """Every field of the engine's that has a name in Compose."""
    host = engine["HostConfig"]
    environment = service["environment"] | {"AGENT_TOKEN_FILE": "/var/lib/clawtui/token"}
    assert dict(entry.split("=", 1) for entry in engine["Env"]) == environment
    pairs = {
        "image": engine["Image"], "user": engine["User"], "working_dir": engine["WorkingDir"],
        "cap_drop": host["CapDrop"], "cap_add": host["CapAdd"], "security_opt": host["SecurityOpt"],
        "pids_limit": host["PidsLimit"], "cpu_shares": host["CpuShares"], "cpuset": host["CpusetCpus"],
        "mem_limit": host["Memory"], "memswap_limit": host["MemorySwap"], "mem_reservation": host["MemoryReservation"],
        "extra_hosts": host["ExtraHosts"], "restart": host["RestartPolicy"]["Name"],
        "read_only": host["ReadonlyRootfs"], "init": host["Init"], "storage_opt": host["StorageOpt"],
        "shm_size": host.get("ShmSize", 0),
    }  # fmt: skip
    for name, value in pairs.items():
        assert (service.get(name) or None) == (value or None), name
    assert service["logging"] == {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]}
    assert int((service.get("cpus") or 0) * 10**9) == host["NanoCpus"]
    assert service["stop_grace_period"] == f"{engine['StopTimeout']}s"
    assert {name: (it["soft"], it["hard"]) for name, it in service["ulimits"].items()} == {
        it["Name"]: (it["Soft"], it["Hard"]) for it in host["Ulimits"]
    }
    assert dict(entry.split(":", 1) for entry in service.get("tmpfs", [])) == host["Tmpfs"]
    assert [(it["type"], it["source"], it["target"], it.get("read_only", False)) for it in service["volumes"]] == [
        (it["Type"], it["Source"], it["Target"], it["ReadOnly"]) for it in host["Mounts"]
    ]
    assert service.get("network_mode", *service.get("networks", [])) == host["NetworkMode"]
    assert service["labels"] == engine["Labels"]


def test_a_plain_agent() -> None:
    compare(*both(container(agent_plan(Machine()))))


def test_an_agent_with_everything() -> None:
    mounts = (Mount(source="/data", target="/data", read_only=True), Mount(source="shared", target="/shared"))
    plan = container(agent_plan(parse_machine(FULL), mounts=mounts, environment={"PRICE": "5$ ${HOME}"}))
    engine, service = both(plan)
    compare(engine, service)
    health = engine["Healthcheck"]
    assert health == {
        "Test": [], "Interval": 10 * 10**9, "Timeout": 2_500_000_000, "StartPeriod": 60 * 10**9, "Retries": 5,
    }  # fmt: skip
    assert service["healthcheck"] == {"interval": "10s", "timeout": "2.5s", "start_period": "60s", "retries": 5}
    assert engine["HostConfig"]["DeviceRequests"] == [{"Driver": "", "Capabilities": [["gpu"]], "DeviceIDs": ["GPU-1"]}]
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "capabilities": ["gpu"], "device_ids": ["GPU-1"]}]
    assert engine["HostConfig"]["Tmpfs"]["/cache"].endswith(f"size={64 * 2**20}")
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "9"}}
    assert service["stop_grace_period"] == "30s"


def test_a_dollar_is_no_variable_wherever_it_stands() -> None:
    machine = {
        "logging": {"driver": "syslog", "options": {"tag": "$NAME ${TAG}"}}, "security": {"tmpfs": ["/cache/$x"]},
        "labels": {"price": "5$"},
    }  # fmt: skip
    mounts = (Mount(source="/data/$HOME", target="/data/${HOME}"),)
    compare(*both(container(agent_plan(parse_machine(machine), mounts=mounts, labels={"price": "5$ $$"}))))


def test_only_drivers_that_turn_over_get_the_options_for_it() -> None:
    engine, service = both(container(agent_plan(parse_machine({"logging": "none"}))))
    assert (engine["HostConfig"]["LogConfig"], service["logging"]["options"]) == ({"Type": "none", "Config": {}}, {})


def test_an_agent_without_a_network() -> None:
    way = Way(network="none", url="unix:/run/clawtui/agent.sock", socket_folder="/home/me/run/1")
    engine, service = both(container(agent_plan(Machine()), way))
    compare(engine, service)
    assert "networks" not in service


def test_the_token_is_a_file_and_volumes_are_the_agents() -> None:
    plan = container(agent_plan(Machine(), mounts=(Mount(source="shared", target="/shared"),)))
    file: Any = render_compose([ComposeAgent(agent_id=WEB.agent_id, identity=WEB, plan=plan, token_file="tokens/web")])
    assert b"secret" not in msgspec.json.encode(plan)
    assert file["secrets"] == {"web-token": {"file": "./tokens/web"}}
    assert file["services"]["web"]["environment"]["AGENT_TOKEN_FILE"] == "/run/secrets/web-token"
    assert file["volumes"]["openclaw-agent-web"]["labels"] == WEB.labels()
    assert file["volumes"]["shared"] == {"name": "shared", "external": True}
    assert file["networks"] == {"openclaw-agents": {"name": "openclaw-agents", "external": True}}


SIZES = st.sampled_from(["64m", "1G", "4G"])
MACHINES = st.fixed_dictionaries(
    {},
    optional={
        "sudo": st.booleans(),
        "resources": st.fixed_dictionaries({}, optional={"cpus": st.floats(0.01, 8), "memory": SIZES}),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "pids": st.integers(16, 4096), "cpu_shares": st.integers(2, 4096),
                "cpuset": st.sampled_from(["0", "0-7", "1,3"]), "shm_size": SIZES, "memory_swap": st.just(-1),
            },
        ),
        "security": st.fixed_dictionaries({}, optional={"read_only": st.booleans(), "cap_add": st.just(["KILL"])}),
        "gpu": st.sampled_from(["all", 2, ["0", "1"]]),
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(MACHINES, st.dictionaries(st.from_regex(r"\A[A-Z]{1,8}\Z"), st.text(max_size=20), max_size=4))
def test_any_agent(raw: dict[str, object], environment: dict[str, str]) -> None:
    clean = {name: value.replace("\0", "") for name, value in environment.items()}
    compare(*both(container(agent_plan(parse_machine(raw), environment=clean))))


def test_cores_that_the_machine_lacks_are_refused() -> None:
    with pytest.raises(BadRequest, match=re.escape("core 8 was asked for, this engine's machine has 0 to 7")):
        container(agent_plan(parse_machine({"limits": {"cpuset": "0-8"}})))


def test_swap_is_never_less_than_memory_after_clamping() -> None:
    small = msgspec.structs.replace(HOST, memory_bytes=2**31)
    plan = agent_plan(parse_machine({"limits": {"memory_swap": "8G", "memory_reservation": "4G"}}))
    check_plan(plan)
    way = Way(network="n", url="ws://h")
    found = plan_container(plan, WEB, "i", small, way)[0]
    assert (found.memory_bytes, found.memory_swap_bytes, found.memory_reservation_bytes) == (2**31, 2**33, 2**31)


@pytest.mark.docker
def test_compose_takes_a_file_with_everything(tmp_path: Path) -> None:
    ways = (None, Way(network="none", url="unix:/run/clawtui/agent.sock", socket_folder=str(tmp_path)))
    plans = [container(agent_plan(parse_machine(FULL | {"logging": name})), way) for name in LOGGING for way in ways]
    agents = [
        ComposeAgent(
            agent_id=AgentId(f"web-{number}"), identity=WEB, plan=plan, token_file="token", keeps_volumes=number > 2,
            more_networks=("team",) if plan.network != "none" else (),
        )
        for number, plan in enumerate(plans)
    ]  # fmt: skip
    (tmp_path / "token").write_text("")
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(render_compose(agents), sort_keys=False))
    call = [*compose_command(), "config"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {str(agent.agent_id) for agent in agents}
