"""Who may come in: tokens, roles, and the join exchange with a crash at every step."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hub.core.effects import Delete, Effect, Save
from hub.core.identity import Identity, allows, sha256
from hub.core.model import Agent, AgentUid, Now, Role, Token, TokenId, TokenKind
from hub.errors import NotFound, Unauthorized
from tests.core.support import WALL_MS, Clock, make_agent, saved

JOIN, CREDENTIAL, USER = "ctj_join", "cta_credential", "ctu_user"
DAY_MS = 86_400_000


class Door:
    """An identity book, its database, and one agent."""

    def __init__(self, agent: Agent | None = None) -> None:
        self.clock = Clock()
        self.identity = Identity()
        self.agent = agent or make_agent()
        self.stored: dict[str, Token] = {}

    def keep(self, effects: list[Effect]) -> list[Effect]:
        self.stored |= {token.id: token for token in saved(effects, Token)}
        return effects

    def add(self, secret: str, kind: TokenKind, **fields: Any) -> None:
        owner = {} if kind is TokenKind.USER else {"agent_id": self.agent.id, "agent_uid": self.agent.uid}
        token = Token(
            **{"id": TokenId(secret), "kind": kind, "sha256": sha256(secret), "created_at": WALL_MS} | owner | fields
        )
        self.keep(self.identity.add(token))

    def knock(self, secret: str, credential: str | None = None, *, agent: Agent | None = None) -> list[Effect]:
        digest = None if credential is None else sha256(credential)
        return self.identity.agent(
            agent or self.agent, secret, digest, TokenId(f"credential-{len(self.stored)}"), self.clock.now
        )

    def refused(self, secret: str, credential: str | None = None, *, agent: Agent | None = None) -> str:
        before = self.identity.tokens
        with pytest.raises(Unauthorized) as refusal:
            self.knock(secret, credential, agent=agent)
        assert self.identity.tokens == before
        assert refusal.value.status == 401
        return refusal.value.code

    def restart(self) -> None:
        self.identity = Identity()
        self.identity.restore(self.stored.values())


@pytest.fixture
def door() -> Door:
    door = Door()
    door.add(JOIN, TokenKind.JOIN, expires_at=WALL_MS + DAY_MS)
    return door


def test_only_the_hash_of_a_secret_is_known() -> None:
    assert sha256("ctu_ä") == hashlib.sha256("ctu_ä".encode()).hexdigest()
    assert len(sha256("\ud800")) == 64


# --- the join exchange


def test_a_join_token_is_spent_for_a_credential_in_one_commit(door: Door) -> None:
    """The hub consumes the token and binds the hash in one commit."""
    effects = door.keep(door.knock(JOIN, CREDENTIAL))
    assert [type(effect) for effect in effects] == [Save, Save]
    spent, credential = saved(effects, Token)
    assert (spent.id, spent.bound) == (JOIN, sha256(CREDENTIAL))
    assert (credential.kind, credential.sha256) == (TokenKind.AGENT, sha256(CREDENTIAL))
    assert (credential.agent_id, credential.agent_uid) == (door.agent.id, door.agent.uid)
    assert door.knock(CREDENTIAL) == []


def test_same_token_and_same_hash_again_is_fine_also_after_expiry(door: Door) -> None:
    door.keep(door.knock(JOIN, CREDENTIAL))
    door.clock.move(100_000)
    assert door.knock(JOIN, CREDENTIAL) == []


def test_another_hash_is_refused(door: Door) -> None:
    """Another hash is refused and audited."""
    door.keep(door.knock(JOIN, CREDENTIAL))
    assert door.refused(JOIN, "cta_other") == "replayed"
    assert door.knock(CREDENTIAL) == []


def test_a_crash_before_the_commit_locks_nobody_out(door: Door) -> None:
    door.knock(JOIN, CREDENTIAL)
    door.restart()
    assert door.refused(CREDENTIAL) == "wrong_token"
    assert len(door.knock(JOIN, CREDENTIAL)) == 2


def test_a_crash_after_the_commit_locks_nobody_out(door: Door) -> None:
    door.keep(door.knock(JOIN, CREDENTIAL))
    door.restart()
    assert door.knock(JOIN, CREDENTIAL) == []
    assert door.knock(CREDENTIAL) == []


def test_an_agent_that_lost_its_credential_before_the_commit_may_make_another(door: Door) -> None:
    door.knock(JOIN, CREDENTIAL)
    door.restart()
    assert len(door.knock(JOIN, "cta_other")) == 2


def test_an_unspent_join_token_expires(door: Door) -> None:
    door.clock.move(DAY_MS / 1000 - 1)
    assert len(door.knock(JOIN, CREDENTIAL)) == 2
    late = Door()
    late.add(JOIN, TokenKind.JOIN, expires_at=WALL_MS + DAY_MS)
    late.clock.move(DAY_MS / 1000)
    assert late.refused(JOIN, CREDENTIAL) == "expired"


@pytest.mark.parametrize("digest", [None, "", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_a_join_token_needs_the_hash_of_a_credential(door: Door, digest: str | None) -> None:
    with pytest.raises(Unauthorized) as refusal:
        door.identity.agent(door.agent, JOIN, digest, TokenId("new"), door.clock.now)
    assert refusal.value.code == "bad_credential"
    assert len(door.knock(JOIN, CREDENTIAL)) == 2


def test_a_credential_that_exists_cannot_be_claimed(door: Door) -> None:
    door.add("cta_taken", TokenKind.AGENT)
    assert door.refused(JOIN, "cta_taken") == "bad_credential"
    assert door.refused(JOIN, JOIN) == "bad_credential"


def test_a_new_join_token_makes_a_new_credential_and_voids_the_old(door: Door) -> None:
    """A new join token makes a new credential (adopt, release)."""
    door.keep(door.knock(JOIN, CREDENTIAL))
    door.add("ctj_second", TokenKind.JOIN)
    door.add("cta_foreign", TokenKind.AGENT, agent_id="b", agent_uid="b-uid")
    effects = door.keep(door.knock("ctj_second", "cta_new"))
    assert len(effects) == 3
    assert door.refused(CREDENTIAL) == "revoked"
    assert door.knock("cta_new") == []
    assert door.knock("cta_foreign", agent=make_agent("b")) == []


def test_a_spent_join_token_does_not_bring_a_revoked_credential_back(door: Door) -> None:
    door.keep(door.knock(JOIN, CREDENTIAL))
    door.keep(door.identity.revoke_agent(door.agent.id, door.clock.now))
    assert door.refused(JOIN, CREDENTIAL) == "revoked"
    assert door.refused(CREDENTIAL) == "revoked"
    door.restart()
    assert door.refused(JOIN, CREDENTIAL) == "revoked"


def test_a_revoked_join_token_opens_nothing(door: Door) -> None:
    door.keep(door.identity.revoke(TokenId(JOIN), door.clock.now))
    assert door.refused(JOIN, CREDENTIAL) == "revoked"


@pytest.mark.parametrize("agent", [make_agent("b"), make_agent(uid=AgentUid("a-later-uid"))])
def test_tokens_of_another_agent_or_incarnation_are_foreign(door: Door, agent: Agent) -> None:
    """`uid` = one incarnation; tasks, labels and credentials carry it."""
    assert door.refused(JOIN, CREDENTIAL, agent=agent) == "foreign_token"
    door.keep(door.knock(JOIN, CREDENTIAL))
    assert door.refused(JOIN, CREDENTIAL, agent=agent) == "foreign_token"
    assert door.refused(CREDENTIAL, agent=agent) == "foreign_token"


# --- credentials and user tokens


def test_wrong_secrets_are_refused(door: Door) -> None:
    door.add(USER, TokenKind.USER)
    for secret in ("", "x", "cta_x", "ctj_x", "\ud800", USER, f"{JOIN} "):
        assert door.refused(secret, CREDENTIAL) == "wrong_token"


def test_a_permanent_agent_token_opens_until_it_is_revoked(door: Door) -> None:
    """A permanent, revocable agent token."""
    door.add(CREDENTIAL, TokenKind.AGENT)
    door.clock.move(1e8)
    assert door.knock(CREDENTIAL) == []
    door.keep(door.identity.revoke(TokenId(CREDENTIAL), door.clock.now))
    assert door.refused(CREDENTIAL) == "revoked"
    door.restart()
    assert door.refused(CREDENTIAL) == "revoked"


def test_an_agent_token_may_expire(door: Door) -> None:
    door.add(CREDENTIAL, TokenKind.AGENT, expires_at=WALL_MS + 1)
    assert door.knock(CREDENTIAL) == []
    door.clock.move(0.001)
    assert door.refused(CREDENTIAL) == "expired"


def test_a_user_token_names_its_role(door: Door) -> None:
    door.add(USER, TokenKind.USER, role=Role.OPERATOR, expires_at=WALL_MS + 1)
    assert door.identity.user(USER, door.clock.now).role is Role.OPERATOR
    with pytest.raises(Unauthorized, match="kind user"):
        door.identity.user(JOIN, door.clock.now)
    with pytest.raises(Unauthorized) as refusal:
        door.identity.user(USER, Now(WALL_MS + 1, 0.0))
    assert refusal.value.code == "expired"
    door.identity.revoke(TokenId(USER), door.clock.now)
    with pytest.raises(Unauthorized) as refusal:
        door.identity.user(USER, door.clock.now)
    assert refusal.value.code == "revoked"


def test_revoking_names_the_time_once(door: Door) -> None:
    (token,) = saved(door.identity.revoke(TokenId(JOIN), door.clock.now), Token)
    assert token.revoked_at == WALL_MS
    assert door.identity.revoke(TokenId(JOIN), door.clock.now) == []
    with pytest.raises(NotFound):
        door.identity.revoke(TokenId("unknown"), door.clock.now)


def test_revoking_an_agent_shuts_every_door_of_that_agent_only(door: Door) -> None:
    door.add(USER, TokenKind.USER)
    door.add("cta_b", TokenKind.AGENT, agent_id="b", agent_uid="b-uid")
    door.keep(door.knock(JOIN, CREDENTIAL))
    revoked = saved(door.identity.revoke_agent(door.agent.id, door.clock.now), Token)
    assert {token.agent_id for token in revoked} == {"a"}
    assert len(revoked) == 2
    assert door.identity.revoke_agent(door.agent.id, door.clock.now) == []
    door.identity.user(USER, door.clock.now)
    assert door.knock("cta_b", agent=make_agent("b")) == []


def test_a_destroyed_agents_tokens_are_deleted_and_open_nothing(door: Door) -> None:
    door.add("cta_b", TokenKind.AGENT, agent_id="b", agent_uid="b-uid")
    door.keep(door.knock(JOIN, CREDENTIAL))
    gone = door.identity.forget_agent(door.agent.id)
    records = [effect.record for effect in gone if isinstance(effect, Delete)]
    assert [record.agent_id for record in records if isinstance(record, Token)] == ["a", "a"]
    assert len(gone) == 2
    assert door.refused(CREDENTIAL) == "wrong_token"
    assert door.refused(JOIN, CREDENTIAL) == "wrong_token"
    assert door.knock("cta_b", agent=make_agent("b")) == []


def test_the_last_token_that_may_administrate_is_known(door: Door) -> None:
    door.add("ctu_one", TokenKind.USER, role=Role.ADMIN)
    door.add(USER, TokenKind.USER, role=Role.OPERATOR)
    assert door.identity.is_last_admin(TokenId("ctu_one"), door.clock.now)
    assert not door.identity.is_last_admin(TokenId(USER), door.clock.now)
    door.add("ctu_two", TokenKind.USER, role=Role.ADMIN, expires_at=WALL_MS + 1)
    assert not door.identity.is_last_admin(TokenId("ctu_one"), door.clock.now)
    assert door.identity.is_last_admin(TokenId("ctu_one"), Now(WALL_MS + 1, 0.0))
    door.identity.revoke(TokenId("ctu_two"), door.clock.now)
    assert door.identity.is_last_admin(TokenId("ctu_one"), door.clock.now)


@pytest.mark.parametrize("have", list(Role))
@pytest.mark.parametrize("need", list(Role))
def test_a_role_includes_the_roles_below_it(have: Role, need: Role) -> None:
    """Roles: viewer, operator, admin."""
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    assert allows(have, need) is (order.index(have) >= order.index(need))


def test_a_credential_that_opened_the_door_is_looked_at_again(door: Door) -> None:
    """Between the handshake and the hello it may have been revoked, or the agent made anew."""
    door.add(CREDENTIAL, TokenKind.AGENT)
    door.knock(CREDENTIAL)
    door.identity.check_credential(door.agent, sha256(CREDENTIAL), door.clock.now)
    again = make_agent(uid=AgentUid("another"))
    for agent, digest in ((again, sha256(CREDENTIAL)), (door.agent, sha256("cta_other"))):
        with pytest.raises(Unauthorized):
            door.identity.check_credential(agent, digest, door.clock.now)
    door.identity.revoke(TokenId(CREDENTIAL), door.clock.now)
    with pytest.raises(Unauthorized) as refusal:
        door.identity.check_credential(door.agent, sha256(CREDENTIAL), door.clock.now)
    assert refusal.value.code == "revoked"


def test_tokens_that_open_nothing_are_forgotten_after_a_while(door: Door) -> None:
    """Nothing is unbounded; a used join token stays as long as its credential."""
    for name, fields in {
        "revoked": {"revoked_at": WALL_MS},
        "expired": {"expires_at": WALL_MS},
        "lately": {"revoked_at": WALL_MS + DAY_MS},
        "living": {},
    }.items():
        door.add(f"ctu_{name}", TokenKind.USER, **fields)
    door.add(JOIN, TokenKind.JOIN, expires_at=WALL_MS)
    door.clock.wall_ms = WALL_MS - 1
    door.keep(door.knock(JOIN, CREDENTIAL))
    gone = door.identity.purge(WALL_MS + 1)
    assert {effect.record.id for effect in gone if isinstance(effect, Delete)} == {"ctu_revoked", "ctu_expired"}  # pyright: ignore[reportAttributeAccessIssue]
    assert door.knock(JOIN, CREDENTIAL) == []
    door.identity.revoke_agent(door.agent.id, Now(WALL_MS, 0.0))
    assert len(door.identity.purge(WALL_MS + 1)) == 1
    assert len(door.identity.purge(WALL_MS + 1)) == 1
    assert {token.id for token in door.identity.tokens} == {"ctu_lately", "ctu_living"}
    assert door.identity.forget_agent(door.agent.id) == []
