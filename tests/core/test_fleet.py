"""The whole decider: agents come and go, are quarantined, paused, seen and counted."""

from __future__ import annotations

import msgspec
import pytest

from hub.core.effects import Close, Delete, Kind, Publish, Save, Send
from hub.core.model import (
    Agent,
    AgentId,
    AgentStatus,
    AgentUid,
    AuditEntry,
    Connection,
    Desired,
    Observed,
    Policy,
    Role,
    StoredMessage,
    TaskState,
    Token,
    TokenId,
    TokenKind,
)
from hub.errors import Conflict, NotFound
from runtime.wire import Ack, Bye, Error, Health
from tests.core.support import WALL_MS, Desk, closes, kinds, make_agent, make_hello, offered, run, running, saved

A = AgentId("a")


def add_token(desk: Desk, name: str = "k") -> None:
    token = Token(
        id=TokenId(name),
        kind=TokenKind.AGENT,
        sha256=name * 64,
        created_at=WALL_MS,
        agent_id=A,
        agent_uid=AgentUid("a-uid"),
    )
    desk.fleet.identity.add(token)


def message(desk: Desk, name: str = "m") -> None:
    desk.fleet.mail.allow(Policy(sender=AgentId("b"), receiver=A))
    desk.fleet.mail.post(
        StoredMessage(
            id=name,
            sender=AgentId("b"),
            receiver=A,
            receiver_uid=AgentUid("a-uid"),
            seq=1,
            payload=msgspec.Raw(b"{}"),
            created_at=WALL_MS,
        )
    )


def test_a_name_is_taken_once() -> None:
    desk = Desk()
    with pytest.raises(Conflict) as refusal:
        desk.fleet.add_agent(make_agent(), desk.clock.now)
    assert refusal.value.code == "agent_exists"
    with pytest.raises(NotFound):
        desk.fleet.agent("nobody")


def test_an_unchanged_record_is_not_saved_again() -> None:
    desk = Desk()
    agent = desk.fleet.agent("a")
    assert desk.fleet.change_agent(agent) == []
    changed = msgspec.structs.replace(agent, display_name="Anna")
    assert desk.fleet.change_agent(changed) == [Save(changed), Publish(Kind.AGENT, "a")]


def test_a_destroyed_agent_takes_everything_with_it() -> None:
    """Agent destroyed: its open tasks are cancelled, its credential is void."""
    desk = Desk("ab")
    add_token(desk)
    message(desk)
    desk.connect()
    desk.submit()
    agent = desk.fleet.agent("a")
    effects = desk.take(desk.fleet.remove_agent(A, desk.clock.now))
    assert desk.state() is TaskState.CANCELLED
    deleted = [effect.record for effect in effects if isinstance(effect, Delete)]
    assert {type(record) for record in deleted} == {StoredMessage, Policy, Agent, Token}
    assert effects[-2:] == [Delete(agent), Publish(Kind.AGENT, "a", gone=True)]
    assert closes(effects) == [("a", 1, 4004)]
    assert desk.fleet.remove_agent(A, desk.clock.now) == []
    assert desk.close("a") == []
    assert desk.health() == []


def test_hello_is_remembered_within_bounds() -> None:
    desk = Desk()
    desk.connect(
        instance="i" * 100, version="v" * 100, platform="p" * 100, capabilities=["c" * 100] * 100, concurrency=3
    )
    agent = desk.fleet.agent("a")
    assert (agent.instance, agent.version, agent.platform) == ("i" * 64, "v" * 64, "p" * 64)
    assert agent.capabilities == ("c" * 64,) * 64
    assert (agent.concurrency, agent.basic, agent.last_seen_at) == (3, False, desk.clock.wall_ms)
    desk.connect_basic()
    agent = desk.fleet.agent("a")
    assert (agent.concurrency, agent.basic, agent.instance) == (1, True, "")


def test_an_agent_that_names_no_capabilities_keeps_those_it_was_made_with() -> None:
    desk = Desk("")
    desk.fleet.add_agent(make_agent(capabilities=("gpu",)), desk.clock.now)
    desk.connect()
    assert desk.fleet.agent("a").capabilities == ("gpu",)


