"""From a checked order to everything that is made of it: the container's plan, the same as a Compose file with its
`.env`, the gateway's configuration, and notes on what was limited or is not enforced. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.core.instances import StoredInstance
from hub.drivers.cells import (
    NO_NEW_PRIVILEGES,
    Capacity,
    CellCheck,
    CellMount,
    CellPlan,
    CellPort,
    CellVolume,
)
from hub.gateways.ingress.sites import public_url
from hub.gateways.instances.model import CONFIG_FILE, SHARED_PATH, WORKSPACES, Order, Paths, cell_of, container_name
from hub.gateways.instances.secrets import CHANNELS
from hub.gateways.kinds import ApiAuth, ImageKind
from hub.gateways.tiers import Tier

CONFIG_READ_ONLY: Final = "OPENCLAW_CONFIG_READONLY"
CONFIG_PATH: Final = "OPENCLAW_CONFIG_PATH"
SPARE_BYTES: Final = 256 * 2**20
"""What a container leaves to the engine's machine in any case."""
NEW_KEYS_SINCE: Final = (2026, 8)
"""From this version on `telemetry` and `models.catalogRefresh` are known; older ones refuse a file that has them."""
LABEL_NAMES: Final = ("tier", "customer", "subdomain")
HOST_GATEWAY: Final = "host.docker.internal:host-gateway"
"""A model server on the engine's machine is reached by this name."""
_MODEL_KEYS: Final[Mapping[str, str]] = {
    "anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "openrouter": "OPENROUTER_API_KEY",
    "google": "GEMINI_API_KEY", "xai": "XAI_API_KEY", "groq": "GROQ_API_KEY",
}  # fmt: skip
_VERSION: Final = re.compile(r"(\d{4})\.(\d{1,2})\.\d")


class Limits(msgspec.Struct, frozen=True):
    """What is in force, and what was limited."""

    cpus: float
    memory_bytes: int
    notes: tuple[str, ...] = ()


# --- limits and notes ------------------------------------------------------------------------------


