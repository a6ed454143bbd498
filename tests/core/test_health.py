"""Freshness: online, stale, unreachable, offline, and two agents that share a credential."""

from __future__ import annotations

import pytest

from hub.core.health import FLAP_SECONDS, FLAPS, Change, Freshness
from hub.core.model import AgentId, Connection, Now
from runtime.wire import Health
from tests.core.support import WALL_MS

A = AgentId("a")


def at(mono: float) -> Now:
    return Now(WALL_MS + round(mono * 1000), mono)


def online(*, basic: bool = False) -> Freshness:
    freshness = Freshness(45.0)
    freshness.add_agent(A)
    assert freshness.connected(A, 1, "one", at(0), basic=basic) == [Change(A, Connection.OFFLINE, Connection.ONLINE)]
    return freshness


def connection(freshness: Freshness) -> Connection:
    return freshness.agents[A].connection


def test_an_agent_that_never_connected_is_offline() -> None:
    freshness = Freshness(45.0)
    freshness.add_agent(A)
    assert connection(freshness) is Connection.OFFLINE
    assert freshness.tick(at(1_000)) == []
    assert freshness.next_deadline() is None


def test_an_agent_without_health_is_stale_after_45_seconds() -> None:
    freshness = online()
    assert freshness.next_deadline() == 45
    assert freshness.tick(at(44.9)) == []
    assert freshness.tick(at(45)) == [Change(A, Connection.ONLINE, Connection.STALE)]
    assert freshness.tick(at(46)) == []
    assert freshness.next_deadline() is None


def test_health_makes_a_stale_agent_online_again() -> None:
    freshness = online()
    freshness.tick(at(50))
    assert freshness.reported(A, 1, Health(load=1.0), at(51)) == [Change(A, Connection.STALE, Connection.ONLINE)]
    assert freshness.next_deadline() == 96
    presence = freshness.agents[A]
    assert (presence.health, presence.health_ms) == (Health(load=1.0), WALL_MS + 51_000)


def test_each_report_renews_the_wait() -> None:
    freshness = online()
    assert freshness.reported(A, 1, Health(), at(30)) == []
    assert freshness.tick(at(74)) == []
    assert freshness.tick(at(75)) != []


def test_frames_of_a_full_agent_are_no_health() -> None:
    freshness = online()
    assert freshness.heard(A, 1, at(40)) == []
    assert freshness.agents[A].last_seen_ms == WALL_MS + 40_000
    assert freshness.tick(at(45)) != []


def test_any_frame_of_a_basic_agent_is_a_sign_of_life() -> None:
    freshness = online(basic=True)
    freshness.heard(A, 1, at(40))
    assert freshness.tick(at(84)) == []
    assert freshness.tick(at(85)) != []


@pytest.mark.parametrize(("clean", "after"), [(True, Connection.OFFLINE), (False, Connection.UNREACHABLE)])
def test_how_a_connection_ends_decides_between_offline_and_unreachable(clean: bool, after: Connection) -> None:
    """Closes uncleanly = unreachable; `bye` or a clean close = offline."""
    freshness = online()
    assert freshness.closed(A, 1, at(10), clean=clean) == [Change(A, Connection.ONLINE, after)]
    assert freshness.agents[A].last_seen_ms == WALL_MS + (10_000 if clean else 0)
    assert freshness.tick(at(100)) == []
    assert freshness.closed(A, 1, at(11), clean=not clean) == []


def test_a_superseded_connection_changes_nothing() -> None:
    freshness = online()
    freshness.connected(A, 2, "two", at(1), basic=False)
    assert freshness.closed(A, 1, at(2), clean=False) == []
    assert freshness.reported(A, 1, Health(), at(40)) == []
    assert freshness.heard(A, 1, at(40)) == []
    assert freshness.agents[A].last_seen_ms == WALL_MS + 1_000
    assert freshness.tick(at(46)) == [Change(A, Connection.ONLINE, Connection.STALE)]


