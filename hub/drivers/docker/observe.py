"""PURE: from what the engine says of a container to what the hub knows of an agent."""

from __future__ import annotations

from typing import Final

import msgspec

from hub.core.model import AgentId, AgentUid, CheckState, Observed
from hub.drivers.base import AgentHandle, Observation
from hub.drivers.docker.answers import Container, Health
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import Identity, identity_of
from hub.drivers.docker.logs import time_ms
from hub.errors import BadRequest

STATES: Final = {
    # Made and never started: whoever finds it so can start it. While a create goes on, the hub does not ask.
    "created": Observed.EXITED,
    "running": Observed.RUNNING,
    "paused": Observed.PAUSED,
    "restarting": Observed.UNKNOWN,
    "removing": Observed.UNKNOWN,
    "exited": Observed.EXITED,
    "dead": Observed.EXITED,
}


class Ref(msgspec.Struct, frozen=True):
    """What a handle keeps. Not the container's id: a restored agent gets another container."""

    id: AgentId
    uid: AgentUid


def handle_of(agent_id: AgentId, uid: AgentUid) -> AgentHandle:
    return AgentHandle(NAME, msgspec.json.encode(Ref(agent_id, uid)).decode())


def identity_in(handle: AgentHandle, hub_id: str) -> Identity:
    """Return whom the handle means; raises BadRequest when it is not one of this driver's."""
    try:
        if handle.driver != NAME:
            raise BadRequest(f"a handle of driver {handle.driver!r} came to the Docker driver", driver=NAME)
        ref = msgspec.json.decode(handle.ref, type=Ref)
    except msgspec.MsgspecError as exc:
        raise BadRequest(f"not a handle of the Docker driver: {exc}", driver=NAME) from exc
    return Identity(hub_id, ref.id, ref.uid)


def observe(container: Container) -> Observation | None:
    """Return what the container says of its agent, None when it is nobody's."""
    owner = identity_of(container.config.labels)
    if owner is None:
        return None
    state = STATES.get(container.state.status, Observed.UNKNOWN)
    ended = container.state.status in ("exited", "dead", "restarting")
    return Observation(
        agent_id=owner.agent_id,
        uid=owner.uid,
        handle=handle_of(owner.agent_id, owner.uid),
        state=state,
        exit_code=container.state.exit_code if ended else None,
        out_of_memory=container.state.oom_killed,
        reason=_reason(container),
        started_at=time_ms(container.state.started_at),
        check=check_of(container.state.health) if state is Observed.RUNNING else None,
        check_why=check_words(container.state.health),
        restarts=container.restart_count,
    )


def _reason(container: Container) -> str:
    state = container.state
    match state.status:
        case "restarting":
            return f"restarting after exit code {state.exit_code}"
        case "removing":
            return "being removed"
        case "created":
            return state.error or "made, never started"
        case "exited" | "dead":
            return state.error
        case "running" if _unhealthy(state.health):
            return "its health check fails"
        case _:
            return "" if state.status in STATES else f"the engine says {state.status!r}"


def check_of(health: Health | None) -> CheckState | None:
    """Return None without a check. One that was frozen counts as unhealthy until its next probe: nothing is known."""
    if health is None or health.status in ("", "none"):
        return None
    if health.status == "unhealthy":
        return CheckState.UNHEALTHY if _unhealthy(health) else CheckState.STARTING
    return CheckState.HEALTHY if health.status == "healthy" else CheckState.STARTING


def check_words(health: Health | None) -> str:
    """Return the last line of the last probe that failed, or of the last one."""
    probes = (health.log if health is not None else None) or []
    failed = [probe for probe in probes if probe.exit_code != 0] if _unhealthy(health) else []
    lines = (failed or probes)[-1].output.strip().splitlines() if probes else []
    return lines[-1].strip() if lines else ""


def _unhealthy(health: Health | None) -> bool:
    # A container that was paused counts as unhealthy until the next check, although none has failed.
    return health is not None and health.status == "unhealthy" and health.failing_streak > 0
