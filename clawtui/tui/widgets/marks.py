"""Pure: which rows are marked; marks belong to keys, so filters and sorting leave them alone."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence


class Marks:
    """Marked keys and the row from which the next range starts."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._anchor: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def toggle(self, key: str) -> None:
        """Mark or unmark `key`; the next range starts here."""
        self._keys ^= {key}
        self._anchor = key

    def mark_range(self, shown: Sequence[str], to: str) -> None:
        """Mark everything shown between the row marked last and `to`; only `to` when that row is not shown."""
        end = shown.index(to)
        start = shown.index(self._anchor) if self._anchor in shown else end
        self._keys.update(shown[min(start, end) : max(start, end) + 1])
        self._anchor = to

    def mark(self, keys: Iterable[str]) -> None:
        self._keys.update(keys)

    def clear(self) -> None:
        self._keys.clear()
        self._anchor = None

    def keep(self, known: Container[str]) -> None:
        """Forget the marks of everything that is not `known` any more."""
        self._keys = {key for key in self._keys if key in known}

    def hidden(self, shown: Container[str]) -> int:
        """How many marked rows are not `shown`."""
        return sum(key not in shown for key in self._keys)
