"""Personas from Convex: the request, the agents, and everything that may come back instead."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.persona import MAX_DESCRIPTION, Persona, Skill
from profiles.sync.errors import SyncError
from profiles.sync.sources.convex import ATTEMPTS, MAX_BYTES, ConvexSource, delay_seconds
from profiles.sync.sources.convex_agents import read_agents
from tests.profiles.sync.fake_convex import PAGE, Answer, FakeConvex, Fault, function_error, json_answer

TOKEN = "s3cret-0123456789"
AGENT: dict[str, Any] = {
    "_id": "k57",
    "_creationTime": 1.5,
    "name": "Squad Lead",
    "slug": "squad-lead",
    "role": "Leads",
    "effectiveSoulContent": "# Soul\n\nCalm.\n",
    "effectiveUserMd": "Likes brevity.",
    "effectiveIdentityContent": "ignored",
    "openclawConfig": {"model": "gpt-4o", "temperature": 0.2, "skillIds": ["s1", "s2"], "contextConfig": {}},
    "resolvedSkills": [
        {"_id": "s1", "name": "Triage", "slug": "triage", "description": "Sort issues", "contentMarkdown": "Do."},
        {"_id": "s2", "name": "Off", "slug": "off", "isEnabled": False},
    ],
}


class Waits:
    """A clock that does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def server() -> AsyncIterator[FakeConvex]:
    async with FakeConvex([AGENT], token=TOKEN).running() as running:
        yield running


def source(server: FakeConvex, waits: Waits | None = None, *, token: str = TOKEN, timeout: float = 10) -> ConvexSource:
    return ConvexSource(server.url, "acct1", lambda: token, timeout=timeout, sleep=waits or Waits(), chance=lambda: 1.0)


async def refused(asked: ConvexSource) -> SyncError:
    with pytest.raises(SyncError) as caught:
        await asked.load()
    error = caught.value
    assert TOKEN not in f"{error!r} {error} {error.hint} {error.__cause__!r} {asked!r}"
    return error


# --- the request and the agents ------------------------------------------------------------------------


async def test_the_request_is_the_documented_one(server: FakeConvex) -> None:
    await source(server).load()
    (call,) = server.calls
    assert (call.method, call.target) == ("POST", "/api/action")
    assert call.headers["content-type"] == "application/json"
    assert "authorization" not in call.headers
    assert call.body == {
        "path": "service/actions:listAgentsForRuntime",
        "args": {"accountId": "acct1", "serviceToken": TOKEN},
        "format": "json",
    }


async def test_an_agent_becomes_a_persona(server: FakeConvex) -> None:
    loaded = await source(server).load()
    assert loaded.problems == ()
    assert loaded.personas == (
        Persona(
            slug="squad-lead",
            name="Squad Lead",
            role="Leads",
            soul="# Soul\n\nCalm.\n",
            user="Likes brevity.",
            model="gpt-4o",
            skills=(
                Skill(slug="triage", name="Triage", description="Sort issues", body="Do."),
                Skill(slug="off", name="Off", enabled=False),
            ),
        ),
    )


