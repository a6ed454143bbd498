"""New tokens: recognisable, of 256 random bits, and kept as a hash only."""

from __future__ import annotations

import msgspec
import pytest

from hub.clock import SystemClock
from hub.core.identity import PREFIX, sha256
from hub.core.model import Now, Role, Token, TokenKind
from hub.tokens import agent_token, user_token
from tests.core.support import make_agent


class StillClock(SystemClock):
    """Stands at one second."""

    def now(self) -> Now:
        return Now(1_000, 1.0)


@pytest.mark.parametrize("kind", [TokenKind.AGENT, TokenKind.JOIN])
def test_an_agents_token_opens_the_door_of_one_incarnation(kind: TokenKind) -> None:
    agent = make_agent()
    token, secret = agent_token(StillClock(), agent, kind, 1.5)
    assert (token.kind, token.agent_id, token.agent_uid) == (kind, agent.id, agent.uid)
    assert (token.created_at, token.expires_at) == (1_000, 2_500)
    check(token, secret)


@pytest.mark.parametrize(("seconds", "expires_at"), [(None, None), (60, 61_000)])
def test_a_users_token_has_a_role(seconds: float | None, expires_at: int | None) -> None:
    token, secret = user_token(StillClock(), Role.OPERATOR, "ada", seconds)
    assert (token.kind, token.role, token.name, token.expires_at) == (TokenKind.USER, Role.OPERATOR, "ada", expires_at)
    check(token, secret)


def check(token: Token, secret: str) -> None:
    assert secret.startswith(PREFIX[token.kind])
    assert len(secret) == len(PREFIX[token.kind]) + 43
    assert token.sha256 == sha256(secret)
    assert secret not in msgspec.json.encode(token).decode()
