"""PURE: Prometheus, Grafana and cAdvisor for a hub, as a Compose file and the files beside it.

All three listen on loopback only. Prometheus is on the host's network, because the hub's API is on loopback too, and
at 9095, because 9090 is where agents dial the hub.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from hub.contract import MonitoringFiles
from hub.errors import BadRequest, Conflict
from hub.monitoring_dashboard import SOURCE, dashboard

PROMETHEUS_IMAGE: Final = "prom/prometheus:v2.53.2"
GRAFANA_IMAGE: Final = "grafana/grafana:11.2.0"
CADVISOR_IMAGE: Final = "gcr.io/cadvisor/cadvisor:v0.49.1"
PROMETHEUS: Final = "127.0.0.1:9095"
CADVISOR_PORT: Final = 9096
GRAFANA_PORT: Final = 3000
TOKEN: Final = "secrets/hub-token"
PASSWORD: Final = "secrets/grafana-password"
LABELS: Final = "clawtui.agent-id,clawtui.hub-id"
"""Of containers: what cAdvisor passes on; all labels would be a series each time one changes."""
KEPT: Final = "30d"

PROMETHEUS_FILE: Final = "prometheus/prometheus.yml"
DASHBOARD_FILE: Final = "grafana/dashboards/clawtui.json"
SOURCE_FILE: Final = "grafana/provisioning/datasources/clawtui.yml"
DASHBOARDS_FILE: Final = "grafana/provisioning/dashboards/clawtui.yml"


def monitoring_files(target: str, *, token: bool) -> MonitoringFiles:
    """Return the files for the hub whose API answers at the URL `target`.

    `token`: Prometheus shows the token in TOKEN there.

    Raises:
        Conflict: the hub has no such address.
        BadRequest: it is none that Prometheus could read.
    """
    if not target:
        raise Conflict(
            "the hub's API has no TCP port that Prometheus could read", hint="Start it with --port-api 9091."
        )
    url = urlsplit(target)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.username:
        raise BadRequest(
            f"{target[:60]!r} is not the address of a hub", field="target", hint="Such as https://hub.example:9091."
        )
    if token and url.scheme == "http" and not _is_here(url.hostname):
        hint = "Start the hub with TLS, and name it by https://."
        raise BadRequest("a token would go through the network unencrypted", field="target", hint=hint)
    files = {
        PROMETHEUS_FILE: _yaml(_scraping(url.scheme, url.netloc, token)),
        SOURCE_FILE: _yaml(_source()),
        DASHBOARDS_FILE: _yaml(_dashboards()),
        DASHBOARD_FILE: json.dumps(dashboard(), indent=2) + "\n",
    }
    return MonitoringFiles(compose=_compose(token), files=files, target=target)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def _scraping(scheme: str, address: str, token: bool) -> dict[str, Any]:
    hub: dict[str, Any] = {"job_name": "clawtui", "scheme": scheme, "static_configs": [{"targets": [address]}]}
    if token:
        hub["authorization"] = {"type": "Bearer", "credentials_file": "/run/secrets/hub-token"}
    return {
        "global": {"scrape_interval": "15s"},
        "scrape_configs": [
            hub,
            {"job_name": "cadvisor", "static_configs": [{"targets": [f"127.0.0.1:{CADVISOR_PORT}"]}]},
            {"job_name": "prometheus", "static_configs": [{"targets": [PROMETHEUS]}]},
        ],
    }


def _source() -> dict[str, Any]:
    source = {"name": "clawtui", "access": "proxy", "url": f"http://{PROMETHEUS}", "isDefault": True, **SOURCE}
    return {"apiVersion": 1, "datasources": [source]}


def _dashboards() -> dict[str, Any]:
    folder = {"path": "/var/lib/grafana/dashboards"}
    return {"apiVersion": 1, "providers": [{"name": "clawtui", "type": "file", "options": folder}]}


def _compose(token: bool) -> dict[str, Any]:
    secrets = {"grafana-password": {"file": f"./{PASSWORD}"}}
    return {
        "services": {"prometheus": _prometheus(token), "grafana": _grafana(), "cadvisor": _cadvisor()},
        "volumes": {"prometheus": {}, "grafana": {}},
        "secrets": secrets | ({"hub-token": {"file": f"./{TOKEN}"}} if token else {}),
    }


def _prometheus(token: bool) -> dict[str, Any]:
    service: dict[str, Any] = {
        "image": PROMETHEUS_IMAGE,
        "network_mode": "host",
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            f"--web.listen-address={PROMETHEUS}",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={KEPT}",
        ],
        "volumes": [f"./{PROMETHEUS_FILE}:/etc/prometheus/prometheus.yml:ro", "prometheus:/prometheus"],
        "restart": "unless-stopped",
        **_closed(),
    }
    return {**service, "secrets": ["hub-token"]} if token else service


def _grafana() -> dict[str, Any]:
    return {
        "image": GRAFANA_IMAGE,
        "network_mode": "host",
        "environment": {
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(GRAFANA_PORT),
            "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana-password",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/var/lib/grafana/dashboards/clawtui.json",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        },
        "volumes": [
            "./grafana/provisioning:/etc/grafana/provisioning:ro",
            "./grafana/dashboards:/var/lib/grafana/dashboards:ro",
            "grafana:/var/lib/grafana",
        ],
        "secrets": ["grafana-password"],
        "depends_on": ["prometheus"],
        "restart": "unless-stopped",
        **_closed(),
    }


def _cadvisor() -> dict[str, Any]:
    """Reads the host's files and the engine's; it cannot change them."""
    read = ("/:/rootfs", "/var/run:/var/run", "/sys:/sys", "/var/lib/docker:/var/lib/docker", "/dev/disk:/dev/disk")
    return {
        "image": CADVISOR_IMAGE,
        "command": [
            "--docker_only=true",
            "--housekeeping_interval=15s",
            "--store_container_labels=false",
            f"--whitelisted_container_labels={LABELS}",
        ],
        "ports": [f"127.0.0.1:{CADVISOR_PORT}:8080"],
        "volumes": [f"{place}:ro" for place in read],
        "restart": "unless-stopped",
    }


def _closed() -> dict[str, Any]:
    return {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
