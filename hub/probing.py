"""Looks at this machine for `hub.doctor`; changes nothing. All functions block, some for seconds."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import psutil

from hub.doctor import Facts, PortFacts, Tool, longest_socket
from hub.drivers.base import Fingerprint

TOOLS: Final = ("git", "node", "bash")
TOOL_SECONDS: Final = 5.0
PR_GET_CHILD_SUBREAPER: Final = 37
"""prctl(2)."""
CGROUPS: Final = Path("/sys/fs/cgroup")


class _HubPid(msgspec.Struct, frozen=True):
    """The part of `hub.json` that says which process is this state folder's hub."""

    pid: int = 0


def probe(
    state_folder: Path,
    ports: Mapping[str, int],
    sqlite_version: str,
    fingerprints: Mapping[str, Fingerprint],
    fleet_agents: int = 100,
) -> Facts:
    """Return what is seen here. `ports`: by what listens there, e.g. `agents` and `api`.

    `sqlite_version` is an argument, because only the registry uses SQLite.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    existing = _existing(state_folder)
    hub_pid = running_hub(state_folder)
    return Facts(
        system=sys.platform,
        python=sys.version_info[:3],
        sqlite=sqlite_version,
        state_folder=str(state_folder),
        state_problem=_problem(state_folder, existing),
        longest_socket=longest_socket(state_folder),
        ports=tuple(look_at_port(name, number, hub_pid) for name, number in ports.items()),
        tools={name: find_tool(name) for name in TOOLS},
        descriptors_soft=_finite(soft),
        descriptors_hard=_finite(hard),
        fleet_agents=fleet_agents,
        clock_ahead_seconds=time.time() - Path(__file__).stat().st_mtime,
        disk_free_bytes=shutil.disk_usage(existing).free,
        cgroup=cgroup_version(),
        pidfd=_has_pidfd(),
        subreaper=_has_subreaper(),
        fingerprints=dict(fingerprints),
    )


def look_at_port(name: str, number: int, hub_pid: int | None = None) -> PortFacts:
    """Return whether a TCP port on loopback is free, else who has it where that can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", number))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                # Not ours to take, like a port below 1024: not free for us either.
                return PortFacts(name=name, number=number, free=False, owner=exc.strerror or "")
        else:
            return PortFacts(name=name, number=number, free=True)
    pid, owner = port_owner(number)
    return PortFacts(
        name=name, number=number, free=False, owner_pid=pid, owner=owner, is_this_hub=pid is not None and pid == hub_pid
    )


def port_owner(number: int) -> tuple[int | None, str]:
    """Return pid and name of the process that listens on a TCP port; (None, "") when it is hidden."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None, ""  # macOS shows others' sockets to root only
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number:
            return connection.pid, _name_of(connection.pid)
    return None, ""


def running_hub(state_folder: Path) -> int | None:
    """Return the pid that `hub.json` names, while such a process lives."""
    try:
        pid = msgspec.json.decode((state_folder / "hub.json").read_bytes(), type=_HubPid).pid
    except (OSError, msgspec.MsgspecError):
        return None
    return pid if pid > 0 and psutil.pid_exists(pid) else None


def find_tool(name: str) -> Tool:
    """Return path and the first line of `--version` of a program."""
    path = shutil.which(name)
    if path is None:
        return Tool()
    try:
        answer = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TOOL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return Tool(path=path)
    lines = answer.stdout.decode(errors="replace").splitlines()
    return Tool(path=path, version=lines[0].strip()[:80] if lines else "")


def cgroup_version() -> str:
    """Return `v2`, `v1`, or an empty text where no control groups are mounted."""
    if (CGROUPS / "cgroup.controllers").exists():
        return "v2"
    return "v1" if (CGROUPS / "memory").is_dir() or (CGROUPS / "cpu").is_dir() else ""


def _name_of(pid: int | None) -> str:
    if pid is None:
        return ""
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def _existing(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _problem(wanted: Path, existing: Path) -> str:
    if not existing.is_dir():
        return f"{existing} is not a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing} is not writable"
    if existing == wanted.absolute() and existing.stat().st_uid != os.geteuid():
        return f"{existing} belongs to another user"
    return ""


def _finite(limit: int) -> int:
    return (1 << 31) - 1 if limit == resource.RLIM_INFINITY else limit


def _has_pidfd() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _has_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int()
    return ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0) == 0
