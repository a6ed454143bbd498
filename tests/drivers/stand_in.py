"""A stand-in for the agent's runtime: runs until it is told to end, and does what is written into its pipe.

Orders, one per line, in the FIFO `orders` of the state folder: `say TEXT`, `exit CODE`, `child` (a process of its own
session that ignores TERM), `bare-child` (the same with an empty environment), `ignore-term`.
Files in the state folder: `environment` (JSON), `children` (pids).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

SLEEPER = (
    "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid(); "
    "print(os.getpid(), flush=True); signal.pause()"
)


def start_child(state: Path, environment: dict[str, str] | None) -> None:
    command = [sys.executable, "-c", SLEEPER]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    pid = child.stdout.readline()
    with (state / "children").open("a") as file:
        file.write(pid)
    tell(f"child {pid.strip()}")


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def obey(state: Path, order: str) -> None:
    word, _, rest = order.partition(" ")
    match word:
        case "say":
            tell(rest)
        case "exit":
            os._exit(int(rest))
        case "child":
            start_child(state, None)
        case "bare-child":
            start_child(state, {})
        case "ignore-term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell("ignoring")
        case _:
            raise ValueError(order)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    state = Path(os.environ["AGENT_STATE_DIR"])
    (state / "environment").write_text(json.dumps(dict(os.environ)))
    pipe = state / "orders"
    if not pipe.exists():
        os.mkfifo(pipe)
    # Opened for both, so that it never ends when a writer goes.
    with os.fdopen(os.open(pipe, os.O_RDWR), "r") as orders:
        (state / "ready").write_text(str(os.getpid()))
        for order in orders:
            obey(state, order.rstrip("\n"))


main()
