"""Application messages between agents: an inbox of files, and an outbox that survives a restart."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from runtime.journal import replace_durably
from runtime.settings import AGENT_ID_PATTERN
from runtime.wire import Ack, Envelope, Error

MAX_WAITING_MESSAGES: Final = 256
"""Messages that the hub has not taken; a task that sends more is told so."""
MAX_MESSAGE_BYTES: Final = 256 * 1024
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


class MessageRefused(Exception):
    """A message cannot be sent; the text says why."""


class _Waiting(msgspec.Struct, frozen=True):
    number: int
    message_id: str
    to: str
    payload: msgspec.Raw


class Mailbox:
    """Messages of this agent.

    Args:
        outbox: folder of messages that the hub has not acknowledged, one file each.
        inbox: folder that received messages are written to as `<envelope id>.json`.
        send_message: queues a message frame (to, payload, message id).
        send_ack: queues an acknowledgement.
    """

    def __init__(
        self,
        outbox: Path,
        inbox: Path,
        send_message: Callable[[str, msgspec.Raw, str], None],
        send_ack: Callable[[Ack], None],
    ) -> None:
        self._outbox = outbox
        self._inbox = inbox
        self._send_message = send_message
        self._send_ack = send_ack
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = sorted(_load(outbox), key=lambda message: message.number)
        self._waiting = {message.message_id: message for message in kept}
        self._next_number = kept[-1].number + 1 if kept else 0
        self._asked: dict[str, asyncio.Future[Error | None]] = {}

    def send(self, to: str, payload: msgspec.Raw) -> str:
        """Keep a message until the hub has taken it, and return its id.

        Raises:
            MessageRefused: bad address, too large, too many waiting.
            OSError: it cannot be kept.
        """
        if not AGENT_ID_PATTERN.fullmatch(to):
            raise MessageRefused(f"{to!r} is not an agent's name")
        if len(bytes(payload)) > MAX_MESSAGE_BYTES:
            raise MessageRefused(f"a message may have {MAX_MESSAGE_BYTES} bytes")
        if len(self._waiting) >= MAX_WAITING_MESSAGES:
            raise MessageRefused(f"{MAX_WAITING_MESSAGES} messages already wait for the hub")
        message_id = str(uuid.uuid4())
        message = _Waiting(self._next_number, message_id, to, msgspec.Raw(bytes(payload)))
        self._next_number += 1
        replace_durably(self._outbox / f"{message_id}.json", msgspec.json.encode(message))
        self._waiting[message_id] = message
        self._send_message(to, message.payload, message_id)
        return message_id

    async def wait_settled(self, message_id: str, seconds: float) -> Error | None:
        """Wait for the hub's word on a message that was just sent: None = it has taken it, else why not.

        Raises:
            TimeoutError: it has not said anything in time; the message is kept.
        """
        answer = self._asked[message_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            del self._asked[message_id]

    def connected(self) -> None:
        """Send again what the hub has not acknowledged."""
        for message_id, message in self._waiting.items():
            self._send_message(message.to, message.payload, message_id)

    def settled(self, message_id: str, refusal: Error | None = None) -> bool:
        """Forget a message that the hub has taken, or refused; return whether it was ours."""
        if self._waiting.pop(message_id, None) is None:
            return False
        (self._outbox / f"{message_id}.json").unlink(missing_ok=True)
        answer = self._asked.get(message_id)
        if answer is not None and not answer.done():
            answer.set_result(refusal)
        return True

    def receive(self, envelope: Envelope) -> None:
        """Write a message to the inbox and acknowledge it; the same message again is the same file.

        Raises:
            OSError: it cannot be written, so it is not acknowledged and the hub sends it again.
        """
        message_id = envelope.id if _SAFE_ID.fullmatch(envelope.id) else uuid.uuid5(uuid.NAMESPACE_OID, envelope.id)
        self._inbox.mkdir(parents=True, exist_ok=True)
        path = self._inbox / f"{message_id}.json"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(envelope))
        os.replace(fresh, path)
        self._send_ack(Ack(messages=[envelope.id]))


def _load(outbox: Path) -> list[_Waiting]:
    """Return the kept messages; a damaged one is put aside, so that the agent starts."""
    messages: list[_Waiting] = []
    for path in outbox.glob("*.json"):
        try:
            messages.append(msgspec.json.decode(path.read_bytes(), type=_Waiting))
        except msgspec.MsgspecError:
            path.rename(path.with_suffix(".damaged"))
    return messages
