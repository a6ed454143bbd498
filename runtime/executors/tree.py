"""Finds and ends everything that an attempt has started.

An attempt owns the descendants of its first process, the members of their sessions, and every
process that carries its marks: in the environment, and on Linux in a resource limit too
(`runtime.executors.inherited`). The agent is a child subreaper, so a double fork does not leave the
tree; `setsid` leaves the session but not the marks; an environment that is cleared leaves the limit.
What escapes on Linux is a process that does all this and sets that limit itself, or that another
program starts for it (cron, a container engine); elsewhere, one that does it before anybody looks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from runtime.executors.inherited import carries

MARKER_VARIABLE: Final = "CLAWTUI_ATTEMPT"
SCOPE_VARIABLE: Final = "CLAWTUI_SCOPE"
FIRST_POLL_SECONDS: Final = 0.01
LAST_POLL_SECONDS: Final = 0.2
AFTER_KILL_SECONDS: Final = 2.0
"""How long killed processes may take to disappear before they count as survivors."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One process. `started` tells a reused pid from the process that had it before."""

    pid: int
    parent: int
    session: int
    started: float
    zombie: bool


def process_table() -> list[Entry]:
    """Return all processes that can be seen."""
    return _linux_table() if sys.platform == "linux" else _portable_table()


def _linux_table() -> list[Entry]:
    entries: list[Entry] = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_bytes()
        except OSError:
            continue
        # The command in parentheses may contain anything, so fields are counted from its end.
        fields = stat[stat.rindex(b")") + 2 :].split()
        zombie = fields[0] in (b"Z", b"X")
        entries.append(Entry(int(name), int(fields[1]), int(fields[3]), float(fields[19]), zombie))
    return entries


def _portable_table() -> list[Entry]:
    entries: list[Entry] = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                zombie = process.status() == psutil.STATUS_ZOMBIE
                parent, started = process.ppid(), process.create_time()
            entries.append(Entry(process.pid, parent, os.getsid(process.pid), started, zombie))
        except (psutil.Error, OSError):
            continue
    return entries


@dataclass(frozen=True, slots=True)
class Marks:
    """What an agent puts into the environment of its children, to know them again.

    `scope` tells this agent from others of the same user on the same machine.
    """

    scope: str

    def of(self, attempt: str) -> dict[str, str]:
        """Return the variables of an attempt's processes."""
        return {MARKER_VARIABLE: attempt, SCOPE_VARIABLE: self.scope}

    def family(self, attempt: str, root: int | None) -> Family:
        """Return what belongs to an attempt."""
        return Family(self.of(attempt), root)


def is_marked(pid: int, marks: Mapping[str, str]) -> bool:
    """Return whether the process was started with all these variables in its environment."""
    if sys.platform == "linux":
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return {f"{name}={value}".encode() for name, value in marks.items()} <= set(environment.split(b"\0"))
    try:
        return marks.items() <= psutil.Process(pid).environ().items()
    except (psutil.Error, OSError):
        return False


def describe(pid: int) -> str:
    """Return `pid (name)` for people."""
    try:
        return f"{pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return str(pid)


@dataclass(slots=True)
class Family:
    """What belongs to one attempt; it only grows, so that a parent's end loses nobody.

    `root` is the first process, which leads its own session; None when only the marks are known.
    """

    marks: Mapping[str, str]
    root: int | None
    _known: dict[int, float] = field(default_factory=dict[int, float])
    _sessions: set[int] = field(default_factory=set[int])
    _strangers: dict[int, float] = field(default_factory=dict[int, float])

    def __post_init__(self) -> None:
        if self.root is not None:
            self._sessions.add(self.root)

    def living(self) -> list[int]:
        """Look around and return the pids of members that are not dead."""
        entries = [e for e in process_table() if e.pid != os.getpid()]
        present = {e.pid: e.started for e in entries}
        self._known = {pid: at for pid, at in self._known.items() if present.get(pid) == at}
        if self.root is not None and self.root in present:
            self._known.setdefault(self.root, present[self.root])
        for entry in entries:
            if entry.pid not in self._known and not entry.zombie and self._is_marked(entry):
                self._known[entry.pid] = entry.started
        grown = True
        while grown:
            grown = False
            for entry in entries:
                if entry.pid not in self._known and self._belongs(entry):
                    self._known[entry.pid] = entry.started
                    grown = True
                if entry.pid in self._known and entry.pid == entry.session:
                    self._sessions.add(entry.pid)
        return [e.pid for e in entries if e.pid in self._known and not e.zombie]

    def _belongs(self, entry: Entry) -> bool:
        return entry.parent in self._known or entry.session in self._sessions

    def _is_marked(self, entry: Entry) -> bool:
        if self._strangers.get(entry.pid) == entry.started:
            return False
        if is_marked(entry.pid, self.marks) or carries(entry.pid, self.marks):
            return True
        self._strangers[entry.pid] = entry.started
        return False


def signal_directly(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each; who is gone or not ours shows in the next look."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


@dataclass(slots=True)
class TreeEnder:
    """Ends one family. `hurry` may shorten the grace while it runs."""

    family: Family
    send: Callable[[Iterable[int], signal.Signals], None]
    grace_seconds: float
    _deadline: float | None = None
    _killing: bool = False

    def hurry(self, grace_seconds: float) -> None:
        """Let the grace end after `grace_seconds` from now, if that is sooner."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        if self._killing:
            return
        if self._deadline is None:
            self.grace_seconds = min(self.grace_seconds, grace_seconds)
        else:
            self._deadline = min(self._deadline, deadline)

    async def wait_ended(self) -> tuple[str, ...]:
        """TERM, grace, KILL; return descriptions of what is still alive, usually none."""
        self._deadline = asyncio.get_running_loop().time() + self.grace_seconds
        pids = await asyncio.to_thread(self.family.living)
        self.send(pids, signal.SIGTERM)
        # A stopped process takes its TERM only when it goes on.
        self.send(pids, signal.SIGCONT)
        pids = await self._wait_gone(signal.SIGTERM, pids)
        if not pids:
            return ()
        self._killing = True
        self._deadline = asyncio.get_running_loop().time() + AFTER_KILL_SECONDS
        self.send(pids, signal.SIGKILL)
        pids = await self._wait_gone(signal.SIGKILL, pids)
        return tuple(describe(pid) for pid in pids)

    async def _wait_gone(self, number: signal.Signals, pids: list[int]) -> list[int]:
        """Look until nobody is left or the deadline has passed; newcomers get the signal too."""
        loop = asyncio.get_running_loop()
        pause = FIRST_POLL_SECONDS
        asked = set(pids)
        while pids and self._deadline is not None and loop.time() < self._deadline:
            await asyncio.sleep(min(pause, max(self._deadline - loop.time(), 0)))
            pause = min(pause * 1.5, LAST_POLL_SECONDS)
            pids = await asyncio.to_thread(self.family.living)
            newcomers = [pid for pid in pids if pid not in asked]
            asked.update(newcomers)
            self.send(newcomers, number)
        return pids
