"""The bars: every state has its word, whatever the width, and nothing is cut in the middle."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from clawtui.tui.bars import RANK, SHORT_WORDS, needs_you, top_bar
from clawtui.tui.screens.rollout import rollout_heading
from clawtui.tui.store import FleetStore, Source, SourceState
from clawtui.tui.words import AGENT_SIGNS
from hub.contract import AgentView
from hub.core.model import AgentStatus
from tests.tui import fleet_script as script
from tests.tui import office_script
from tests.tui.scripted import ScriptedHub, an_agent

WIDTHS = (200, 160, 140, 120, 110, 100, 90, 80, 70, 60, 50)
MODES = ((), ("REMOTE",), ("REMOTE", "READ-ONLY"))


def store_of(agents: list[AgentView]) -> FleetStore:
    store = FleetStore(ScriptedHub(*agents))
    store.agents = {agent.id: agent for agent in agents}
    store.health = script.hub_health(agents)
    store.attention = office_script.attention()
    store.source = Source(SourceState.LIVE, store.mono())
    return store


def bar_of(agents: list[AgentView], width: int, modes: tuple[str, ...] = ()) -> str:
    pieces = top_bar(store_of(agents), "hub.example:8080", modes, script.NOW, width)
    return "".join(text for text, _ in pieces)


@pytest.mark.parametrize("modes", MODES, ids=len)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_bar_fits_and_no_state_is_a_glyph_alone(width: int, modes: tuple[str, ...]) -> None:
    bar = bar_of(script.fleet(), width, modes)
    assert cell_len(bar) <= width
    assert "24 agents" in bar
    words = {status: {status.value, SHORT_WORDS[status]} for status in AgentStatus}
    for status, sign in AGENT_SIGNS.items():
        for word in re.findall(rf"{re.escape(sign.glyph)}\d+(?: (\S+))?", bar):
            assert word in words[status], bar


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_left_out_is_counted(width: int) -> None:
    agents = script.fleet()
    bar = bar_of(agents, width)
    shown = sum(int(count) for count in re.findall(r" [^\s+](\d+) [a-z]+", bar.split("24 agents")[1].split("  ")[0]))
    more = re.search(r"\+(\d+) more", bar)
    assert shown + (int(more[1]) if more else 0) == len(agents)


def test_what_is_wrong_and_what_works_are_shown_longest() -> None:
    bar = bar_of(script.fleet(), 60)
    assert "●14 on" in bar
    assert "×1 crash" in bar


def test_every_state_has_a_short_word_and_a_rank() -> None:
    assert set(SHORT_WORDS) == set(AgentStatus) == set(RANK)
    assert len(set(SHORT_WORDS.values())) == len(AgentStatus)


def test_a_small_fleet_has_room_for_everything() -> None:
    bar = bar_of([an_agent("a-1")], 100)
    for part in ("● live hub.example:8080", "1 agent ●1 online", "run ", "queue ", "lag ", ":"):
        assert part in bar


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("width", WIDTHS)
def test_what_needs_a_person_fits_in_whole_words(width: int, rows: int) -> None:
    store = store_of(script.fleet())
    lines = "".join(text for text, _ in needs_you(store, rows, "A", script.NOW, width)).split("\n")
    assert len(lines) == rows
    texts = [need.text for need in store.attention]
    for line, text in zip(lines, texts, strict=False):
        assert cell_len(line) <= width, line
        said = line.split("…")[0]
        if "…" in line and width >= 60:
            known = text[: len(text)]
            shown = next(known[:end] for end in range(len(known), 0, -1) if said.endswith(known[:end]))
            assert text[len(shown)] in " ,;:", line
    assert f"{len(texts) - rows} more" in lines[-1]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_heading_of_a_rollout_fits_and_keeps_its_state(width: int) -> None:
    view = script.rollout()
    heading = rollout_heading(view, width)
    assert cell_len(heading) <= width
    assert view.dispatch_id in heading
    assert view.state in heading
    assert heading.endswith("agents")
