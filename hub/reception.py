"""What agents say: admission, hello, and every frame after it, turned into decisions."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Final

import structlog
from msgspec.structs import replace

from hub.agentlog import AgentLogs
from hub.connections.link import Link
from hub.core.effects import Effect
from hub.core.mail import receiver_of
from hub.core.model import AgentId, StoredMessage, TokenId, parse_attempt_id
from hub.errors import Conflict, Forbidden, HubError, NotFound, StorageFull, Unauthorized, Unavailable
from hub.kernel import Kernel
from hub.metrics import Refusal
from hub.shells import Shells
from hub.stats import Stats
from runtime.wire import (
    MAX_SUBMISSION_BYTES,
    Ack,
    AttemptId,
    Encoding,
    Envelope,
    Goaway,
    GoawayReason,
    Health,
    Hello,
    Log,
    Message,
    Response,
    Shell,
    Welcome,
    WireError,
)

MAX_ID_CHARACTERS: Final = 128
QUARANTINE_RETRY_SECONDS: Final = 60.0
REFUSAL_RETRY_SECONDS: Final = 5.0
DISK_RETRY_MS: Final = 10_000
CLOSE_DISK_FULL: Final = 4007
AUDIT_REFUSALS_PER_SECOND: Final = 20.0
"""A guessing or looping client must not fill the audit; the rest is counted in the metrics."""
MAX_SPREAD_SECONDS: Final = 60.0
AGENTS_PER_SPREAD_SECOND: Final = 50
"""A fleet of n agents spreads its first reconnect over n/50 seconds, at most a minute."""

log = structlog.get_logger("hub.agents")


class Reception:
    """Implements `hub.connections.server.Receiver`."""

    def __init__(self, kernel: Kernel, shells: Shells, logs: AgentLogs, stats: Stats) -> None:
        self._kernel = kernel
        self._shells = shells
        self._logs = logs
        self._stats = stats
        self._audit_allowance = AUDIT_REFUSALS_PER_SECOND
        self._audit_at = time.monotonic()

    # --- coming and going

    async def admit_agent(
        self, agent_id: str, secret: str | None, credential_sha256: str | None, remote: str
    ) -> AgentId:
        """Let an agent in; the join exchange is committed before this returns."""
        kernel = self._kernel
        try:
            kernel.check_writable()
            agent = kernel.fleet.agents.get(AgentId(agent_id))
            if agent is None or secret is None:
                raise Unauthorized("no such agent, or no token", code="wrong_token")
            credential_id = TokenId(kernel.clock.new_id("tok"))
            effects = kernel.fleet.identity.agent(agent, secret, credential_sha256, credential_id, kernel.now())
            if agent.quarantined:
                raise Forbidden(
                    f"agent {agent_id} is quarantined",
                    code="quarantined",
                    hint=f"clawtui release {agent_id}",
                    retry_after_seconds=QUARANTINE_RETRY_SECONDS,
                )
        except HubError as exc:
            self._refused(agent_id, remote, exc)
            raise
        if effects:
            who = f"agent:{agent_id}"
            await kernel.commit([*effects, kernel.audited(who, "agent.join", agent_id)])
        return agent.id

    def agent_connected(self, link: Link, hello: Hello | None) -> None:
        kernel = self._kernel
        # A connection that cannot be kept would be one that the rebuilt fleet does not know.
        kernel.check_writable()
        if link.agent_id not in kernel.fleet.agents:
            raise NotFound(f"agent {link.agent_id} is gone", code="agent_gone")
        try:
            link.epoch, effects = kernel.fleet.connect(
                link.agent_id,
                hello,
                kernel.now(),
                welcome=self._welcome(),
                offsets=self._offsets(hello),
            )
        except Conflict:
            kernel.metrics.handshake_refused(Refusal.QUARANTINED)
            kernel.push(kernel.fleet.quarantine(link.agent_id, kernel.now()))
            raise
        kernel.links.add(link)
        kernel.push(effects)

    def agent_unsupported(self, agent_id: AgentId, hello: Hello) -> None:
        kernel = self._kernel
        agent = kernel.fleet.agents.get(agent_id)
        if agent is not None:
            spoken = f"{hello.protocol.min} to {hello.protocol.max}"
            reason = f"its runtime speaks protocol {spoken}, which this hub does not"
            kernel.push(kernel.fleet.change_agent(replace(agent, fault=reason)))

    def agent_heard(self, link: Link) -> None:
        kernel = self._kernel
        if kernel.links.is_current(link):
            kernel.push(kernel.fleet.heard(link.agent_id, link.epoch, kernel.now()))

    def agent_disconnected(self, link: Link) -> None:
        kernel = self._kernel
        self._shells.agent_left(link)
        if not kernel.links.remove(link):
            return
        kernel.push(kernel.fleet.disconnected(link.agent_id, link.epoch, kernel.now(), clean=link.closed_cleanly))

    # --- frames

    def agent_frame(self, link: Link, envelope: Envelope, message: Message | None) -> None:
        kernel = self._kernel
        if not kernel.links.is_current(link):
            return
        _check_attempt(message)
        if message is None:
            self._route(link, envelope)
        elif isinstance(message, Log):
            self._log(link, message)
        elif isinstance(message, Shell):
            self._shells.from_agent(link, message)
        else:
            if envelope.type == "bye":
                link.said_bye = True
            elif isinstance(message, Health):
                self._stats.report(link.agent_id, message)
            kernel.push(kernel.fleet.frame(link.agent_id, link.epoch, message, kernel.now()))

    def _finish_output(self, link: Link, response: Response) -> None:
        """No more output will come, when the attempt is this agent's."""
        attempt = response.attempt_id
        if attempt is not None and self._owns(link, attempt):
            self._kernel.output.finish(attempt)

    def _owns(self, link: Link, attempt: AttemptId) -> bool:
        book = self._kernel.fleet.dispatcher.book
        slot = book.slots.get(link.agent_id)
        return slot is not None and book.task_of(slot, attempt) is not None

    def _log(self, link: Link, message: Log) -> None:
        data = _bytes_of(message)
        if message.attempt_id is None:
            self._logs.append(link.agent_id, self._kernel.now().wall_ms, data, message)
            return
        attempt = message.attempt_id
        end = message.offset + len(data)
        if self._owns(link, attempt):
            try:
                end = self._kernel.output.append(attempt, message.offset, data, message.stream, message.skipped)
                self._kernel.metrics.output(len(data))
            except (StorageFull, Unavailable):
                # Not acknowledged: the agent keeps it and sends it again after its next hello.
                self._kernel.links.put(link, Goaway(retry_after_ms=DISK_RETRY_MS, reason=GoawayReason.OVERLOADED))
                link.close(CLOSE_DISK_FULL, "the hub cannot keep output now")
                return
        # Output that nobody wants is acknowledged too, else the agent would keep it for ever.
        link.acknowledge(Ack(output={attempt: end}))

    def _route(self, link: Link, envelope: Envelope) -> None:
        """An application message: committed, then acknowledged to the sender and delivered."""
        kernel = self._kernel
        if not envelope.id or len(envelope.id) > MAX_ID_CHARACTERS:
            raise WireError("malformed", "a message needs an id of 1 to 128 characters")
        if len(envelope.payload) > MAX_SUBMISSION_BYTES:
            raise WireError("too_large", f"a message may have {MAX_SUBMISSION_BYTES} bytes")
        receiver = kernel.fleet.agents[receiver_of(envelope.to, kernel.fleet.agents)]
        if receiver.basic:
            raise Conflict(f"agent {receiver.id} is basic and takes no messages", code="basic_agent")
        message = StoredMessage(
            id=envelope.id,
            sender=link.agent_id,
            receiver=receiver.id,
            receiver_uid=receiver.uid,
            seq=kernel.fleet.mail.next_seq,
            payload=envelope.payload.copy(),
            created_at=kernel.now().wall_ms,
        )
        effects: list[Effect] = list(kernel.fleet.mail.post(message))
        presence = kernel.fleet.presence(receiver.id)
        if effects and presence.open and not presence.basic:
            effects.append(kernel.fleet.mail.send(message, presence.epoch))
        effects.append(kernel.fleet.mail.acknowledge(link.agent_id, link.epoch, envelope.id))
        kernel.push(effects)

    # --- small parts

    def _welcome(self) -> Welcome:
        timing = self._kernel.config.timing
        spread = len(self._kernel.fleet.agents) / AGENTS_PER_SPREAD_SECOND
        return Welcome(
            health_interval_seconds=timing.health_interval_seconds,
            lease_seconds=timing.lease_seconds,
            reconnect_spread_seconds=min(max(spread, 1.0), MAX_SPREAD_SECONDS),
        )

    def _offsets(self, hello: Hello | None) -> dict[AttemptId, int]:
        """How much output of each held attempt is here already."""
        if hello is None:
            return {}
        offsets: dict[AttemptId, int] = {}
        for held in hello.attempts:
            try:
                offsets[held.attempt_id] = self._kernel.output.offset(held.attempt_id)
            except HubError:
                # Not an attempt id of ours: the plan will tell the agent to drop it.
                continue
        return offsets

    def _refused(self, agent_id: str, remote: str, error: HubError) -> None:
        kernel = self._kernel
        known = agent_id in kernel.fleet.agents
        refusal = Refusal.TOKEN if known else Refusal.UNKNOWN_AGENT
        kernel.metrics.handshake_refused(Refusal.QUARANTINED if error.code == "quarantined" else refusal)
        if error.retry_after_seconds is None:
            error.retry_after_seconds = REFUSAL_RETRY_SECONDS
        if not isinstance(error, Unauthorized) or not self._may_audit():
            return
        who = f"agent:{agent_id[:40]}"
        kernel.push([kernel.audited(who, "agent.connect", agent_id[:40], error.code, remote)])

    def _may_audit(self) -> bool:
        now = time.monotonic()
        refill = (now - self._audit_at) * AUDIT_REFUSALS_PER_SECOND
        self._audit_allowance = min(AUDIT_REFUSALS_PER_SECOND, self._audit_allowance + refill)
        self._audit_at = now
        if self._audit_allowance < 1:
            return False
        self._audit_allowance -= 1
        return True


def _check_attempt(message: Message | None) -> None:
    """Raises WireError for an attempt id that no hub can have made."""
    named = getattr(message, "attempt_id", None)
    if named is not None and (len(named) > MAX_ID_CHARACTERS or parse_attempt_id(named) is None):
        raise WireError("malformed", f"{named[:64]!r} is not an attempt id")


def _bytes_of(message: Log) -> bytes:
    if message.encoding is Encoding.UTF8:
        return message.data.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(message.data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise WireError("malformed", f"log data is not base64: {exc}") from exc