class Shy(str):
    """Text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Shy(***)"


async def test_the_token_may_be_text_that_does_not_show_itself(server: FakeConvex) -> None:
    assert len((await source(server, token=Shy(TOKEN)).load()).personas) == 1


async def test_a_slash_at_the_end_of_the_address_is_no_matter(server: FakeConvex) -> None:
    server.url += "/"
    assert len((await source(server).load()).personas) == 1


@pytest.mark.parametrize(
    "agent",
    [
        {"slug": "a"},
        {"slug": "a", "name": None, "role": None, "openclawConfig": None, "resolvedSkills": None},
        {"slug": "a", "effectiveSoulContent": " \n", "openclawConfig": {"model": " "}, "resolvedSkills": []},
        {"slug": "a", "openclawConfig": "odd", "somethingNew": {"deep": [1]}},
    ],
)
def test_what_is_missing_or_unknown_is_no_mistake(agent: dict[str, Any]) -> None:
    loaded = read_agents([agent])
    assert loaded.personas == (Persona(slug="a", name="a"),)
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("agent", "slug", "field"),
    [
        ({**AGENT, "role": 5}, "squad-lead", "role"),
        ({**AGENT, "effectiveSoulContent": ["x"]}, "squad-lead", "effectiveSoulContent"),
        ({**AGENT, "effectiveSoulContent": "x" * (1 << 20) + "y"}, "squad-lead", "effectiveSoulContent"),
        ({**AGENT, "resolvedSkills": "triage"}, "squad-lead", "resolvedSkills"),
        ({**AGENT, "resolvedSkills": [{"slug": "../x"}]}, "squad-lead", "resolvedSkills[0].slug"),
        ({**AGENT, "resolvedSkills": [{"slug": "a", "contentMarkdown": "\0"}]}, "squad-lead",
         "resolvedSkills[0].contentMarkdown"),
        ({**AGENT, "resolvedSkills": [{}]}, "squad-lead", "resolvedSkills[0].slug"),
        ({**AGENT, "openclawConfig": {"model": "bad model\n"}}, "squad-lead", "openclawConfig.model"),
        ({**AGENT, "slug": "default"}, "default", "slug"),
        ({**AGENT, "slug": "../etc"}, "", "slug"),
        ({**AGENT, "slug": "Squad"}, "", "slug"),
        ({**AGENT, "slug": "a" * 300}, "", "slug"),
        ({**AGENT, "slug": None}, "", "slug"),
        ("odd", "", ""),
        (None, "", ""),
    ],
)  # fmt: skip
def test_a_wrong_agent_is_a_problem_of_that_agent(agent: object, slug: str, field: str) -> None:
    loaded = read_agents([agent, {"slug": "qa", "name": "QA"}])
    assert [persona.slug for persona in loaded.personas] == ["qa"]
    (problem,) = loaded.problems
    assert (problem.slug, problem.field) == (slug, field)
    assert problem.where.startswith("agent ")
    assert problem.hint


def test_two_agents_with_one_slug_are_both_left_as_they_are() -> None:
    loaded = read_agents([{"slug": "a", "name": "One"}, {"slug": "a", "name": "Two"}, {"slug": "b"}])
    assert [persona.slug for persona in loaded.personas] == ["b"]
    assert [problem.slug for problem in loaded.problems] == ["a"]


def test_a_long_description_is_shortened() -> None:
    loaded = read_agents([{"slug": "a", "resolvedSkills": [{"slug": "s", "description": "\u00e9 x\n" * 900}]}])
    description = loaded.personas[0].skills[0].description
    assert len(description.encode()) <= MAX_DESCRIPTION
    assert description.startswith("\u00e9 x \u00e9 x")
    assert description.endswith("...")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
_FIELDS = st.sampled_from(["slug", "name", "role", "effectiveSoulContent", "openclawConfig", "resolvedSkills"])


@given(
    st.lists(_JSON | st.dictionaries(_FIELDS, _JSON | st.lists(st.dictionaries(st.just("slug"), _JSON))), max_size=4)
)
def test_any_agent_is_a_persona_or_a_problem(agents: list[Any]) -> None:
    loaded = read_agents(agents)
    assert len({persona.slug for persona in loaded.personas}) == len(loaded.personas)
    assert len(loaded.personas) + len(loaded.problems) >= bool(agents)


# --- answers that are none -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (function_error("Unknown account"), "the function failed: Unknown account", "refused"),
        (function_error("Unknown account", status=560), "the function failed: Unknown account", "refused"),
        (function_error("Unknown account", status=500), "the function failed: Unknown account", "refused"),
        (function_error("[Request ID: 1] Server Error"), "Server Error", "hides what went wrong"),
        (function_error("Server Error", {"message": "token expired"}), "Server Error (token expired)", "refused"),
        (function_error("Server Error", "token expired"), "Server Error (token expired)", "refused"),
        (function_error("x", {"code": 7}), 'x ({"code":7})', "refused"),
        (json_answer({"status": "error"}), "the function failed: no message", "refused"),
        (json_answer({"status": "error", "errorMessage": 5}), "no message", "refused"),
        (json_answer({"code": "AuthError", "message": "Nope"}, 401), "refused with HTTP 401: AuthError: Nope", "cred"),
        (json_answer({"code": "TooBusy", "message": "Later"}, 503), "HTTP 503: TooBusy: Later", "busy or down"),
        (json_answer({"message": "Nope"}, 404), "refused with HTTP 404: Nope", "convex.cloud"),
        (json_answer({"code": "X"}, 200), "refused with HTTP 200: X", "convex.cloud"),
        (json_answer({"status": "success"}), "says success and has no value", "convex.cloud"),
        (json_answer({"status": "odd"}), 'unknown status "odd"', "convex.cloud"),
        (json_answer({"status": "success", "value": None}), "did not answer with a list", "version"),
        (json_answer({"status": "success", "value": {"a": 1}}), "did not answer with a list", "version"),
        (json_answer({}), "neither a status nor a message", "convex.cloud"),
        (json_answer([1]), "no object but [1]", "convex.cloud"),
        (Answer(body=PAGE, content_type="text/html"), "(HTTP 200) is a web page", "convex.cloud"),
        (Answer(status=502, body=PAGE, content_type="text/html"), "(HTTP 502) is a web page", "convex.cloud"),
        (Answer(status=500, body=b"internal  error\n"), "HTTP 500: internal error", "busy or down"),
        (Answer(status=404, body=b"No matching routes found"), "HTTP 404: No matching routes", "convex.cloud"),
        (Answer(status=403, body=b"Forbidden"), "HTTP 403: Forbidden", "credentials"),
        (Answer(), "(HTTP 200) is empty", "convex.cloud"),
        (Answer(status=503), "(HTTP 503) is empty", "busy or down"),
        (Answer(body=b'{"status":"success","value":[{"slug"'), "is no valid JSON", "cut off"),
        (Answer(body=b"[" * 100_000), "HTTP 200: [[[", "convex.cloud"),
        (Answer(body=b"\xff\xfe\x00"), "HTTP 200: ", "convex.cloud"),
        (Answer(status=302, body=b"moved"), "HTTP 302: moved", "convex.cloud"),
    ],
)  # fmt: skip
async def test_every_other_answer_has_an_error_of_its_own(
    server: FakeConvex, answer: Answer, said: str, hint: str
) -> None:
    server.answers = [answer]
    waits = Waits()
    error = await refused(source(server, waits))
    assert said in error.message
    assert error.message.startswith(f"Convex at {server.url}: ")
    assert hint in error.hint
    assert (len(server.calls), waits.seconds) == (1, [])  # what the function or the deployment says is not asked again


async def test_a_wrong_token_is_refused_by_the_function(server: FakeConvex) -> None:
    server.token = "another"
    error = await refused(source(server))
    assert "Unknown service token" in error.message


async def test_a_token_that_the_deployment_repeats_is_taken_out(
    server: FakeConvex, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [function_error(f"ArgumentValidationError: {{serviceToken: {TOKEN!r}}}")]
    error = await refused(source(server))
    assert "serviceToken: '***'" in error.message
    assert TOKEN not in caplog.text


async def test_a_long_answer_is_shown_in_short(server: FakeConvex) -> None:
    server.answers = [Answer(status=500, body=b"word\x1b[31m " * 10_000)]
    error = await refused(source(server))
    assert len(error.message) < 500
    assert "\x1b" not in error.message


async def test_a_token_that_cannot_be_read_is_said(server: FakeConvex) -> None:
    def unreadable() -> str:
        raise SyncError("the file is not there", "Write it.")

    with pytest.raises(SyncError, match="the file is not there"):
        await ConvexSource(server.url, "acct1", unreadable).load()
    assert server.calls == []


# --- what happens on the way ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.CUT_OFF])
async def test_network_errors_are_tried_again(server: FakeConvex, fault: Fault) -> None:
    server.answers = [Answer(fault=fault, body=b'{"status"')] * (ATTEMPTS - 1)
    waits = Waits()
    loaded = await source(server, waits).load()
    assert len(loaded.personas) == 1
    assert waits.seconds == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.CUT_OFF])
async def test_after_some_attempts_it_ends(server: FakeConvex, fault: Fault) -> None:
    server.answers = [Answer(fault=fault, body=b'{"status"')] * ATTEMPTS
    error = await refused(source(server))
    assert "cannot be reached" in error.message
    assert f"tried {ATTEMPTS} times" in error.message
    assert len(server.calls) == ATTEMPTS


@pytest.mark.parametrize("fault", [Fault.HANGING, Fault.DRIPPING])
async def test_an_answer_that_does_not_end_in_time_is_given_up(server: FakeConvex, fault: Fault) -> None:
    server.answers = [Answer(fault=fault)] * ATTEMPTS
    waits = Waits()
    error = await refused(source(server, waits, timeout=0.25))
    assert f"no answer within 0.25 s, tried {ATTEMPTS} times" in error.message
    assert len(waits.seconds) == ATTEMPTS - 1


async def test_a_huge_answer_is_not_read_to_its_end(server: FakeConvex) -> None:
    server.answers = [Answer(fault=Fault.ENDLESS)]
    error = await refused(source(server, timeout=50))
    assert f"larger than {MAX_BYTES >> 20} MiB" in error.message
    assert len(server.calls) == 1


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = await refused(ConvexSource(url, "acct1", lambda: TOKEN, sleep=Waits()))
    assert f"Convex at {url}: cannot be reached" in error.message
    assert "next sync tries again" in error.hint
    assert error.field == "convexUrl"


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "ftp://x", "nonsense", "http://[", "http://x:99999", ""])
async def test_an_address_that_is_none_is_an_error_and_no_traceback(url: str) -> None:
    error = await refused(ConvexSource(url, "acct1", lambda: TOKEN, sleep=Waits()))
    assert "cannot be reached" in error.message


def test_waiting_grows_and_has_an_end() -> None:
    assert [delay_seconds(attempt, 1.0) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert [delay_seconds(attempt, 0.0) for attempt in range(1, 3)] == [0.25, 0.5]


# --- what is only read ---------------------------------------------------------------------------------


async def test_nothing_can_be_adopted(server: FakeConvex) -> None:
    asked = source(server)
    assert "only read" in asked.why_not("squad-lead", "SOUL.md")
    with pytest.raises(SyncError, match=r"SOUL\.md of squad-lead comes from Convex"):
        await asked.adopt("squad-lead", "SOUL.md", "x")
    assert server.calls == []
