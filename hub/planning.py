"""From a create request to an agent's record and a driver's plan: pure checks, one error per field."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from hub.audit import names_only
from hub.contract import CreateAgent
from hub.core.model import Agent, AgentUid, Now, Observed
from hub.core.names import check_agent_id
from hub.drivers.base import AgentPlan, Features, Mount, RestartPolicy
from hub.errors import BadRequest, NotAvailable
from hub.submission import check_labels, field_of
from profiles.errors import ProfileError
from profiles.model import Machine, parse_machine
from profiles.parts import UNLIMITED
from profiles.values import parse_cpus, parse_size

MAX_TEXT: Final = 200
MAX_ENVIRONMENT_BYTES: Final = 64 * 1024
DEFAULT_PIDS: Final = 512
"""Processes and threads of an agent whose profile does not say."""
WAITS: Final = "waits for its Compose file to be started"
"""The reason of an agent that a Compose file makes and that is not there."""
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS: Final = ("AGENT_", "HUB_", "CLAWTUI_")


class Kept(CreateAgent, frozen=True):
    """What an agent's record keeps of how it was made: the request, and in `effective` what its profile said of the
    machine then, with the request's own `machine` over it. `composed`: a Compose file makes it, not its driver."""

    effective: Machine | None = None
    composed: bool = False


def machine_of(request: CreateAgent, profile: Machine | None) -> Machine | None:
    """Return the profile's machine with what the request says of it over it; None when neither says anything.

    Raises:
        BadRequest: with the field's path, such as `machine.limits.pids`.
    """
    if not request.machine:
        return profile
    try:
        return parse_machine(request.machine, "machine", profile or Machine())
    except ProfileError as exc:
        hint = exc.hint if len(exc.problems) == 1 else f"{exc.hint} In all {len(exc.problems)} mistakes: {exc}".strip()
        raise BadRequest(exc.message, field=exc.field, hint=hint) from exc


def spoken(request: CreateAgent) -> str:
    """Return a create request as the audit keeps it: of its environment the names only."""
    return msgspec.json.encode(names_only(msgspec.to_builtins(request))).decode()


def new_agent(
    request: CreateAgent,
    uid: AgentUid,
    driver: str,
    features: Features,
    now: Now,
    machine: Machine | None = None,
    *,
    composed: bool = False,
) -> Agent:
    """Return the record of an agent that a driver is about to make. `machine` is what `machine_of` returns.

    Raises:
        BadRequest: with `field`.
        NotAvailable: the driver cannot do what is asked.
    """
    agent_id = check_agent_id(request.name)
    for field, text in (("type", request.type), ("displayName", request.display_name)):
        if len(text) > MAX_TEXT or not text.isprintable():
            raise BadRequest(f"{field} has at most {MAX_TEXT} printable characters", field=field)
    check_labels(request.labels)
    default = machine or Machine()
    if (request.network or default.network) == "none" and not features.network_none:
        raise NotAvailable(f"driver {driver} cannot cut an agent off the network", driver=driver)
    said: dict[str, Any] = msgspec.structs.asdict(request) | {"machine": {}}
    kept = Kept(**said, effective=machine, composed=composed)
    # Everything else is checked by making the plan once.
    agent = Agent(
        id=agent_id,
        uid=uid,
        created_at=now.wall_ms,
        display_name=request.display_name,
        type=request.type,
        driver=driver,
        profile=request.profile,
        capabilities=tuple(request.capabilities) or default.capabilities,
        labels=default.labels | request.labels,
        observed=Observed.CREATING,
        spec=msgspec.json.encode(kept).decode(),
        restart=request.restart or default.restart.value,
    )
    make_plan(agent, "", "")
    return agent


def make_plan(agent: Agent, hub_id: str, join_token: str) -> AgentPlan:
    """Return what the driver needs, out of the request that is kept in the agent's record.

    Raises:
        BadRequest: with `field`.
    """
    request = _kept(agent)
    machine = request.effective or Machine()
    try:
        asked = request.resources
        cpus = machine.resources.cpus if asked.cpus is None else parse_cpus("resources.cpus", asked.cpus)
        memory = _size("resources.memory", asked.memory, machine.resources.memory_bytes)
        disk = _size("resources.disk", asked.disk, machine.resources.disk_bytes)
    except ProfileError as exc:
        raise BadRequest(exc.message, field=exc.field, hint=exc.hint) from exc
    _check_swap(request, machine, memory)
    environment = machine.environment | request.environment
    _check_environment(environment)
    return AgentPlan(
        agent_id=agent.id,
        uid=agent.uid,
        hub_id=hub_id,
        join_token=join_token,
        type=agent.type,
        profile=agent.profile,
        capabilities=agent.capabilities or machine.capabilities,
        concurrency=request.concurrency or machine.concurrency,
        cpus=cpus,
        memory_bytes=memory,
        disk_bytes=disk,
        pids=machine.limits.pids or DEFAULT_PIDS,
        environment=environment,
        labels=machine.labels | agent.labels,
        restart=_restart(request.restart or machine.restart.value),
        sudo=machine.sudo,
        network=request.network or machine.network,
        mounts=_mounts(request, machine),
        tmpfs=_tmpfs(request, machine),
        read_only=request.read_only or machine.security.read_only,
        machine=machine,
    )


