"""PURE: what no container could have, or would only seem to have; one error per field."""

from __future__ import annotations

import re
from typing import Final

from hub.drivers.base import AgentPlan, Mount
from hub.drivers.docker import labels
from hub.drivers.docker.engine import NAME, EngineUnreachable
from hub.drivers.docker.plan import RUNTIME, SOCKET_FOLDER, STATE, WORKSPACE, ContainerPlan
from hub.errors import BadRequest, HubError, NotAvailable
from profiles.parts import NETWORK_PATTERN

SMALLEST_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""The runtime alone is 26 MB; the engine refuses under 6 MB only."""
OWN_PREFIXES: Final = ("AGENT_", "HUB_", "CLAWTUI_")
OWN_PLACES: Final = (STATE, SOCKET_FOLDER, RUNTIME, "/proc", "/sys", "/dev")
VOLUME_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}"
UID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
REFUSED_NETWORKS: Final = ("host", "default")


def check_plan(plan: AgentPlan) -> None:
    """Raises BadRequest for what no container could have or would only seem to have."""
    if not re.fullmatch(UID_PATTERN, plan.uid):
        raise _bad("uid", f"{plan.uid!r} cannot be a uid")
    if plan.concurrency < 1:
        raise _bad("concurrency", "concurrency starts at 1")
    if any("," in capability for capability in plan.capabilities):
        raise _bad("capabilities", "a capability cannot have a comma")
    if plan.cpus is not None and not plan.cpus >= 0.01:
        raise _bad("cpus", "the smallest share is 0.01 of a core")
    if plan.memory_bytes is not None and plan.memory_bytes < SMALLEST_MEMORY_BYTES:
        raise _bad("memory", f"an agent needs at least {SMALLEST_MEMORY_BYTES // 2**20} MiB of memory")
    if plan.pids < 16:
        raise _bad("pids", "an agent needs at least 16 processes")
    _check_network(plan.network)
    _check_environment(plan.environment)
    for mount in plan.mounts:
        _check_mount(mount)
    for target in plan.tmpfs:
        _check_target("tmpfs", target)


def without_gpu(plan: ContainerPlan, refused: HubError) -> HubError:
    """Return the error of a container that was made and cannot be started.

    An engine looks for a GPU only then. Its words differ from release to release, so what counts is what was asked for.
    """
    if plan.gpu is None or isinstance(refused, EngineUnreachable):
        return refused
    asked = f"GPUs {', '.join(plan.gpu.devices)}" if plan.gpu.devices else "all GPUs"
    asked = asked if plan.gpu.count <= 0 else f"{plan.gpu.count} GPUs"
    return NotAvailable(
        f"{plan.name} was to have {asked}, and the engine cannot start it so: {refused.message}",
        code="no_gpu",
        hint="The engine's machine needs a GPU, its driver and the NVIDIA Container Toolkit. Without: --gpus none.",
        field="machine.gpu",
        driver=NAME,
    )


def _check_network(name: str) -> None:
    if name in REFUSED_NETWORKS:
        raise _bad("network", f"agents do not share the network {name!r}", 'Leave it out, or say "none".')
    if name and not re.fullmatch(NETWORK_PATTERN, name):
        raise _bad("network", f"{name[:64]!r} is not the name of a network", "clawtui network list shows them.")


def _check_environment(environment: dict[str, str]) -> None:
    for name, value in environment.items():
        if name.startswith(OWN_PREFIXES):
            raise _bad(f"environment.{name}", f"{name} is set by the hub", "Choose another name.")
        if not name or "=" in name or "\0" in name + value:
            raise _bad(f"environment.{name}", f"{name!r} cannot be an environment variable")


def _check_mount(mount: Mount) -> None:
    _check_target("mounts", mount.target)
    if mount.source.startswith("/"):
        return
    if not re.fullmatch(VOLUME_PATTERN, mount.source):
        raise _bad("mounts", f"{mount.source!r} is neither an absolute path nor a volume's name")
    if mount.source.startswith(labels.PREFIX):
        raise _bad("mounts", f"{mount.source} belongs to an agent", "Use a volume of your own between agents.")


def _check_target(field: str, target: str) -> None:
    normal = "/" + "/".join(part for part in target.split("/") if part not in ("", "."))
    if not target.startswith("/") or ".." in target.split("/") or normal == "/":
        raise _bad(field, f"{target!r} is not an absolute path in the agent")
    for own in OWN_PLACES:
        if normal == own or normal.startswith(f"{own}/"):
            raise _bad(field, f"{target} would hide {own}")
    # Our volumes are mounted over what lies above them; the runtime is part of the image.
    if RUNTIME.startswith(f"{normal}/"):
        raise _bad(field, f"{target} would hide {RUNTIME}")
    if normal == WORKSPACE:
        raise _bad(field, f"{WORKSPACE} is the agent's own volume", f"Mount below it, e.g. {WORKSPACE}/data.")


def _bad(field: str, message: str, hint: str = "") -> BadRequest:
    return BadRequest(message, hint=hint, field=field, driver=NAME)
