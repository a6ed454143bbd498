"""Who may come in: tokens, the join exchange, and what a secret opens.

Only SHA-256 hashes are known here. Secrets have 256 random bits, so a plain hash is enough, and
looking it up in a table leaks nothing that helps to guess one; the final compare is constant-time.

Join exchange: the agent makes its own credential and presents `join token + SHA-256 of the
credential`. The first such pair binds the token; the same pair again is fine, also after expiry
(the agent may have crashed before it knew); another credential is a replay and refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from hub.core.effects import Delete, Effect, Save
from hub.core.guard import Decider
from hub.core.model import Agent, AgentId, Now, Role, Token, TokenId, TokenKind
from hub.errors import NotFound, Unauthorized

PREFIX: Final = {TokenKind.JOIN: "ctj_", TokenKind.AGENT: "cta_", TokenKind.USER: "ctu_"}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ORDER: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def allows(have: Role, need: Role) -> bool:
    """True when role `have` includes role `need`."""
    return _ORDER.index(have) >= _ORDER.index(need)


class Identity(Decider):
    """All tokens by hash and by id."""

    def __init__(self) -> None:
        self._by_hash: dict[str, Token] = {}
        self._by_id: dict[TokenId, Token] = {}
        self._by_agent: dict[AgentId, dict[TokenId, None]] = {}

    def restore(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            self._keep(token)

    @property
    def tokens(self) -> list[Token]:
        return sorted(self._by_id.values(), key=_by_age)

    def add(self, token: Token) -> list[Effect]:
        return self._keep(token)

    def get(self, token_id: TokenId) -> Token:
        """Raises NotFound."""
        token = self._by_id.get(token_id)
        if token is None:
            raise NotFound(f"there is no token {token_id}")
        return token

    def is_last_admin(self, token_id: TokenId, now: Now) -> bool:
        admins = {
            token.id
            for token in self._by_id.values()
            if token.kind is TokenKind.USER
            and token.role is Role.ADMIN
            and token.revoked_at is None
            and (token.expires_at is None or token.expires_at > now.wall_ms)
        }
        return admins == {token_id}

    def revoke(self, token_id: TokenId, now: Now) -> list[Effect]:
        """Raises NotFound."""
        token = self.get(token_id)
        if token.revoked_at is not None:
            return []
        return self._keep(replace(token, revoked_at=now.wall_ms))

    def revoke_agent(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """Shut every door of an agent: it is destroyed, released or registered anew."""
        effects: list[Effect] = []
        for token in self._of_agent(agent_id):
            if token.revoked_at is None:
                effects += self.revoke(token.id, now)
        return effects

    def purge(self, before_ms: int) -> list[Effect]:
        """Forget tokens that have opened nothing since `before_ms` (since the epoch): revoked, or run out unused.

        A join token that was used stays as long as its credential: its agent may present both again.
        """
        gone = [token for token in self._by_id.values() if self._void_since(token, before_ms)]
        for token in gone:
            self._forget(token)
        return [Delete(token) for token in gone]

    def _void_since(self, token: Token, before_ms: int) -> bool:
        if token.bound is not None and token.bound in self._by_hash:
            return False
        ends = [at for at in (token.revoked_at, token.expires_at) if at is not None]
        return bool(ends) and min(ends) < before_ms

    def _forget(self, token: Token) -> None:
        del self._by_id[token.id]
        del self._by_hash[token.sha256]
        if token.agent_id is not None:
            self._by_agent[token.agent_id].pop(token.id)

    def forget_agent(self, agent_id: AgentId) -> list[Effect]:
        """The agent is destroyed: nothing of its tokens needs to be kept."""
        gone = self._of_agent(agent_id)
        for token in gone:
            self._forget(token)
        self._by_agent.pop(agent_id, None)
        return [Delete(token) for token in gone]

    def user(self, secret: str, now: Now) -> Token:
        """Return the user token that `secret` is. Raises Unauthorized."""
        token = self._find(secret, TokenKind.USER)
        self._check_alive(token, now)
        return token

    def agent(
        self,
        agent: Agent,
        secret: str,
        credential_sha256: str | None,
        credential_id: TokenId,
        now: Now,
    ) -> list[Effect]:
        """Admit an agent's connection; the effects must be committed before it is let in.

        `credential_id` is the id of the credential record, should the join exchange make one.

        Raises:
            Unauthorized: with a code that says wrong, foreign, expired, revoked or replayed.
        """
        if secret.startswith(PREFIX[TokenKind.JOIN]):
            return self._join(agent, secret, credential_sha256, credential_id, now)
        self._check_agents(self._find(secret, TokenKind.AGENT), agent, now)
        return []

    def check_credential(self, agent: Agent, credential_sha256: str, now: Now) -> None:
        """Look again at a credential that was good a moment ago. Raises Unauthorized."""
        token = self._by_hash.get(credential_sha256)
        if token is None:
            raise _refused("revoked", "this credential is void")
        self._check_agents(token, agent, now)

    def _check_agents(self, token: Token, agent: Agent, now: Now) -> None:
        self._check_owner(token, agent)
        self._check_alive(token, now)

    def _join(
        self,
        agent: Agent,
        secret: str,
        credential_sha256: str | None,
        credential_id: TokenId,
        now: Now,
    ) -> list[Effect]:
        token = self._find(secret, TokenKind.JOIN)
        self._check_owner(token, agent)
        if credential_sha256 is None or _SHA256.fullmatch(credential_sha256) is None:
            raise _refused("bad_credential", "a join token needs the SHA-256 of a credential")
        if token.bound is not None:
            if not hmac.compare_digest(token.bound, credential_sha256):
                raise _refused("replayed", "this join token was used for another credential")
            credential = self._by_hash.get(credential_sha256)
            if credential is None or credential.revoked_at is not None:
                raise _refused("revoked", "this join token's credential was revoked")
            return []
        self._check_alive(token, now)
        if credential_sha256 in self._by_hash:
            raise _refused("bad_credential", "this credential is taken")
        effects: list[Effect] = []
        for old in self._of_agent(agent.id):
            # A new join token makes a new credential; whoever holds the old one is out.
            if old.kind is TokenKind.AGENT and old.revoked_at is None:
                effects += self.revoke(old.id, now)
        effects += self._keep(replace(token, bound=credential_sha256))
        effects += self._keep(
            Token(
                id=credential_id,
                kind=TokenKind.AGENT,
                sha256=credential_sha256,
                created_at=now.wall_ms,
                agent_id=agent.id,
                agent_uid=agent.uid,
            )
        )
        return effects

    def _keep(self, token: Token) -> list[Effect]:
        self._by_hash[token.sha256] = token
        self._by_id[token.id] = token
        if token.agent_id is not None:
            self._by_agent.setdefault(token.agent_id, {})[token.id] = None
        return [Save(token)]

    def _of_agent(self, agent_id: AgentId) -> list[Token]:
        """An agent's tokens, oldest first; a fleet has thousands of others."""
        return sorted((self._by_id[key] for key in self._by_agent.get(agent_id, ())), key=_by_age)

    def _find(self, secret: str, kind: TokenKind) -> Token:
        digest = sha256(secret)
        token = self._by_hash.get(digest)
        if token is None or not hmac.compare_digest(token.sha256, digest):
            raise _refused("wrong_token", "this token is not known")
        if token.kind is not kind:
            raise _refused("wrong_token", f"this is not a token of kind {kind.value}")
        return token

    @staticmethod
    def _check_owner(token: Token, agent: Agent) -> None:
        if token.agent_id != agent.id or token.agent_uid != agent.uid:
            raise _refused("foreign_token", "this token belongs to another agent")

    @staticmethod
    def _check_alive(token: Token, now: Now) -> None:
        if token.revoked_at is not None:
            raise _refused("revoked", "this token was revoked")
        if token.expires_at is not None and now.wall_ms >= token.expires_at:
            raise _refused("expired", "this token has expired")


def _refused(code: str, message: str) -> Unauthorized:
    return Unauthorized(message, code=code, hint="get a new token: clawtui token create")


def _by_age(token: Token) -> tuple[int, TokenId]:
    return token.created_at, token.id
