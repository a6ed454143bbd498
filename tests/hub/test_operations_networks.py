"""Networks through the hub: whose they are, what the audit keeps, and the words for agents without any."""

from __future__ import annotations

from typing import Any

import pytest

from hub.contract import CreateAgent, CreateNetwork, NetworkQuery
from hub.core.model import AgentId
from hub.drivers.base import AgentHandle, Driver
from hub.drivers.fake import FakeDriver, FakePlatform
from hub.drivers.networks import NetworkOrder, NetworkSeen
from hub.errors import Conflict, NotAvailable, NotFound, StorageFull
from tests.faults.test_full_disk import stuffed
from tests.hub.running import RunningHub, running_hub


class FakeNetworks:
    """Networks by name, with the handles of the agents in them."""

    def __init__(self) -> None:
        self.members: dict[str, list[str]] = {}

    async def list(self) -> list[NetworkSeen]:
        return [NetworkSeen(name=name, driver="bridge", agents=tuple(who)) for name, who in self.members.items()]

    async def create(self, order: NetworkOrder) -> NetworkSeen:
        self.members.setdefault(order.name, [])
        return NetworkSeen(name=order.name, driver="bridge", internal=order.internal, apart=order.apart)

    async def remove(self, name: str) -> None:
        if self.members.get(name):
            raise Conflict(f"the network {name} is used")
        self.members.pop(name, None)

    async def connect(self, handle: AgentHandle, name: str) -> None:
        self.members[name].append(handle.ref)

    async def disconnect(self, handle: AgentHandle, name: str) -> None:
        self.members[name].remove(handle.ref)


class NetworkedDriver(FakeDriver):
    """A fake driver with networks."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._made = FakeNetworks()

    @property
    def networks(self) -> FakeNetworks:
        return self._made


def drivers(reach: Any) -> list[Driver]:
    return [FakeDriver(reach.hub_id, FakePlatform(), name="plain"), NetworkedDriver(reach.hub_id, FakePlatform())]


async def create(hub: RunningHub, name: str, driver: str) -> None:
    """Make an agent that nobody plays: its job fails at the end, the agent stays."""
    await hub.control.create_agent(CreateAgent(name=name, driver=driver))
    await hub.until(lambda: hub.kernel.fleet.agents[AgentId(name)].handle is not None, f"{name} is made")


async def test_networks_come_from_the_first_driver_that_has_any_and_changes_are_audited() -> None:
    async with running_hub(drivers=drivers) as hub:
        made = await hub.control.create_network(CreateNetwork(name="team", internal=True, apart=False))
        assert (made.name, made.driver, made.internal, made.apart) == ("team", "fake", True, False)
        await create(hub, "a", "fake")
        joined = await hub.control.connect_network("team", "a")
        assert len(joined.agents) == 1
        with pytest.raises(Conflict):
            await hub.control.remove_network("team")
        assert (await hub.control.disconnect_network("team", "a")).agents == []
        await hub.control.remove_network("team")
        assert (await hub.control.networks(NetworkQuery(driver="fake"))).networks == []
        for what, target in (("create", "team"), ("connect", "team -> a"), ("disconnect", "team -> a")):
            assert await hub.audited(f"network.{what}") == [(target, "ok")]
        assert await hub.audited("network.remove") == [("team", "ok"), ("team", "failed"), ("team", "ok")]


async def test_nothing_is_done_to_networks_that_the_audit_cannot_keep() -> None:
    made: list[Driver] = []

    def kept(reach: Any) -> list[Driver]:
        made.extend(drivers(reach))
        return made

    async with running_hub(drivers=kept) as hub:
        await create(hub, "a", "fake")
        await hub.control.create_network(CreateNetwork(name="team"))
        networks = made[1].networks
        assert isinstance(networks, FakeNetworks)
        for act in (
            lambda: hub.control.create_network(CreateNetwork(name="other")),
            lambda: hub.control.remove_network("team"),
            lambda: hub.control.connect_network("team", "a"),
        ):
            with stuffed(hub.folder), pytest.raises(StorageFull):
                await act()
            await hub.until(lambda: hub.kernel.writable, "the disk has room again")
        assert networks.members == {"team": []}


async def test_agents_and_drivers_without_networks_are_told_so() -> None:
    async with running_hub(drivers=drivers) as hub:
        await create(hub, "a", "plain")
        await hub.register("hand")
        with pytest.raises(NotAvailable, match="have this machine's network"):
            await hub.control.connect_network("team", "a")
        with pytest.raises(Conflict, match="registered by hand"):
            await hub.control.connect_network("team", "hand")
        with pytest.raises(NotFound):
            await hub.control.connect_network("team", "nobody")
        with pytest.raises(NotAvailable, match="driver plain has"):
            await hub.control.networks(NetworkQuery(driver="plain"))
    async with running_hub() as hub:
        with pytest.raises(NotAvailable) as refused:
            await hub.control.create_network(CreateNetwork(name="team"))
        assert refused.value.code == "no_networks"
