"""The image's own program beside the runtime: what a custom Dockerfile says in CMD, such as a web server.

The runtime is the image's ENTRYPOINT, so CMD comes as its arguments. The program belongs to the agent as
a task does (marked, in a session of its own), but nobody waits for its end: one that fails is started again,
one that ends with 0 has done its work or has put itself into the background, and stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runtime.executors.process import Command, Lingering, Run
from runtime.executors.tree import Marks, TreeEnder, signal_directly
from runtime.logs import AgentLog
from runtime.reaper import Reaper
from runtime.wire import Stream

MARK: Final = "companion"
"""In the place of an attempt's id."""
GRACE_SECONDS: Final = 3.0
"""TERM to KILL. With a drain and the good-bye it fits into what an engine gives a container by default, 15 s."""
REMNANT_GRACE_SECONDS: Final = 1.0
"""For what a failed one left running: it would hold the port of the next one."""
EXIT_NEWS_SECONDS: Final = 2.0
BASE_DELAY_SECONDS: Final = 1.0
MAX_DELAY_SECONDS: Final = 60.0
STABLE_SECONDS: Final = 60.0
"""One that ran this long was well: its next failure is a first one."""
CANNOT_START: Final = 127
"""The exit code that a shell gives a program that cannot be started."""

MAX_LINE_BYTES: Final = 4_000
BURST_LINES: Final = 200
LINES_PER_SECOND: Final = 50.0
"""More is counted and left out: the log goes to the hub on the connection that tasks use."""
FLOOD_PAUSE_SECONDS: Final = 0.02


class Restarts:
    """When a failed program is started again: 1 s, 2 s, 4 s … at most 60 s, each up to a quarter longer. Pure."""

    def __init__(self, chance: random.Random, base_seconds: float = BASE_DELAY_SECONDS) -> None:
        self._chance = chance
        self._base_seconds = base_seconds
        self._failures = 0

    def next_delay(self, lived_seconds: float) -> float:
        """Return the seconds to wait after a failure of a program that ran for `lived_seconds`."""
        if lived_seconds >= STABLE_SECONDS:
            self._failures = 0
        delay = min(self._base_seconds * 2 ** min(self._failures, 16), MAX_DELAY_SECONDS)
        self._failures += 1
        # Agents that were started together must not fail together.
        return delay * self._chance.uniform(1.0, 1.25)


@dataclass(slots=True)
class Lines:
    """Cuts output into lines and passes on as many as the log shall take.

    `tell_dropped` gets how many were left out, when there is room again.
    """

    tell: Callable[[Stream, str], None]
    tell_dropped: Callable[[int], None]
    now: Callable[[], float]
    _rests: dict[Stream, bytes] = field(default_factory=dict[Stream, bytes])
    _allowed: float = BURST_LINES
    _refilled_at: float | None = None
    _dropped: int = 0

    def add(self, stream: Stream, data: bytes) -> bool:
        """Take output; return whether a line of it was left out."""
        *lines, rest = (self._rests.pop(stream, b"") + data).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            lines.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        if rest:
            self._rests[stream] = rest
        return not all([self._pass_on(stream, line) for line in lines])

    def finish(self) -> None:
        """Take what was printed last, without a line's end, as a line."""
        rests, self._rests = self._rests, {}
        for stream, rest in rests.items():
            self._pass_on(stream, rest)
        self._say_dropped()

    def _pass_on(self, stream: Stream, line: bytes) -> bool:
        """Return whether there was room for it."""
        text = line.decode(errors="replace").rstrip()
        if not text:
            return True
        self._refill()
        if self._allowed < 1:
            self._dropped += 1
            return False
        if self._allowed >= BURST_LINES / 2:
            self._say_dropped()
        self._allowed -= 1
        self.tell(stream, text)
        return True

    def _refill(self) -> None:
        at = self.now()
        waited = at - self._refilled_at if self._refilled_at is not None else 0.0
        self._refilled_at = at
        self._allowed = min(self._allowed + waited * LINES_PER_SECOND, BURST_LINES)

    def _say_dropped(self) -> None:
        if self._dropped:
            self.tell_dropped(self._dropped)
            self._dropped = 0


class Companion:
    """Keeps one program running beside the agent's work.

    Args:
        argv: the program and its arguments.
        workspace: where it runs.
        environment: without secrets.
    """

    def __init__(
        self,
        argv: Sequence[str],
        workspace: Path,
        environment: Mapping[str, str],
        marks: Marks,
        reaper: Reaper,
        log: AgentLog,
        restarts: Restarts,
    ) -> None:
        self._argv = list(argv)
        self._workspace = workspace
        self._marks = marks
        self._environment = {**environment, **marks.of(MARK)}
        self._reaper = reaper
        self._log = log
        self._restarts = restarts
        self._lingering = Lingering()
        self._pid: int | None = None
        self._ending = False
        self._at_rest = asyncio.Event()
        """Nothing of it runs that somebody waits for."""
        self._at_rest.set()

    async def run(self) -> None:
        """Keep the program running; returns when it ended with 0, or after `end`."""
        while not self._ending:
            began = self._now()
            code = await self._run_once()
            if self._ending:
                return
            if code == 0:
                self._log.info("companion_done", hint="it ended with 0 and is not started again")
                return
            delay = self._restarts.next_delay(self._now() - began)
            self._log.warning("companion_failed", code=code, restart_seconds=round(delay, 1))
            await self._end_tree(REMNANT_GRACE_SECONDS)
            await asyncio.sleep(delay)

    async def end(self) -> None:
        """End it and everything it has started: TERM, grace, KILL."""
        self._ending = True
        survivors = await self._end_tree(GRACE_SECONDS)
        if survivors:
            self._log.error("companion_survives", processes=", ".join(survivors))
            return
        # Its last output and its exit code come through the loop a moment after its death.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_NEWS_SECONDS):
                await self._at_rest.wait()

    def close(self) -> None:
        self._lingering.close()

    async def _run_once(self) -> int:
        """Start the program and return its exit code, 128 + n for signal n."""
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        lines = Lines(self._tell, self._tell_dropped, self._now)
        run: Run | None = None

        def take(stream: Stream, data: bytes) -> None:
            if lines.add(stream, data) and run is not None:
                # It has printed more than anybody reads: it may wait a moment, the agent's work may not.
                run.pause(FLOOD_PAUSE_SECONDS)

        command = Command(argv=self._argv, cwd=str(self._workspace), environment=self._environment)
        try:
            run = Run(command, self._reaper, self._lingering, take, ended.set_result, self._marks.of(MARK))
        except (OSError, ValueError) as exc:
            self._log.error("companion_not_started", reason=str(exc), program=self._argv[0])
            return CANNOT_START
        self._pid = run.pid
        self._at_rest.clear()
        self._log.info("companion_started", pid=run.pid, command=" ".join(self._argv))
        try:
            code = await ended
        finally:
            lines.finish()
            self._at_rest.set()
        self._log.info("companion_ended", pid=run.pid, code=code)
        return code

    async def _end_tree(self, grace_seconds: float) -> tuple[str, ...]:
        if self._pid is None:
            return ()
        family = self._marks.family(MARK, self._pid)
        return await TreeEnder(family, signal_directly, grace_seconds).wait_ended()

    def _tell(self, stream: Stream, line: str) -> None:
        self._log.info("companion", stream=stream.value, line=line)

    def _tell_dropped(self, lines: int) -> None:
        self._log.warning("companion_output_dropped", lines=lines)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