def test_the_connection_is_saved_before_the_welcome() -> None:
    desk = Desk()
    effects = desk.connect()
    first_send = next(n for n, effect in enumerate(effects) if isinstance(effect, Send))
    assert [agent.epoch for agent in saved(effects[:first_send], Agent)] == [1]


def test_a_change_of_the_connection_is_saved_and_published_once() -> None:
    """Publish always, save only when a state changes."""
    desk = Desk()
    desk.connect()
    assert desk.health() == [Publish(Kind.HEALTH, "a")]
    effects = desk.tick(45)
    assert [type(effect) for effect in effects] == [Save, Publish]
    assert desk.tick(1) == []


@pytest.mark.parametrize(("clean", "word"), [(True, AgentStatus.OFFLINE), (False, AgentStatus.UNREACHABLE)])
def test_how_a_connection_ended_is_shown(clean: bool, word: AgentStatus) -> None:
    desk = Desk()
    assert desk.fleet.view(A).status is AgentStatus.OFFLINE
    desk.connect()
    assert desk.fleet.view(A).status is AgentStatus.ONLINE
    desk.close(clean=clean)
    assert desk.fleet.view(A).status is word


def test_an_agent_that_was_connected_is_unreachable_after_a_restart_of_the_hub() -> None:
    """Nothing is shown as true that was not observed."""
    desk = Desk("abcd")
    for name in "abc":
        desk.connect(name)
    desk.close("b", clean=True)
    desk.tick(46)
    assert desk.fleet.view(AgentId("c")).status is AgentStatus.STALE
    desk.restart()
    shown = [desk.fleet.view(AgentId(name)).status for name in "abcd"]
    assert shown == [AgentStatus.UNREACHABLE, AgentStatus.OFFLINE, AgentStatus.UNREACHABLE, AgentStatus.OFFLINE]
    desk.connect()
    assert desk.fleet.view(A).status is AgentStatus.ONLINE


def test_an_agent_that_said_bye_is_offered_nothing_more() -> None:
    desk = Desk()
    desk.connect()
    assert desk.frame(Bye("restarting")) == []
    assert offered(desk.submit()) == []
    desk.close(clean=True)
    assert offered(desk.connect()) == ["t:1"]


def test_bye_and_acknowledgements_of_a_superseded_connection_change_nothing() -> None:
    desk = Desk("ab")
    message(desk)
    desk.connect()
    desk.connect(instance="two")
    assert desk.frame(Bye(), epoch=1) == []
    assert desk.frame(Ack(messages=["m"]), epoch=1) == []
    assert len(desk.fleet.mail.deliver(A, 2)) == 1
    assert offered(desk.submit()) == ["t:1"]


def test_waiting_messages_follow_the_welcome_until_they_are_acknowledged() -> None:
    desk = Desk("ab")
    message(desk)
    assert kinds(desk.connect()) == ["welcome", "message"]
    (gone,) = desk.frame(Ack(messages=["m"]))
    assert isinstance(gone, Delete)
    assert kinds(desk.connect()) == ["welcome"]


def test_a_basic_agent_gets_no_messages() -> None:
    desk = Desk("ab")
    message(desk)
    assert kinds(desk.connect_basic()) == []


def test_other_messages_change_nothing() -> None:
    desk = Desk()
    desk.connect()
    assert desk.frame(Error("x")) == []


# --- quarantine


def flap(desk: Desk) -> None:
    for instance in "xyxyx":
        desk.connect(instance=instance)


def test_two_instances_that_drive_each_other_out_are_quarantined_and_shown() -> None:
    """Flapping between two instances is quarantined and shown."""
    desk = Desk()
    flap(desk)
    with pytest.raises(Conflict) as refusal:
        desk.connect(instance="y")
    assert refusal.value.code == "quarantined"
    effects = desk.take(desk.fleet.quarantine(A, desk.clock.now))
    assert closes(effects) == [("a", 5, 4002)]
    assert [entry.what for entry in saved(effects, AuditEntry)] == ["agent.quarantine"]
    assert desk.fleet.view(A).status is AgentStatus.QUARANTINED
    assert desk.fleet.view(A).reason
    assert desk.fleet.quarantine(A, desk.clock.now) == []
    assert offered(desk.submit()) == []
    with pytest.raises(Conflict):
        desk.connect(instance="z")


