"""The rows of one check, told as they come."""

from __future__ import annotations

from collections.abc import Callable

from clawtui.migration_check.model import CheckRow, Outcome, Step


class Rows:
    """Collects rows and tells each at once."""

    def __init__(self, tell: Callable[[CheckRow], None]) -> None:
        self._tell = tell
        self.rows: list[CheckRow] = []

    def add(
        self, step: Step, subject: str, outcome: Outcome, detail: str = "", *, field: str = "", seconds: float = 0.0
    ) -> None:  # fmt: skip
        self.take(
            CheckRow(step=step, subject=subject, outcome=outcome, detail=detail, field=field, seconds=round(seconds, 1))
        )

    def take(self, row: CheckRow) -> None:
        self.rows.append(row)
        self._tell(row)
