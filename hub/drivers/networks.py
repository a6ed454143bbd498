"""The part of a driver that has networks of its own for agents: see `NetworkAdmin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from hub.drivers.base import AgentHandle


class NetworkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A network to make. `subnet`, `gateway`: IPv4, empty = the platform chooses. `internal`: no way out of it.
    `apart`: agents in it do not reach each other."""

    name: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    apart: bool = True


class NetworkSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A network as the platform shows it. `ours`: made by a hub; `agents`: names of this hub's agents in it;
    `others`: how many other containers."""

    name: str
    driver: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    apart: bool = False
    ours: bool = False
    shared: bool = False
    agents: tuple[str, ...] = ()
    others: int = 0


class NetworkAdmin(Protocol):
    """Raises as `hub.drivers.base` says. Only networks that a hub made are ever removed."""

    async def list(self) -> list[NetworkSeen]: ...

    async def create(self, order: NetworkOrder) -> NetworkSeen:
        """Fine when the same network is there already.

        Raises:
            Conflict: another network has the name or the addresses.
        """
        ...

    async def remove(self, name: str) -> None:
        """Fine when there is none.

        Raises:
            Conflict: it is in use, shared by all agents, or was not made by a hub.
        """
        ...

    async def connect(self, handle: AgentHandle, name: str) -> None:
        """Put an agent into one more network; fine when it is in it."""
        ...

    async def disconnect(self, handle: AgentHandle, name: str) -> None:
        """Take an agent out of a network; fine when it is not in it.

        Raises:
            Conflict: it is the one through which the agent reaches its hub.
        """
        ...
