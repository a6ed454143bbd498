"""PURE: containers' plans as one Compose file that starts the same containers (compose-spec.io)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hub.core.model import AgentId
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.plan import NO_NETWORK, TOKEN_FILE, ContainerPlan, Volume
from profiles.parts import Gpu, Health

SECRETS_FOLDER: Final = "/run/secrets"
"""Where Compose puts the files of secrets."""
TOKEN_VARIABLE: Final = "AGENT_TOKEN_FILE"


class ComposeAgent(msgspec.Struct, frozen=True, kw_only=True):
    """One container of the file. `token_file`: beside the file, relative to it. `exists`: the agent is there;
    `keeps_volumes`: with volumes that its driver has made; `more_networks`: it is in these too."""

    agent_id: AgentId
    identity: Identity
    plan: ContainerPlan
    token_file: str
    exists: bool = False
    keeps_volumes: bool = False
    more_networks: tuple[str, ...] = ()

    @property
    def networks(self) -> list[str]:
        return [] if self.plan.network == NO_NETWORK else [self.plan.network, *self.more_networks]


def render_compose(agents: Iterable[ComposeAgent]) -> dict[str, object]:
    """Return the document. Networks must exist already: they are shared with agents that the file does not name."""
    chosen = sorted(agents, key=lambda agent: agent.agent_id)
    networks = {name for agent in chosen for name in agent.networks}
    volumes: dict[str, object] = {}
    for agent in chosen:
        for volume in agent.plan.volumes:
            if volume.named:
                volumes[volume.source] = _declared(volume, agent)
    return {
        "services": {str(agent.agent_id): _plain(_service(agent)) for agent in chosen},
        "networks": {name: {"name": name, "external": True} for name in sorted(networks)},
        "volumes": dict(sorted(volumes.items())),
        "secrets": {_secret(agent): {"file": f"./{agent.token_file}"} for agent in chosen},
    }


def _service(agent: ComposeAgent) -> dict[str, object]:
    plan = agent.plan
    environment = dict(plan.environment)
    if environment.get(TOKEN_VARIABLE) == TOKEN_FILE:
        environment[TOKEN_VARIABLE] = f"{SECRETS_FOLDER}/{_secret(agent)}"
    service: dict[str, object] = {
        "container_name": plan.name,
        "image": plan.image,
        "init": True,
        "user": plan.user,
        "working_dir": plan.working_folder,
        "environment": dict(sorted(environment.items())),
        "labels": dict(sorted(plan.labels.items())),
        "secrets": [_secret(agent)],
        "volumes": [_mounted(volume) for volume in plan.volumes],
        "tmpfs": [f"{path}:{options}" for path, options in sorted(plan.tmpfs.items())],
        "extra_hosts": list(plan.extra_hosts),
        "restart": plan.restart.value,
        "stop_grace_period": f"{plan.stop_grace_seconds}s",
        "logging": {"driver": plan.log_driver, "options": dict(plan.log_options)},
        **_security(plan),
        **_limits(plan),
    }
    if plan.network == NO_NETWORK:
        service["network_mode"] = NO_NETWORK
    else:
        service["networks"] = agent.networks
    if plan.health != Health():
        service["healthcheck"] = _healthcheck(plan.health)
    if plan.command:
        service |= {"entrypoint": list(plan.command), "command": []}
    return {name: value for name, value in service.items() if value not in ([], {}, None)}


def _security(plan: ContainerPlan) -> dict[str, object]:
    return {
        "cap_drop": ["ALL"],
        "cap_add": list(plan.capabilities),
        "security_opt": list(plan.security_options),
        "read_only": plan.read_only or None,
    }


def _limits(plan: ContainerPlan) -> dict[str, object]:
    """Sizes in bytes, as numbers: every Compose reads them alike."""
    return {
        "cpus": plan.cpus,
        "cpu_shares": plan.cpu_shares,
        "cpuset": plan.cpuset or None,
        "mem_limit": plan.memory_bytes,
        "memswap_limit": plan.memory_swap_bytes,
        "mem_reservation": plan.memory_reservation_bytes,
        "shm_size": plan.shm_bytes,
        "pids_limit": plan.pids,
        "ulimits": {name: {"soft": it.soft, "hard": it.hard} for name, it in sorted(plan.ulimits.items())},
        "storage_opt": {"size": str(plan.disk_bytes)} if plan.disk_bytes is not None else None,
        "deploy": _gpu(plan.gpu) if plan.gpu is not None else None,
    }


def _gpu(gpu: Gpu) -> dict[str, object]:
    which: dict[str, object] = (
        {"device_ids": list(gpu.devices)} if gpu.devices else {"count": "all" if gpu.count < 0 else gpu.count}
    )
    return {"resources": {"reservations": {"devices": [{"driver": "nvidia", "capabilities": ["gpu"], **which}]}}}


def _healthcheck(health: Health) -> dict[str, object]:
    """Without a test: the image's own, asked at other times."""
    seconds = {
        "interval": health.interval_seconds,
        "timeout": health.timeout_seconds,
        "start_period": health.start_period_seconds,
    }
    check: dict[str, object] = {name: f"{value:g}s" for name, value in seconds.items() if value is not None}
    return check if health.retries is None else {**check, "retries": health.retries}


def _declared(volume: Volume, agent: ComposeAgent) -> dict[str, object]:
    """The agent's own volumes carry its labels, as the driver's; others' and those that the driver made stay."""
    if agent.keeps_volumes or not _is_own(volume, agent):
        return {"name": volume.source, "external": True}
    return {"name": volume.source, "labels": agent.identity.labels()}


def _is_own(volume: Volume, agent: ComposeAgent) -> bool:
    return volume.source == agent.plan.name or volume.source.startswith(f"{agent.plan.name}.")


def _mounted(volume: Volume) -> dict[str, object]:
    kind = "volume" if volume.named else "bind"
    mount: dict[str, object] = {"type": kind, "source": volume.source, "target": volume.target}
    return {**mount, "read_only": True} if volume.read_only else mount


def _secret(agent: ComposeAgent) -> str:
    return f"{agent.agent_id}-token"


def _plain(value: object) -> object:
    """A dollar would begin a variable to Compose, wherever it stands: in a path, an option, a label."""
    match value:
        case str():
            return value.replace("$", "$$")
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case _:
            return value
