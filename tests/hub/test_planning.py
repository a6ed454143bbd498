"""Plans: from a create request to an agent's record and a driver's plan, one error per field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hub.contract import CreateAgent, MountRequest, Resources
from hub.core.model import AgentUid, Now, Observed
from hub.core.names import check_agent_id
from hub.drivers.base import AgentPlan, Mount, RestartPolicy
from hub.drivers.fake import ALL_FEATURES
from hub.errors import BadRequest, NotAvailable
from hub.planning import is_composed, machine_of, made_with, make_plan, new_agent, spoken, stop_grace
from profiles.model import Machine, parse_machine
from profiles.parts import Logging, Ulimit

NOW = Now(7, 1.0)


def planned(**fields: Any) -> AgentPlan:
    request = CreateAgent(name="a", **fields)
    agent = new_agent(request, AgentUid("u"), "fake", ALL_FEATURES, NOW)
    return make_plan(agent, "hub", "ctj_x")


def test_a_plan_has_what_was_asked_for() -> None:
    plan = planned(
        type="builder",
        capabilities=["git"],
        labels={"team": "red"},
        concurrency=3,
        resources=Resources(cpus=1.5, memory="512m", disk=10**9),
        environment={"A": "1"},
        mounts=[MountRequest(source="vol", target="/data", read_only=True)],
        tmpfs=["/tmp"],
        read_only=True,
        restart="on-failure",
    )
    assert (plan.agent_id, plan.uid, plan.hub_id, plan.join_token) == ("a", "u", "hub", "ctj_x")
    assert (plan.cpus, plan.memory_bytes, plan.disk_bytes, plan.concurrency) == (1.5, 512 * 1024**2, 10**9, 3)
    assert (plan.environment, plan.labels, plan.capabilities) == ({"A": "1"}, {"team": "red"}, ("git",))
    assert plan.mounts == (Mount(source="vol", target="/data", read_only=True),)
    assert (plan.tmpfs, plan.read_only) == (("/tmp",), True)
    assert plan.restart is RestartPolicy.ON_FAILURE


def test_the_record_can_make_the_plan_again() -> None:
    request = CreateAgent(name="a", environment={"A": "1"})
    agent = new_agent(request, AgentUid("u"), "fake", ALL_FEATURES, NOW)
    assert (agent.observed, agent.created_at, agent.driver) == (Observed.CREATING, 7, "fake")
    assert make_plan(agent, "h", "t") == make_plan(agent, "h", "t")


def test_the_audit_has_the_names_of_an_environment_and_no_values() -> None:
    request = CreateAgent(name="a", environment={"PLAIN": "v4lue"}, machine={"environment": {"MORE": "v4lue"}})
    told = spoken(request)
    assert "v4lue" not in told
    assert '"environment":["PLAIN"]' in told
    assert '"machine":{"environment":["MORE"]}' in told


def test_what_an_agent_was_made_with_is_known_whatever_became_of_its_profile() -> None:
    profile = Machine(concurrency=3, network="isolated", environment={"CI": "true"})
    request = CreateAgent(name="a", resources=Resources(cpus=0.5, memory="1G"), environment={"KEY": "a secret"})
    agent = new_agent(request, AgentUid("u"), "fake", ALL_FEATURES, NOW, profile)
    made = made_with(agent)
    assert made is not None
    assert (made["resources"]["cpus"], made["resources"]["memory_bytes"]) == (0.5, 1 << 30)
    assert (made["concurrency"], made["network"]) == (3, "isolated")
    assert "environment" not in made
    assert "a secret" not in str(made)
    plain = made_with(new_agent(CreateAgent(name="a"), AgentUid("u"), "fake", ALL_FEATURES, NOW, profile))
    said = msgspec.to_builtins(profile)
    assert plain == {key: value for key, value in said.items() if key != "environment"}
    assert made_with(replace(agent, driver="", spec=None)) is None


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "a" * 41, "a b", "ä", "a\n", "../a", "hub"])
def test_a_bad_name_is_refused_by_its_field(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_agent_id(name, "agentId")
    assert refused.value.field == "agentId"
    assert refused.value.hint


@pytest.mark.parametrize("name", ["a", "0", "a-", "a" * 40])
def test_a_good_name_is_taken(name: str) -> None:
    assert check_agent_id(name) == name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "x" * 201}, "type"),
        ({"display_name": "a\nb"}, "displayName"),
        ({"labels": {"": "x"}}, "labels"),
        ({"resources": Resources(cpus=-1.0)}, "resources.cpus"),
        ({"resources": Resources(cpus=1e9)}, "resources.cpus"),
        ({"resources": Resources(memory="lots")}, "resources.memory"),
        ({"resources": Resources(disk=-5)}, "resources.disk"),
        ({"concurrency": 257}, "concurrency"),
        ({"restart": "sometimes"}, "restart"),
        ({"environment": {"1A": "x"}}, "environment"),
        ({"environment": {"A": "\0"}}, "environment"),
        ({"environment": {"AGENT_TOKEN": "x"}}, "environment.AGENT_TOKEN"),
        ({"environment": {"HUB_URL": "x"}}, "environment.HUB_URL"),
        ({"environment": {"A": "x" * 70_000}}, "environment"),
        ({"mounts": [MountRequest(source="v", target="data")]}, "mounts[0].target"),
        ({"mounts": [MountRequest(source="v", target="/a/../b")]}, "mounts[0].target"),
        ({"tmpfs": ["tmp"]}, "tmpfs"),
    ],
)
def test_each_mistake_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        planned(**fields)
    assert refused.value.field == field


def test_what_the_driver_cannot_do_is_not_available() -> None:
    with pytest.raises(NotAvailable) as refused:
        planned(network="none")
    assert refused.value.driver == "fake"


# --- what a request says of the machine --------------------------------------------------------------

PROFILE = parse_machine({
    "limits": {"pids": 100, "shm_size": "64m", "ulimits": {"nofile": 1024, "core": 0}},
    "security": {"cap_add": ["NET_RAW"], "read_only": True},
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    "environment": {"A": "1", "B": "1"}, "sudo": True, "gpu": "all", "stop_grace": "1m",
})  # fmt: skip


def over_profile(machine: dict[str, Any], **fields: Any) -> AgentPlan:
    request = CreateAgent(name="a", machine=machine, **fields)
    agent = new_agent(request, AgentUid("u"), "fake", ALL_FEATURES, NOW, machine_of(request, PROFILE))
    return make_plan(agent, "hub", "ctj_x")


def test_a_request_wins_over_its_profile_field_by_field() -> None:
    plan = over_profile({
        "limits": {"pids": 50, "ulimits": {"core": 5}}, "security": {"read_only": False}, "sudo": False,
        "logging": {"options": {"max-file": "9"}}, "environment": {"B": "2"}, "gpu": "none",
    })  # fmt: skip
    limits, security = plan.machine.limits, plan.machine.security
    assert (plan.pids, limits.shm_size_bytes) == (50, 64 << 20)
    assert limits.ulimits == {"nofile": Ulimit(1024, 1024), "core": Ulimit(5, 5)}
    assert (security.cap_add, plan.read_only, plan.sudo, plan.machine.gpu) == (("NET_RAW",), False, False, None)
    assert plan.machine.logging == Logging(driver="json-file", options={"max-size": "1m", "max-file": "9"})
    assert plan.environment == {"A": "1", "B": "2"}


def test_another_log_driver_has_options_of_its_own() -> None:
    assert over_profile({"logging": {"driver": "syslog"}}).machine.logging == Logging(driver="syslog")


def test_a_request_says_it_without_a_profile_too() -> None:
    assert planned().machine == Machine()
    request = CreateAgent(name="a", machine={"limits": {"pids": 50}})
    machine = machine_of(request, None)
    assert machine is not None
    assert machine.limits.pids == 50


@pytest.mark.parametrize(
    ("machine", "field"),
    [
        ({"limits": {"pids": 1}}, "machine.limits.pids"),
        ({"limits": {"ulimits": {"nofil": 1}}}, "machine.limits.ulimits.nofil"),
        ({"security": {"cap_add": ["ALL"]}}, "machine.security.cap_add[0]"),
        ({"limit": {}}, "machine.limit"),
        ({"gpu": 0}, "machine.gpu"),
        ({"logging": {"driver": "A B"}}, "machine.logging.driver"),
        ({"logging": {"options": {"max-size": 5}}}, "machine.logging.options.max-size"),
        ({"stop_grace": "soon"}, "machine.stop_grace"),
        ({"limits": {"memory_swap": "1G"}}, "machine.limits.memory_swap"),
        ({"packages": ["git"]}, "machine.packages"),
    ],
)
def test_a_mistake_in_the_machine_is_named_by_its_path(machine: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        over_profile(machine)
    assert refused.value.field == field


def test_more_memory_than_memory_and_swap_together_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        over_profile({"limits": {"memory_swap": "5G"}}, resources=Resources(memory="6G"))
    assert refused.value.field == "machine.limits.memory_swap"
    assert over_profile({"limits": {"memory_swap": -1}}, resources=Resources(memory="6G")).memory_bytes == 6 << 30


def test_the_record_says_how_long_its_end_may_take_and_who_makes_it() -> None:
    agent = new_agent(CreateAgent(name="a"), AgentUid("u"), "fake", ALL_FEATURES, NOW, PROFILE, composed=True)
    assert (stop_grace(agent, 15.0), is_composed(agent)) == (60.0, True)
    plain = new_agent(CreateAgent(name="a"), AgentUid("u"), "fake", ALL_FEATURES, NOW)
    assert (stop_grace(plain, 15.0), is_composed(plain)) == (15.0, False)
