"""What agents say: admission, hello, and every frame after it, turned into decisions."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from msgspec.structs import replace

from hub.agentlog import AgentLogs
from hub.allowance import Allowance
from hub.connections.link import Link
from hub.connections.server import Admission
from hub.core.effects import Effect
from hub.core.identity import PREFIX, sha256
from hub.core.mail import receiver_of
from hub.core.model import Agent, AgentId, StoredMessage, TokenId, TokenKind, parse_attempt_id
from hub.errors import (
    Conflict,
    DecisionFailed,
    Forbidden,
    HubError,
    NotFound,
    StorageFull,
    Unauthorized,
    Unavailable,
)
from hub.holdoff import HoldOff
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
    Shell,
    Welcome,
    WireError,
)

MAX_ID_CHARACTERS: Final = 128
QUARANTINE_RETRY_SECONDS: Final = 60.0
REFUSAL_RETRY_SECONDS: Final = 5.0
DISK_RETRY_MS: Final = 10_000
CLOSE_DISK_FULL: Final = 4007
AUDITED_REFUSALS_PER_SECOND: Final = 1.0
AUDITED_REFUSALS_BURST: Final = 20.0
"""A guessing or looping client must not fill the audit; the rest is counted in the metrics."""
DRAINING_RETRY_SECONDS: Final = 2.0
HELD_OFF: Final = "its last message met an internal error of the hub, which lets it in again later"
MAX_SPREAD_SECONDS: Final = 60.0
AGENTS_PER_SPREAD_SECOND: Final = 50
"""A fleet of n agents spreads its first reconnect over n/50 seconds, at most a minute."""

_REFUSALS: Final = {"quarantined": Refusal.QUARANTINED, "draining": Refusal.DRAINING}


class Reception:
    """Implements `hub.connections.server.Receiver`."""

    def __init__(self, kernel: Kernel, shells: Shells, logs: AgentLogs, stats: Stats) -> None:
        self._kernel = kernel
        self._shells = shells
        self._logs = logs
        self._stats = stats
        self._refusals = Allowance(AUDITED_REFUSALS_PER_SECOND, AUDITED_REFUSALS_BURST, kernel.now().mono)
        self._holdoff = HoldOff()

    # --- coming and going

    async def admit_agent(
        self, agent_id: str, secret: str | None, credential_sha256: str | None, remote: str
    ) -> Admission:
        """Let an agent in; the join exchange is committed before this returns."""
        kernel = self._kernel
        try:
            self._check_open()
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
            self._check_harmless(agent)
        except HubError as exc:
            self._refused(agent_id, remote, exc)
            raise
        if effects:
            who = f"agent:{agent_id}"
            await kernel.commit([*effects, kernel.audited(who, "agent.join", agent_id)])
        joins = secret.startswith(PREFIX[TokenKind.JOIN])
        return Admission(agent.id, (credential_sha256 or "") if joins else sha256(secret))

    def agent_connected(self, link: Link, hello: Hello | None) -> None:
        kernel = self._kernel
        self._check_open()
        agent = kernel.fleet.agents.get(link.agent_id)
        if agent is None:
            raise NotFound(f"agent {link.agent_id} is gone", code="agent_gone")
        try:
            # Between the handshake and the hello the credential may have been revoked, or the agent made anew.
            kernel.fleet.identity.check_credential(agent, link.credential, kernel.now())
        except Unauthorized as exc:
            self._refused(link.agent_id, "", exc)
            raise
        try:
            link.epoch, effects = kernel.fleet.connect(
                link.agent_id,
                hello,
                kernel.now(),
                welcome=self._welcome(),
                offsets=self._offsets(link.agent_id, hello),
            )
        except DecisionFailed:
            self._blame(link)
            raise
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
        if not kernel.links.is_current(link):
            return
        try:
            kernel.push(kernel.fleet.heard(link.agent_id, link.epoch, kernel.now()))
        except DecisionFailed:
            # It ends all connections, this one too; nobody waits for an answer.
            self._blame(link)

    def agent_disconnected(self, link: Link) -> None:
        kernel = self._kernel
        self._shells.agent_left(link)
        if not kernel.links.remove(link):
            return
        try:
            kernel.push(kernel.fleet.disconnected(link.agent_id, link.epoch, kernel.now(), clean=link.closed_cleanly))
        except DecisionFailed:
            self._blame(link)

    # --- frames

    def agent_frame(self, link: Link, envelope: Envelope, message: Message | None) -> None:
        kernel = self._kernel
        if not kernel.links.is_current(link) or not kernel.fleet.is_live(link.agent_id, link.epoch):
            return
        _check_attempt(message)
        try:
            self._take(link, envelope, message)
        except DecisionFailed:
            self._blame(link)
            raise

    def _take(self, link: Link, envelope: Envelope, message: Message | None) -> None:
        kernel = self._kernel
        if message is None:
            self._route_told(link, envelope)
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

    def _owns(self, agent_id: AgentId, attempt: AttemptId) -> bool:
        book = self._kernel.fleet.dispatcher.book
        slot = book.slots.get(agent_id)
        return slot is not None and book.task_of(slot, attempt) is not None

    def _log(self, link: Link, message: Log) -> None:
        data = _bytes_of(message)
        if message.attempt_id is None:
            self._logs.append(link.agent_id, self._kernel.now().wall_ms, data, message)
            return
        attempt = message.attempt_id
        end = message.offset + len(data)
        if self._owns(link.agent_id, attempt):
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

    def _route_told(self, link: Link, envelope: Envelope) -> None:
        """As `_route`; an `error` frame has no place for a hint, so the message says it."""
        try:
            self._route(link, envelope)
        except HubError as exc:
            exc.message += f" ({exc.hint})" if exc.hint else ""
            raise

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

    def _check_open(self) -> None:
        """Raises Unavailable while the hub stops, and StorageFull while it cannot keep a connection:
        it would be one that the rebuilt fleet does not know."""
        if self._kernel.draining:
            raise Unavailable("the hub is stopping", code="draining", retry_after_seconds=DRAINING_RETRY_SECONDS)
        self._kernel.check_writable()

    def _blame(self, link: Link) -> None:
        """A decision broke by what an agent said: that agent stays away for a while."""
        self._holdoff.blame(link.agent_id, self._kernel.now().mono)

    def _check_harmless(self, agent: Agent) -> None:
        """Raises Unavailable while the agent has to wait; its record says why."""
        kernel = self._kernel
        rest = self._holdoff.rest_seconds(agent.id, kernel.now().mono)
        if rest:
            kernel.push(kernel.fleet.change_agent(replace(agent, fault=HELD_OFF)))
            raise Unavailable(HELD_OFF, code="held_off", retry_after_seconds=rest)

    def _offsets(self, agent_id: AgentId, hello: Hello | None) -> dict[AttemptId, int]:
        """How much output is here already of each held attempt that is still wanted.

        The disk is not asked about others: there may be thousands, and the plan lets go of them.
        """
        if hello is None:
            return {}
        wanted = [held.attempt_id for held in hello.attempts if self._owns(agent_id, held.attempt_id)]
        return {attempt: self._kernel.output.offset(attempt) for attempt in wanted}

    def _refused(self, agent_id: str, remote: str, error: HubError) -> None:
        kernel = self._kernel
        kernel.metrics.handshake_refused(self._kind(agent_id, error))
        if error.retry_after_seconds is None:
            error.retry_after_seconds = REFUSAL_RETRY_SECONDS
        if not isinstance(error, Unauthorized) or not self._refusals.take(kernel.now().mono):
            return
        who = f"agent:{agent_id[:40]}"
        kernel.push([kernel.audited(who, "agent.connect", agent_id[:40], error.code, remote)])

    def _kind(self, agent_id: str, error: HubError) -> Refusal:
        if isinstance(error, Unauthorized):
            return Refusal.TOKEN if agent_id in self._kernel.fleet.agents else Refusal.UNKNOWN_AGENT
        return _REFUSALS.get(error.code, Refusal.OTHER)


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
