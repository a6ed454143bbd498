"""Links: what they look like, where they lead, and what is said when they lead nowhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.cli.app import make_app, run
from clawtui.cli.output import Mode, Output
from clawtui.cli.world import World
from clawtui.errors import UsageError
from clawtui.settings import Settings
from clawtui.tui.actions import Where
from clawtui.tui.links import PLACES, Link, completed, parse_link, verb_words
from clawtui.tui.run import run_screen
from clawtui.tui.screens.fleet import FleetPane
from clawtui.tui.screens.main import PANES
from clawtui.tui.widgets.command_line import LineInput
from hub.contract import DispatchMember, DispatchView
from hub.core.model import AgentStatus, TaskState
from hub.errors import NotFound
from tests.hub.api.scripted import WHEN
from tests.tui.scripted import ScriptedHub, a_task, an_agent, sees, shown, text_of, typed, until

WRITTEN = {
    "agents": Link(Where.FLEET),
    "agents/a-1": Link(Where.FLEET, ("a-1",)),
    "agents/a-1/logs": Link(Where.FLEET, ("a-1",), "logs"),
    "tasks": Link(Where.TASKS),
    "tasks/t-1": Link(Where.OUTPUT, ("t-1",)),
    "rollouts/d-1": Link(Where.ROLLOUT, ("d-1",)),
    "logs": Link(Where.LOGS),
    "logs/a-1,a-2": Link(Where.LOGS, ("a-1", "a-2")),
    "journal": Link(Where.JOURNAL),
    "hub": Link(Where.HUB),
    "profiles": Link(Where.PROFILES),
    "profiles/builder": Link(Where.PROFILES, ("builder",)),
    "builds/builder": Link(Where.BUILD, ("builder",)),
    "disk": Link(Where.DISK),
    "sync": Link(Where.SYNC),
    "personas/main/engineer": Link(Where.PERSONA, ("main/engineer",)),
    "gateways": Link(Where.GATEWAYS),
    "gateways/main": Link(Where.GATEWAYS, ("main",)),
}


@pytest.mark.parametrize(("text", "link"), list(WRITTEN.items()), ids=list(WRITTEN))
def test_a_link_is_read_and_written(text: str, link: Link) -> None:
    assert parse_link(text) == link
    assert str(link) == text
    assert parse_link(f" /{text}/ ") == link


@given(st.text(alphabet="abct/,-.1 ", max_size=20))
def test_what_is_read_is_written_the_same(text: str) -> None:
    try:
        link = parse_link(f"agents/{text}")
    except UsageError:
        return
    assert parse_link(str(link)) == link


WRONG = {
    "": "there is no place ''",
    "moon": "there is no place 'moon'",
    "agent/a-1": "did you mean 'agents'",
    "rollouts": "which rollout",
    "hub/x": "is no link",
    "agents/a/logs/more": "is no link",
    "agents//logs": "is no link",
}


@pytest.mark.parametrize(("text", "said"), list(WRONG.items()), ids=list(WRONG))
def test_what_is_no_link_is_said_with_those_there_are(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_link(text)
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_every_place_has_a_link() -> None:
    reached = {parse_link(text).place for text in WRITTEN} | set(PLACES.values())
    assert set(PANES) <= reached


@pytest.mark.parametrize("text", list(WRITTEN))
def test_the_verb_that_shows_the_same_exists(text: str) -> None:
    app = make_app(World(environ={}))
    for words in verb_words(parse_link(text)):
        app.parse_args(words, exit_on_error=False, print_error=False)
    assert verb_words(parse_link(text)) or text == "logs"


def test_links_are_completed() -> None:
    agents, tabs = ["a-1", "a-2", "b-1"], ("now", "logs")
    assert completed("ag", agents, tabs) == ["agents"]
    assert completed("agents/a", agents, tabs) == ["agents/a-1", "agents/a-2"]
    assert completed("agents/a-1/l", agents, tabs) == ["agents/a-1/logs"]
    assert completed("logs/a-1,b", agents, tabs) == ["logs/a-1,b-1"]
    assert completed("tasks/t", agents, tabs) == []


# --- on the screen


def fleet() -> ScriptedHub:
    hub = ScriptedHub(
        an_agent("a-1"), an_agent("a-2", AgentStatus.CRASHED), tasks=[a_task("t-9", "a-2", TaskState.FAILED)]
    )
    hub.answers["dispatch_status"] = DispatchView(
        dispatch_id="d-1", state="done", created_at=WHEN, counts={"failed": 1},
        tasks=[DispatchMember(agent_id="a-2", task_id="t-9", status=TaskState.FAILED)],
    )  # fmt: skip
    return hub


SEEN = {
    "agents/a-2": (Where.FLEET, "a-2  1 Now"),
    "agents/a-2/tasks": (Where.FLEET, "echo t-9"),
    "tasks": (Where.TASKS, "Newest tasks 1"),
    "tasks/t-9": (Where.OUTPUT, "t-9"),
    "rollouts/d-1": (Where.ROLLOUT, "Rollout d-1"),
    "logs/a-1,a-2": (Where.LOGS, "a-1, a-2"),
    "journal": (Where.JOURNAL, "Journal"),
    "hub": (Where.HUB, "Drivers"),
}


@pytest.mark.parametrize(("text", "seen"), list(SEEN.items()), ids=list(SEEN))
async def test_a_link_leads_there_and_what_is_there_has_that_link(text: str, seen: tuple[Where, str]) -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words(f"go {text}")
        await until(pilot, lambda: app.main.pane.place is seen[0] and seen[1] in text_of(app))
        await until(pilot, lambda: str(app.going.front()) == text)
        await pilot.press("L")
        await until(pilot, lambda: app.clipboard.splitlines()[:1] == [f"clawtui --open {text}"])
        verbs = [" ".join(("clawtui", *words)) for words in verb_words(parse_link(text))]
        assert app.clipboard.splitlines()[1:] == verbs


async def test_a_screen_starts_at_a_link() -> None:
    async with shown(fleet(), link=parse_link("agents/a-2/logs")) as (app, pilot):
        await until(pilot, lambda: app.main.pane.subject().agents == ("a-2",))
        pane = app.main.pane
        assert isinstance(pane, FleetPane)
        await until(pilot, lambda: pane.detail.tab == "logs")


NOWHERE = {
    "go agents/nobody": "there is no agent 'nobody'",
    "go logs/a-1,nobody": "there is no agent 'nobody'",
    "go agents/a-1/weather": "an agent has no 'weather'",
    "go moon": "there is no place 'moon'",
    "go tasks/t-404": "there is no task t-404",
    "go rollouts/d-404": "there is no dispatch d-404",
}


@pytest.mark.parametrize(("words", "said"), list(NOWHERE.items()), ids=list(NOWHERE))
async def test_a_link_to_nowhere_is_said_and_the_screen_stays(words: str, said: str) -> None:
    hub = fleet()
    hub.answers["get_task"] = NotFound("there is no task t-404")
    hub.answers["dispatch_status"] = NotFound("there is no dispatch d-404")
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words(words)
        await until(pilot, sees(app, said))
        assert app.main.pane.place is Where.FLEET


async def test_a_start_at_a_link_to_nowhere_is_said_on_the_fleet() -> None:
    async with shown(fleet(), link=parse_link("agents/nobody")) as (app, pilot):
        await until(pilot, sees(app, "there is no agent 'nobody'", "a-1"))


async def test_go_without_a_link_asks_for_one_and_completes_it() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("go")
        line = app.main.query_one(LineInput)
        assert line.value == "go "
        await typed(pilot, "agents/a-2")
        await until(pilot, lambda: line.value == "go agents/a-2")
        await pilot.press("enter")
        await until(pilot, lambda: app.main.pane.subject().agents == ("a-2",))


async def test_a_copied_command_reaches_the_same_hub() -> None:
    settings = Settings().overridden({"hub": "https://hub.example:9091", "token_file": "/t"})
    settings = settings.overridden({"ca_file": "/c"}, "CLAWTUI_CA_FILE")
    async with shown(fleet(), settings=settings) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("L")
        await until(pilot, lambda: app.clipboard)
        reach = "https://hub.example:9091 --token-file /t"
        assert app.clipboard.splitlines() == [
            f"clawtui --attach {reach} --open agents/a-1", f"clawtui status a-1 --hub {reach}",
        ]  # fmt: skip


@pytest.mark.parametrize("words", [("--open", "agents"), ("--open", "agents", "--serve")], ids=len)
def test_a_link_needs_a_screen(words: tuple[str, ...], tmp_path: Path) -> None:
    said = io.StringIO()
    world = World(environ={"CLAWTUI_HOME": str(tmp_path)}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=said)
    assert run(words, world) == 2
    assert "--open is for the screen" in said.getvalue()


async def test_a_link_that_is_none_is_refused_before_any_screen(tmp_path: Path) -> None:
    out = Output(Mode.PLAIN, io.StringIO(), io.StringIO(), colour=False)
    settings = Settings().overridden({"home": str(tmp_path / "home")})
    with pytest.raises(UsageError, match="there is no place 'moon'"):
        await run_screen(settings, out, attached=False, read_only=False, link="moon")
    assert not (tmp_path / "home").exists()
