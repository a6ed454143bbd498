"""What works on this machine, and how to get the rest.

`hub.probing.probe` looks and changes nothing; `judge` turns what was seen into checks and is pure. Each check
says what was found, why it matters and what to do, so that a front end only has to print them.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Final

import msgspec

from hub.drivers.base import Fingerprint

PYTHON_LEAST: Final = (3, 11)
SQLITE_LEAST: Final = (3, 51, 3)
"""Fixes a race of writers and checkpoints in WAL mode that was in every version since 3.7.0."""
FREE_LEAST_BYTES: Final = 256 << 20
FREE_GOOD_BYTES: Final = 5 << 30
"""Output is kept up to 10 GiB, and an image takes some 200 MB."""
DESCRIPTORS_PER_AGENT: Final = 3
"""The agent's socket, its pidfd and a file of its output."""
DESCRIPTORS_BASE: Final = 256
INSTALL_DOCKER: Final = "clawtui doctor --install-docker"
SUN_PATH_BYTES: Final = {"linux": 107, "darwin": 103}
"""Longest path of a Unix socket, without its closing zero."""

SHORT_ID_BYTES: Final = 16
"""Length of the folder name in which one agent's socket lies."""


class CheckState(enum.StrEnum):
    """`MISSING`: a part that is not there, the rest works without. `FAIL`: the hub cannot work."""

    OK = "ok"
    MISSING = "missing"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `why` says what it is for, `remedy` what to do; empty when nothing is to be done."""

    name: str
    state: CheckState
    found: str
    why: str = ""
    remedy: str = ""


class PortFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port on loopback. `owner` is a process name; unknown when it is another user's."""

    name: str
    number: int
    free: bool
    owner_pid: int | None = None
    owner: str = ""
    is_this_hub: bool = False


