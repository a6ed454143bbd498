"""The last so many measurements of one thing, for a look at now; `hub.metrics` keeps what lasts."""

from __future__ import annotations

import math
from collections import deque


class Recent:
    """Holds `size` values, the oldest goes first."""

    def __init__(self, size: int) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        self._values.append(value)

    def quantile(self, share: float) -> float:
        """The smallest value that `share` (0..1) of all do not exceed; 0.0 without values."""
        if not self._values:
            return 0.0
        ordered = sorted(self._values)
        return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

    def mean(self) -> float:
        return sum(self._values) / len(self._values) if self._values else 0.0

    def most(self) -> float:
        return max(self._values, default=0.0)
