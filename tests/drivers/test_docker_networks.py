"""Networks that the operator makes, on a real engine."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from hub.drivers.docker.custom_networks import check_order
from hub.drivers.docker.engine import Call, EngineNotFound
from hub.drivers.networks import NetworkOrder
from hub.errors import BadRequest, Conflict, NotFound
from tests.drivers.contract import no_progress
from tests.drivers.docker_bench import DockerBench, Outside


@pytest.mark.parametrize(
    ("field", "order"),
    [
        ("name", NetworkOrder(name="-x")),
        ("name", NetworkOrder(name="a b")),
        ("name", NetworkOrder(name="host")),
        ("name", NetworkOrder(name="openclaw-agents")),
        ("gateway", NetworkOrder(name="a", gateway="10.0.0.1")),
        ("subnet", NetworkOrder(name="a", subnet="10.0.0.1/24")),
        ("subnet", NetworkOrder(name="a", subnet="10.0.0.0/30")),
        ("subnet", NetworkOrder(name="a", subnet="fd00::/64")),
        ("gateway", NetworkOrder(name="a", subnet="10.0.0.0/24", gateway="10.0.1.1")),
        ("gateway", NetworkOrder(name="a", subnet="10.0.0.0/24", gateway="10.0.0.255")),
        ("gateway", NetworkOrder(name="a", subnet="10.0.0.0/24", gateway="here")),
    ],
)
def test_what_cannot_be_a_network_names_its_field(field: str, order: NetworkOrder) -> None:
    with pytest.raises(BadRequest) as caught:
        check_order(order)
    assert caught.value.field == field


# --- on the engine ---------------------------------------------------------------------------------


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a network that nothing else has; what is made with it is removed."""
    made, outside = f"clawtui-test-{secrets.token_hex(4)}", Outside()
    yield made
    with contextlib.suppress(EngineNotFound):
        outside.engine.call(Call("DELETE", f"/networks/{made}"))
    outside.close()


@pytest.fixture
async def bench(tmp_path: Path, name: str) -> AsyncIterator[DockerBench]:
    """Ends before the network does, which its agents may be in."""
    made = DockerBench(tmp_path)
    yield made
    await made.close()


@pytest.mark.docker
async def test_a_network_is_made_seen_and_removed(bench: DockerBench, name: str) -> None:
    networks = bench.driver.networks
    order = NetworkOrder(name=name, subnet="10.213.7.0/24", gateway="10.213.7.9", internal=True)
    made = await networks.create(order)
    assert await networks.create(order) == made
    assert made == next(seen for seen in await networks.list() if seen.name == name)
    assert (made.subnet, made.gateway, made.internal, made.apart, made.ours) == (
        "10.213.7.0/24", "10.213.7.9", True, True, True,
    )  # fmt: skip
    with pytest.raises(Conflict, match="exists with other settings"):
        await networks.create(NetworkOrder(name=name, subnet="10.213.7.0/24", gateway="10.213.7.9"))
    with pytest.raises(Conflict, match="cannot be made"):
        await networks.create(NetworkOrder(name=f"{name}-2", subnet="10.213.7.0/25"))
    await networks.remove(name)
    await networks.remove(name)
    assert name not in {seen.name for seen in await networks.list()}


@pytest.mark.docker
async def test_an_agent_is_in_a_second_network_and_keeps_its_hub(bench: DockerBench, name: str) -> None:
    networks, plan = bench.driver.networks, bench.plan()
    await networks.create(NetworkOrder(name=name))
    handle = await bench.driver.create(plan, no_progress)
    await networks.connect(handle, name)
    await networks.connect(handle, name)
    seen = next(seen for seen in await networks.list() if seen.name == name)
    assert (seen.agents, seen.others) == ((str(plan.agent_id),), 0)
    with pytest.raises(Conflict, match=f"is used by openclaw-agent-{plan.agent_id}"):
        await networks.remove(name)
    with pytest.raises(Conflict, match="reaches its hub through"):
        await networks.disconnect(handle, "openclaw-agents")
    await networks.disconnect(handle, name)
    await networks.disconnect(handle, name)
    await networks.remove(name)
    with pytest.raises(NotFound):
        await networks.connect(handle, name)


@pytest.mark.docker
async def test_an_agent_lives_in_a_network_of_the_operators_alone(bench: DockerBench, name: str) -> None:
    networks, plan = bench.driver.networks, msgspec.structs.replace(bench.plan(), network=name)
    made = await networks.create(NetworkOrder(name=name))
    handle = await bench.driver.create(plan, no_progress)
    container = bench.outside.container(f"openclaw-agent-{plan.agent_id}")
    assert container["HostConfig"]["ExtraHosts"] == [f"host.docker.internal:{made.gateway}"]
    with pytest.raises(Conflict, match="reaches its hub through"):
        await networks.disconnect(handle, name)


@pytest.mark.docker
async def test_foreign_and_shared_networks_are_not_touched(bench: DockerBench, name: str) -> None:
    bench.outside.post("/networks/create", {"Name": name, "Driver": "bridge"})
    networks = bench.driver.networks
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await networks.create(NetworkOrder(name=name))
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await networks.remove(name)
    await bench.driver.create(bench.plan(), no_progress)
    with pytest.raises(Conflict, match="is shared by all agents"):
        await networks.remove("openclaw-agents")
    assert name in {seen.name for seen in await networks.list()}
