"""The command line on a hub of another version: works, or says why not."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawtui import __version__
from clawtui.answers import read
from clawtui.cli.app import run
from clawtui.cli.world import World
from clawtui.errors import OtherVersion
from clawtui.remote import open_remote
from clawtui.settings import Settings
from hub.contract import API_VERSION, AgentList, AgentQuery, AttentionList, AttentionQuery, CreateAgent, Event, TaskList
from hub.core.model import AgentStatus
from hub.errors import HubError, NotFound
from tests.clawtui.conftest import Called, Terminal
from tests.clawtui.other_version import Alter, garbled, newer, older, other_api, playing
from tests.hub.api.conftest import Served, serving
from tests.hub.api.scripted import ADMIN, AGENT, ATTENTION, JOB, TASK


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(prefix="cli-") as folder:
        async with serving(Path(folder)) as running:
            yield running


def settings(url: str) -> Settings:
    return Settings(hub=url, token=ADMIN, hub_return_seconds=0.0)


async def called(url: str, config: Path, *words: str) -> Called:
    """The command line as a person would call it, in a thread of its own: it has its own event loop."""
    config.touch()
    streams = (Terminal(), Terminal(), Terminal())
    environ = {"CLAWTUI_CONFIG": str(config), "CLAWTUI_TOKEN": ADMIN, "CLAWTUI_HUB": url}
    world = World(environ=environ, stdin=streams[0], stdout=streams[1], stderr=streams[2])
    code = await asyncio.to_thread(run, words, world)
    return Called(code, streams[1].raw(), streams[2].raw().decode())


# --- the same API


async def test_what_a_newer_hub_added_is_looked_past_and_new_words_are_shown(served: Served, tmp_path: Path) -> None:
    async with playing(served.listeners.api_url, newer) as hub:
        listed = await called(hub.url, tmp_path / "config", "list")
        assert listed.code == 0
        assert "hibernating" in listed.out
        as_json = await called(hub.url, tmp_path / "config", "list", "--json")
        assert as_json.json["agents"][0]["status"] == "hibernating"
        tasks = await called(hub.url, tmp_path / "config", "tasks", "list")
        assert tasks.code == 0
        assert "pondered" in tasks.out
        needs = await called(hub.url, tmp_path / "config", "attention")
        assert needs.code == 0
        assert "cosmic" in needs.out
        versions = await called(hub.url, tmp_path / "config", "version")
        assert "9.9.9" in versions.out
        made = await called(hub.url, tmp_path / "config", "create", "b-1", "--driver", "process", "--no-wait")
        assert made.code == 0, made.stderr


async def test_an_unknown_word_equals_no_known_one_and_keeps_its_text(served: Served) -> None:
    async with playing(served.listeners.api_url, newer) as hub, open_remote(settings(hub.url)) as control:
        agent = await control.agent("a-1")
        assert isinstance(agent.status, AgentStatus)
        assert agent.status.value == f"{agent.status}" == "hibernating"
        assert agent.status not in set(AgentStatus)
        assert msgspec.to_builtins(agent)["lifecycle"] == {"desired": "running", "observed": "hibernating"}


async def test_an_older_hub_gets_only_what_differs_from_the_usual(served: Served, tmp_path: Path) -> None:
    first_fields = frozenset({"name", "driver"})
    async with playing(served.listeners.api_url, older, known_fields=first_fields) as hub:
        listed = await called(hub.url, tmp_path / "config", "list")
        assert listed.code == 0
        assert "online" in listed.out
        async with open_remote(settings(hub.url)) as control:
            assert await control.create_agent(CreateAgent(name="b-1", driver="process")) == JOB
            with pytest.raises(HubError, match="a field is not known"):
                await control.create_agent(CreateAgent(name="b-1", driver="process", labels={"a": "b"}))
            with pytest.raises(NotFound, match="no such path"):
                await control.attention(AttentionQuery())
        assert ("create_agent", (CreateAgent(name="b-1", driver="process"),)) in served.control.calls


async def test_an_answer_that_fits_nothing_names_both_versions(served: Served, tmp_path: Path) -> None:
    async with playing(served.listeners.api_url, garbled) as hub:
        listed = await called(hub.url, tmp_path / "config", "list")
    assert listed.code == 1
    assert "cannot be understood" in listed.stderr
    assert f"the hub is 0.3.7, this clawtui {__version__}" in listed.stderr


# --- another API


@pytest.mark.parametrize(
    ("alter", "advice"),
    [
        (other_api(API_VERSION + 1, "9.0.0"), "install clawtui 9.0.0 on this machine"),
        (other_api(API_VERSION - 1, "0.0.1"), f"update the hub to {__version__}"),
    ],
    ids=["newer", "older"],
)
@pytest.mark.parametrize("words", [("list",), ("destroy", "a-1", "--force"), ("exec", "a-1", "true"), ("logs", "a-1")])
async def test_another_api_is_refused_before_anything_is_asked(
    served: Served, tmp_path: Path, alter: Alter, advice: str, words: tuple[str, ...]
) -> None:
    async with playing(served.listeners.api_url, alter) as hub:
        refused = await called(hub.url, tmp_path / "config", *words)
        assert set(hub.asked) == {"GET /health"}
    assert refused.code not in (0, 2)
    told = alter("/health", {})
    for part in (told["version"], f"API {told['api']}", __version__, f"API {API_VERSION}", advice):
        assert part in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_every_way_to_another_api_is_closed(served: Served) -> None:
    async with (
        playing(served.listeners.api_url, other_api(2, "9.0.0")) as hub,
        open_remote(settings(hub.url)) as control,
    ):
        with pytest.raises(OtherVersion):
            await control.health()
        with pytest.raises(OtherVersion):
            await control.open_shell("a-1", 80, 24)
        with pytest.raises(OtherVersion):
            await anext(aiter(control.events()))
        assert set(hub.asked) == {"GET /health"}


async def test_version_tells_both_even_so(served: Served, tmp_path: Path) -> None:
    async with playing(served.listeners.api_url, other_api(2, "9.0.0")) as hub:
        versions = await called(hub.url, tmp_path / "config", "version")
    assert versions.code == 0
    assert "9.0.0" in versions.out
    assert __version__ in versions.out


async def test_a_hub_that_was_replaced_is_asked_again(served: Served) -> None:
    """The connection is new, and so may be the hub."""
    version = {"api": 1, "version": "0.2.0"}
    async with playing(served.listeners.api_url, lambda path, a: a | version if path == "/health" else a) as hub:
        async with open_remote(settings(hub.url)) as control:
            assert (await control.agents(AgentQuery())).agents == [AGENT]
            version.update(api=2, version="2.0.0")
            with pytest.raises(OtherVersion, match=r"2\.0\.0"):
                await control.health()
            with pytest.raises(OtherVersion):
                await control.agents(AgentQuery())


# --- reading


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (AgentList, {"agents": "none"}),
        (AgentList, {"agents": [{"id": "a-1"}]}),
        (AgentList, {"agents": [None]}),
        (TaskList, {"tasks": [msgspec.to_builtins(TASK) | {"status": 7}]}),
        (Event, {"seq": "one", "run": "r", "kind": "agent"}),
        (AttentionList, [msgspec.to_builtins(ATTENTION)]),
    ],
)
def test_only_words_are_looked_past(kind: Any, answer: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(msgspec.json.encode(answer), kind)


def test_known_answers_are_read_as_they_are() -> None:
    known = AgentList(agents=[AGENT])
    assert read(msgspec.json.encode(known), AgentList) == known
    assert read(msgspec.json.encode(known), AgentList).agents[0].status is AgentStatus.ONLINE
