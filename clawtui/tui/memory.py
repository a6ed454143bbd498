"""The user's saved choices while a screen runs: changed here at once, written to the file beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from clawtui.settings import Settings
from clawtui.tui.preferences import FILE_NAME, Change, Preferences, PreferencesFile, with_line

WAITING_MAX: Final = 500
"""Changes that wait while the file cannot be written; the oldest go first."""
QUIET_SECONDS: Final = 0.5
"""Changes within this time are one write."""


class Memory:
    """Belongs to one event loop. Without a file everything works and nothing is kept."""

    def __init__(self, file: PreferencesFile | None = None, *, keeps_history: bool = True) -> None:
        self._file, self._keeps_history = file, keeps_history
        self._waiting: list[Change] = []
        self._moved = asyncio.Event()
        self.preferences, self.problem = Preferences(), ""
        if file is not None:
            self.preferences, self.problem = file.load()

    @classmethod
    def of(cls, settings: Settings) -> Memory:
        """What is remembered beside the hub's state: each state folder has its own."""
        return cls(PreferencesFile(settings.state_folder / FILE_NAME), keeps_history=settings.history)

    def choose(self, **choices: Any) -> None:
        """Set fields of `Preferences`."""
        self._change(lambda preferences: msgspec.structs.replace(preferences, **choices))

    def history(self, prompt: str) -> list[str]:
        """Lines entered at `prompt`, the newest last."""
        return list(self.preferences.history.get(prompt, ())) if self._keeps_history else []

    def entered(self, prompt: str, line: str) -> None:
        if self._keeps_history:
            self._change(lambda preferences: with_line(preferences, prompt, line))

    def _change(self, change: Change) -> None:
        changed = change(self.preferences)
        if changed != self.preferences:
            self.preferences = changed
            self._waiting = [*self._waiting, change][-WAITING_MAX:]
            self._moved.set()

    async def run(self, say: Callable[[str], None]) -> None:
        """Write what changes until cancelled; `say` hears of problems, of each one once."""
        said = ""
        while True:
            await self._moved.wait()
            await asyncio.sleep(QUIET_SECONDS)
            self._moved.clear()
            try:
                problem = await self._written()
            except OSError as error:
                problem = f"choices are not saved: {error}"
            if problem and problem != said:
                say(problem)
            said = problem

    async def close(self) -> str:
        """Write what waits; a sentence for the user when that fails."""
        try:
            return await self._written()
        except OSError as error:
            return f"choices are not saved: {error}"

    async def _written(self) -> str:
        """Changes leave the queue after they are written: applied twice they give the same."""
        waiting = tuple(self._waiting)
        if self._file is None or not waiting:
            return ""
        problem = await asyncio.to_thread(self._file.change, *waiting)
        self._waiting = [change for change in self._waiting if change not in waiting]
        return problem
