"""message: what is sent, how the answer is printed, and how its failures end the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hub.contract import ErrorBody, MessageChunk, SendMessage
from hub.errors import DriverFailed, NotFound
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import Stream

Answers = Callable[..., None]


def answered(*texts: str, error: ErrorBody | None = None, status: str = "completed") -> Stream:
    pieces = [MessageChunk(text=text) for text in texts]
    return Stream([MessageChunk(), *pieces, MessageChunk(end=True, status=status, error=error)], ends=True)


def test_an_answer_is_printed_as_it_is_said(cli: CommandLine) -> None:
    called = cli("message", "main/qa", "how are you?")
    assert called.code == 0, called.stderr
    assert called.out == "Hello there\n"
    assert called.stderr == ""
    assert cli.last("message") == (SendMessage(to="main/qa", text="how are you?"),)


def test_session_and_timeout(cli: CommandLine) -> None:
    assert cli.line("message main/qa hi --session task:1 --timeout 90s").code == 0
    wanted = SendMessage(to="main/qa", text="hi", session="task:1", timeout_seconds=90)
    assert cli.last("message") == (wanted,)


def test_the_text_may_come_from_stdin(cli: CommandLine) -> None:
    assert cli("message", "main/qa", "-", stdin="line one\nline two\n").code == 0
    assert cli.last("message")[0].text == "line one\nline two\n"


def test_json_is_a_chunk_per_line(cli: CommandLine) -> None:
    called = cli("message", "main/qa", "hi", "--json")
    chunks = [msgspec.json.decode(line, type=MessageChunk) for line in called.out.splitlines()]
    assert "".join(chunk.text for chunk in chunks) == "Hello there"
    assert chunks[-1].end
    assert chunks[-1].usage == {"total_tokens": 18}


def test_what_a_persona_says_steers_no_terminal(cli: CommandLine, answers: Answers) -> None:
    answers(message=answered("a\x1b[2J", "\tb\r\nc\x07\n"))
    for mode in ((), ("--plain",)):
        answers(message=answered("a\x1b[2J", "\tb\r\nc\x07\n"))
        assert cli("message", "main/qa", "hi", *mode, terminal=True).out == "a[2J\tb\nc\n"


@pytest.mark.parametrize(
    ("code", "exit_code"), [("stream_cut", 1), ("message_incomplete", 1), ("message_timeout", 124)]
)
def test_an_answer_that_fails_in_the_middle(cli: CommandLine, answers: Answers, code: str, exit_code: int) -> None:
    error = ErrorBody(code=code, message="qa could not", hint="ask again")
    answers(message=answered("half an", error=error, status="failed"))
    called = cli("message", "main/qa", "hi")
    assert called.code == exit_code
    assert called.out == "half an\n"
    assert called.stderr == "error: qa could not\nhint: ask again\n"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (NotFound("gateway main has no persona 'x'", code="unknown_persona", hint="there is qa"), 1),
        (DriverFailed("too late", code="message_timeout", hint="more time"), 124),
    ],
)
def test_a_message_that_fails_at_once(cli: CommandLine, answers: Answers, error: Any, exit_code: int) -> None:
    answers(message=Stream(error=error))
    called = cli("message", "main/qa", "hi")
    assert called.code == exit_code
    assert called.out == ""
    assert called.stderr == f"error: {error.message}\nhint: {error.hint}\n"


def test_a_hub_that_ends_too_early_is_said(cli: CommandLine, answers: Answers) -> None:
    answers(message=Stream([MessageChunk(text="half")], ends=True))
    called = cli("message", "main/qa", "hi")
    assert called.code == 1
    assert called.out == "half\n"
    assert "ended before the persona's did" in called.stderr


@pytest.mark.parametrize("words", [["--timeout", "0"], ["--timeout", "2h"], ["--timeout", "x"], ["more"]])
def test_what_cannot_be_meant(cli: CommandLine, words: list[str]) -> None:
    called = cli("message", "main/qa", "hi", *words)
    assert called.code == 2
    assert cli.control.calls == []


def test_text_that_is_no_text(cli: CommandLine) -> None:
    called = cli("message", "main/qa", "\udce4")
    assert called.code == 2
    assert "not UTF-8" in called.stderr
