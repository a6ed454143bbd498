"""Pure: where rows of different heights are, for lines folded to the width of their pane."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Folding:
    """Rows one below the other, each some lines high; rows leave at the front and come at the end."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._gone = 0

    def __len__(self) -> int:
        """Rows."""
        return len(self._ends)

    @property
    def lines(self) -> int:
        return self._ends[-1] - self._gone if self._ends else 0

    def clear(self) -> None:
        self._ends.clear()
        self._gone = 0

    def extend(self, heights: Iterable[int]) -> None:
        end = self._ends[-1] if self._ends else self._gone
        for height in heights:
            end += height
            self._ends.append(end)

    def drop(self, rows: int) -> int:
        """Forget the first `rows`; returns how many lines they had."""
        rows = min(rows, len(self._ends))
        if not rows:
            return 0
        before = self._gone
        self._gone = self._ends[rows - 1]
        del self._ends[:rows]
        return self._gone - before

    def top(self, row: int) -> int:
        """First line of `row`."""
        return (self._ends[row - 1] if row else self._gone) - self._gone

    def locate(self, line: int) -> tuple[int, int]:
        """The row at `line` and which of its lines that is."""
        row = bisect_right(self._ends, line + self._gone)
        return row, line - self.top(row)
