from __future__ import annotations

import datetime
import io
import json

from runtime.logs import MAX_WAITING_LINES, AgentLog

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)


class Closed(io.StringIO):
    """A stream whose disk is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_one_json_object_per_line() -> None:
    stream = io.StringIO()
    log = AgentLog(stream, lambda: NOON)
    log.info("one", count=1, text="a\nb")
    log.error("two", cause=ValueError("x"))
    first, second = stream.getvalue().splitlines()
    assert json.loads(first) == {
        "time": "2026-01-02T12:00:00.000+00:00",
        "level": "info",
        "event": "one",
        "count": 1,
        "text": "a\nb",
    }
    assert json.loads(second)["cause"] == "x"


def test_lines_wait_for_the_hub_once() -> None:
    log = AgentLog(io.StringIO())
    log.warning("one", a=1)
    assert log.take() == [("warning", "one a=1")]
    assert log.take() == []


def test_waiting_lines_are_bounded_and_the_loss_is_told() -> None:
    log = AgentLog(io.StringIO())
    for number in range(MAX_WAITING_LINES + 5):
        log.info("line", number=number)
    lines = log.take()
    assert lines[0] == ("warning", "log_dropped lines=5")
    assert lines[1] == ("info", "line number=5")
    assert len(lines) == MAX_WAITING_LINES + 1


def test_a_full_disk_does_not_end_the_agent() -> None:
    log = AgentLog(Closed())
    told: list[bool] = []
    log.on_line = lambda: told.append(True)
    log.error("disk")
    assert log.take() == [("error", "disk")]
    assert told == [True]
