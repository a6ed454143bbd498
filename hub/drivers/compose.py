"""The part of a driver whose agents a Compose file can make: see `Composer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from hub.core.model import AgentId, AgentUid

if TYPE_CHECKING:
    from hub.drivers.base import AgentHandle, AgentPlan


class ImageNeed(msgspec.Struct, frozen=True):
    """An image that a file needs, by its full name, and whether it is built."""

    image: str
    built: bool


class ComposeFile(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the file as data. `token_files`: where the file looks for each agent's join token, relative to
    itself. `images`: by agent. `notes`: what of the plans it does not give, one line each."""

    document: dict[str, object]
    token_files: dict[AgentId, str]
    images: dict[AgentId, ImageNeed]
    notes: tuple[str, ...] = ()


class Composer(Protocol):
    """Raises as `hub.drivers.base` says."""

    async def export(self, plans: Sequence[AgentPlan]) -> ComposeFile:
        """Return the file that starts these agents; those of them that are there already as they are.

        Their networks are made where they are missing, the hub listens for them, and both stay so: see `expect`.
        Nothing else is made. Tokens in the plans are not looked at.

        Raises:
            Conflict: something foreign has a name that the file would use.
        """
        ...

    def expect(self, plan: AgentPlan) -> None:
        """The agent may come at any time: its network is kept and the hub listens in it, from the next look on."""
        ...

    def forget(self, uid: AgentUid) -> None:
        """Nobody comes any more. Part of the driver's `destroy`."""
        ...

    def handle(self, agent_id: AgentId, uid: AgentUid) -> AgentHandle:
        """Return what the agent is found by once it is there."""
        ...
