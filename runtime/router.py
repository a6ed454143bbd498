"""From a frame of the hub to whoever it is for."""

from __future__ import annotations

from typing import Protocol

from runtime import wire
from runtime.connection import Connection
from runtime.core import Core
from runtime.effects import Effect, Moment
from runtime.health import HealthReporter
from runtime.logs import AgentLog
from runtime.messages import Mailbox
from runtime.shell import Shells
from runtime.streaming import OutputSender
from runtime.wire import Envelope, WireError


class Owner(Protocol):
    """The agent, as the router needs it."""

    @property
    def core(self) -> Core: ...
    def now(self) -> Moment: ...
    def perform(self, effects: list[Effect]) -> None: ...
    def welcomed(self, welcome: wire.Welcome) -> None: ...
    def acked_all(self) -> None: ...


class Router:
    """Decodes and dispatches; what cannot be understood is answered with `error`, never a crash."""

    def __init__(
        self,
        owner: Owner,
        connection: Connection,
        output: OutputSender,
        shells: Shells,
        mailbox: Mailbox,
        health: HealthReporter,
        log: AgentLog,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._output = output
        self._shells = shells
        self._mailbox = mailbox
        self._health = health
        self._log = log

    def route(self, frame: bytes) -> None:
        """Handle one frame."""
        envelope: Envelope | None = None
        try:
            envelope = wire.decode_envelope(frame)
            if envelope.type == "message":
                self._message(envelope)
            else:
                self._payload(envelope)
        except WireError as exc:
            self._log.warning("frame_refused", code=exc.code, reason=exc.message[:300])
            if envelope is None or envelope.type != "error":
                reply_to = envelope.id if envelope is not None else None
                self._connection.send(wire.Error(code=exc.code, message=exc.message[:2000], reply_to=reply_to))

    def _payload(self, envelope: Envelope) -> None:
        payload = wire.decode_payload(envelope, wire.FROM_HUB)
        if not self._connection.welcomed and not isinstance(payload, wire.Welcome | wire.Error | wire.Goaway):
            raise WireError("too_early", f"{envelope.type} came before welcome")
        match payload:
            case wire.TaskFrame():
                self._task(envelope, payload)
            case wire.Ack():
                self._ack(payload)
            case wire.Cancel():
                owner = self._owner
                owner.perform(owner.core.cancel(owner.now(), payload.attempt_id, payload.grace_ms))
            case wire.Welcome():
                self._owner.welcomed(payload)
            case wire.Watch():
                self._health.watched(payload)
            case wire.Goaway():
                self._connection.goaway_received(payload)
            case wire.Shell():
                self._shells.handle(payload)
            case wire.Error():
                self._error(payload)
            case _:
                raise WireError("unknown_type", f"{envelope.type} is not for agents")

    def _task(self, envelope: Envelope, frame: wire.TaskFrame) -> None:
        owner = self._owner
        try:
            spec = wire.decode_task_spec(envelope.payload)
        except WireError as exc:
            # A newer hub's task type: the task must end, an `error` frame would leave it open.
            owner.perform(owner.core.refuse(owner.now(), frame.attempt_id, exc.code, exc.message[:2000]))
            return
        owner.perform(owner.core.deliver(owner.now(), frame, spec))

    def _ack(self, ack: wire.Ack) -> None:
        for attempt_id, offset in ack.output.items():
            self._output.ack(attempt_id, offset)
        for message_id in ack.messages:
            self._mailbox.settled(message_id)
        if ack.responses:
            self._owner.perform(self._owner.core.acked(ack.responses))
            self._owner.acked_all()

    def _error(self, error: wire.Error) -> None:
        self._log.warning("hub_error", code=error.code, reason=error.message[:300])
        if error.reply_to is not None:
            self._mailbox.settled(error.reply_to, error)

    def _message(self, envelope: Envelope) -> None:
        try:
            self._mailbox.receive(envelope)
        except OSError as exc:
            self._log.error("message_not_kept", sender=envelope.sender, reason=str(exc))
