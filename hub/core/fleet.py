"""The whole decider: agents, connections, tasks, messages and tokens as one pure value machine.

The hub calls one method per input, with the time and any new ids as arguments, commits the
returned effects and only then performs them. After a failed commit a `Fleet` is thrown away and
built anew from the registry with `restore`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from hub.contract import AgentView
from hub.core.book import DispatchLimits
from hub.core.dispatch import Dispatcher
from hub.core.effects import Close, Delete, Effect, Kind, Publish, Save
from hub.core.greeting import greeted, instance_of
from hub.core.guard import Decider, OnBroken
from hub.core.health import Change, Freshness, Presence
from hub.core.identity import Identity
from hub.core.lifecycle import Lifecycle
from hub.core.mail import Mail
from hub.core.model import (
    Agent,
    AgentId,
    AgentStatus,
    AuditEntry,
    Connection,
    Desired,
    Dispatch,
    Now,
    Observed,
    Policy,
    StoredMessage,
    Task,
    TaskState,
    Token,
    TokenId,
    TokenKind,
)
from hub.core.view import agent_view, derive_status
from hub.errors import Conflict, NotFound
from runtime.wire import (
    Accepted,
    Ack,
    AttemptId,
    Bye,
    Health,
    Hello,
    Message,
    Response,
    Welcome,
)

CLOSE_SUPERSEDED = 4001
CLOSE_QUARANTINED = 4002
CLOSE_REVOKED = 4003
CLOSE_DESTROYED = 4004


class FleetLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and periods of the decisions."""

    dispatch: DispatchLimits = DispatchLimits()
    stale_after_seconds: float = 45.0
    queued_messages: int = 1_000


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry gives back at a start."""

    agents: Sequence[Agent] = ()
    tasks: Sequence[Task] = ()
    dispatches: Sequence[Dispatch] = ()
    tokens: Sequence[Token] = ()
    policies: Sequence[Policy] = ()
    messages: Sequence[StoredMessage] = ()
    next_task_seq: int = 1


class Fleet(Decider):
    """Owns all state that decisions are made on. `on_broken` hears of a decision that broke, in any part."""

    def __init__(self, limits: FleetLimits, on_broken: OnBroken | None = None) -> None:
        self.limits = limits
        self.agents: dict[AgentId, Agent] = {}
        self.dispatcher = Dispatcher(limits.dispatch)
        self.freshness = Freshness(limits.stale_after_seconds)
        self.identity = Identity()
        self.lifecycle = Lifecycle()
        self.mail = Mail(limits.queued_messages)
        for part in (self, self.dispatcher, self.identity, self.lifecycle, self.mail):
            part.on_broken = on_broken

    def restore(self, stored: Stored, now: Now) -> list[Effect]:
        """Take everything back; no connection is known and nobody has been silent yet."""
        self.identity.restore(stored.tokens)
        self.mail.restore(stored.policies, stored.messages)
        for agent in stored.agents:
            self._admit(agent, now)
        self.dispatcher.next_seq = max(self.dispatcher.next_seq, stored.next_task_seq)
        return self.dispatcher.restore(stored.tasks, stored.dispatches, now)

    # --- agents

    def agent(self, agent_id: str) -> Agent:
        """Raises NotFound."""
        agent = self.agents.get(AgentId(agent_id))
        if agent is None:
            raise NotFound(f"there is no agent {agent_id[:64]}", hint="clawtui list shows all", agent=agent_id)
        return agent

    def add_agent(self, agent: Agent, now: Now) -> list[Effect]:
        """Take a new agent. Raises Conflict when the name is taken."""
        if agent.id in self.agents:
            raise Conflict(
                f"there is an agent {agent.id} already",
                code="agent_exists",
                hint=f"choose another name, or clawtui destroy {agent.id}",
                agent=agent.id,
            )
        self._admit(agent, now)
        return self._put(agent)

    def change_agent(self, agent: Agent) -> list[Effect]:
        """Replace an agent's record; nothing happens when it is the same."""
        return [] if self.agents[agent.id] == agent else self._put(agent)

    def remove_agent(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """Forget a destroyed agent: tasks cancelled, tokens revoked, messages dropped."""
        agent = self.agents.get(agent_id)
        if agent is None:
            return []
        effects = self.dispatcher.remove_agent(agent_id, now)
        effects += self.identity.forget_agent(agent_id)
        effects += self.mail.remove_agent(agent_id, agent.uid)
        effects += self._close(agent, CLOSE_DESTROYED, "this agent was destroyed")
        self.freshness.remove_agent(agent_id)
        self.lifecycle.forget(agent_id)
        del self.agents[agent_id]
        return [*effects, Delete(agent), Publish(Kind.AGENT, agent_id, gone=True)]

    def desire(self, agent_id: AgentId, desired: Desired, now: Now) -> list[Effect]:
        """An operator wants something; pausing suspends the judgement of silence at once."""
        agent = self.agents[agent_id]
        self.lifecycle.forget(agent_id)
        effects = self.change_agent(replace(agent, desired=desired))
        effects += self.hold_still(agent_id, desired is Desired.PAUSED, now)
        accepting = desired is Desired.RUNNING and not agent.quarantined
        return effects + self.dispatcher.set_accepting(agent_id, accepting, now)

    def hold_still(self, agent_id: AgentId, still: bool, now: Now) -> list[Effect]:
        """While the hub itself holds the agent still, its silence means nothing."""
        effects = self._freshness(self.freshness.set_paused(agent_id, still, now), now)
        self.dispatcher.set_paused(agent_id, still, now)
        return effects

    def observe(self, agent_id: AgentId, observed: Observed, exit_code: int | None, reason: str) -> list[Effect]:
        """A driver looked at the agent."""
        agent = self.agents.get(agent_id)
        if agent is None:
            return []
        if observed is not Observed.RUNNING:
            self.lifecycle.wellness.ended(agent_id)
        return self.change_agent(replace(agent, observed=observed, exit_code=exit_code, reason=reason))

    def release(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """Lift quarantine and void every credential; the caller adds a new join token."""
        agent = self.agents[agent_id]
        self.freshness.forget_flapping(agent_id)
        effects = self.identity.revoke_agent(agent_id, now)
        effects += self._end(agent, CLOSE_REVOKED, "released: a new join token is there", now)
        return effects + self.change_agent(replace(self.agents[agent_id], quarantined=False, fault=""))

    def revoke_credentials(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """Void every credential of an agent and end its connection."""
        effects = self.identity.revoke_agent(agent_id, now)
        return effects + self._end(self.agents[agent_id], CLOSE_REVOKED, "credential revoked", now)

    def revoke_token(self, token_id: TokenId, now: Now) -> list[Effect]:
        """Void a token; an agent whose credential it is loses its connection.

        Raises:
            NotFound: no such token.
            Conflict: it is the last one that may administrate this hub.
        """
        if self.identity.is_last_admin(token_id, now):
            raise Conflict(
                "this is the last admin token; without it nobody could make another one",
                code="last_admin",
                hint="create the new one first: clawtui token create --role admin",
            )
        effects = self.identity.revoke(token_id, now)
        token = self.identity.get(token_id)
        agent = self.agents.get(token.agent_id) if token.agent_id is not None else None
        if effects and agent is not None and token.kind is TokenKind.AGENT:
            effects += self._end(agent, CLOSE_REVOKED, "credential revoked", now)
        return effects

    # --- connections

    def connect(
        self,
        agent_id: AgentId,
        hello: Hello | None,
        now: Now,
        *,
        welcome: Welcome,
        offsets: Mapping[AttemptId, int],
    ) -> tuple[int, list[Effect]]:
        """Accept a connection and return its epoch; `hello` is None for a basic agent.

        Raises:
            Conflict: `quarantined`: two instances drive each other out. The effects that belong
                to it are in `quarantine`, which the caller asks for.
        """
        agent = self.agents[agent_id]
        instance = instance_of(hello)
        if agent.quarantined or self.freshness.is_flapping(agent_id, instance, now):
            raise Conflict(
                f"agent {agent_id} is quarantined",
                code="quarantined",
                hint=f"clawtui release {agent_id}",
                agent=agent_id,
            )
        usurped = self.presence(agent_id).is_of_another(instance)
        effects = self._close(agent, CLOSE_SUPERSEDED, "a newer connection took over")
        epoch = agent.epoch + 1
        effects += self._put(greeted(agent, hello, epoch, now))
        changes = self.freshness.connected(agent_id, epoch, instance, now, basic=hello is None)
        accepting = agent.desired is Desired.RUNNING
        if hello is None:
            effects += self.dispatcher.connect_basic(agent_id, epoch, now, accepting=accepting)
        else:
            effects += self.dispatcher.connect(
                agent_id,
                epoch,
                now,
                concurrency=hello.concurrency,
                attempts=hello.attempts,
                offsets=offsets,
                welcome=welcome,
                accepting=accepting,
                usurped=usurped,
            )
            effects += self.mail.deliver(agent_id, epoch)
        return epoch, effects + self._freshness(changes, now)

    def quarantine(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """Shut the agent out until an operator releases it."""
        agent = self.agents[agent_id]
        if agent.quarantined:
            return []
        reason = "two instances use this agent's credential and drive each other out"
        effects = self._end(agent, CLOSE_QUARANTINED, reason, now)
        effects += self.change_agent(replace(self.agents[agent_id], quarantined=True, fault=reason))
        entry = AuditEntry(
            at=now.wall_ms,
            who=f"agent:{agent_id}",
            what="agent.quarantine",
            target=agent_id,
            outcome="quarantined",
            detail=reason,
        )
        return [*effects, Save(entry)]

    def disconnected(self, agent_id: AgentId, epoch: int, now: Now, *, clean: bool) -> list[Effect]:
        """The connection `epoch` ended; nothing happens when it was superseded."""
        changes = self.freshness.closed(agent_id, epoch, now, clean=clean)
        self.dispatcher.disconnect(agent_id, epoch, now)
        return self._freshness(changes, now)

    def is_live(self, agent_id: AgentId, epoch: int) -> bool:
        """True while the connection `epoch` counts: not superseded, not ended by either side."""
        return self.dispatcher.book.live(agent_id, epoch) is not None

    def heard(self, agent_id: AgentId, epoch: int, now: Now) -> list[Effect]:
        """Any frame or pong arrived."""
        return self._freshness(self.freshness.heard(agent_id, epoch, now), now)

    def frame(self, agent_id: AgentId, epoch: int, message: Message, now: Now) -> list[Effect]:
        """A decoded message of the agent arrived, other than output, shells and `message`.

        Nothing that comes over a superseded or ended connection changes anything.
        """
        if self.dispatcher.book.live(agent_id, epoch) is None:
            return []
        match message:
            case Response():
                return self.dispatcher.respond(agent_id, epoch, message, now)
            case Accepted():
                return self.dispatcher.accepted(agent_id, epoch, message.attempt_id, now)
            case Health():
                changes = self.freshness.reported(agent_id, epoch, message, now)
                return [*self._freshness(changes, now), Publish(Kind.HEALTH, agent_id)]
            case Ack():
                return self.mail.acknowledged(agent_id, message.messages)
            case Bye():
                self.dispatcher.leaving(agent_id)
                return []
            case _:
                return []

    # --- time

    def tick(self, now: Now) -> list[Effect]:
        effects = self._freshness(self.freshness.tick(now), now)
        return effects + self.dispatcher.tick(now)

    def next_deadline(self) -> float | None:
        """Monotonic time at which `tick` should be called next."""
        times = [self.freshness.next_deadline(), self.dispatcher.next_deadline()]
        return min((time for time in times if time is not None), default=None)

    # --- reading

    def view(self, agent_id: AgentId) -> AgentView:
        slot, wellness = self.dispatcher.book.slots[agent_id], self.lifecycle.wellness.report(agent_id)
        agent, queued = self.agents[agent_id], len(slot.open) - len(slot.held)
        return agent_view(agent, self.presence(agent_id), queued=queued, running=list(slot.held), wellness=wellness)

    def presence(self, agent_id: AgentId) -> Presence:
        return self.freshness.agents[agent_id]

    def status(self, agent_id: AgentId) -> AgentStatus:
        """The one word of `view`, for those who ask of thousands."""
        agent = self.agents[agent_id]
        connection = self.presence(agent_id).connection
        return derive_status(agent.quarantined, agent.desired, agent.observed, connection)

    def count_agents(self) -> dict[AgentStatus, int]:
        counts = dict.fromkeys(AgentStatus, 0)
        for agent_id in self.agents:
            counts[self.status(agent_id)] += 1
        return counts

    def count_tasks(self) -> dict[TaskState, int]:
        """Open tasks by state. Costs what agents and running tasks cost; queues may be long."""
        counts: dict[TaskState, int] = dict.fromkeys((TaskState.QUEUED, TaskState.OFFERED, TaskState.RUNNING), 0)
        book = self.dispatcher.book
        for slot in book.slots.values():
            counts[TaskState.QUEUED] += len(slot.open) - len(slot.held)
            for task_id in slot.held:
                counts[book.tasks[task_id].state] += 1
        return counts

    # --- inside

    def _admit(self, agent: Agent, now: Now) -> None:
        self.agents[agent.id] = agent
        self.freshness.add_agent(agent.id, agent.connection)
        self.dispatcher.add_agent(agent.id, agent.uid, now, basic=agent.basic)
        if agent.desired is Desired.PAUSED:
            self.freshness.set_paused(agent.id, True, now)
            self.dispatcher.set_paused(agent.id, True, now)

    def _put(self, agent: Agent) -> list[Effect]:
        self.agents[agent.id] = agent
        return [Save(agent), Publish(Kind.AGENT, agent.id)]

    def _close(self, agent: Agent, code: int, reason: str) -> list[Effect]:
        presence = self.presence(agent.id)
        if not presence.open:
            return []
        return [Close(agent.id, presence.epoch, code, reason)]

    def _end(self, agent: Agent, code: int, reason: str, now: Now) -> list[Effect]:
        """End the agent's connection from our side: it counts as ended at once, not when its socket is gone, so that
        nothing more is given to it or taken from it."""
        effects = self._close(agent, code, reason)
        return effects + self.disconnected(agent.id, self.presence(agent.id).epoch, now, clean=True)

    def _freshness(self, changes: Iterable[Change], now: Now) -> list[Effect]:
        """Tell dispatch who went silent, keep when the agent was last seen, tell observers."""
        effects: list[Effect] = []
        for change in changes:
            if change.after is Connection.ONLINE:
                effects += self.dispatcher.heard(change.agent_id, now)
            else:
                self.dispatcher.silent(change.agent_id, now)
            seen = self.presence(change.agent_id).last_seen_ms
            agent = self.agents[change.agent_id]
            effects += self._put(replace(agent, connection=change.after, last_seen_at=seen or agent.last_seen_at))
        return effects
