"""Saying something to a persona: the answer as it comes, its end, its failures, and going on in another session."""

from __future__ import annotations

import pytest

from clawtui.tui.actions import Where
from clawtui.tui.messages import Conversation, TurnState, conversation_lines
from clawtui.tui.screens.messages import Draft
from clawtui.tui.widgets.lines_view import LinesView
from hub.contract import ErrorBody, JobList, MessageChunk, SendMessage
from hub.errors import BadRequest, Unavailable
from tests.hub.api.scripted import Stream
from tests.tui import sync_script
from tests.tui.office_script import NOW
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
END = MessageChunk(end=True, status="completed")


def with_answers(*streams: Stream) -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.now = NOW
    left = list(streams)
    hub.answers |= {
        **sync_script.gateway_answers(), "jobs": JobList(jobs=[]), "message": lambda _: left.pop(0),
    }  # fmt: skip
    return hub


# --- the conversation


def told(talk: Conversation, now: float = 0.0) -> str:
    return "\n".join(text for text, _ in conversation_lines(talk, now))


def test_a_conversation_has_what_was_said_and_what_came_back() -> None:
    talk = Conversation("main/engineer")
    talk.begin("hi\nyou", 0.0)
    assert "◔ answers … 7s" in told(talk, 7.0)
    talk.take(MessageChunk(text="Hel"), 1.0)
    talk.take(MessageChunk(text="lo\n\nthere\n"), 2.0)
    talk.take(END, 3.0)
    assert told(talk) == "You:\n  hi\n  you\nmain/engineer:\n  Hello\n  \n  there"
    assert talk.turns[0].took == 3.0


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (MessageChunk(end=True, status="incomplete"), "not complete"),
        (MessageChunk(end=True, status="failed"), "does not say why"),
        (MessageChunk(end=True, error=ErrorBody(code="model_gone", message="no model", hint="set one")), "model_gone"),
        (MessageChunk(end=True, status="completed"), "answered nothing"),
    ],
)
def test_every_end_is_in_words(chunk: MessageChunk, said: str) -> None:
    talk = Conversation("main/engineer")
    talk.begin("hi", 0.0)
    talk.take(chunk, 1.0)
    assert said in told(talk)
    assert talk.running is None


def test_what_comes_after_the_end_changes_nothing() -> None:
    talk = Conversation("main/engineer")
    talk.take(MessageChunk(text="nobody asked"), 0.0)
    talk.begin("hi", 0.0)
    talk.cancel(1.0)
    talk.take(MessageChunk(text="late"), 2.0)
    talk.fail(BadRequest("late"), 2.0)
    assert talk.turns[0].state is TurnState.CANCELLED
    assert "late" not in told(talk)
    assert "cancelled by you" in told(talk)


# --- on the screen


@pytest.mark.parametrize("size", SIZES)
async def test_an_answer_is_shown_as_it_comes_in_whole_lines(size: tuple[int, int]) -> None:
    stream = Stream()
    hub = with_answers(stream)
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "j", "m")
        await until(pilot, sees(app, "main/engineer", "session clawtui", "enter sends"))
        await typed(pilot, "what is up?")
        await pilot.press("enter")
        await until(pilot, sees(app, "You:", "  what is up?", "◔ answers …", "esc cancels the answer"))
        stream.give(MessageChunk(text="A long line: " + "word " * 40))
        await until(pilot, sees(app, "main/engineer:", "A long line:"))
        stream.give(MessageChunk(text="the end\n    indented"))
        stream.give(END)
        await until(pilot, lambda: "◔" not in text_of(app).replace("◔ pending", ""))
        assert text_of(app).count("word") == 40
        await until(pilot, sees(app, "the end", "      indented", "esc leaves"))
        assert hub.called("message") == [(SendMessage(to="main/engineer", text="what is up?"),)]


async def test_a_long_answer_is_followed_and_can_be_read_from_its_beginning() -> None:
    stream = Stream([MessageChunk(text="".join(f"line {number}\n" for number in range(200))), END], ends=True)
    async with shown(with_answers(stream), (80, 24)) as (app, pilot):
        await app.do_words("message main/engineer count")
        await until(pilot, sees(app, "line 199"))
        await pilot.press("shift+tab", "g")
        await until(pilot, lambda: isinstance(app.focused, LinesView))
        await until(pilot, sees(app, "You:", "line 1"))
        await pilot.press("y")
        await until(pilot, sees(app, "copied"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, Draft))


async def test_escape_cancels_the_answer_and_only_then_leaves() -> None:
    stream = Stream([MessageChunk(text="half of it")])
    hub = with_answers(stream, Stream([MessageChunk(text="again"), END], ends=True))
    async with shown(hub) as (app, pilot):
        await app.do_words("gateways")
        await app.do_words("message main/engineer tell")
        await until(pilot, sees(app, "half of it"))
        await pilot.press("escape")
        await until(pilot, sees(app, "cancelled by you", "half of it"))
        await until(pilot, stream.closed.is_set)
        assert app.main.pane.place is Where.MESSAGES
        await typed(pilot, "once more")
        await pilot.press("enter")
        await until(pilot, sees(app, "again"))
        await pilot.press("escape")
        await until(pilot, lambda: app.main.pane.place is Where.GATEWAYS)


