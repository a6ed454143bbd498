"""Agents' own log lines: kept in order, bounded, readable after a torn write, silent on a full disk."""

from __future__ import annotations

from pathlib import Path

from hub.agentlog import MAX_FILE_BYTES, MAX_LINE_BYTES, AgentLogs
from hub.core.model import AgentId
from runtime.wire import Log

A = AgentId("a")


def say(logs: AgentLogs, text: str, at: int = 1, level: str | None = None) -> None:
    logs.append(A, at, text.encode(), Log(data=text, level=level))


def test_lines_come_back_in_order_with_time_and_level(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path / "logs")
    say(logs, "one\ntwo\n", at=5, level="info")
    say(logs, "three", at=6)
    assert [(line.at, line.text, line.level) for line in logs.read(A)] == [
        (5, "one", "info"),
        (5, "two", "info"),
        (6, "three", None),
    ]
    assert list(logs.read(AgentId("b"))) == []


def test_an_agent_that_talks_for_ever_has_two_bounded_files(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path)
    line = "x" * MAX_LINE_BYTES
    for number in range(3 * MAX_FILE_BYTES // MAX_LINE_BYTES):
        say(logs, f"{number}\n{line}")
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < MAX_FILE_BYTES + 2 * MAX_LINE_BYTES
    kept = list(logs.read(A))
    assert max(len(found.text) for found in kept) <= MAX_LINE_BYTES


def test_a_line_torn_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path)
    say(logs, "whole")
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"at":1,"te')
    assert [line.text for line in logs.read(A)] == ["whole"]


def test_bytes_that_are_no_text_are_shown_and_empty_ones_are_not_kept(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path)
    logs.append(A, 1, b"\xff\n\n", Log(data=""))
    logs.append(A, 1, b"\n", Log(data=""))
    assert [line.text for line in logs.read(A)] == ["�"]


def test_a_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path)
    (tmp_path / "a.jsonl").mkdir()
    say(logs, "lost")


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    logs = AgentLogs(tmp_path)
    say(logs, "x")
    logs.remove(A)
    logs.remove(A)
    assert list(tmp_path.iterdir()) == []
