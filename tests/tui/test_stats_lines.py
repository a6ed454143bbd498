"""The Stats tab as lines: what fits, what goes first, and that nothing claims more than is known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.now import Recent, now_lines
from clawtui.tui.stats.lines import Lines, View, graph_cells, graphs, head, right_edge, sentence, step_ms
from clawtui.tui.stats.series import BY_NAME, WINDOWS, History, Window, rfc3339
from clawtui.tui.widgets.text import width
from hub.contract import StatsPoint
from runtime.wire import Cpu, Health, Memory
from tests.tui.scripted import an_agent

BASE = 1_767_323_040_000
FULL = {
    "cpu": 1.2, "cpu_limit": 2.0, "memory_bytes": 3 * 2**30, "memory_limit_bytes": 2**32, "disk_bytes": 2**35,
    "disk_total_bytes": 2**37, "received_per_second": 2e6, "sent_per_second": 3e4,
}  # fmt: skip


def history(window: str = "15m", **fields: float) -> History:
    """Every half minute of five minutes until `BASE` + 300 s."""
    found = History(BY_NAME[window])
    for second in range(30, 301, 30):
        found.add(StatsPoint(at=rfc3339(BASE + second * 1000), seconds=30.0, **(fields or FULL)))  # pyright: ignore[reportArgumentType]
    return found


def view(found: History, cells: int, height: int, late: int = 0, *, old: bool = False) -> View:
    now_ms = found.end_ms + late
    return View(found, cells, height, now_ms, now_ms, old)


def text(lines: Lines) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@given(
    st.integers(1, 220), st.integers(0, 70), st.sampled_from(WINDOWS), st.booleans(),
    st.sampled_from([1.0, 1e3, 1e6, 1e18]), st.booleans(),
)  # fmt: skip
def test_graphs_never_leave_their_room(
    cells: int, height: int, window: Window, old: bool, much: float, gpu: bool
) -> None:
    fields = {name: value * much for name, value in FULL.items()} | ({"gpu": 0.5, "gpu_memory_bytes": 7} if gpu else {})
    found = history(window.name, **fields)
    lines = text(graphs(view(found, cells, height, old=old)))
    assert len(lines) <= height
    assert all(width(line) <= cells for line in lines)
    heads = (
        head(found.window, "3s", True, "", "", "W", cells),
        head(found.window, "", False, "x" * 99, "9s", "W", cells),
    )
    for said in heads:
        assert "".join(text for text, _ in said).startswith(" Last ")


def test_high_graphs_have_a_scale_numbers_and_one_axis() -> None:
    lines = text(graphs(view(history(), 60, 36)))
    assert lines[0].startswith(" CPU 120% of 200% (60%)   ")
    assert lines[0].endswith("min 120% avg 120% max 120%")
    assert lines[1].startswith("   200%┤")
    assert [line.split()[0] for line in lines if line.startswith(" ") and " avg " in line] == [
        "CPU", "Memory", "Net", "Net", "Disk",
    ]  # fmt: skip
    assert lines[-1].split() == ["-15m", "-10m", "-5m", "now"]
    assert not any("GPU" in line for line in lines)


def test_few_lines_have_one_graph_each_with_its_numbers() -> None:
    lines = text(graphs(view(history(gpu=0.5, gpu_memory_bytes=2**30, **FULL), 80, 8)))
    assert [line[1:9].strip() for line in lines] == ["CPU", "Memory", "Net in", "Net out", "Disk", "GPU", "GPU mem", ""]
    assert lines[0].split()[1] == "120%"
    assert lines[0].split()[-3:] == ["120%", "120%", "120%"]
    assert lines[-1].split()[-3:] == ["min", "avg", "max"]


def test_what_has_no_line_is_counted() -> None:
    lines = text(graphs(view(history(), 80, 3)))
    assert [line[1:9].strip() for line in lines] == ["CPU", "Memory", "+3 more"]


def test_a_narrow_pane_gives_up_the_sums_before_the_graph() -> None:
    wide, narrow = text(graphs(view(history(), 80, 6)))[0], text(graphs(view(history(), 40, 6)))[0]
    assert len(wide.split()) == 6
    assert len(narrow.split()) == 3
    assert width(narrow) == 40 - 1


def test_the_newest_value_is_of_now_or_says_that_it_is_the_last() -> None:
    assert " CPU 120%" in text(graphs(view(history(), 80, 30)))[0]
    assert " CPU last 120%" in text(graphs(view(history(), 80, 30, late=46_000)))[0]
    assert text(graphs(view(history(), 80, 6, late=46_000)))[-1].split()[0] == "last"


@given(st.integers(24, 220), st.integers(2, 70), st.sampled_from(WINDOWS))
def test_the_newest_point_is_in_the_last_column(cells: int, height: int, window: Window) -> None:
    lines = text(graphs(view(history(window.name), cells, height)))
    tall = height - 1 >= 2 * 5
    if tall:
        drawn = [line for line in lines if "┤" in line or "│" in line]
    else:
        drawn = [line[19 : 19 + graph_cells(cells, tall=False)] for line in lines[:-1]]
    assert len(drawn) >= min(height - 1, 5)
    assert not any(line.endswith("·") for line in drawn)


@given(st.integers(0, 10**10), st.integers(20, 220), st.sampled_from(WINDOWS))
def test_the_right_edge_moves_by_whole_columns(now_ms: int, cells: int, window: Window) -> None:
    edge = right_edge(window, cells, BASE + now_ms)
    assert 0 <= edge - BASE - now_ms < step_ms(window, cells - 9)
    assert edge % step_ms(window, cells - 9) == 0


def test_a_silence_is_a_gap_at_the_end() -> None:
    found = history()
    drawn = text(graphs(view(found, 69, 6, late=300_000)))[0][19:]
    assert set(drawn[:16]) == set(drawn[-16:]) == {"·"}
    assert set(drawn[17:-17]) == {"▅"}


def test_while_the_hub_is_away_all_is_grey_and_the_axis_ends_there() -> None:
    lines = graphs(view(history(), 80, 30, old=True))
    assert {style for line in lines for _, style in line} == {"dim"}
    assert text(lines)[-1].endswith("hub lost")


def test_nothing_known_draws_nothing() -> None:
    assert graphs(view(History(BY_NAME["1h"]), 80, 30)) == []
    assert text(sentence("Nothing was reported yet.", 16)) == [" Nothing was", " reported yet."]


def test_the_head_says_who_and_how_old_and_leaves_out_what_does_not_fit() -> None:
    window = BY_NAME["2m"]

    def said(age: str, live: bool, problem: str, old: str, key: str, cells: int = 80) -> str:
        return "".join(text for text, _ in head(window, age, live, problem, old, key, cells))

    assert said("3s", True, "", "", "W") == " Last 2 minutes · live · said by the agent 3s ago · W other window"
    assert said("3s", True, "", "", "W", cells=55) == " Last 2 minutes · live · said by the agent 3s ago"
    assert said("3s", False, "", "1m03s", "W") == " Last 2 minutes · old: the hub is away since 1m03s · W other window"
    assert said("3s", False, "no \x1b[1mroom", "", "") == " Last 2 minutes · cannot be read: no room"


@pytest.mark.parametrize(("cells", "sparks"), [(40, 0), (52, 0), (53, 2), (57, 2), (80, 2), (120, 2)])
def test_the_now_tab_has_small_lines_where_there_is_room(cells: int, sparks: int) -> None:
    found = history()
    health = Health(cpu=Cpu(cores=1.2, limit=2.0), memory=Memory(used=3 * 2**30, limit=2**32))
    agent = an_agent("a-1", health=health, health_at=rfc3339(found.end_ms))
    now = datetime.fromtimestamp(found.end_ms / 1000, UTC)
    lines = "".join(text for text, _ in now_lines(agent, now, recent=Recent(found), cells=cells)).splitlines()
    assert sum("·" in line for line in lines) == sparks
    assert any("lines: 15 minutes" in line for line in lines) == bool(sparks)
    assert all(width(line) < cells for line in lines if "·" in line)
