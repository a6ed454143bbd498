"""What rows, bars and filters say, without a screen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clawtui.errors import UsageError
from clawtui.tui.actions import ACTIONS, BY_ID, BY_WORD, completions
from clawtui.tui.filters import parse_filter
from clawtui.tui.helping import action_table
from clawtui.tui.keymap import own_keys, shown
from clawtui.tui.logs.lines import LineCutter
from clawtui.tui.now import now_lines
from clawtui.tui.presenters import (
    AGENT_COLUMNS,
    FILTER_KEYS,
    agent_fields,
    agent_row,
    bar,
    fit_columns,
    level,
    task_row,
    task_what,
)
from clawtui.tui.words import AGENT_SIGNS, TASK_SIGNS
from clawtui.values import as_keys
from hub.core.model import AgentStatus, Connection, TaskState
from runtime.wire import Cpu, Health, Memory, TaskError
from tests.hub.api.scripted import WHEN
from tests.tui.scripted import a_task, an_agent

NOW = datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC)


def test_every_state_has_a_glyph_of_one_cell() -> None:
    from rich.cells import cell_len

    assert set(AGENT_SIGNS) == set(AgentStatus)
    assert set(TASK_SIGNS) == set(TaskState)
    assert all(cell_len(sign.glyph) == 1 for sign in (*AGENT_SIGNS.values(), *TASK_SIGNS.values()))


def test_a_row_says_what_the_agent_is() -> None:
    health = Health(cpu=Cpu(cores=1.9, limit=2.0), memory=Memory(used=2**30, limit=2**32))
    agent = an_agent("a-1", health=health, running=["t-1"], queued=3)
    row = agent_row(agent, ("agent", "state", "run", "queue", "cpu", "mem", "seen"), NOW)
    assert [cell.text for cell in row.cells] == ["a-1", "● online", "1", "3", "190%", "1.0G", "1m00s"]
    assert row.cells[4].style == "bad"
    assert not row.stale
    assert agent_row(an_agent("a-1", AgentStatus.STALE), ("agent",), NOW).stale


@pytest.mark.parametrize("width", range(20, 240))
def test_columns_fit_the_width_and_name_and_state_are_never_left_out(width: int) -> None:
    keys = fit_columns(width)
    assert {"agent", "state"} <= set(keys)
    if width >= 40:
        assert sum(AGENT_COLUMNS[key].column.width + 1 for key in keys) + 2 <= width
    assert fit_columns(240) == tuple(AGENT_COLUMNS)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", "web-1 web-2 db-1"),
        ("web", "web-1 web-2"),
        ("!web", "db-1"),
        ("state:crashed", "db-1"),
        ("!state:crashed web-1", "web-1"),
        ("/^web-[2-9]$/", "web-2"),
        ("label:team=a", "web-1"),
        ("nosuch:web", ""),
    ],
)
def test_filters(text: str, kept: str) -> None:
    agents = [an_agent("web-1", labels={"team": "a"}), an_agent("web-2"), an_agent("db-1", AgentStatus.CRASHED)]
    found = parse_filter(text, FILTER_KEYS)
    assert " ".join(agent.id for agent in agents if found.keeps(agent_fields(agent))) == kept


def test_a_filter_that_is_no_expression_says_so() -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        parse_filter("agent:/[/", FILTER_KEYS)


def test_bars_and_levels() -> None:
    assert bar(0.5, 4) == "██░░"
    assert bar(2.0, 4) == "████"
    assert [level(share) for share in (None, 0.5, 0.8, 0.95)] == ["", "", "warn", "bad"]


def test_tasks_in_one_line() -> None:
    task = a_task("t-1", "a-1", TaskState.FAILED, exit_code=2, error=TaskError(code="exit_code", message="exit 2"))
    row = task_row(task, NOW)
    assert [cell.text for cell in row.cells[:4]] == ["× failed", "a-1", "echo t-1 — exit 2", "2"]
    assert task_what(a_task("t", "a", type="git:clone", spec={"type": "git:clone", "repo": "r"})) == "git:clone r"


def test_the_now_tab_says_who_said_it_and_that_it_is_old() -> None:
    agent = an_agent("a-1", reason="no \x1b memory", health=Health(cpu=Cpu(cores=1.9, limit=2.0)), health_at=WHEN)
    said = "".join(text for text, _ in now_lines(agent, NOW))
    assert "● online  says hub" in said
    assert "said by the agent 1m00s ago" in said
    assert "\x1b" not in said


def test_what_is_known_of_a_lost_hub_is_grey_and_its_words_are_doubted() -> None:
    agent = an_agent("a-1", running=["t-1"], health=Health(cpu=Cpu(cores=1.9, limit=2.0)), health_at=WHEN)
    (_, (old, style), *lines) = now_lines(agent, NOW, old_seconds=63)
    assert (old, style) == ("old: the hub is away since 1m03s", "warn")
    said = "".join(text for text, _ in lines)
    assert "● online?  said hub" in said
    assert "online?, seen 1m00s ago" in said
    assert "observed running?" in said
    assert "t-1?" in said
    assert {style for text, style in lines if text.strip()} == {"dim"}
    row = agent_row(agent, ("agent", "state"), NOW, stale=True)
    assert [cell.text for cell in row.cells] == ["a-1", "● online?"]
    assert row.stale


@pytest.mark.parametrize("status", AgentStatus)
def test_a_doubted_state_has_room_in_its_column(status: AgentStatus) -> None:
    (cell,) = agent_row(an_agent("a-1", status), ("state",), NOW, stale=True).cells
    assert cell.text.endswith("?")
    assert len(cell.text) <= AGENT_COLUMNS["state"].column.width


def test_only_tasks_that_go_on_are_doubted_when_the_hub_is_away() -> None:
    running, done = a_task("t-1", "a-1", TaskState.RUNNING, terminal=False), a_task("t-2", "a-1")
    assert task_row(running, NOW, stale=True).cells[0].text == "▶ running?"
    assert task_row(done, NOW, stale=True).cells[0].text == "√ succeeded"


@pytest.mark.parametrize("status", AgentStatus)
def test_an_agent_without_health_says_what_to_expect(status: AgentStatus) -> None:
    lines = "".join(text for text, _ in now_lines(an_agent("a-1", status), NOW, cells=57)).splitlines()
    assert all(len(line) <= 57 for line in lines)
    assert "reported" in " ".join(lines)
    basic = "".join(text for text, _ in now_lines(an_agent("a-1", status, basic=True), NOW))
    assert "A basic agent does not report what it uses" in basic


def test_the_health_of_an_agent_that_went_is_grey() -> None:
    health = Health(cpu=Cpu(cores=1.9, limit=2.0), memory=Memory(used=4, limit=4))
    gone = an_agent("a-1", AgentStatus.STOPPED, health=health, connection=Connection.OFFLINE)
    assert [cell.style for cell in agent_row(gone, ("cpu", "mem"), NOW).cells] == ["dim", "dim"]
    there = an_agent("a-1", health=health)
    assert [cell.style for cell in agent_row(there, ("cpu", "mem"), NOW).cells] == ["bad", "bad"]


def test_output_bytes_become_lines_over_chunk_borders() -> None:
    cutter = LineCutter(0, whole=True)
    data = "größe\nzwei\nrest".encode()
    pieces = [line for byte in data for line in cutter.take("stdout", bytes([byte]))]
    assert [line.text for line in (*pieces, *cutter.end())] == ["größe", "zwei", "rest"]


def test_actions_have_unique_ids_and_words() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert len(BY_WORD) == sum(len(action.words) for action in ACTIONS)
    assert "restart" in completions("re")


def test_keys_from_the_settings_file_and_from_text() -> None:
    assert own_keys(as_keys({"agent.stop": ["ctrl+t", "f9"], "help": "f12"})) == {
        "agent.stop": ("ctrl+t", "f9"),
        "help": ("f12",),
    }
    assert own_keys(as_keys("agent.stop=ctrl+t f9,help=")) == {"agent.stop": ("ctrl+t", "f9"), "help": ()}
    assert shown("ctrl+p") == "^p"


def test_the_documentation_has_the_table_of_the_registry() -> None:
    from pathlib import Path

    page = Path(__file__).parents[2] / "docs" / "screen.md"
    assert action_table() in page.read_text(encoding="utf-8"), "run python -m tests.tui.write_docs"