class Tool(msgspec.Struct, frozen=True):
    """A program that tasks use. `path` is empty when it is not installed."""

    path: str = ""
    version: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was seen. `clock_ahead_seconds`: this clock minus the newest own file's time;
    negative when the clock was set back since the program was installed."""

    system: str
    python: tuple[int, int, int]
    sqlite: str
    state_folder: str
    state_problem: str = ""
    longest_socket: str = ""
    ports: tuple[PortFacts, ...] = ()
    tools: dict[str, Tool] = {}
    descriptors_soft: int = 0
    descriptors_hard: int = 0
    fleet_agents: int = 100
    clock_ahead_seconds: float = 0.0
    disk_free_bytes: int = 0
    cgroup: str = ""
    pidfd: bool = False
    subreaper: bool = False
    fingerprints: dict[str, Fingerprint] = {}


def judge(facts: Facts) -> list[Check]:
    """Return all checks, in the order in which to show them."""
    return [
        _python(facts),
        _sqlite(facts),
        _state(facts),
        _socket(facts),
        _disk(facts),
        *(_port(port) for port in facts.ports),
        *(_driver(name, fingerprint) for name, fingerprint in facts.fingerprints.items()),
        *(_tool(name, tool) for name, tool in facts.tools.items()),
        _descriptors(facts),
        _clock(facts),
        _cgroup(facts),
        *_kernel(facts),
    ]


def usable(checks: list[Check]) -> bool:
    """Whether a hub can work here at all."""
    return all(check.state is not CheckState.FAIL for check in checks)


def _python(facts: Facts) -> Check:
    good = facts.python >= PYTHON_LEAST
    return Check(
        name="python",
        state=CheckState.OK if good else CheckState.FAIL,
        found=".".join(map(str, facts.python)),
        why="Hub and agents need Python 3.11 or newer.",
        remedy="" if good else "Install Python 3.11 or newer and make the environment again: make PYTHON=python3.12",
    )


def _sqlite(facts: Facts) -> Check:
    version = tuple(int(part) for part in facts.sqlite.split(".") if part.isdecimal())
    good = version >= SQLITE_LEAST
    return Check(
        name="sqlite",
        state=CheckState.OK if good else CheckState.WARN,
        found=facts.sqlite,
        why="Before 3.51.3 two connections that write or checkpoint at once can corrupt a database in WAL mode. The "
        "hub has one writer that alone checkpoints, so it does not do that.",
        remedy="" if good else "Do not open registry.db with other programs that write; a newer Python brings SQLite.",
    )


def _state(facts: Facts) -> Check:
    return Check(
        name="state folder",
        state=CheckState.FAIL if facts.state_problem else CheckState.OK,
        found=facts.state_problem or facts.state_folder,
        why="Registry, output and tokens are kept there; only your user may read it.",
        remedy="Make it writable for your user, or choose another: CLAWTUI_HOME." if facts.state_problem else "",
    )


def _socket(facts: Facts) -> Check:
    length, most = len(facts.longest_socket.encode()), SUN_PATH_BYTES.get(facts.system, 103)
    good = length <= most
    return Check(
        name="socket path",
        state=CheckState.OK if good else CheckState.FAIL,
        found=f"{length} of {most} bytes",
        why="The system limits the length of a Unix socket's path.",
        remedy="" if good else f"Choose a shorter state folder: CLAWTUI_HOME (now {facts.state_folder}).",
    )


def _disk(facts: Facts) -> Check:
    state = CheckState.OK
    if facts.disk_free_bytes < FREE_GOOD_BYTES:
        state = CheckState.WARN if facts.disk_free_bytes >= FREE_LEAST_BYTES else CheckState.FAIL
    return Check(
        name="disk space",
        state=state,
        found=f"{facts.disk_free_bytes / (1 << 30):.1f} GiB free",
        why="A full disk refuses new tasks; nothing that was accepted is lost.",
        remedy="" if state is CheckState.OK else f"Make space at {facts.state_folder}, or lower the retention.",
    )


_PORT_USES: Final = {
    "agents": "Agents' connections; process agents use a Unix socket instead.",
    "api": "The HTTP API, for command lines and programs on this machine.",
}


def _port(port: PortFacts) -> Check:
    name = f"port {port.number}"
    why = _PORT_USES.get(port.name, f"Wanted for {port.name}.")
    if port.free:
        return Check(name=name, state=CheckState.OK, found="free", why=why)
    owner = f"{port.owner or 'a process'} ({port.owner_pid})" if port.owner_pid else "a process of another user"
    if port.is_this_hub:
        return Check(name=name, state=CheckState.OK, found=f"used by the running hub ({port.owner_pid})", why=why)
    return Check(
        name=name,
        state=CheckState.WARN,
        found=f"used by {owner}",
        why=why,
        remedy=f"End it, or start with another port: --port-{port.name.split()[0].lower()} 0 picks a free one.",
    )


def _driver(name: str, fingerprint: Fingerprint) -> Check:
    why = {
        "process": "Agents as plain processes, without isolation.",
        "docker": "Agents in containers of their own, with limits and networks.",
    }.get(name, f"Agents on {name}.")
    if fingerprint.usable:
        return Check(name=f"driver {name}", state=CheckState.OK, found=fingerprint.version or "usable", why=why)
    remedy = fingerprint.hint
    if name == "docker":
        remedy = f"{remedy} {INSTALL_DOCKER} installs an engine on Debian and Ubuntu, elsewhere it says how.".strip()
    return Check(name=f"driver {name}", state=CheckState.MISSING, found=fingerprint.reason, why=why, remedy=remedy)


_TOOL_USES: Final = {
    "git": "Tasks git:clone, git:pull and git:push on process agents.",
    "node": "Scripts run with Node.js unless they name another interpreter.",
    "bash": "Scripts for bash, and shells.",
}


def _tool(name: str, tool: Tool) -> Check:
    return Check(
        name=name,
        state=CheckState.OK if tool.path else CheckState.MISSING,
        found=f"{tool.version or 'found'} ({tool.path})" if tool.path else "not installed",
        why=_TOOL_USES.get(name, ""),
        remedy="" if tool.path else f"Install {name} with this system's package manager.",
    )


def _descriptors(facts: Facts) -> Check:
    needed = DESCRIPTORS_BASE + DESCRIPTORS_PER_AGENT * facts.fleet_agents
    good = facts.descriptors_soft >= needed
    possible = facts.descriptors_hard >= needed
    raise_it = f"Before starting the hub: ulimit -n {needed}"
    return Check(
        name="open files",
        state=CheckState.OK if good else CheckState.WARN,
        found=f"{facts.descriptors_soft} (at most {facts.descriptors_hard})",
        why=f"{facts.fleet_agents} agents need about {needed}.",
        remedy="" if good else raise_it if possible else f"{raise_it}; the administrator raises the limit first.",
    )


def _clock(facts: Facts) -> Check:
    good = facts.clock_ahead_seconds >= 0
    behind = f"{-facts.clock_ahead_seconds / 3600:.1f} hours before this program's own files"
    return Check(
        name="clock",
        state=CheckState.OK if good else CheckState.WARN,
        found="plausible" if good else behind,
        why="Times that are shown and kept come from it; deadlines do not.",
        remedy="" if good else "Set the clock, or switch on time synchronisation.",
    )


def _cgroup(facts: Facts) -> Check:
    found = facts.cgroup or "none"
    linux = facts.system == "linux"
    return Check(
        name="cgroup",
        state=CheckState.OK if facts.cgroup or not linux else CheckState.MISSING,
        found=found if linux else "not on this system",
        why="Exact use of cpu and memory per container; without it the process table is added up.",
        remedy="" if facts.cgroup or not linux else "Mount cgroup2 at /sys/fs/cgroup.",
    )


def _kernel(facts: Facts) -> list[Check]:
    if facts.system != "linux":
        return []
    pidfd = Check(
        name="pidfd",
        state=CheckState.OK if facts.pidfd else CheckState.WARN,
        found="yes" if facts.pidfd else "no",
        why="Signals reach exactly the process that was meant, and its end is noticed at once.",
        remedy="" if facts.pidfd else "Use Linux 5.3 or newer; without it agents are looked at every two seconds.",
    )
    subreaper = Check(
        name="subreaper",
        state=CheckState.OK if facts.subreaper else CheckState.WARN,
        found="yes" if facts.subreaper else "no",
        why="An agent finds everything a task started, also what detached itself.",
        remedy="" if facts.subreaper else "Use Linux 3.4 or newer outside of sandboxes that forbid prctl.",
    )
    return [pidfd, subreaper]


def longest_socket(state_folder: Path) -> str:
    """Return the longest socket path under a state folder: the one that serves a single agent."""
    return str(state_folder / "run" / ("x" * SHORT_ID_BYTES) / "agent.sock")
