"""Messages between agents: policy, order, acknowledgement, restart, bounds."""

from __future__ import annotations

import msgspec
import pytest

from hub.core.effects import Delete, Save, Send
from hub.core.mail import MAX_WAITING_BYTES, Mail, receiver_of
from hub.core.model import AgentId, AgentUid, Policy, StoredMessage
from hub.errors import Conflict, Forbidden, NotFound, QueueFull
from runtime.wire import Ack
from tests.core.support import WALL_MS

A, B = AgentId("a"), AgentId("b")
POLICY = Policy(sender=A, receiver=B)


def message(name: str, seq: int = 0, *, sender: AgentId = A, receiver: AgentId = B) -> StoredMessage:
    return StoredMessage(
        id=name,
        sender=sender,
        receiver=receiver,
        receiver_uid=AgentUid(f"{receiver}-uid"),
        seq=seq,
        payload=msgspec.Raw(b"{}"),
        created_at=WALL_MS,
    )


def allowed(limit: int = 10) -> Mail:
    mail = Mail(limit)
    mail.allow(POLICY)
    return mail


def test_messages_pass_only_where_a_policy_allows_the_pair() -> None:
    """Default none; `clawtui policy allow A B`."""
    mail = Mail(10)
    with pytest.raises(Forbidden) as refusal:
        mail.post(message("m"))
    assert refusal.value.code == "not_allowed"
    assert mail.allow(POLICY) == [Save(POLICY)]
    assert mail.policies == [POLICY]
    assert mail.post(message("m")) == [Save(message("m"))]
    with pytest.raises(Forbidden):
        mail.post(message("n", sender=B, receiver=A))
    assert mail.disallow(POLICY) == [Delete(POLICY)]
    with pytest.raises(Forbidden):
        mail.post(message("o"))


def test_messages_are_delivered_in_order_until_they_are_acknowledged() -> None:
    mail = allowed()
    for n, name in enumerate("zyx"):
        mail.post(message(name, n + 1))
    first = mail.deliver(B, 4)
    assert [send.message_id for send in first if isinstance(send, Send)] == ["z", "y", "x"]
    assert first[0] == Send(B, 4, "message", msgspec.Raw(b"{}"), "z", "a")
    assert mail.acknowledged(B, ["y", "unknown"]) == [Delete(message("y", 2))]
    assert mail.acknowledged(B, ["y"]) == []
    assert [send.message_id for send in mail.deliver(B, 5) if isinstance(send, Send)] == ["z", "x"]
    assert mail.deliver(A, 1) == []


def test_another_agent_cannot_acknowledge() -> None:
    mail = allowed()
    mail.post(message("m"))
    assert mail.acknowledged(A, ["m"]) == []
    assert len(mail.deliver(B, 1)) == 1


def test_a_repeated_message_is_kept_once() -> None:
    mail = allowed()
    mail.post(message("m", 1))
    assert mail.post(message("m", 2)) == []
    assert len(mail.deliver(B, 1)) == 1
    assert mail.deliver(A, 1) == []


def test_waiting_messages_are_bounded() -> None:
    """Nothing is unbounded."""
    mail = allowed(limit=1)
    mail.post(message("m"))
    assert mail.post(message("m")) == []
    with pytest.raises(QueueFull):
        mail.post(message("n"))
    mail.acknowledged(B, ["m"])
    mail.post(message("n"))


def test_waiting_messages_are_bounded_in_bytes() -> None:
    mail = allowed(limit=1_000)
    large = msgspec.Raw(b'"' + b"x" * (MAX_WAITING_BYTES // 4) + b'"')
    for name in "mno":
        mail.post(msgspec.structs.replace(message(name), payload=large))
    with pytest.raises(QueueFull):
        mail.post(msgspec.structs.replace(message("p"), payload=large))
    mail.post(message("small"))


def test_messages_and_policies_outlast_a_restart_of_the_hub() -> None:
    mail = Mail(10)
    mail.restore([POLICY], [message("y", 7), message("x", 3)])
    assert [send.message_id for send in mail.deliver(B, 1) if isinstance(send, Send)] == ["x", "y"]
    assert mail.next_seq == 8
    mail.post(message("z", 8))
    assert mail.next_seq == 9


def test_a_destroyed_agents_messages_and_policies_go_with_it() -> None:
    mail = allowed()
    mail.allow(other := Policy(sender=AgentId("c"), receiver=A))
    mail.allow(back := Policy(sender=B, receiver=AgentId("c")))
    mail.post(message("m"))
    effects = mail.remove_agent(B, AgentUid("b-uid"))
    assert effects[0] == Delete(message("m"))
    assert {effect.record for effect in effects[1:] if isinstance(effect, Delete)} == {POLICY, back}
    assert len(effects) == 3
    assert mail.policies == [other]
    assert mail.deliver(B, 1) == []


def test_the_sender_is_told_that_its_message_is_kept() -> None:
    assert Mail.acknowledge(A, 3, "m") == Send(A, 3, "ack", Ack(messages=["m"]))


def test_an_unknown_receiver_is_refused() -> None:
    assert receiver_of("b", {A, B}) == B
    with pytest.raises(NotFound) as refusal:
        receiver_of("c" * 10_000, {A, B})
    assert refusal.value.code == "unknown_receiver"
    assert len(refusal.value.message) < 100


def test_an_id_that_another_sender_uses_is_refused() -> None:
    """The receiver acknowledges ids: with two messages of one id, one of them would be lost."""
    mail = allowed()
    mail.allow(Policy(sender=AgentId("c"), receiver=B))
    mail.post(message("m"))
    with pytest.raises(Conflict) as refusal:
        mail.post(message("m", sender=AgentId("c")))
    assert refusal.value.code == "message_id_taken"
    mail.acknowledged(B, ["m"])
    assert mail.post(message("m", sender=AgentId("c"))) != []
