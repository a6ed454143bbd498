"""The Compose file with the side services of a profile, and the agent that waits for them."""

from __future__ import annotations

from typing import Final

import yaml

from profiles.image import image_name
from profiles.migrate.database_setup import SCRIPTS
from profiles.migrate.databases import BY_NAME, Family
from profiles.migrate.draft import Beside, Draft
from profiles.migrate.model import Sidecar

REDIS_CONFIG: Final = "/usr/local/etc/redis/redis.conf"
HEADER: Final = """\
# Side services of the profile {name}. In this folder:
#   docker-compose -f {name}.compose.yml up -d        the servers, and the network {network}
#   clawtui create AGENT --driver docker --profile {name}      an agent of the hub in that network
# An agent without the hub's driver: clawtui register {name}, then with its token
#   AGENT_TOKEN=... docker-compose -f {name}.compose.yml --profile agent up -d
# Servers answer to everybody in this network, and to nobody else: none of their ports is published.
"""


def network_of(name: str) -> str:
    """Return the network that the side services of a profile are in."""
    return f"{name}-services"


def sidecars_of(draft: Draft) -> tuple[Sidecar, ...]:
    return tuple(
        Sidecar(name=one.family, image=f"{BY_NAME[one.family].image}:{one.version}", port=BY_NAME[one.family].port)
        for one in draft.beside.values()
    )


def render_compose(draft: Draft) -> str:
    name = draft.vm.name
    services: dict[str, object] = {"agent": _agent(draft)}
    volumes: dict[str, object] = {"workspace": {}, "state": {}}
    for beside in draft.beside.values():
        family = BY_NAME[beside.family]
        services[family.name] = _server(name, family, beside)
        if family.keeps:
            volumes[f"{family.name}-data"] = {}
    network = network_of(name)
    document = {"services": services, "volumes": volumes, "networks": {"default": {"name": network}}}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return HEADER.format(name=name, network=network) + text


def _agent(draft: Draft) -> dict[str, object]:
    name = draft.vm.name
    return {
        "image": f"{image_name(name)}:latest",
        "profiles": ["agent"],
        "init": True,
        "depends_on": {one: {"condition": "service_healthy"} for one in draft.beside},
        "environment": {
            "AGENT_ID": f"${{AGENT_ID:-{name}}}",
            "AGENT_TOKEN": "${AGENT_TOKEN:-}",
            "HUB_URL": "${HUB_URL:-ws://host.docker.internal:9090}",
        },
        "extra_hosts": ["host.docker.internal:host-gateway"],
        "volumes": ["workspace:/workspace", "state:/var/lib/clawtui"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }


def _server(name: str, family: Family, beside: Beside) -> dict[str, object]:
    service: dict[str, object] = {"image": f"{family.image}:{beside.version}"}
    if environment := {**family.environment, **_plain(beside.environment)}:
        service["environment"] = environment
    if command := _command(beside):
        service["command"] = command
    if volumes := _volumes(name, family, beside):
        service["volumes"] = volumes
    service["healthcheck"] = {
        "test": list(family.health), "interval": "5s", "timeout": "5s", "retries": 12, "start_period": "30s",
    }  # fmt: skip
    return {**service, "restart": "unless-stopped"}


def _plain(values: dict[str, str]) -> dict[str, str]:
    """A dollar would begin a variable to Compose."""
    return {name: value.replace("$", "$$") for name, value in values.items()}


def _command(beside: Beside) -> list[str]:
    if beside.family != "redis" or not (beside.flags or beside.config is not None):
        return []
    config = [REDIS_CONFIG] if beside.config is not None else []
    return ["redis-server", *config, *(flag.replace("$", "$$") for flag in beside.flags)]


def _volumes(name: str, family: Family, beside: Beside) -> list[str]:
    found: list[str] = []
    if family.keeps:
        # From 18 on the image keeps one folder per version below this one.
        newer = family.name == "postgres" and beside.version.isdecimal() and int(beside.version) >= 18
        found.append(f"{family.name}-data:{'/var/lib/postgresql' if newer else family.keeps}")
    if beside.setup:
        found.append(f"./{name}.compose/{family.name}:{SCRIPTS}:ro")
    if beside.config is not None:
        found.append(f"./{name}.compose/{family.name}/redis.conf:{REDIS_CONFIG}:ro")
    return found


def sidecar_files(draft: Draft) -> dict[str, bytes]:
    """Return what the servers mount, by path relative to the Compose file."""
    found: dict[str, bytes] = {}
    for beside in draft.beside.values():
        folder = f"{draft.vm.name}.compose/{beside.family}"
        if beside.setup:
            found[f"{folder}/10-setup.sh"] = _script(beside).encode()
            found |= {f"{folder}/{path}": content for path, content in beside.files.items()}
        if beside.config is not None:
            found[f"{folder}/redis.conf"] = beside.config
    return dict(sorted(found.items()))


def _script(beside: Beside) -> str:
    begin = 'export PGUSER="${POSTGRES_USER:-postgres}"\n' if beside.family == "postgres" else ""
    lines = "".join(f"{line}\n" for line in beside.setup)
    return f"# Runs once, when the volume of {beside.family} is new.\nset -e\n{begin}{lines}"
