"""What a fleet table tells its screen; every message's `control` is the table, for `@on(..., "#id")`."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message
from textual.widget import Widget


@dataclass
class TableMessage(Message):
    """From the fleet table `table`."""

    table: Widget

    @property
    def control(self) -> Widget:
        return self.table


@dataclass
class CursorMoved(TableMessage, namespace="fleet_table"):
    """The cursor is on another row; `None` when there are no rows."""

    key: str | None


@dataclass
class Chosen(TableMessage, namespace="fleet_table"):
    """Enter or a double click on a row."""

    key: str


@dataclass
class MarksChanged(TableMessage, namespace="fleet_table"):
    """`marked` includes rows that a filter hides."""

    marked: frozenset[str]


@dataclass
class HeaderClicked(TableMessage, namespace="fleet_table"):
    """A column's title was clicked: sort by it."""

    column_key: str


@dataclass
class ContextMenu(TableMessage, namespace="fleet_table"):
    """A right click on a row at screen cell `x`, `y`; the cursor is already there."""

    key: str
    x: int
    y: int
