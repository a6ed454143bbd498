"""The part of the scripted hub that answers for networks, the Compose export and monitoring."""

from __future__ import annotations

from typing import Any, Final

from hub.contract import (
    ComposeExport,
    ComposeImage,
    CreateNetwork,
    ExportCompose,
    MonitoringFiles,
    MonitoringQuery,
    NetworkList,
    NetworkQuery,
    NetworkView,
)

NETWORK: Final = NetworkView(
    name="team", driver="docker", subnet="10.20.0.0/24", gateway="10.20.0.1", apart=True, ours=True, agents=["a-1"]
)
EXPORT: Final = ComposeExport(
    document={"services": {"a-1": {"image": "openclaw-agent-base:abc"}}},
    tokens={"tokens/a-1": "ctj_secret"},
    agents=["a-1"],
    images=[ComposeImage(image="openclaw-agent-base:abc", built=True)],
    notes=["b-1 is left out: it is of driver process"],
)
MONITORING: Final = MonitoringFiles(
    compose={"services": {"prometheus": {"image": "prom/prometheus:v1"}}},
    files={"prometheus/prometheus.yml": "scrape_configs: []\n", "grafana/dashboards/clawtui.json": "{}\n"},
    target="127.0.0.1:9091",
)


def network_answers() -> dict[str, Any]:
    return {
        "networks": NetworkList(networks=[NETWORK]),
        "create_network": NETWORK,
        "remove_network": None,
        "connect_network": NETWORK,
        "disconnect_network": NETWORK,
        "export_compose": EXPORT,
        "monitoring": MONITORING,
    }


class ScriptedNetworks:
    """Answers out of `network_answers`, and keeps what it was called with."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def networks(self, query: NetworkQuery) -> NetworkList:
        return self._note("networks", query)

    async def create_network(self, request: CreateNetwork) -> NetworkView:
        return self._note("create_network", request)

    async def remove_network(self, name: str) -> None:
        return self._note("remove_network", name)

    async def connect_network(self, name: str, agent_id: str) -> NetworkView:
        return self._note("connect_network", name, agent_id)

    async def disconnect_network(self, name: str, agent_id: str) -> NetworkView:
        return self._note("disconnect_network", name, agent_id)

    async def export_compose(self, request: ExportCompose) -> ComposeExport:
        return self._note("export_compose", request)

    async def monitoring(self, query: MonitoringQuery) -> MonitoringFiles:
        return self._note("monitoring", query)
