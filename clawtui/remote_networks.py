"""The part of `clawtui.remote.RemoteControl` for networks, the Compose export and monitoring."""

from __future__ import annotations

from clawtui.remote_calls import RemoteCalls, params, path
from hub.contract import (
    ComposeExport,
    CreateNetwork,
    ExportCompose,
    MonitoringFiles,
    MonitoringQuery,
    NetworkList,
    NetworkMember,
    NetworkQuery,
    NetworkView,
)


class NetworkCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def networks(self, query: NetworkQuery) -> NetworkList:
        return await self._get(NetworkList, "/networks", params(query))

    async def create_network(self, request: CreateNetwork) -> NetworkView:
        return await self._post(NetworkView, "/networks", request)

    async def remove_network(self, name: str) -> None:
        await self._http.call("DELETE", path("networks", name))

    async def connect_network(self, name: str, agent_id: str) -> NetworkView:
        return await self._post(NetworkView, path("networks", name, "connect"), NetworkMember(agent_id=agent_id))

    async def disconnect_network(self, name: str, agent_id: str) -> NetworkView:
        return await self._post(NetworkView, path("networks", name, "disconnect"), NetworkMember(agent_id=agent_id))

    async def export_compose(self, request: ExportCompose) -> ComposeExport:
        return await self._post(ComposeExport, "/compose", request)

    async def monitoring(self, query: MonitoringQuery) -> MonitoringFiles:
        return await self._get(MonitoringFiles, "/monitoring", params(query))
