"""Whether an act can be done to an agent, from what the hub says of the agent and of its driver. Pure.

Only what is certain is refused here, before anything is asked or sent; the hub decides the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from hub.contract import AgentView, DriverHealth
from hub.core.model import AgentStatus, Connection, Desired, Observed

LIFE: Final = frozenset({"start", "stop", "restart", "pause", "resume"})
"""Acts that a driver carries out."""
SAVING: Final = frozenset({"save", "restore", "schedule"})
"""Acts with snapshots: only what a driver of the hub runs can be saved."""
FEATURES: Final = {"pause": "pause", "resume": "pause", "shell": "shell", **dict.fromkeys(SAVING, "snapshot")}
"""Acts that not every driver can do, and the feature they need."""
NAMES: Final = {"snapshot": "snapshots"}
"""Features as people say them."""
NAMED: Final = 3


class Split(NamedTuple):
    """`why`: about those that are left out, in a sentence; empty when there are none."""

    names: tuple[str, ...]
    why: str = ""


def why_not(act: str, agent: AgentView, drivers: Mapping[str, DriverHealth]) -> str:
    """Why `act` cannot be done to the agent, in words that go after its name; empty when it can be tried."""
    if agent.status is AgentStatus.DESTROYING:
        return "is being destroyed"
    if act in LIFE and not agent.driver:
        return f"has no driver: {act} it where it was started"
    if act in SAVING and not agent.driver:
        return "has no driver: only agents that the hub runs can be saved"
    driver = drivers.get(agent.driver)
    feature = FEATURES.get(act)
    # A hub that does not tell features leaves the list empty: then it decides itself.
    if feature and driver is not None and driver.features and feature not in driver.features:
        return f"is run by the {driver.name} driver, which has no {NAMES.get(feature, feature)}"
    return _state(act, agent)


def _state(act: str, agent: AgentView) -> str:
    life, word = agent.lifecycle, agent.status.value
    runs = life.observed is Observed.RUNNING
    match act:
        case "start" if life.desired is Desired.RUNNING and runs:
            return "runs already"
        case "stop" if life.desired is Desired.STOPPED and life.observed is Observed.EXITED:
            return "is stopped already"
        case "pause" if life.desired is Desired.PAUSED:
            return "is paused already"
        case "pause" if not runs:
            return f"does not run: it is {word}"
        case "resume" if life.desired is not Desired.PAUSED:
            return f"is not paused: it is {word}"
        case "release" if agent.status is not AgentStatus.QUARANTINED:
            return f"is not in quarantine: it is {word}"
        case "restore" if life.desired is Desired.PAUSED:
            return "is paused: resume or stop it first"
        case "shell" if life.observed is Observed.PAUSED:
            return "is paused: a terminal there would not answer before it is resumed"
        case "shell" if agent.connection is not Connection.ONLINE:
            return f"is not connected: it is {word}"
        case _:
            return ""


def split(act: str, names: Iterable[str], agents: Mapping[str, AgentView], drivers: Iterable[DriverHealth]) -> Split:
    """Those that `act` can be done to, and why not to the others."""
    by_name = {driver.name: driver for driver in drivers}
    kept: list[str] = []
    left: list[str] = []
    for name in names:
        agent = agents.get(name)
        why = why_not(act, agent, by_name) if agent is not None else "is not there"
        if why:
            left.append(f"{name} {why}")
        else:
            kept.append(name)
    more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return Split(tuple(kept), "; ".join(left[:NAMED]) + more)
