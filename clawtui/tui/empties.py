"""What places say when there is nothing to show: what to do, and what is true here. Pure."""

from __future__ import annotations

from collections.abc import Callable

from clawtui.cli.output import printable
from hub.contract import DriverHealth, HubHealth

DOCKER, PROCESS = "docker", "process"
ADDS = (
    "Docker would add: every agent in a container of its own, apart from your files, and limits of CPU and memory. "
    "Images from profiles and snapshots will come with it in a later version."
)
LOCAL, REMOTE = "this machine", "the hub's machine"
KEY_CELLS = 4


def no_agents(health: HubHealth | None, key: Callable[[str], str], *, remote: bool, read_only: bool) -> str:
    """The Fleet without agents. `key` gives an action's key; lines are broken between words by who shows them."""
    if read_only:
        return "No agents yet.\n\nThis screen is read-only: agents appear here as soon as somebody makes them."
    drivers = {driver.name: driver for driver in health.drivers} if health is not None else {}
    lines = ["No agents yet.", ""]
    if drivers.get(PROCESS, DriverHealth(PROCESS, usable=not drivers)).usable:
        where = REMOTE if remote else LOCAL
        lines.append(_keyed(key("agent.first"), f"makes a first one: a process on {where}, with the hub's own rights"))
    lines.append(_keyed(key("agent.create"), "asks for name, driver, labels and limits, and shows the command for it"))
    lines += ["", ADDS, *([docker_state(drivers, key)] if drivers else [])]
    return "\n".join(lines)


def docker_state(drivers: dict[str, DriverHealth], key: Callable[[str], str]) -> str:
    """Whether Docker can be used by this hub now, and what helps when it cannot."""
    docker = drivers.get(DOCKER)
    if docker is None:
        return f"This hub does not offer it: start it with --drivers {DOCKER},{PROCESS}."
    if docker.usable:
        version = f" (engine {docker.version})" if docker.version else ""
        return f"It is ready here{version}: press {key('agent.create')} and choose the driver {DOCKER}."
    hint = f" {_sentence(docker.hint)}" if docker.hint else ""
    return f"It cannot be used here now: {_sentence(docker.reason or 'the hub says no reason')}{hint}"


def _keyed(key: str, text: str) -> str:
    return f"{key:<{KEY_CELLS}}{text}" if key else text


def _sentence(text: str) -> str:
    shown = printable(text).strip()
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
