"""Monitoring's files: they name metrics that a hub really shows, and Compose takes them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from hub.contract import MonitoringQuery
from hub.errors import BadRequest, Conflict
from hub.metrics import METRICS, MetricKind
from hub.monitoring import CADVISOR_IMAGE, DASHBOARD_FILE, PROMETHEUS_FILE, monitoring_files
from hub.monitoring_dashboard import CONTAINERS, dashboard
from tests.composing import compose_command
from tests.hub.running import running_hub

HERE = "http://127.0.0.1:9091"
WORDS = {"rate", "sum", "by", "histogram_quantile", "le"}


def panels(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in found["panels"] if panel["type"] != "row"]


def queries(found: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(found) for target in panel["targets"]]


def series(query: str) -> set[str]:
    """The names of what a query reads: words that are no function and no label."""
    plain = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", query)
    return set(re.findall(r"[a-z_]{3,}", plain)) - WORDS


async def test_every_metric_that_the_dashboard_names_is_shown_by_a_hub() -> None:
    async with running_hub() as hub, httpx.AsyncClient() as client:
        address = (await hub.control.health()).addresses["api"]
        text = (await client.get(f"{address}/metrics")).text
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    shown = set(types) | {f"{name}_bucket" for name, kind in types.items() if kind == "histogram"}
    named = set[str]().union(*(series(query) for query in queries(dashboard())))
    theirs = {container.metric for container in CONTAINERS}
    assert theirs < named
    assert sorted(named - theirs - shown) == []
    ours = {f"{spec.name}_bucket" if spec.kind is MetricKind.HISTOGRAM else spec.name for spec in METRICS}
    assert sorted(ours - named) == []


def test_a_metric_of_a_label_is_summed_by_it_and_panels_do_not_overlap() -> None:
    found = dashboard()
    assert "sum by (state) (rate(clawtui_tasks_ended_total[$__rate_interval]))" in queries(found)
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])


async def test_prometheus_looks_where_the_hub_listens_or_where_it_was_told() -> None:
    async with running_hub() as hub:
        address = (await hub.control.health()).addresses["api"]
        made = await hub.control.monitoring(MonitoringQuery())
        other = await hub.control.monitoring(MonitoringQuery(target="https://hub.example:9091"))
    scrape = yaml.safe_load(made.files[PROMETHEUS_FILE])["scrape_configs"][0]
    assert (scrape["scheme"], scrape["static_configs"]) == ("http", [{"targets": [address.removeprefix("http://")]}])
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/hub-token"
    assert yaml.safe_load(other.files[PROMETHEUS_FILE])["scrape_configs"][0]["scheme"] == "https"


@pytest.mark.parametrize("target", ["hub:9091", "ftp://hub", "http://hub/x", "http://a:b@hub", "http://hub.example:1"])
def test_what_prometheus_could_not_read_or_would_read_in_the_open_is_refused(target: str) -> None:
    with pytest.raises(BadRequest) as refused:
        monitoring_files(target, token=True)
    assert refused.value.field == "target"


def test_a_hub_without_a_port_has_nothing_to_read() -> None:
    with pytest.raises(Conflict):
        monitoring_files("", token=True)
    assert "authorization" not in monitoring_files("http://hub.example:9091", token=False).files[PROMETHEUS_FILE]


@pytest.mark.docker
@pytest.mark.parametrize("token", [True, False])
def test_compose_takes_the_files(tmp_path: Path, token: bool) -> None:
    made = monitoring_files(HERE, token=token)
    for name, text in made.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(made.compose))
    done = subprocess.run(
        [*compose_command(), "config"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    services = yaml.safe_load(done.stdout)["services"]
    assert services["cadvisor"]["image"] == CADVISOR_IMAGE
    assert all(":" in service["image"] and "latest" not in service["image"] for service in services.values())
    assert services["prometheus"]["network_mode"] == services["grafana"]["network_mode"] == "host"
    assert json.loads(made.files[DASHBOARD_FILE])["uid"] == "clawtui"
