"""What places say when there is nothing to show: what to do, and what is true here. Pure."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import NamedTuple

from clawtui.cli.output import printable
from hub.contract import DriverHealth, HubHealth

DOCKER, PROCESS = "docker", "process"
ADDS = (
    "Docker would add: every agent in a container of its own, apart from your files, limits of CPU and memory, images "
    "made from profiles, and snapshots of all of it."
)
LOCAL, REMOTE = "this machine", "the hub's machine"
KEY_CELLS = 4


class Place(NamedTuple):
    """Whose screen it is; `width` in cells."""

    width: int
    remote: bool = False
    read_only: bool = False


def no_agents(health: HubHealth | None, key: Callable[[str], str], place: Place) -> str:
    """The Fleet without agents. `key` gives an action's key."""
    if place.read_only:
        return "No agents yet.\n\nThis screen is read-only: agents appear here as soon as somebody makes them."
    drivers = {driver.name: driver for driver in health.drivers} if health is not None else {}
    lines = ["No agents yet.", ""]
    if drivers.get(PROCESS, DriverHealth(PROCESS, usable=not drivers)).usable:
        text = f"makes a first one: a process on {REMOTE if place.remote else LOCAL}, with the hub's own rights"
        lines.append(_keyed(key("agent.first"), text, place.width))
    text = "asks for name, driver, labels and limits, and shows the command for it"
    lines.append(_keyed(key("agent.create") or ":create", text, place.width))
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


def _keyed(key: str, text: str, width: int) -> str:
    """The key, and what it does in a column of its own."""
    indent = " " * KEY_CELLS
    return "\n".join(
        wrap(text, max(width, 2 * KEY_CELLS), initial_indent=f"{key:<{KEY_CELLS - 1}} ", subsequent_indent=indent)
    )


def _sentence(text: str) -> str:
    shown = printable(text).strip()
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
