"""What a driver can do with containers of other people on its platform, such as the one an OpenClaw gateway runs in.

It looks, runs a program inside, and restarts; it never makes, changes or removes them. All calls raise
`hub.errors.HubError`: NotFound (`container_gone`), Conflict (it does not run), and DriverFailed where the platform does
not answer or refuses.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from hub.errors import Conflict, NotFound

MOST_OUTPUT_BYTES: Final = 1 << 20
"""Kept of each stream of a program; one that says more is ended."""


class MountKind(enum.StrEnum):
    """What is mounted. `OTHER`: in memory, or something that no path of the machine leads to."""

    BIND = "bind"
    VOLUME = "volume"
    OTHER = "other"


class Mounted(msgspec.Struct, frozen=True, kw_only=True):
    """One mount of a container. `source`: the path on the platform's machine, also of a volume, empty where there is
    none. `volume`: its name."""

    kind: MountKind
    source: str
    destination: str
    volume: str = ""
    writable: bool = True


class ContainerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A container now. `state`: the platform's word. `variables`: those of its environment that were asked for."""

    name: str
    running: bool
    state: str
    mounts: tuple[Mounted, ...] = ()
    variables: Mapping[str, str] = {}


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """How a program in a container ended. `code` None: it was ended, because its time was over or it said too much."""

    code: int | None
    output: bytes = b""
    errors: bytes = b""


class Containers(Protocol):
    """See the module's docstring for errors. `name` is a container's name or its whole id."""

    async def look(self, name: str, variables: Collection[str] = ()) -> ContainerSeen:
        """Return the container, whether or not it runs. Only the named variables are told: others may be secrets."""
        ...

    async def execute(self, name: str, argv: Sequence[str], environment: Mapping[str, str], seconds: float) -> Executed:
        """Run a program as the container's user, in its working directory, and wait for its end.

        After `seconds` it and what it has started are ended. The container needs /bin/sh; without it, or without the
        program, the code is 126 or 127.
        """
        ...

    async def restart(self, name: str, grace_seconds: float, patience_seconds: float) -> bool:
        """Tell it to end, kill it after the grace, and start it again.

        Return False when that takes longer than the patience: the platform goes on with it by itself.
        """
        ...


def container_gone(name: str, driver: str) -> NotFound:
    """Return the error for a container that there is not."""
    return NotFound(
        f"there is no container {name}",
        code="container_gone",
        hint="docker ps --all shows their names",
        driver=driver,
    )


def not_running(name: str, state: str, driver: str) -> Conflict:
    """Return the error for a program that should run in a container that does not."""
    return Conflict(
        f"the container {name} does not run, it is {state}",
        code="container_not_running",
        hint=f"docker logs {name} says why; docker start {name}",
        driver=driver,
    )
