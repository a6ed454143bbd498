"""The hub's log: JSON lines without secrets."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import structlog

from clawtui.logs import hub_log, redacted


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_both_kinds_of_records_are_json_with_time_level_and_name(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "hub.log"
    with hub_log("info", file):
        structlog.get_logger("hub.x").info("task_ended", task="t-1")
        logging.getLogger("library").warning("careful %s", "now")
        structlog.get_logger("hub.x").debug("not shown")
    first, second = lines(file)
    assert (first["event"], first["task"], first["level"], first["logger"]) == ("task_ended", "t-1", "info", "hub.x")
    assert (second["event"], second["level"], second["logger"]) == ("careful now", "warning", "library")
    assert str(first["timestamp"]).endswith("Z")


def test_tokens_never_reach_the_log(tmp_path: Path) -> None:
    file = tmp_path / "hub.log"
    secrets = [f"{prefix}_s3cret-{prefix}" for prefix in ("cta", "ctj", "ctu")]
    with hub_log("info", file):
        log = structlog.get_logger("hub.x")
        log.info(
            "asked", path=f"/agent/a/{secrets[0]}", token="plain", nested={"Authorization": "x", "list": [secrets[1]]}
        )
        try:
            raise ValueError(secrets[2])
        except ValueError:
            log.exception("failed")
        logging.getLogger("library").warning("with %s", secrets[0])
    text = file.read_text()
    assert len(lines(file)) == 3
    assert "s3cret" not in text
    assert "plain" not in text
    assert "ValueError" in text


def test_redacting_keeps_everything_else() -> None:
    value = {"a": [1, None, "ctu_abc def"], "secret": "x", "b": ("ctux_abc",)}
    assert redacted(value) == {"a": [1, None, "ctu_… def"], "secret": "…", "b": ["ctux_abc"]}


def test_afterwards_logging_is_as_before(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    with hub_log("debug", tmp_path / "x.log"):
        assert len(logging.getLogger().handlers) == len(before) + 1
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(("level", "heard"), [("info", ["late"]), ("debug", ["every request", "late"])])
def test_libraries_that_tell_everything_are_heard_when_something_is_wrong(
    tmp_path: Path, level: str, heard: list[str]
) -> None:
    file = tmp_path / "hub.log"
    with hub_log(level, file):
        logging.getLogger("httpx").info("every request")
        logging.getLogger("httpx").warning("late")
    assert [line["event"] for line in lines(file)] == heard
    assert logging.getLogger("httpx").level == logging.NOTSET
