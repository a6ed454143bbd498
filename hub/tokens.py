"""New tokens: the record that is kept, and the secret that nothing keeps."""

from __future__ import annotations

from hub.clock import Clock
from hub.core.identity import sha256
from hub.core.model import Agent, Role, Token, TokenId, TokenKind


def agent_token(clock: Clock, agent: Agent, kind: TokenKind, seconds: float | None) -> tuple[Token, str]:
    """Return a token that opens this agent's door, for so many seconds or (None) until it is revoked."""
    secret, now_ms = clock.new_secret(kind), clock.now().wall_ms
    token = Token(
        id=TokenId(clock.new_id("tok")),
        kind=kind,
        sha256=sha256(secret),
        created_at=now_ms,
        agent_id=agent.id,
        agent_uid=agent.uid,
        expires_at=_expiry(now_ms, seconds),
    )
    return token, secret


def user_token(clock: Clock, role: Role, name: str, seconds: float | None = None) -> tuple[Token, str]:
    """Return a token for a person or a program."""
    secret, now_ms = clock.new_secret(TokenKind.USER), clock.now().wall_ms
    token = Token(
        id=TokenId(clock.new_id("tok")),
        kind=TokenKind.USER,
        sha256=sha256(secret),
        created_at=now_ms,
        role=role,
        name=name,
        expires_at=_expiry(now_ms, seconds),
    )
    return token, secret


def _expiry(now_ms: int, seconds: float | None) -> int | None:
    return None if seconds is None else now_ms + int(seconds * 1000)
