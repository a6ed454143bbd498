"""PURE: Grafana's dashboard, made from the list of our metrics, so that it names no metric that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.metrics import METRICS, MetricKind, MetricSpec

SOURCE: Final = {"type": "prometheus", "uid": "clawtui"}
UID: Final = "clawtui"
WIDTH: Final = 24
"""Of Grafana's grid."""
PANELS_PER_ROW: Final = 3
HEIGHT: Final = 7
WINDOW: Final = "$__rate_interval"
AGENT_LABEL: Final = "container_label_clawtui_agent_id"
"""What cAdvisor makes of the label `clawtui.agent-id` of agents' containers."""


class Container(msgspec.Struct, frozen=True):
    """A panel on what cAdvisor measures of agents' containers; `metric` is cAdvisor's."""

    title: str
    metric: str
    query: str
    unit: str


def _by_agent(metric: str, *, rate: bool) -> str:
    series = f'{metric}{{{AGENT_LABEL}!=""}}'
    return f"sum by ({AGENT_LABEL}) ({f'rate({series}[{WINDOW}])' if rate else series})"


def _container(title: str, metric: str, unit: str, *, rate: bool = False) -> Container:
    return Container(title, metric, _by_agent(metric, rate=rate), unit)


CONTAINERS: Final = (
    _container("CPU of agents, in cores", "container_cpu_usage_seconds_total", "none", rate=True),
    _container("Memory of agents", "container_memory_working_set_bytes", "bytes"),
    _container("Received by agents", "container_network_receive_bytes_total", "Bps", rate=True),
    _container("Sent by agents", "container_network_transmit_bytes_total", "Bps", rate=True),
    _container("Written to disk by agents", "container_fs_writes_bytes_total", "Bps", rate=True),
)


def dashboard(metrics: Sequence[MetricSpec] = METRICS) -> dict[str, Any]:
    """Return the dashboard with a panel per metric of the hub, and one per CONTAINERS."""
    panels: list[dict[str, Any]] = []
    _add_row(panels, "Hub", [_panel(spec) for spec in metrics])
    _add_row(panels, "Containers of agents (cAdvisor)", [_container_panel(one) for one in CONTAINERS])
    return {
        "uid": UID,
        "title": "clawtui",
        "tags": ["clawtui"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "editable": True,
        "panels": panels,
    }


def _add_row(panels: list[dict[str, Any]], title: str, added: list[dict[str, Any]]) -> None:
    """Put a heading and the panels below it, left to right, under what is there."""
    top = max((_bottom(panel) for panel in panels), default=0)
    panels.append(_placed({"type": "row", "title": title, "collapsed": False, "panels": []}, panels, 0, top, WIDTH, 1))
    width = WIDTH // PANELS_PER_ROW
    for number, panel in enumerate(added):
        down, right = divmod(number, PANELS_PER_ROW)
        panels.append(_placed(panel, panels, right * width, top + 1 + down * HEIGHT, width, HEIGHT))


def _bottom(panel: dict[str, Any]) -> int:
    return panel["gridPos"]["y"] + panel["gridPos"]["h"]


def _placed(
    panel: dict[str, Any], before: list[dict[str, Any]], x: int, y: int, width: int, height: int
) -> dict[str, Any]:
    return {"id": len(before) + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}, **panel}


def _panel(spec: MetricSpec) -> dict[str, Any]:
    title = spec.help.rstrip(".")
    match spec.kind:
        case MetricKind.COUNTER:
            query = f"rate({spec.name}[{WINDOW}])"
            if spec.labels:
                query = f"sum by ({', '.join(spec.labels)}) ({query})"
            return _graph(f"{title} (per second)", [(query, _legend(spec.labels))], _unit(spec.name, rate=True))
        case MetricKind.GAUGE:
            return _graph(title, [(spec.name, _legend(spec.labels))], _unit(spec.name))
        case MetricKind.HISTOGRAM:
            quantiles = [(_quantile(share, spec.name), f"{share:.0%}") for share in (0.5, 0.95, 0.99)]
            return _graph(title, quantiles, _unit(spec.name))


def _quantile(share: float, name: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({name}_bucket[{WINDOW}])))"


def _container_panel(container: Container) -> dict[str, Any]:
    return _graph(container.title, [(container.query, f"{{{{{AGENT_LABEL}}}}}")], container.unit)


def _legend(labels: Sequence[str]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels) or "{{instance}}"


def _unit(name: str, *, rate: bool = False) -> str:
    """Return Grafana's word for the unit that a metric's name ends in."""
    plain = name.removesuffix("_total")
    if plain.endswith("_bytes"):
        return "Bps" if rate else "bytes"
    return "s" if plain.endswith("_seconds") else "short"


def _graph(title: str, queries: list[tuple[str, str]], unit: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(queries)
        ],
    }
