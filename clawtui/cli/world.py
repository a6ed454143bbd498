"""What a verb gets: the process around it, the settings, the output, and a way to the hub."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, TextIO

from cyclopts import Parameter

from clawtui.cli.output import Output
from clawtui.errors import UsageError
from clawtui.settings import Settings
from hub.control import Control

Connect = Callable[[Settings], AbstractAsyncContextManager[Control]]


@contextlib.asynccontextmanager
async def remote_hub(settings: Settings) -> AsyncIterator[Control]:
    """The hub that the settings name, over HTTP."""
    from clawtui.remote import open_remote

    async with open_remote(settings) as control:
        yield control


@dataclass(frozen=True)
class World:
    """The process that the command line runs in. Tests give their own streams, clock and hub."""

    program: str = "clawtui"
    preset_driver: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    connect: Connect = remote_hub
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def colour(self) -> bool:
        return self.stdout.isatty() and not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"


@dataclass(frozen=True)
class Context:
    """One call of the command line."""

    world: World
    settings: Settings
    out: Output

    def control(self) -> AbstractAsyncContextManager[Control]:
        return self.world.connect(self.settings)

    @property
    def on_terminal(self) -> bool:
        """Keys come from a terminal, and what is written is seen on one that can place it."""
        world = self.world
        return world.stdin.isatty() and world.stdout.isatty() and world.environ.get("TERM", "dumb") != "dumb"

    @property
    def interactive(self) -> bool:
        """A person is there to be asked."""
        return self.world.stdin.isatty() and self.world.stderr.isatty()

    def confirm(self, question: str, otherwise: str) -> bool:
        """Ask before something that cannot be undone; `otherwise`: how to do it without being asked.

        Raises:
            UsageError: there is nobody to ask.
        """
        if not self.interactive:
            raise UsageError(f"{question} Nobody is here to answer", hint=otherwise)
        self.world.stderr.write(f"{question} [y/N] ")
        self.world.stderr.flush()
        return self.world.stdin.readline().strip().lower() in {"y", "yes"}

    def age(self, at: str | None) -> float | None:
        """Seconds since a time of the hub's answers; None where there is none."""
        if not at:
            return None
        return (self.world.now() - datetime.fromisoformat(at)).total_seconds()


Ctx = Annotated[Context, Parameter(parse=False)]
"""A verb's context: handed over, never parsed."""
