"""Operations on the hub itself: tokens, policies, audit, backup, events, health."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from hub.contract import (
    AuditList,
    AuditView,
    BackupAnswer,
    ConnectionList,
    ConnectionQuery,
    CreatedToken,
    CreateToken,
    Event,
    HubHealth,
    PageQuery,
    PolicyList,
    PolicyView,
    TokenList,
)
from hub.core.model import AgentId, Policy, TokenId, TokenKind
from hub.core.view import rfc3339, token_view
from hub.errors import BadRequest
from hub.operations.base import Operations, check_limit
from hub.registry import backup
from hub.tokens import agent_token, user_token
from hub.undo import ARROW, UNCHANGED

DAY_SECONDS = 24 * 3600
MAX_TOKEN_SECONDS = 10 * 365 * DAY_SECONDS


class AdminOperations(Operations):
    """See `hub.control.Control`."""

    async def health(self) -> HubHealth:
        return await self._inside.health.read()

    async def connections(self, query: ConnectionQuery) -> ConnectionList:
        return self._inside.traffic.read(check_limit(query.limit))

    # --- tokens

    async def create_token(self, request: CreateToken) -> CreatedToken:
        kernel = self._kernel
        kernel.check_writable()
        if len(request.name) > 100 or not request.name.isprintable():
            raise BadRequest("a name has at most 100 printable characters", field="name")
        seconds = request.expires_in_seconds
        if seconds is not None and not 1 <= seconds <= MAX_TOKEN_SECONDS:
            raise BadRequest("a token lives 1 s to 10 years", field="expiresInSeconds")
        if request.kind == TokenKind.JOIN:
            if request.agent is None:
                raise BadRequest("a join token needs an agent", field="agent")
            agent = kernel.fleet.agent(request.agent)
            token, secret = agent_token(kernel.clock, agent, TokenKind.JOIN, seconds or DAY_SECONDS)
        elif request.kind == TokenKind.USER:
            token, secret = user_token(kernel.clock, request.role, request.name, seconds)
        else:
            raise BadRequest("kind is user or join", field="kind")
        effects = kernel.fleet.identity.add(token)
        opens = request.role.value if request.kind == TokenKind.USER else f"agent {token.agent_id}"
        audit = kernel.audited(self._who, "token.create", token.id, detail=f"{request.kind}: {opens}")
        await kernel.commit([*effects, audit])
        return CreatedToken(token=token_view(token), secret=secret)

    async def tokens(self, query: PageQuery) -> TokenList:
        tokens, following = await self._kernel.registry.tokens(check_limit(query.limit), query.cursor)
        return TokenList(tokens=[token_view(token) for token in tokens], next=following)

    async def revoke_token(self, token_id: str) -> None:
        kernel = self._kernel
        kernel.check_writable()
        effects = kernel.fleet.revoke_token(TokenId(token_id), kernel.now())
        await kernel.commit([*effects, kernel.audited(self._who, "token.revoke", token_id)])

    # --- policies

    async def policies(self) -> PolicyList:
        pairs = self._kernel.fleet.mail.policies
        return PolicyList(policies=[PolicyView(sender=p.sender, receiver=p.receiver) for p in pairs])

    async def allow(self, sender: str, receiver: str) -> None:
        policy = self._policy(sender, receiver)
        known = UNCHANGED if policy in self._kernel.fleet.mail.policies else ""
        effects = self._kernel.fleet.mail.allow(policy)
        audit = self._kernel.audited(self._who, "policy.allow", f"{sender}{ARROW}{receiver}", detail=known)
        await self._kernel.commit([*effects, audit])

    async def disallow(self, sender: str, receiver: str) -> None:
        policy = self._policy(sender, receiver)
        known = "" if policy in self._kernel.fleet.mail.policies else UNCHANGED
        effects = self._kernel.fleet.mail.disallow(policy)
        audit = self._kernel.audited(self._who, "policy.disallow", f"{sender}{ARROW}{receiver}", detail=known)
        await self._kernel.commit([*effects, audit])

    def _policy(self, sender: str, receiver: str) -> Policy:
        self._kernel.check_writable()
        fleet = self._kernel.fleet
        one, two = fleet.agent(sender).id, fleet.agent(receiver).id
        return Policy(sender=AgentId(one), receiver=AgentId(two))

    # --- audit and care

    async def audit(self, query: PageQuery) -> AuditList:
        entries, following = await self._kernel.registry.audit(check_limit(query.limit), query.cursor)
        views = [
            AuditView(
                seq=seq,
                at=rfc3339(entry.at) or "",
                who=entry.who,
                what=entry.what,
                target=entry.target,
                outcome=entry.outcome,
                detail=entry.detail,
            )
            for seq, entry in entries
        ]
        return AuditList(audit=views, next=following)

    async def backup(self, path: str) -> BackupAnswer:
        kernel = self._kernel
        folder = kernel.config.state_folder
        target = Path(path) if path else backup.default_path(folder, kernel.now().wall_ms)
        if not target.is_absolute():
            raise BadRequest("a backup needs an absolute path on the hub's machine", field="path")
        size = await kernel.registry.backup(target)
        kernel.push([kernel.audited(self._who, "hub.backup", str(target))])
        return BackupAnswer(path=str(target), size_bytes=size)

    # --- changes

    async def events(self, since: int | None = None) -> AsyncIterator[Event]:
        async with self._kernel.feed.subscribe(since) as changes:
            async for event in changes:
                yield event
