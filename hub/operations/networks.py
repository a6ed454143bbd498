"""Operations on networks, the export of agents as a Compose file, and monitoring."""

from __future__ import annotations

from hub.contract import (
    ComposeExport,
    CreateNetwork,
    ExportCompose,
    MonitoringFiles,
    MonitoringQuery,
    NetworkList,
    NetworkQuery,
    NetworkView,
)
from hub.core.model import Agent
from hub.drivers.base import AgentHandle
from hub.drivers.networks import NetworkAdmin, NetworkOrder, NetworkSeen
from hub.errors import NotAvailable, NotFound
from hub.monitoring import monitoring_files
from hub.operations.base import Operations
from hub.undo import ARROW


class NetworkOperations(Operations):
    """See `hub.control.Control`."""

    async def networks(self, query: NetworkQuery) -> NetworkList:
        driver, networks = self._networks(query.driver)
        return NetworkList(networks=[view(driver, seen) for seen in await networks.list()])

    async def create_network(self, request: CreateNetwork) -> NetworkView:
        self._kernel.check_writable()
        driver, networks = self._networks(request.driver)
        order = NetworkOrder(
            name=request.name,
            subnet=request.subnet,
            gateway=request.gateway,
            internal=request.internal,
            apart=request.apart,
        )
        async with self._audited("network.create", request.name):
            made = await networks.create(order)
        return view(driver, made)

    async def remove_network(self, name: str) -> None:
        self._kernel.check_writable()
        _, networks = self._networks()
        async with self._audited("network.remove", name):
            await networks.remove(name)

    async def connect_network(self, name: str, agent_id: str) -> NetworkView:
        return await self._change(name, agent_id, connect=True)

    async def disconnect_network(self, name: str, agent_id: str) -> NetworkView:
        return await self._change(name, agent_id, connect=False)

    async def export_compose(self, request: ExportCompose) -> ComposeExport:
        self._kernel.check_writable()
        return await self._inside.composing.export(request, self._who)

    async def monitoring(self, query: MonitoringQuery) -> MonitoringFiles:
        addresses = (await self._inside.health.read()).addresses
        return monitoring_files(query.target or addresses.get("api", ""), token=query.token)

    async def _change(self, name: str, agent_id: str, *, connect: bool) -> NetworkView:
        self._kernel.check_writable()
        agent = self._kernel.fleet.agent(agent_id)
        networks, handle = self._networks_of(agent)
        what = "network.connect" if connect else "network.disconnect"
        async with self._inside.acts.hold(agent.uid), self._audited(what, f"{name}{ARROW}{agent.id}"):
            await (networks.connect if connect else networks.disconnect)(handle, name)
        found = [seen for seen in await networks.list() if seen.name == name]
        if not found:
            raise NotFound(f"there is no network {name[:64]!r}", hint="clawtui network list", agent=agent.id)
        return view(agent.driver, found[0])

    def _networks(self, driver: str = "") -> tuple[str, NetworkAdmin]:
        """Return the named driver's networks, or those of the first driver that has any. Raises NotAvailable."""
        drivers = self._inside.drivers
        for one in [drivers.get(driver)] if driver else list(drivers):
            if one.networks is not None:
                return one.name, one.networks
        who = f"driver {driver} has no" if driver else "no driver of this hub has"
        raise NotAvailable(f"{who} networks", code="no_networks", hint="Start the hub with the docker driver.")

    def _networks_of(self, agent: Agent) -> tuple[NetworkAdmin, AgentHandle]:
        driver, handle = self._inside.acts.driver_of(agent)
        if driver.networks is None:
            raise NotAvailable(
                f"agents of driver {driver.name} have this machine's network", code="no_networks", agent=agent.id
            )
        return driver.networks, handle


def view(driver: str, seen: NetworkSeen) -> NetworkView:
    """Return a network as front ends show it."""
    return NetworkView(
        name=seen.name,
        driver=driver,
        subnet=seen.subnet,
        gateway=seen.gateway,
        internal=seen.internal,
        apart=seen.apart,
        ours=seen.ours,
        shared=seen.shared,
        agents=list(seen.agents),
        others=seen.others,
    )
