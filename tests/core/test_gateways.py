"""Names of gateways, addresses of personas, and the one safe form of a session key."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.gateways import SLUG_PATTERN, check_gateway_name, parse_persona, session_key
from hub.errors import BadRequest


def test_addresses_of_personas() -> None:
    assert parse_persona("main/engineer") == ("main", "engineer")
    assert parse_persona("main/_x-1") == ("main", "_x-1")


@pytest.mark.parametrize(
    "to", ["", "main", "main/", "/engineer", "main/Engineer", "Main/x", "a/b/c", "main/../x", "main/" + "a" * 65]
)
def test_what_is_no_address(to: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_persona(to)
    assert caught.value.field == "to"


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 41, "a b", "a/b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(BadRequest):
        check_gateway_name(name)


def test_the_key_begins_with_the_agent_and_is_in_lower_case() -> None:
    assert session_key("qa", "Acct1") == "agent:qa:acct1"
    assert session_key("qa", "task:T1") == "agent:qa:task:t1"
    assert session_key("qa", "j57c8wpyk2t3x9q4") == "agent:qa:j57c8wpyk2t3x9q4"


@pytest.mark.parametrize("session", ["cron", "cron:x", "Subagent:1", "acp:x", "agent:qa:x"])
def test_namespaces_of_the_gateway_are_refused(session: str) -> None:
    with pytest.raises(BadRequest) as caught:
        session_key("qa", session)
    assert caught.value.code == "refused_session"


@pytest.mark.parametrize("session", ["", ":", "a:", ":a", "a b", "a\n", "ü", "a" * 65, "a:b:c:d:e", "a/b", "İ"])
def test_what_is_no_session(session: str) -> None:
    with pytest.raises(BadRequest) as caught:
        session_key("qa", session)
    assert caught.value.field == "session"


@given(st.text(max_size=80))
def test_whatever_is_given_the_key_is_the_agents_own(session: str) -> None:
    try:
        key = session_key("qa", session)
    except BadRequest:
        return
    agent, slug, rest = key.split(":", 2)
    assert (agent, slug) == ("agent", "qa")
    assert re.fullmatch(SLUG_PATTERN, slug)
    assert key == key.lower()
    assert key.isascii()
    assert rest.split(":")[0] not in {"agent", "cron", "subagent", "acp"}
