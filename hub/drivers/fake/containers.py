"""Containers that no hub made, on the fake platform: tests say what they mount and what their programs do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from hub.drivers.containers import (
    MOST_OUTPUT_BYTES,
    ContainerSeen,
    Executed,
    Mounted,
    container_gone,
    not_running,
)
from hub.errors import DriverFailed, HubError

CANNOT_RUN = 127
Program = Callable[[Sequence[str], Mapping[str, str]], "Executed | None"]
"""From arguments and environment to its end; None: it goes on until it is ended."""


class FakeContainer:
    """One container. `programs`: what there is to run, by name. `drains_seconds`: how long it takes to end."""

    def __init__(self, *mounts: Mounted, **variables: str) -> None:
        self.mounts = mounts
        self.variables = variables
        self.programs: dict[str, Program] = {}
        self.state = "running"
        self.drains_seconds = 0.0
        self.starts = 1
        self.graces: list[float] = []
        """Of each restart."""
        self.executed: list[tuple[tuple[str, ...], dict[str, str]]] = []
        self.left_running = 0
        """Programs that nobody ended."""


class World(Protocol):
    """What of the platform is used here."""

    containers: dict[str, FakeContainer]
    away: str


class FakeContainers:
    """See `hub.drivers.containers.Containers`."""

    def __init__(self, world: World, driver: str) -> None:
        self._world = world
        self._driver = driver

    async def look(self, name: str, variables: Collection[str] = ()) -> ContainerSeen:
        found = self._present(name)
        return ContainerSeen(
            name=name,
            running=found.state == "running",
            state=found.state,
            mounts=found.mounts,
            variables={key: value for key, value in found.variables.items() if key in variables},
        )

    async def execute(self, name: str, argv: Sequence[str], environment: Mapping[str, str], seconds: float) -> Executed:
        found = self._present(name)
        if found.state != "running":
            raise not_running(name, found.state, self._driver)
        found.executed.append((tuple(argv), dict(environment)))
        program = found.programs.get(argv[0])
        if program is None:
            return Executed(code=CANNOT_RUN, errors=f"{argv[0]}: not found".encode())
        ended = program(argv, {**found.variables, **environment})
        if ended is None:
            found.left_running += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                found.left_running -= 1
            return Executed(code=None)
        if max(len(ended.output), len(ended.errors)) > MOST_OUTPUT_BYTES:
            return Executed(code=None, output=ended.output[:MOST_OUTPUT_BYTES], errors=ended.errors[:MOST_OUTPUT_BYTES])
        return ended

    async def restart(self, name: str, grace_seconds: float, patience_seconds: float) -> bool:
        found = self._present(name)
        found.graces.append(grace_seconds)
        found.starts += 1
        found.state = "running"
        takes = min(found.drains_seconds, grace_seconds)
        await asyncio.sleep(min(takes, patience_seconds))
        return takes <= patience_seconds

    def _present(self, name: str) -> FakeContainer:
        if self._world.away:
            raise self._unreachable()
        if (found := self._world.containers.get(name)) is None:
            raise container_gone(name, self._driver)
        return found

    def _unreachable(self) -> HubError:
        return DriverFailed(self._world.away, hint="Start the platform.", driver=self._driver)
