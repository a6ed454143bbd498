"""The join exchange, with a crash at every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.credentials import CredentialError, Credentials, Proof, sha256_hex
from runtime.wire import CREDENTIAL_HEADER
from tests.runtime.fakehub import Door


class Setup:
    """A state folder with a token file; `credentials()` is a fresh agent process."""

    def __init__(self, folder: Path) -> None:
        self.token_file = folder / "token"
        self.path = folder / "credential"
        self.made = 0

    def token(self, text: str) -> None:
        self.token_file.write_text(text + "\n")

    def make(self) -> str:
        self.made += 1
        return f"cta_{self.made}"

    def credentials(self, token: str | None = None) -> Credentials:
        return Credentials(self.path, token=token, token_file=self.token_file, make_credential=self.make)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def knock(credentials: Credentials, door: Door) -> bool:
    """Present what the agent has; return whether the door opened."""
    presentation = credentials.present()
    if door.admits(presentation.headers()):  # pyright: ignore[reportArgumentType]
        credentials.accepted(presentation)
        return True
    credentials.refused(presentation)
    return False


def test_a_join_token_is_exchanged_once(setup: Setup) -> None:
    setup.token("ctj_one")
    door = Door(join_tokens={"ctj_one": None})
    first = setup.credentials().present()
    assert first.proof is Proof.JOIN
    assert first.headers() == {"Authorization": "Bearer ctj_one", CREDENTIAL_HEADER: sha256_hex("cta_1")}
    assert knock(setup.credentials(), door)
    later = setup.credentials().present()
    assert later.headers() == {"Authorization": "Bearer cta_1"}
    assert setup.made == 1


def test_a_crash_before_the_hub_heard_makes_no_second_credential(setup: Setup) -> None:
    setup.token("ctj_one")
    setup.credentials().present()
    assert setup.credentials().present().credential_sha256 == sha256_hex("cta_1")


def test_a_crash_after_the_hub_bound_and_before_we_knew(setup: Setup) -> None:
    setup.token("ctj_one")
    door = Door(join_tokens={"ctj_one": None})
    assert door.admits(setup.credentials().present().headers())  # pyright: ignore[reportArgumentType]
    assert knock(setup.credentials(), door)
    assert door.join_tokens == {"ctj_one": sha256_hex("cta_1")}


def test_the_token_file_may_be_removed_after_the_exchange(setup: Setup) -> None:
    setup.token("ctj_one")
    door = Door(join_tokens={"ctj_one": None})
    assert knock(setup.credentials(), door)
    setup.token_file.unlink()
    assert knock(setup.credentials(), door)


def test_an_unconfirmed_credential_stands_alone_when_the_token_file_is_gone(setup: Setup) -> None:
    setup.token("ctj_one")
    door = Door(join_tokens={"ctj_one": None})
    assert door.admits(setup.credentials().present().headers())  # pyright: ignore[reportArgumentType]
    setup.token_file.unlink()
    assert knock(setup.credentials(), door)


def test_a_revoked_credential_is_replaced_by_a_new_join_token(setup: Setup) -> None:
    setup.token("ctj_one")
    assert knock(setup.credentials(), Door(join_tokens={"ctj_one": None}))
    agent = setup.credentials()
    door = Door(join_tokens={"ctj_two": None})
    assert not knock(agent, door)
    setup.token("ctj_two")
    assert knock(agent, door)
    assert agent.present().headers() == {"Authorization": "Bearer cta_2"}


def test_after_a_refusal_a_new_token_is_tried_at_once(setup: Setup) -> None:
    setup.token("ctj_one")
    assert knock(setup.credentials(), Door(join_tokens={"ctj_one": None}))
    setup.token("ctj_two")
    agent = setup.credentials()
    presentation = agent.present()
    assert presentation.proof is Proof.CREDENTIAL
    assert agent.refused(presentation)
    assert agent.present().proof is Proof.JOIN


def test_the_same_join_token_works_again_after_the_hub_was_restored(setup: Setup) -> None:
    setup.token("ctj_one")
    assert knock(setup.credentials(), Door(join_tokens={"ctj_one": None}))
    restored = Door(join_tokens={"ctj_one": None})
    agent = setup.credentials()
    assert not knock(agent, restored)
    assert knock(agent, restored)
    assert restored.join_tokens == {"ctj_one": sha256_hex("cta_1")}


def test_a_bad_new_join_token_does_not_lose_the_old_credential(setup: Setup) -> None:
    setup.token("ctj_one")
    good = Door(join_tokens={"ctj_one": None})
    assert knock(setup.credentials(), good)
    setup.token("ctj_bad")
    agent = setup.credentials()
    for _ in range(5):
        assert not knock(agent, Door())
    fresh = setup.credentials()
    assert any(knock(fresh, good) for _ in range(3))


def test_a_permanent_token_is_used_as_it_is(setup: Setup) -> None:
    assert setup.credentials("cta_fixed").present().headers() == {"Authorization": "Bearer cta_fixed"}
    assert not setup.path.exists()


def test_the_token_file_wins_over_the_environment_and_is_read_again(setup: Setup) -> None:
    agent = setup.credentials("cta_env")
    assert agent.present().bearer == "cta_env"
    setup.token("cta_file")
    assert agent.present().bearer == "cta_file"


def test_without_any_token_the_agent_says_what_to_do(setup: Setup) -> None:
    with pytest.raises(CredentialError, match="AGENT_TOKEN_FILE"):
        setup.credentials().present()


def test_a_damaged_credential_file_counts_as_none(setup: Setup) -> None:
    setup.path.write_bytes(b"{")
    setup.token("ctj_one")
    assert setup.credentials().present().proof is Proof.JOIN


def test_secrets_are_not_shown(setup: Setup) -> None:
    setup.token("ctj_secret")
    assert "secret" not in repr(setup.credentials().present())