def limits(tier: Tier, capacity: Capacity) -> Limits:
    """Return the tier's limits as this machine can give them."""
    notes: list[str] = []
    cpus, memory = tier.cpus, tier.memory_bytes
    if cpus > capacity.cpus:
        cpus = float(capacity.cpus)
        notes.append(f"{tier.cpus:g} CPUs are more than {capacity.name} has: limited to {cpus:g}")
    most = max(capacity.memory_bytes - SPARE_BYTES, capacity.memory_bytes // 2)
    if memory > most:
        memory = most
        notes.append(
            f"{_mib(tier.memory_bytes)} of memory are more than {capacity.name} can give: limited to {_mib(memory)}"
        )
    return Limits(cpus, memory, (*notes, *capacity.notes))


def unenforced(order: Order) -> tuple[str, ...]:
    """Return what of the tier nobody enforces, or only in part, and what is missing, one line each."""
    tier, notes = order.tier, list[str]()
    if tier.sessions is not None:
        notes.append(f"at most {tier.sessions} turns run at once; how many conversations there are is not limited")
    if tier.workspace_bytes is not None:
        notes.append(
            f"the workspace's {_mib(tier.workspace_bytes)} are not enforced: volumes and folders have no quota"
        )
    if tier.browser and order.kind.built:
        notes.append("the browser is switched on, but images that the hub builds have none: use the kind official")
    elif tier.browser and "browser" not in order.instance.image:
        notes.append("the browser is switched on; images whose tag ends with -browser have one")
    provider = model_of(order).partition("/")[0]
    wanted = _MODEL_KEYS.get(provider)
    if wanted is not None and wanted not in order.secrets.values and not _has_provider(order.config, provider):
        notes.append(f"the model {model_of(order)} needs {wanted}, which was not given")
    return (*notes, *order.kind.notes)


def model_of(order: Order) -> str:
    """The default model of personas: what the user's configuration says, or else the tier's."""
    given = _dig(order.config, "agents", "defaults", "model")
    if isinstance(given, dict):
        given = given.get("primary")
    return given if isinstance(given, str) and given else order.tier.model


def _has_provider(config: Mapping[str, Any], provider: str) -> bool:
    return isinstance(_dig(config, "models", "providers", provider), dict)


# --- the container ---------------------------------------------------------------------------------


def cell_plan(order: Order, paths: Paths) -> CellPlan:
    """Return the container's plan; `order.instance` has the limits in force, the names and the image."""
    instance, kind = order.instance, order.kind
    mounts = (CellMount(str(paths.shared), SHARED_PATH),) if order.shared else ()
    return CellPlan(
        cell=cell_of(instance),
        name=instance.container_name,
        image=instance.image,
        command=kind.command,
        environment=environment(order),
        secrets=dict(order.secrets.values),
        labels={name: value for name in LABEL_NAMES if (value := getattr(instance, name))},
        user=kind.user,
        cpus=instance.cpus,
        memory_bytes=instance.memory_bytes,
        ports=(CellPort(instance.port, kind.port),),
        volumes=tuple(
            CellVolume(name, volume.target, adopted=instance.adopted)
            for name, volume in zip(instance.volumes, kind.volumes, strict=True)
        ),
        mounts=mounts,
        network=instance.network,
        extra_hosts=(HOST_GATEWAY,),
        check=CellCheck(),
        capabilities=kind.capabilities,
        init=kind.init,
    )


def environment(order: Order) -> dict[str, str]:
    """What the container sees beside its secrets."""
    kind = order.kind
    found = dict(kind.environment)
    if kind.user_variable:
        found[kind.user_variable] = kind.default_user
    if kind.config_read_only:
        found[CONFIG_READ_ONLY] = "1"
    if order.shared:
        found[CONFIG_PATH] = f"{SHARED_PATH}/{CONFIG_FILE}"
    return found


def secrets_of(kind: ImageKind, token: str, keys: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of a container by variable: the token under the names that the kind has for it, and keys."""
    found = {**keys, kind.token_variable: token}
    if kind.auth is ApiAuth.BASIC and kind.password_variable:
        found[kind.password_variable] = token
    return found


def environment_text(secrets: Mapping[str, str]) -> str:
    """Return the `.env` file; values have no character that needs quotes."""
    return "".join(f"{name}={value}\n" for name, value in sorted(secrets.items()))


def read_environment(text: str) -> dict[str, str]:
    """Return what an `.env` file of ours says."""
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


# --- the same for Compose --------------------------------------------------------------------------


def compose_document(plan: CellPlan, platform: str = "") -> dict[str, Any]:
    """Return a Compose file that runs the same container by hand, from the folder that has its `.env`.

    The network is Compose's own for the project: one bridge for this container alone, as the hub makes it.
    """
    service: dict[str, Any] = {
        "image": plan.image,
        "platform": platform or None,
        "container_name": plan.name,
        "command": list(plan.command) or None,
        "env_file": [".env"],
        "environment": dict(sorted(plan.environment.items())),
        "user": plan.user or None,
        "init": plan.init or None,
        "restart": plan.restart.value,
        "stop_grace_period": f"{plan.stop_grace_seconds}s",
        "cpus": plan.cpus,
        "mem_limit": plan.memory_bytes,
        "memswap_limit": plan.memory_bytes,
        "pids_limit": plan.pids,
        "cap_drop": ["ALL"],
        "cap_add": list(plan.capabilities) or None,
        "security_opt": [NO_NEW_PRIVILEGES],
        "ports": [f"{one.host_ip}:{one.port}:{one.container_port}" for one in plan.ports],
        "volumes": [
            *({"type": "volume", "source": f"v{number}", "target": one.target} for number, one in _numbered(plan)),
            *({"type": "bind", "source": "./shared", "target": one.target} for one in plan.mounts),
        ],
        "extra_hosts": list(plan.extra_hosts),
        "logging": {"driver": plan.log_driver, "options": dict(plan.log_options)},
    }
    return {
        "version": "2.4",
        "services": {"gateway": {name: _plain(value) for name, value in service.items() if value is not None}},
        "volumes": {f"v{number}": {"name": one.name, "external": True} for number, one in _numbered(plan)},
    }


def _numbered(plan: CellPlan) -> list[tuple[int, CellVolume]]:
    return list(enumerate(plan.volumes))


def _plain(value: Any) -> Any:
    """A dollar would begin a variable to Compose."""
    match value:
        case str():
            return value.replace("$", "$$")
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case _:
            return value


# --- the gateway's configuration -------------------------------------------------------------------


def base_config(order: Order, https_port: int) -> dict[str, Any]:
    """Return openclaw.json: ours, with the user's over it. No secret is in it: the token comes by the environment.

    `https_port`: at which the proxy of this machine listens.
    """
    instance, kind, tier = order.instance, order.kind, order.tier
    root = workspace_root(order)
    defaults: dict[str, Any] = {"workspace": f"{root}/main", "heartbeat": {"every": "0m"}}
    if tier.model:
        defaults["model"] = {"primary": tier.model}
    if tier.sessions is not None:
        defaults["maxConcurrent"] = tier.sessions
    config: dict[str, Any] = {
        "gateway": _gateway(instance, kind, https_port),
        "agents": {"defaults": defaults},
        "browser": {"enabled": tier.browser},
        "update": {"checkOnStart": False},
        "discovery": {"mdns": {"mode": "off"}},
    }
    if _knows_new_keys(order):
        config |= {"telemetry": {"enabled": False}, "models": {"catalogRefresh": {"enabled": False}}}
    for variable in sorted(CHANNELS.keys() & order.secrets.values.keys()):
        config.setdefault("channels", {})[CHANNELS[variable]] = {"enabled": True}
    return merged(config, order.config)


def workspace_root(order: Order) -> str:
    """The folder of the personas' workspaces as the container sees it."""
    return f"{SHARED_PATH}/{WORKSPACES}" if order.shared else order.kind.workspace_path


def _gateway(instance: StoredInstance, kind: ImageKind, https_port: int) -> dict[str, Any]:
    # coollabsio's nginx is in front of a gateway on another port of the same container.
    port = kind.port if kind.auth is ApiAuth.BEARER else 18789
    origins = [f"http://127.0.0.1:{instance.port}", f"http://localhost:{instance.port}"]
    proxies = list(kind.trusted_proxies)
    if instance.subdomain:
        origins.append(public_url(instance.subdomain, https_port))
    section: dict[str, Any] = {
        "mode": "local",
        "port": port,
        "bind": kind.bind,
        "auth": {"mode": "token"},
        "reload": {"mode": "hybrid"},
        "http": {"endpoints": {"responses": {"enabled": True}}},
        "controlUi": {"allowedOrigins": origins},
    }
    return {**section, "trustedProxies": proxies} if proxies else section


def _knows_new_keys(order: Order) -> bool:
    """Whether the version is known to be new enough; without one the keys are left out."""
    version = order.instance.version or order.instance.image.rpartition(":")[2]
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) >= NEW_KEYS_SINCE


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one; where both have something that is no mapping, the second one's is taken."""
    both = dict(base)
    for name, value in over.items():
        there = both.get(name)
        both[name] = merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return both


def _dig(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mib(size_bytes: int) -> str:
    return f"{size_bytes // 2**20} MiB"


def with_limits(order: Order, capacity: Capacity) -> Order:
    """Return the order with the limits in force and every note."""
    found = limits(order.tier, capacity)
    instance = replace(
        order.instance,
        cpus=found.cpus,
        memory_bytes=found.memory_bytes,
        sessions=order.tier.sessions,
        workspace_bytes=order.tier.workspace_bytes,
        notes=(*found.notes, *unenforced(order)),
    )
    return replace(order, instance=instance)


def names_of(instance: StoredInstance, kind: ImageKind) -> StoredInstance:
    """Return the record with the names of what will be made."""
    name = container_name(instance.name)
    volumes = tuple(f"{name}{volume.suffix}" for volume in kind.volumes)
    return replace(instance, container_name=name, network=name, volumes=volumes)
