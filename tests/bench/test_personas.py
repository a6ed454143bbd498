"""The part `personas` measures what it says, and refuses to count a sync that went otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.hubs import BenchError
from tests.bench.personas import personas
from tests.bench.report import Verdict


def test_every_row_is_measured_and_has_a_budget(tmp_path: Path) -> None:
    said: list[str] = []
    rows = personas(tmp_path, 3, 2, said.append)
    assert len(rows) == 6
    assert all(row.measured and row.budget for row in rows)
    assert {row.unit for row in rows} == {"s", "ms"}
    assert [len(row.runs) for row in rows[:3]] == [2, 6, 2]
    assert "27 files" in rows[0].name
    assert all(row.verdict in (Verdict.OK, Verdict.OVER) for row in rows)
    assert len(list((tmp_path / "round-1" / "agents").glob("persona-*"))) == 3
    assert len(said) == 2


def test_a_sync_that_did_not_do_its_work_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="wrote 0 files"):
        personas(tmp_path, 0, 1, lambda _: None)
