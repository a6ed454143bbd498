"""Redaction: our tokens never survive, other secrets do not where they can be recognised."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.audit import HIDDEN, MAX_DETAIL_CHARS, entry, names_only, redact, redact_value

MARK = "Zq9X7w"
"""Begins every token of these tests, so that surroundings cannot hold one by chance."""
SECRET = "s3cr3tV4lue"

tokens = st.builds(
    lambda prefix, body: f"{prefix}_{MARK}{body}",
    st.sampled_from(["ctj", "cta", "ctu"]),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=8, max_size=64),
)
surroundings = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["Bearer ", "token=", "'", '"', "ws://h/agent/a/", "--token ", "password: ", "-u me:",
         "-----BEGIN PRIVATE KEY-----", '{"a": "', "Cookie: a=", "https://me:", "\\", "eyJ", "sk-"]
    ),
)  # fmt: skip


def kept(text: str) -> bool:
    """Whether anything of a token is left behind its prefix."""
    return MARK in text


@given(st.lists(st.tuples(surroundings, tokens, surroundings), min_size=1, max_size=4))
def test_our_tokens_never_survive(parts: list[tuple[str, str, str]]) -> None:
    text = "".join(before + token + after for before, token, after in parts)
    shown = redact(text)
    assert not kept(shown)


@given(st.recursive(tokens, lambda inner: st.lists(inner) | st.dictionaries(st.text() | tokens, inner), max_leaves=8))
def test_our_tokens_never_survive_in_data(value: object) -> None:
    shown = json.dumps(redact_value(value))
    found = entry(1, str(value), "task.submit", str(value), "ok", {"value": value})
    for text in (shown, found.who, found.target, found.detail):
        assert "ct" not in text or not any(f"ct{kind}_" in text for kind in "jau")


@given(st.integers(0, 40_000), tokens)
def test_a_bound_never_leaves_half_a_token(length: int, token: str) -> None:
    found = entry(1, "me", "what", "x" * (length % 500) + token, "ok", "x " * (length // 2) + token)
    assert not kept(found.target + found.detail)


@pytest.mark.parametrize(
    "text",
    [
        f"curl -H 'Authorization: Bearer {SECRET}' http://h",
        f'curl -H "authorization: Basic {SECRET}=="',
        f"Authorization: Digest username=me, response={SECRET}",
        f"curl -H 'Cookie: a=b; session={SECRET}'",
        f"git clone https://me:{SECRET}@host/x.git",
        f"git clone https://me:p@{SECRET}@host/x.git",
        f"git push https://{SECRET}@host/x.git",
        f"PGPASSWORD={SECRET} psql",
        f"export DB_PASS='{SECRET} with words {SECRET}'",
        f'MYSQL_PWD="{SECRET}"',
        f"login --password {SECRET} --user me",
        f"login --api-key={SECRET}",
        f"login -token '{SECRET}'",
        f"curl -u me:{SECRET} http://h",
        f"sshpass -p {SECRET} ssh host",
        f'{{"clientSecret": "{SECRET}", "a": 1}}',
        f'echo "{{\\"apiKey\\": \\"{SECRET}\\"}}"',
        f"OPENAI_API_KEY={SECRET}",
        f"ENCRYPTION_KEY={SECRET} ./run",
        f'{{"SSH_KEY": "{SECRET}"}}',
        f"curl https://h/x?a=b&access_token={SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"token: {SECRET}",
        f"secret => {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_",
    ],
)
def test_common_secrets_go(text: str) -> None:
    shown = redact(text)
    assert SECRET not in shown
    assert HIDDEN in shown
    assert "ghp_abc" not in shown
    assert "AKIAIOS" not in shown
    assert "eyJzdWI" not in shown


@pytest.mark.parametrize(
    "text",
    ["pip install -r requirements.txt && pytest -q", "git clone https://host/x.git", "author=me", "ls -u me",
     "echo compassion", "make build", "", "ssh me@host", "a://b", "key",
     "SORT_KEYS=1 sort_key=a idempotency-key=b"],
)  # fmt: skip
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_names_of_fields_decide_too() -> None:
    data = {
        "env": {"DB_PASSWORD": SECRET, "PATH": "/bin", "githubToken": SECRET, "apiKeys": [SECRET]},
        "AUTH": {"a": SECRET},
        "password": 123_456,
        "passwordless": True,
        "nothing": None,
        "blob": SECRET.encode(),
        "list": [{"secret": SECRET}, f"token={SECRET}"],
    }
    shown = redact_value(data)
    assert SECRET not in json.dumps(shown)
    assert shown["env"]["PATH"] == "/bin"
    assert (shown["password"], shown["passwordless"], shown["nothing"]) == (HIDDEN, True, None)


def test_of_environments_and_build_arguments_only_names_are_left() -> None:
    data = {"environment": {"B": SECRET, "A": SECRET}, "machine": {"environment": {"C": SECRET}, "sudo": True},
            "steps": [{"env": {"D": SECRET}}], "buildArgs": {"E": SECRET}, "env": None}  # fmt: skip
    assert names_only(data) == {
        "environment": ["A", "B"], "machine": {"environment": ["C"], "sudo": True},
        "steps": [{"env": ["D"]}], "buildArgs": ["E"], "env": None,
    }  # fmt: skip


def test_depth_is_bounded() -> None:
    value: object = SECRET
    for _ in range(5_000):
        value = [value]
    assert SECRET not in json.dumps(redact_value(value))
    assert SECRET not in json.dumps(names_only(value))


def test_an_entry_is_one_bounded_line() -> None:
    found = entry(7, "token:me", "task.submit", "worker", "ok", "a\nb\x1b[31m" + "x " * 10_000)
    assert (found.at, found.who, found.what) == (7, "token:me", "task.submit")
    assert (found.target, found.outcome) == ("worker", "ok")
    assert len(found.detail) <= MAX_DETAIL_CHARS
    assert found.detail.isprintable()
    assert found.detail.startswith("a b")
    assert found.detail.endswith("…")


def test_data_becomes_json_without_secrets() -> None:
    found = entry(7, "me", "agent.create", "worker", detail={"name": "worker", "env": {"API_KEY": SECRET}, "at": Odd()})
    assert json.loads(found.detail) == {"name": "worker", "env": {"API_KEY": HIDDEN}, "at": f"token={HIDDEN}"}


class Odd:
    def __str__(self) -> str:
        return f"token={SECRET}"


@pytest.mark.parametrize(
    "unit", ["a", "token", "-", "--t", "token= ", 'token="', "http://", "://a@", "-u ", "bearer ", "\\"]
)
def test_hostile_text_costs_little(unit: str) -> None:
    """CPU time, not wall time: a quadratic pattern takes minutes for this."""
    text = unit * (450_000 // len(unit)) + " token"
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 10
