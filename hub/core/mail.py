"""Application messages between agents: allowed by policy, kept until the receiver has them.

A message is committed before it is acknowledged to the sender, sent again at every connection of
the receiver, and dropped from the registry when the receiver acknowledges its id.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from hub.core.effects import Delete, Effect, Save, Send
from hub.core.guard import Decider
from hub.core.model import AgentId, AgentUid, Policy, StoredMessage
from hub.errors import Conflict, Forbidden, NotFound, QueueFull
from runtime.wire import Ack

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Payload that may wait for one agent: all of it is sent when the agent returns."""


class Mail(Decider):
    """Policies, and per receiver the messages it has not acknowledged, in order."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.next_seq = 1
        self._allowed: set[tuple[AgentId, AgentId]] = set()
        self._waiting: dict[AgentId, dict[str, StoredMessage]] = {}

    def restore(self, policies: Iterable[Policy], messages: Iterable[StoredMessage]) -> None:
        self._allowed.update((policy.sender, policy.receiver) for policy in policies)
        for message in sorted(messages, key=lambda message: message.seq):
            self._waiting.setdefault(message.receiver, {})[message.id] = message
            self.next_seq = max(self.next_seq, message.seq + 1)

    @property
    def policies(self) -> list[Policy]:
        return [Policy(sender=one, receiver=two) for one, two in sorted(self._allowed)]

    def allow(self, policy: Policy) -> list[Effect]:
        self._allowed.add((policy.sender, policy.receiver))
        return [Save(policy)]

    def disallow(self, policy: Policy) -> list[Effect]:
        self._allowed.discard((policy.sender, policy.receiver))
        return [Delete(policy)]

    def post(self, message: StoredMessage) -> list[Effect]:
        """Keep a message for its receiver. An id that its sender repeats changes nothing.

        Raises:
            Conflict: another sender's message with this id waits; the receiver could not tell them apart.
            Forbidden: no policy allows the pair.
            QueueFull: the receiver does not take its messages.
        """
        if (message.sender, message.receiver) not in self._allowed:
            raise Forbidden(
                f"no policy lets {message.sender} send messages to {message.receiver}",
                code="not_allowed",
                hint=f"clawtui policy allow {message.sender} {message.receiver}",
            )
        waiting = self._waiting.setdefault(message.receiver, {})
        if (present := waiting.get(message.id)) is not None:
            if present.sender != message.sender:
                raise Conflict("this message id is in use", code="message_id_taken", hint="use a UUID")
            return []
        size = sum(len(other.payload) for other in waiting.values())
        if len(waiting) >= self.limit or size + len(message.payload) > MAX_WAITING_BYTES:
            raise QueueFull(f"{len(waiting)} messages wait for agent {message.receiver}")
        waiting[message.id] = message
        self.next_seq = max(self.next_seq, message.seq + 1)
        return [Save(message)]

    def deliver(self, receiver: AgentId, epoch: int) -> list[Effect]:
        """Send everything that waits for an agent that has just connected."""
        return [self.send(message, epoch) for message in self._waiting.get(receiver, {}).values()]

    @staticmethod
    def send(message: StoredMessage, epoch: int) -> Effect:
        return Send(message.receiver, epoch, "message", message.payload, message.id, message.sender)

    @staticmethod
    def acknowledge(sender: AgentId, epoch: int, message_id: str) -> Effect:
        """Tell the sender that its message is kept."""
        return Send(sender, epoch, "ack", Ack(messages=[message_id]))

    def acknowledged(self, receiver: AgentId, message_ids: Iterable[str]) -> list[Effect]:
        waiting = self._waiting.get(receiver, {})
        taken = [waiting.pop(message_id, None) for message_id in message_ids]
        return [Delete(message) for message in taken if message is not None]

    def remove_agent(self, agent_id: AgentId, uid: AgentUid) -> list[Effect]:
        """The agent is destroyed: its messages and the policies that name it go with it."""
        waiting = self._waiting.pop(agent_id, {})
        effects: list[Effect] = [Delete(m) for m in waiting.values() if m.receiver_uid == uid]
        for pair in [pair for pair in self._allowed if agent_id in pair]:
            effects += self.disallow(Policy(sender=pair[0], receiver=pair[1]))
        return effects


def receiver_of(to: str, known: Container[str]) -> AgentId:
    """Return the receiver's id.

    Raises:
        NotFound: no such agent.
    """
    if to not in known:
        raise NotFound(f"there is no agent {to[:64]}", code="unknown_receiver")
    return AgentId(to)
