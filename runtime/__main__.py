"""`python -P -m runtime [PROGRAM ARGUMENTS...]`: run one agent until SIGTERM, with a program of the image beside it."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.agent import Agent
from runtime.logs import AgentLog
from runtime.reaper import Reaper, become_subreaper
from runtime.settings import Settings, SettingsError

EXIT_USAGE = 2
EXIT_STATE = 1
EXIT_KILLED = 130


def lock_state(state_dir: Path) -> int:
    """Make the state folder ours and return the lock's descriptor, to be kept open.

    Raises:
        OSError: it cannot be used, or another agent uses it.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(fd)
        raise BlockingIOError(exc.errno, f"another agent runs in {state_dir}") from exc
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


async def serve(agent: Agent, log: AgentLog) -> None:
    """Run the agent; the first signal drains it, the second ends it at once."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("killed", signal=number.name)
            # Nothing is tidied up: what runs is found and ended at the next start, like after a crash.
            os._exit(EXIT_KILLED)
        log.info("stopping", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await agent.run(stop)


def main(companion: Sequence[str]) -> int:
    """Return the exit code. `companion`: what the image's CMD says, empty = nothing runs beside."""
    events = AgentLog()
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as exc:
        events.error("bad_setting", variable=exc.variable, reason=str(exc))
        return EXIT_USAGE
    try:
        lock = lock_state(settings.state_dir)
        settings.workspace.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        events.error("state_unusable", reason=str(exc), state_dir=str(settings.state_dir))
        return EXIT_STATE
    # What is loaded now lives as long as the process: collections need not look at it again.
    gc.freeze()
    reaper = Reaper(adopts_orphans=become_subreaper() or os.getpid() == 1)
    agent = Agent(settings, events, reaper, random.Random(), companion)
    try:
        asyncio.run(serve(agent, events))
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
