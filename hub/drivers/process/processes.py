"""Processes of this machine: who they are, which belong to an agent, and how to signal exactly those.

A pid alone names nobody, because it is used again. A process is named by pid and *start mark*: on
Linux the kernel's start time in clock ticks since boot, which no change of the wall clock moves,
together with the boot id; elsewhere the creation time. A signal is only sent after the mark was
compared, through a pidfd where the kernel has them, so that a reused pid is never touched.

Everything here is synchronous and touches no disk; `end_all` waits up to `KILL_SECONDS`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import psutil

LINUX: Final = sys.platform == "linux"
PIDFD: Final = LINUX and hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")
KILL_SECONDS: Final = 5.0
"""A killed process is gone in milliseconds, unless it waits for a device."""
LOOK_AGAIN_SECONDS: Final = 0.01


class Identity(msgspec.Struct, frozen=True):
    """One process, not just a number. `boot` is empty where start marks are absolute times."""

    pid: int
    mark: str
    boot: str = ""


class ProcessInfo(msgspec.Struct, frozen=True):
    """One row of the process table. `frozen`: stopped by a signal."""

    pid: int
    ppid: int
    sid: int
    mark: str
    zombie: bool
    frozen: bool


def boot_id() -> str:
    if not LINUX:
        return ""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def look(pid: int) -> ProcessInfo | None:
    """Return what the process table says of `pid`, or None when it has no such process."""
    return _look_proc(pid) if LINUX else _look_psutil(pid)


def _look_proc(pid: int) -> ProcessInfo | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the name in parentheses may contain anything, so count from the last one. Fields 3, 4, 6, 22.
    fields = stat[stat.rindex(")") + 2 :].split()
    return ProcessInfo(
        pid=pid,
        ppid=int(fields[1]),
        sid=int(fields[3]),
        mark=fields[19],
        zombie=fields[0] in "ZX",
        frozen=fields[0] == "T",
    )


def _look_psutil(pid: int) -> ProcessInfo | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            status = process.status()
            return ProcessInfo(
                pid=pid,
                ppid=process.ppid(),
                sid=os.getsid(pid),
                mark=f"{process.create_time():.3f}",
                zombie=status == psutil.STATUS_ZOMBIE,
                frozen=status == psutil.STATUS_STOPPED,
            )
    except (psutil.Error, OSError):
        return None


def identify(pid: int) -> Identity | None:
    info = look(pid)
    return None if info is None else Identity(info.pid, info.mark, boot_id())


def find(identity: Identity) -> ProcessInfo | None:
    """Return the process table's row of exactly this process (a zombie too), or None."""
    if identity.boot != boot_id():
        return None
    info = look(identity.pid)
    return info if info is not None and info.mark == identity.mark else None


def alive(identity: Identity) -> bool:
    info = find(identity)
    return info is not None and not info.zombie


def reap(identity: Identity) -> int | None:
    """Collect our own ended child; return its exit code, -n when signal n ended it.

    None when it still runs or is not our child.
    """
    info = find(identity)
    if info is None or not info.zombie or info.ppid != os.getpid():
        return None
    try:
        _, status = os.waitpid(identity.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)


def send(pid: int, mark: str, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False when it is gone or not ours to signal."""
    try:
        if PIDFD:
            return _send_pidfd(pid, mark, number)
        info = look(pid)
        if info is None or info.mark != mark:
            return False
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _send_pidfd(pid: int, mark: str, number: signal.Signals) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        # The descriptor holds the process; only now does the comparison mean the one that gets the signal.
        info = look(pid)
        if info is None or info.mark != mark:
            return False
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
    return True


def environment_has(pid: int, marker: str) -> bool:
    """Whether `NAME=value` is in the environment the process was started with."""
    try:
        if LINUX:
            return marker.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        name, _, value = marker.partition("=")
        return psutil.Process(pid).environ().get(name) == value
    except (OSError, psutil.Error):
        # Gone meanwhile, or another user's: then it is not ours.
        return False


def command_of(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def belonging(marker: str, leader: Identity | None) -> list[ProcessInfo]:
    """Return the living processes of an agent: those that carry `marker` in their environment,
    those of the leader's session, and all descendants of these."""
    infos = (look(pid) for pid in psutil.pids())
    table = {info.pid: info for info in infos if info is not None and not info.zombie}
    mine = {pid for pid in table if environment_has(pid, marker)}
    if leader is not None and leader.boot == boot_id():
        now = look(leader.pid)
        # A session keeps its number while it has members. The number with another process means it ended.
        if now is None or now.mark == leader.mark:
            mine |= {pid for pid, info in table.items() if info.sid == leader.pid}
    mine |= _descendants(table.values(), mine)
    return [table[pid] for pid in mine]


def _descendants(table: Iterable[ProcessInfo], roots: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for info in table:
        children.setdefault(info.ppid, []).append(info.pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        fresh = [pid for pid in children.get(todo.pop(), ()) if pid not in found]
        found.update(fresh)
        todo.extend(fresh)
    return found


def _ourselves() -> set[int]:
    """This process and its ancestors: a hub started inside an agent must not end itself."""
    pids = {os.getpid(), 1}
    info = look(os.getppid())
    while info is not None and info.pid not in pids:
        pids.add(info.pid)
        info = look(info.ppid)
    return pids


def end_all(marker: str, leader: Identity | None, known: Iterable[ProcessInfo] = ()) -> list[int]:
    """Kill everything that belongs to an agent; return the pids that did not die.

    `known` are members seen earlier, which may have left the session and the environment since.
    The leader is frozen first and dies last: frozen it starts nothing new, and while it lives its
    orphans stay its descendants.
    """
    spare, boot = _ourselves(), boot_id()
    deadline = time.monotonic() + KILL_SECONDS
    if leader is not None and leader.pid not in spare and alive(leader):
        send(leader.pid, leader.mark, signal.SIGSTOP)
    while True:
        left = {info.pid: info for info in belonging(marker, leader)}
        left |= {info.pid: info for info in known if alive(Identity(info.pid, info.mark, boot))}
        if not left:
            return []
        if time.monotonic() > deadline:
            return sorted(left)
        targets = [info for pid, info in left.items() if pid not in spare]
        others = [info for info in targets if leader is None or info.pid != leader.pid]
        for info in others or targets:
            send(info.pid, info.mark, signal.SIGKILL)
        time.sleep(LOOK_AGAIN_SECONDS)


def freeze_all(marker: str, leader: Identity) -> bool:
    """Stop the leader, then everything that belongs to it; False when something kept running."""
    spare = _ourselves()
    deadline = time.monotonic() + KILL_SECONDS
    send(leader.pid, leader.mark, signal.SIGSTOP)
    while True:
        moving = [info for info in belonging(marker, leader) if not info.frozen and info.pid not in spare]
        if not moving:
            return True
        if time.monotonic() > deadline:
            return False
        for info in moving:
            send(info.pid, info.mark, signal.SIGSTOP)
        time.sleep(LOOK_AGAIN_SECONDS)


def thaw_all(marker: str, leader: Identity) -> None:
    """Let everything that belongs to the leader run again, the leader last."""
    members = sorted(belonging(marker, leader), key=lambda info: info.pid == leader.pid)
    for info in members:
        send(info.pid, info.mark, signal.SIGCONT)