def made_with(agent: Agent) -> dict[str, Any] | None:
    """Return the machine that the agent was made with, in a profile's words, whatever became of its profile since;
    None for one that no driver made. Its environment is left out: what a request sets there may be secret."""
    if not agent.driver or not agent.spec:
        return None
    plan = make_plan(agent, "", "")
    machine: dict[str, Any] = msgspec.to_builtins(plan.machine)
    machine.pop("environment", None)
    resources = {"cpus": plan.cpus, "memory_bytes": plan.memory_bytes, "disk_bytes": plan.disk_bytes}
    return machine | {
        "resources": resources, "concurrency": plan.concurrency, "capabilities": plan.capabilities,
        "network": plan.network, "restart": plan.restart.value,
    }  # fmt: skip


def stop_grace(agent: Agent, default: float) -> float:
    """Return the seconds that an agent has to end by itself; `default` where it was not said."""
    machine = _kept(agent).effective
    return (machine.stop_grace_seconds if machine is not None else None) or default


def is_composed(agent: Agent) -> bool:
    """Whether a Compose file makes the agent: it is nobody's failure when it is not there."""
    return bool(agent.spec) and _kept(agent).composed


def _check_swap(request: Kept, machine: Machine, memory_bytes: int) -> None:
    """The parser compares swap with the machine's memory, which the request may have raised."""
    swap = machine.limits.memory_swap_bytes
    if request.resources.memory is not None and swap is not None and UNLIMITED != swap < memory_bytes:
        hint = "It is memory and swap together: ask for as much as the memory, or more."
        raise BadRequest("is less than the memory", field="machine.limits.memory_swap", hint=hint)


def _size(field: str, asked: str | int | None, default: int) -> int:
    return default if asked is None else parse_size(field, asked)


def _kept(agent: Agent) -> Kept:
    """How the agent was made, out of its record; a caller in this process may have made an impossible one."""
    try:
        return msgspec.json.decode(agent.spec or "{}", type=Kept)
    except msgspec.ValidationError as exc:
        raise BadRequest(str(exc), field=field_of(exc)) from exc


def _restart(value: str) -> RestartPolicy:
    try:
        return RestartPolicy(value)
    except ValueError as exc:
        known = ", ".join(RestartPolicy)
        raise BadRequest(f"restart is one of {known}", field="restart") from exc


def _mounts(request: CreateAgent, machine: Machine) -> tuple[Mount, ...]:
    """The profile's volumes and the request's, which win at the same place."""
    mounts = {
        volume.target: Mount(source=volume.source, target=volume.target, read_only=volume.read_only)
        for volume in machine.volumes
    }
    for number, mount in enumerate(request.mounts):
        target = _absolute(f"mounts[{number}].target", mount.target)
        mounts[target] = Mount(source=mount.source, target=target, read_only=mount.read_only)
    return tuple(mounts.values())


def _tmpfs(request: CreateAgent, machine: Machine) -> tuple[str, ...]:
    asked = tuple(_absolute("tmpfs", path) for path in request.tmpfs)
    return tuple(dict.fromkeys((*(tmpfs.path for tmpfs in machine.security.tmpfs), *asked)))


def _absolute(field: str, path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise BadRequest(f"{path[:100]!r} is not an absolute path", field=field)
    return path


def _check_environment(environment: dict[str, str]) -> None:
    size = 0
    for name, value in environment.items():
        size += len(name) + len(value)
        if _ENVIRONMENT_NAME.fullmatch(name) is None or "\0" in value:
            raise BadRequest(f"{name[:60]!r} is not an environment variable", field="environment")
        if name.startswith(_OURS):
            raise BadRequest(f"{name[:60]} belongs to the agent's runtime", field=f"environment.{name[:60]}")
    if size > MAX_ENVIRONMENT_BYTES:
        raise BadRequest(
            f"the environment has {size} bytes, at most {MAX_ENVIRONMENT_BYTES} are allowed",
            field="environment",
            hint="put large values into a file",
        )