def test_an_ended_connection_reports_nothing() -> None:
    freshness = online()
    freshness.closed(A, 1, at(1), clean=False)
    assert freshness.reported(A, 1, Health(), at(2)) == []
    assert connection(freshness) is Connection.UNREACHABLE


def test_a_paused_agent_does_not_turn_stale_and_starts_afresh_when_thawed() -> None:
    freshness = online()
    assert freshness.set_paused(A, True, at(10)) == []
    assert freshness.set_paused(A, True, at(11)) == []
    freshness.reported(A, 1, Health(), at(12))
    assert freshness.tick(at(1_000)) == []
    assert freshness.set_paused(A, False, at(1_000)) == []
    assert freshness.tick(at(1_044)) == []
    assert freshness.tick(at(1_045)) != []


def test_a_stale_agent_is_online_when_thawed() -> None:
    freshness = online()
    freshness.tick(at(50))
    freshness.set_paused(A, True, at(50))
    assert freshness.set_paused(A, False, at(60)) == [Change(A, Connection.STALE, Connection.ONLINE)]


def test_a_thawed_agent_without_a_connection_stays_as_it_was() -> None:
    freshness = online()
    freshness.set_paused(A, True, at(10))
    freshness.closed(A, 1, at(20), clean=False)
    assert freshness.set_paused(A, False, at(30)) == []
    assert connection(freshness) is Connection.UNREACHABLE
    assert freshness.set_paused(AgentId("nobody"), True, at(1)) == []


def test_the_agent_heard_longest_ago_is_looked_at_first() -> None:
    freshness = online()
    freshness.add_agent(AgentId("b"))
    freshness.connected(AgentId("b"), 1, "x", at(10), basic=False)
    freshness.reported(A, 1, Health(), at(20))
    assert [change.agent_id for change in freshness.tick(at(60))] == ["b"]
    assert [change.agent_id for change in freshness.tick(at(70))] == ["a"]


def test_a_removed_agent_is_forgotten() -> None:
    freshness = online()
    freshness.remove_agent(A)
    assert freshness.tick(at(100)) == []
    assert freshness.heard(A, 1, at(1)) == []


# --- flapping


def flaps(freshness: Freshness, names: str, *, step: float = 1.0) -> list[bool]:
    return [freshness.is_flapping(A, name, at(step * n)) for n, name in enumerate(names)]


def test_two_instances_that_drive_each_other_out_are_flapping() -> None:
    """Flapping between two instances is quarantined: more than three takeovers back in a minute."""
    assert FLAPS == 3
    assert flaps(online(), "xyxyxy") == [False] * 5 + [True]


def test_restarts_are_no_flapping() -> None:
    """A restarting agent is a new instance every time and never counts."""
    assert not any(flaps(online(), "abcdefghijklmnop"))


def test_reconnections_of_one_instance_are_no_flapping() -> None:
    assert not any(flaps(online(), "x" * 20))


def test_slow_takeovers_are_no_flapping() -> None:
    assert FLAP_SECONDS == 60
    assert not any(flaps(online(), "xyxyxyxyxyxy", step=25))


def test_agents_without_an_instance_cannot_be_told_apart() -> None:
    freshness = online()
    assert not any(freshness.is_flapping(A, "", at(0)) for _ in range(10))


def test_a_released_agent_starts_with_a_clean_record() -> None:
    freshness = online()
    flaps(freshness, "xyxyx")
    freshness.forget_flapping(A)
    assert freshness.is_flapping(A, "y", at(6)) is False


def test_what_somebody_else_measured_is_shown_and_is_no_sign_of_life() -> None:
    freshness = online()
    freshness.measured(A, Health(load=2.0), "docker", WALL_MS + 44_000)
    presence = freshness.agents[A]
    assert (presence.health, presence.health_ms, presence.health_source) == (
        Health(load=2.0), WALL_MS + 44_000, "docker",
    )  # fmt: skip
    assert presence.last_seen_ms == WALL_MS
    assert freshness.tick(at(45)) == [Change(A, Connection.ONLINE, Connection.STALE)]
    freshness.reported(A, 1, Health(load=1.0), at(46))
    assert presence.health_source == "agent"