async def test_while_it_answers_nothing_else_is_said_and_nothing_typed_is_lost() -> None:
    hub = with_answers(Stream())
    async with shown(hub) as (app, pilot):
        await app.do_words("message main/engineer one")
        await until(pilot, sees(app, "◔ answers"))
        await typed(pilot, "two")
        await pilot.press("enter")
        await until(pilot, sees(app, "main/engineer still answers"))
        assert app.main.pane.query_one(Draft).text == "two"
        assert len(hub.called("message")) == 1


async def test_an_answer_goes_on_while_another_place_is_looked_at() -> None:
    stream = Stream()
    async with shown(with_answers(stream)) as (app, pilot):
        await app.do_words("message main/engineer one")
        await until(pilot, sees(app, "◔ answers"))
        await pilot.press("f1")
        await until(pilot, sees(app, "a-1"))
        stream.give(MessageChunk(text="it is done"))
        stream.give(END)
        await app.do_words("message main/engineer")
        await until(pilot, sees(app, "it is done"))


FAILURES = (
    (Unavailable("the gateway main does not answer", code="gateway_down", hint="start it"),
     ("× gateway_down: the gateway main does not answer", "what to do: start it")),
    (ValueError("odd"), ("× defect: a defect: ValueError('odd')",)),
)  # fmt: skip


@pytest.mark.parametrize(("error", "said"), FAILURES, ids=["refused", "defect"])
async def test_a_failure_is_told_with_its_code_and_what_was_typed_comes_back(
    error: Exception, said: tuple[str, ...]
) -> None:
    async with shown(with_answers(Stream(error=error)), (80, 24)) as (app, pilot):
        await app.do_words("message main/engineer")
        await until(pilot, sees(app, "enter sends"))
        await typed(pilot, "my words")
        await pilot.press("enter")
        await until(pilot, sees(app, *said))
        await until(pilot, lambda: app.main.pane.query_one(Draft).text == "my words")


async def test_an_answer_that_ends_in_its_middle_is_no_answer() -> None:
    stream = Stream([MessageChunk(text="and so")], ends=True)
    async with shown(with_answers(stream)) as (app, pilot):
        await app.do_words("message main/engineer tell")
        await until(pilot, sees(app, "and so", "× answer_cut: the answer ended in its middle"))


async def test_another_session_is_another_conversation() -> None:
    hub = with_answers(Stream([MessageChunk(text="first"), END]), Stream([MessageChunk(text="second"), END]))
    async with shown(hub) as (app, pilot):
        await app.do_words("message main/engineer one")
        await until(pilot, sees(app, "first"))
        await pilot.press("ctrl+o")
        await until(pilot, sees(app, "Session with main/engineer"))
        await pilot.press("ctrl+u", *"task:7", "enter")
        await until(pilot, sees(app, "session task:7", "Nothing was said to main/engineer in this session yet"))
        await typed(pilot, "two")
        await pilot.press("enter")
        await until(pilot, sees(app, "second"))
        assert "first" not in text_of(app)
        assert [request.session for (request,) in hub.called("message")] == ["clawtui", "task:7"]
        await app.do_words("session clawtui")
        await until(pilot, sees(app, "first"))


async def test_several_lines_are_said_as_they_are() -> None:
    hub = with_answers(Stream([END]))
    async with shown(hub) as (app, pilot):
        await app.do_words("message main/engineer")
        await until(pilot, sees(app, "enter sends"))
        await pilot.press("a", "ctrl+j", "b", "enter")
        await until(pilot, lambda: hub.called("message"))
        assert hub.called("message")[0][0].text == "a\nb"


async def test_what_was_begun_for_one_is_never_sent_to_another() -> None:
    hub = with_answers(Stream([END]))
    async with shown(hub) as (app, pilot):
        await app.do_words("message main/engineer")
        await until(pilot, sees(app, "session clawtui"))
        await typed(pilot, "for the engineer")
        await app.do_words("message main/writer")
        await until(pilot, sees(app, "main/writer session"))
        assert app.main.pane.query_one(Draft).text == ""
        await pilot.press("x", "enter")
        await until(pilot, lambda: hub.called("message"))
        assert hub.called("message") == [(SendMessage(to="main/writer", text="x"),)]
        await app.do_words("message main/engineer")
        await until(pilot, lambda: app.main.pane.query_one(Draft).text == "for the engineer")


@pytest.mark.parametrize("size", SIZES)
async def test_on_a_gateway_one_of_its_roster_is_chosen(size: tuple[int, int]) -> None:
    async with shown(with_answers(), size) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "▸ edge"))
        await pilot.press("m")
        await until(pilot, sees(app, "edge does not tell whom it answers for"))
        await pilot.press("G", "m")
        await until(pilot, sees(app, "Message to", "main/writer"))
        await typed(pilot, "writer")
        await pilot.press("enter")
        await until(pilot, sees(app, "Nothing was said to main/writer"))
        assert str(app.going.front()) == "messages/main/writer"


async def test_a_read_only_screen_says_nothing() -> None:
    hub = with_answers()
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("m")
        await until(pilot, sees(app, "read-only: message is not possible"))
        await app.do_words("go messages/main")
        await until(pilot, sees(app, "a persona is one of a gateway"))
        await app.do_words("go messages/main/engineer")
        await until(pilot, sees(app, "read-only: nothing can be said here"))
        await pilot.press("h", "enter")
        assert not hub.called("message")


async def test_nobody_and_no_persona_are_said() -> None:
    async with shown(with_answers()) as (app, pilot):
        await app.do_words("message nobody hi")
        await until(pilot, sees(app, "'nobody' is no persona"))