def test_quarantine_outlasts_a_restart_of_the_hub() -> None:
    desk = Desk()
    desk.fleet.quarantine(A, desk.clock.now)
    desk.restart()
    with pytest.raises(Conflict):
        desk.connect()
    with pytest.raises(Conflict):
        desk.connect_basic()


def test_a_released_agent_comes_back_with_a_new_credential() -> None:
    """`release NAME`, the way out of quarantine."""
    desk = Desk()
    add_token(desk)
    flap(desk)
    desk.fleet.quarantine(A, desk.clock.now)
    desk.close()
    effects = desk.take(desk.fleet.release(A, desk.clock.now))
    assert [token.revoked_at for token in saved(effects, Token)] == [desk.clock.wall_ms]
    assert (desk.fleet.agent("a").quarantined, desk.fleet.agent("a").fault) == (False, "")
    desk.submit()
    assert offered(desk.connect(instance="y")) == ["t:1"]


def test_nothing_is_given_to_a_connection_that_was_ended_from_our_side() -> None:
    desk = Desk()
    desk.connect_basic()
    desk.fleet.revoke_credentials(A, desk.clock.now)
    assert offered(desk.submit()) == []
    assert desk.frame(Health()) == []
    assert desk.fleet.view(A).status is AgentStatus.OFFLINE
    assert desk.close() == []


def test_release_ends_the_connection_of_the_old_credential() -> None:
    desk = Desk()
    desk.connect()
    assert closes(desk.fleet.release(A, desk.clock.now)) == [("a", 1, 4003)]


def test_revoking_a_credential_ends_its_agents_connection_only() -> None:
    desk = Desk("ab")
    add_token(desk)
    desk.fleet.identity.add(
        Token(id=TokenId("u"), kind=TokenKind.USER, sha256="u" * 64, created_at=WALL_MS, agent_id=A)
    )
    desk.connect("a")
    desk.connect("b")
    assert closes(desk.fleet.revoke_token(TokenId("u"), desk.clock.now)) == []
    assert closes(desk.fleet.revoke_token(TokenId("k"), desk.clock.now)) == [("a", 1, 4003)]
    assert desk.fleet.revoke_token(TokenId("k"), desk.clock.now) == []
    assert offered(desk.submit()) == []
    assert offered(desk.submit("u", "b")) == ["u:1"]


def test_the_last_admin_token_cannot_be_revoked() -> None:
    desk = Desk()
    admin = Token(id=TokenId("u"), kind=TokenKind.USER, sha256="u" * 64, created_at=WALL_MS, role=Role.ADMIN)
    desk.fleet.identity.add(admin)
    with pytest.raises(Conflict) as refusal:
        desk.fleet.revoke_token(TokenId("u"), desk.clock.now)
    assert refusal.value.code == "last_admin"
    desk.fleet.identity.add(msgspec.structs.replace(admin, id=TokenId("v"), sha256="v" * 64))
    assert len(desk.fleet.revoke_token(TokenId("u"), desk.clock.now)) == 1


def test_revoking_credentials_ends_the_connection() -> None:
    desk = Desk()
    add_token(desk)
    desk.connect()
    effects = desk.fleet.revoke_credentials(A, desk.clock.now)
    assert closes(effects) == [("a", 1, 4003)]
    assert len(saved(effects, Token)) == 1
    desk.close()
    assert not any(isinstance(effect, Close) for effect in desk.fleet.revoke_credentials(A, desk.clock.now))


# --- desired and observed


def test_what_a_driver_saw_is_saved_once() -> None:
    desk = Desk()
    effects = desk.fleet.observe(A, Observed.EXITED, 137, "killed")
    (agent,) = saved(effects, Agent)
    assert (agent.observed, agent.exit_code, agent.reason) == (Observed.EXITED, 137, "killed")
    assert desk.fleet.observe(A, Observed.EXITED, 137, "killed") == []
    assert desk.fleet.observe(AgentId("gone"), Observed.EXITED, 0, "") == []
    assert desk.fleet.view(A).status is AgentStatus.CRASHED


