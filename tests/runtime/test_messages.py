from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from runtime.messages import MAX_WAITING_MESSAGES, Mailbox, MessageRefused
from runtime.wire import Ack, Envelope


class Post:
    """A mailbox and what it has sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: list[tuple[str, bytes, str]] = []
        self.acks: list[Ack] = []

    def mailbox(self) -> Mailbox:
        return Mailbox(
            self.folder / "outbox",
            self.folder / "inbox",
            lambda to, payload, message_id: self.sent.append((to, bytes(payload), message_id)),
            self.acks.append,
        )


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


PAYLOAD = msgspec.Raw(b'{"x":1}')


def test_a_message_is_kept_until_the_hub_has_it(post: Post) -> None:
    mailbox = post.mailbox()
    first = mailbox.send("b", PAYLOAD)
    assert post.sent == [("b", b'{"x":1}', first)]
    post.mailbox().connected()
    assert post.sent[1:] == post.sent[:1]
    assert mailbox.settled(first)
    assert not mailbox.settled(first)
    post.mailbox().connected()
    assert len(post.sent) == 2


def test_waiting_messages_go_out_in_their_order(post: Post) -> None:
    mailbox = post.mailbox()
    ids = [mailbox.send("b", PAYLOAD) for _ in range(5)]
    post.sent.clear()
    post.mailbox().connected()
    assert [message_id for _, _, message_id in post.sent] == ids


def test_too_many_or_too_large_or_nowhere_is_refused(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = post.mailbox()
    with pytest.raises(MessageRefused, match="agent's name"):
        mailbox.send("../x", PAYLOAD)
    with pytest.raises(MessageRefused, match="bytes"):
        mailbox.send("b", msgspec.Raw(b'"' + b"x" * 300_000 + b'"'))
    monkeypatch.setattr("runtime.messages.replace_durably", lambda _path, _data: None)
    for _ in range(MAX_WAITING_MESSAGES):
        mailbox.send("b", PAYLOAD)
    with pytest.raises(MessageRefused, match="wait for the hub"):
        mailbox.send("b", PAYLOAD)


def test_received_messages_are_files_and_acknowledged(post: Post) -> None:
    mailbox = post.mailbox()
    envelope = Envelope(type="message", id="m-1", sender="b", to="a", payload=PAYLOAD)
    mailbox.receive(envelope)
    mailbox.receive(envelope)
    (file,) = (post.folder / "inbox").iterdir()
    assert file.name == "m-1.json"
    assert json.loads(file.read_text()) == {
        "type": "message",
        "payload": {"x": 1},
        "id": "m-1",
        "from": "b",
        "to": "a",
        "timestamp": 0,
    }
    assert post.acks == [Ack(messages=["m-1"])] * 2


def test_odd_ids_do_not_leave_the_inbox(post: Post) -> None:
    post.mailbox().receive(Envelope(type="message", id="../../evil", sender="b", payload=PAYLOAD))
    (file,) = (post.folder / "inbox").iterdir()
    assert "evil" not in file.name
    assert post.acks == [Ack(messages=["../../evil"])]


def test_a_damaged_message_does_not_keep_the_agent_from_starting(post: Post) -> None:
    kept = post.mailbox().send("b", PAYLOAD)
    (post.folder / "outbox" / "x.json").write_bytes(b"{")
    post.sent.clear()
    post.mailbox().connected()
    assert [message_id for _, _, message_id in post.sent] == [kept]
    assert (post.folder / "outbox" / "x.damaged").exists()
