"""Plans: from a create request to an agent's record and a driver's plan, one error per field."""

from __future__ import annotations

from typing import Any

import pytest

from hub.contract import CreateAgent, MountRequest, Resources
from hub.core.model import AgentUid, Now, Observed
from hub.drivers.base import AgentPlan, Mount, RestartPolicy
from hub.drivers.fake import ALL_FEATURES
from hub.errors import BadRequest, NotAvailable
from hub.planning import check_agent_id, make_plan, new_agent

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