def test_the_hubs_own_finding_is_shown_before_the_drivers_word() -> None:
    desk = Desk()
    desk.fleet.observe(A, Observed.RUNNING, None, "its health check fails")
    assert desk.fleet.view(A).reason == "its health check fails"
    desk.fleet.observe(A, Observed.RUNNING, None, "")
    assert desk.fleet.view(A).reason is None
    desk.fleet.quarantine(A, desk.clock.now)
    desk.fleet.observe(A, Observed.EXITED, 1, "fell over")
    assert "credential" in (desk.fleet.view(A).reason or "")


def test_a_restarted_hub_says_unreachable_of_agents_that_were_connected() -> None:
    """Their connections ended with the old hub, and nobody said goodbye."""
    desk = Desk("ab")
    desk.connect()
    desk.connect("b")
    desk.close("b", clean=True)
    desk.restart()
    assert desk.fleet.view(A).connection is Connection.UNREACHABLE
    assert desk.fleet.view(AgentId("b")).connection is Connection.OFFLINE


def test_a_paused_agent_is_offered_nothing_and_is_not_stale() -> None:
    desk = Desk()
    desk.connect()
    desk.fleet.desire(A, Desired.PAUSED, desk.clock.now)
    assert offered(desk.submit()) == []
    assert desk.tick(1_000) == []
    assert desk.fleet.presence(A).connection is Connection.ONLINE
    assert offered(desk.take(desk.fleet.desire(A, Desired.RUNNING, desk.clock.now))) == ["t:1"]


def test_an_operators_act_voids_the_crash_record() -> None:
    desk = Desk()
    agent = msgspec.structs.replace(desk.fleet.agent("a"), observed=Observed.EXITED)
    for _ in range(1_000):
        desk.clock.move(1)
        desk.fleet.lifecycle.step(agent, desk.clock.now)
    assert desk.fleet.lifecycle.is_looping(A)
    desk.fleet.desire(A, Desired.RUNNING, desk.clock.now)
    assert not desk.fleet.lifecycle.is_looping(A)


def test_a_quarantined_agent_that_is_started_is_still_offered_nothing() -> None:
    desk = Desk()
    desk.connect()
    desk.fleet.quarantine(A, desk.clock.now)
    desk.fleet.desire(A, Desired.STOPPED, desk.clock.now)
    desk.fleet.desire(A, Desired.RUNNING, desk.clock.now)
    assert offered(desk.submit()) == []


# --- counting


def test_the_next_deadline_is_the_earliest_of_all() -> None:
    desk = Desk()
    assert desk.fleet.next_deadline() is None
    desk.submit(expires_in_ms=60_000)
    assert desk.fleet.next_deadline() == desk.clock.mono + 60
    desk.connect()
    assert desk.fleet.next_deadline() == desk.clock.mono + 45


def test_agents_and_tasks_are_counted_by_state() -> None:
    desk = Desk("ab")
    desk.connect()
    run(desk)
    desk.submit("u")
    agents, tasks = desk.fleet.count_agents(), desk.fleet.count_tasks()
    assert (agents[AgentStatus.ONLINE], agents[AgentStatus.OFFLINE], sum(agents.values())) == (1, 1, 2)
    assert tasks == {TaskState.QUEUED: 1, TaskState.OFFERED: 0, TaskState.RUNNING: 1}
    shown = desk.fleet.view(A)
    assert (shown.queued, shown.running) == (1, ["t"])
    desk.close()
    desk.tick(4_000)
    assert desk.fleet.count_tasks()[TaskState.RUNNING] == 0


def test_a_connection_with_health_of_its_own_is_shown_with_it() -> None:
    desk = Desk()
    desk.connect("a", [running("x")])
    desk.frame(Health(load=0.5))
    assert desk.fleet.view(A).health == Health(load=0.5)


def test_a_hello_makes_a_stale_agent_speak_again() -> None:
    desk = Desk()
    desk.connect()
    desk.tick(46)
    desk.submit()
    effects = desk.connect("a", instance="two")
    assert kinds(effects) == ["welcome", "task"]
    assert {effect.epoch for effect in effects if isinstance(effect, Send)} == {2}
    assert make_hello().instance == "one"
