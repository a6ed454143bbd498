"""All live links, and how effects reach them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import structlog

from hub.clock import Clock
from hub.connections.link import Link
from hub.core.effects import Close, Send
from hub.core.fleet import CLOSE_SUPERSEDED
from hub.core.model import AgentId
from hub.metrics import Metrics
from runtime.wire import HUB_ADDRESS, Ack, Goaway, GoawayReason, Message, WireError, encode

SUPERSEDED_RETRY_MS = 5_000
"""Slow enough not to hurt, and soon enough that two instances with one credential are found out:
their takeovers are counted per minute."""

log = structlog.get_logger("hub.connections")


class LinkTable:
    """Links by agent and epoch. A send to a link that is gone is void: its agent comes back."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._links: dict[tuple[AgentId, int], Link] = {}
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def add(self, link: Link) -> None:
        self._links[link.agent_id, link.epoch] = link
        self._empty.clear()

    def remove(self, link: Link) -> bool:
        """Forget a link; False when it was not current any more, so its end means nothing."""
        if not self.is_current(link):
            return False
        del self._links[link.agent_id, link.epoch]
        if not self._links:
            self._empty.set()
        return True

    def is_current(self, link: Link) -> bool:
        """True while the link is the one that its epoch stands for.

        A rebuilt fleet may give an epoch again that was decided but never committed.
        """
        return self._links.get((link.agent_id, link.epoch)) is link

    def get(self, agent_id: AgentId, epoch: int) -> Link | None:
        return self._links.get((agent_id, epoch))

    def send(self, effect: Send) -> None:
        """Perform a send."""
        link = self._links.get((effect.agent_id, effect.epoch))
        if link is None:
            return
        if isinstance(effect.payload, Ack):
            link.acknowledge(effect.payload)
            return
        self.put(
            link,
            effect.payload,
            kind=effect.kind,
            message_id=effect.message_id,
            sender=effect.sender,
        )

    def put(
        self,
        link: Link,
        payload: Message | msgspec.Raw,
        *,
        kind: str | None = None,
        message_id: str | None = None,
        sender: str = HUB_ADDRESS,
    ) -> None:
        """Encode a message and put it into the link's outbox."""
        try:
            frame = self._encoded(link, payload, kind, message_id, sender)
        except WireError as exc:
            # Only a peer that claims absurd amounts gets here; its connection is no use.
            log.warning("frame_not_sent", agent=link.agent_id, error=exc.message)
            link.abort()
            return
        self._metrics.message()
        if not link.send(frame):
            self._metrics.outbox_drop()

    def _encoded(
        self,
        link: Link,
        payload: Message | msgspec.Raw,
        kind: str | None,
        message_id: str | None,
        sender: str,
    ) -> str:
        return encode(
            payload,
            sender=sender,
            to=link.agent_id,
            message_id=message_id or self._clock.new_id("m"),
            timestamp_ms=self._clock.now().wall_ms,
            kind=kind,
        )

    def encode_ack(self, link: Link, ack: Ack) -> str:
        self._metrics.message()
        return encode(
            ack,
            sender=HUB_ADDRESS,
            to=link.agent_id,
            message_id=self._clock.new_id("m"),
            timestamp_ms=self._clock.now().wall_ms,
        )

    def close(self, effect: Close) -> None:
        """Perform a close: the agent is told first why, and when to come back."""
        link = self._links.get((effect.agent_id, effect.epoch))
        if link is None:
            return
        if effect.code == CLOSE_SUPERSEDED and not link.basic:
            self.put(link, Goaway(retry_after_ms=SUPERSEDED_RETRY_MS, reason=GoawayReason.SUPERSEDED))
        link.close(effect.code, effect.reason)

    def close_all(self, reason: GoawayReason, retry_after_ms: int, code: int) -> None:
        """Send everybody away, for instance because the hub stops."""
        for link in self:
            if not link.basic:
                self.put(link, Goaway(retry_after_ms=retry_after_ms, reason=reason))
            link.close(code, reason.value)

    async def wait_empty(self) -> None:
        """Wait until every link has ended."""
        if self._links:
            await self._empty.wait()

    def forget_all(self) -> None:
        """Nothing that the present links say counts any more: the fleet is rebuilt."""
        self._links.clear()
        self._empty.set()

    def check_alive(self, ping_seconds: float, pong_seconds: float) -> None:
        for link in self:
            link.check_alive(ping_seconds, pong_seconds)
