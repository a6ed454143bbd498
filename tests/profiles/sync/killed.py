"""Syncs that end themselves with SIGKILL before their first change of the disk, their second, and so on.

    python killed.py SCENARIO START RUNS

`START` is copied to `RUNS/1`, `RUNS/2` …; in each copy a child syncs and is killed before its change of that number.
The last copy is that of the child that had no such change and came to its end. Prints how many there are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from profiles.sync.once import Decision, Report
from tests.profiles.sync.place import Place, persona

BEFORE = [persona("ada"), persona("bob"), persona("cleo"), persona("dan")]
AFTER = [
    persona("ada", soul="I have changed.\n" * 20_000, skills=()),
    persona("cleo", soul="Somebody changed this one on disk."),
    persona("dan", name="Daniel"),
    persona("eve", user="A human."),
]
"""ada is written in several pieces and loses a skill, bob is gone, eve is new."""
SCENARIOS = {"first": BEFORE[:2], "change": AFTER}


def prepare(scenario: str, folder: Path) -> None:
    """Make what the sync begins with: nothing, or an older state in which a human changed a file."""
    folder.mkdir()
    if scenario == "change":
        place = Place(folder)
        place.sync(BEFORE)
        place.file("cleo/SOUL.md").write_text("A human was here.\n")


def run(scenario: str, folder: Path, hook: object = None) -> Report:
    options = {"hook": hook} if hook else {}
    decisions = {("cleo", "SOUL.md"): Decision.APPLY}
    return Place(folder).sync(SCENARIOS[scenario], decisions=decisions, **options)


class KillAt:
    """Ends this process, with no chance to tidy up, before its change of a number."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, step: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(scenario: str, start: Path, runs: Path) -> int:
    number = 0
    while True:
        number += 1
        folder = runs / str(number)
        shutil.copytree(start, folder)
        child = os.fork()
        if child == 0:
            run(scenario, folder, KillAt(number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return number if os.WEXITSTATUS(status) == 0 else -1


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))}\n")
