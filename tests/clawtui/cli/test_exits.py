"""What several errors come down to, and where a mistake of ours is written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from clawtui.cli.exits import cause, report_defect
from hub.errors import Conflict, NotFound


def test_one_error_in_a_group_is_that_error() -> None:
    error = NotFound("x")
    assert cause(ExceptionGroup("a", [ExceptionGroup("b", [error])])) is error
    assert cause(error) is error


def test_of_several_errors_of_ours_the_first_counts() -> None:
    errors = [NotFound("x"), Conflict("y")]
    assert cause(ExceptionGroup("a", errors)) is errors[0]


def test_a_mistake_among_errors_stays_visible() -> None:
    group = ExceptionGroup("a", [NotFound("x"), ZeroDivisionError()])
    assert cause(group) is group


def test_where_the_state_folder_cannot_be_written_the_details_go_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CLAWTUI_HOME", str(blocked))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stderr = io.StringIO()
    report_defect(ValueError("oops\x1b"), stderr)
    (log,) = tmp_path.glob("clawtui-*/*.log")
    assert str(log) in stderr.getvalue()
    assert "\x1b" not in stderr.getvalue()
