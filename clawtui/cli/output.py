"""What verbs print: a table, the HTTP API's JSON, or tab-separated text. stdout is data, stderr narration."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED_WIDTH: Final = 10_000
"""A table that no terminal shows is as wide as it needs."""

STYLES: Final[Mapping[str, str]] = {
    "online": "green", "succeeded": "green", "ok": "green", "done": "green",
    "running": "cyan", "offered": "cyan", "creating": "cyan", "rolling": "cyan", "canary": "cyan",
    "stale": "yellow", "unreachable": "yellow", "lost": "yellow", "paused": "yellow", "degraded": "yellow",
    "crashed": "red", "failed": "red", "quarantined": "red", "timed_out": "red", "rejected": "red",
    "in-step": "green", "pending": "cyan", "drifted": "yellow", "conflict": "yellow",
    "offline": "dim", "stopped": "dim", "cancelled": "dim", "expired": "dim", "queued": "dim", "destroying": "dim",
}  # fmt: skip


class Mode(enum.StrEnum):
    TABLE = "table"
    JSON = "json"
    PLAIN = "plain"


class Column(NamedTuple):
    """One column of a table: its title and what it shows of an item; None is shown as nothing."""

    title: str
    value: Callable[[Any], Any]
    right: bool = False


def printable(text: str) -> str:
    """Text for one cell or one line of narration: no control characters, so no terminal is steered by data."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={cell(item)}" for key, item in value.items())
    return printable(str(value))


class Output:
    """Prints to the two streams in one mode. `colour`: stdout is a terminal that wants it."""

    def __init__(self, mode: Mode, stdout: TextIO, stderr: TextIO, *, colour: bool) -> None:
        self.mode = mode
        self.stdout = stdout
        self.stderr = stderr
        self.colour = colour

    # --- data

    def body(self, body: Any) -> None:
        """The HTTP API's body, indented where a person reads it."""
        encoded = msgspec.json.encode(body)
        self.line((msgspec.json.format(encoded, indent=2) if self.stdout.isatty() else encoded).decode())

    def line(self, text: str) -> None:
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def listing(self, body: Any, columns: Sequence[Column], items: Iterable[Any], empty: str = "nothing here") -> None:
        """`items` as rows; in JSON `body` as it is. `empty` is narrated where there is no row."""
        if self.mode is Mode.JSON:
            return self.body(body)
        rows = [[cell(column.value(item)) for column in columns] for item in items]
        if self.mode is Mode.PLAIN:
            for row in rows:
                self.line("\t".join(row))
        elif rows:
            self._table(columns, rows)
        else:
            self.say(empty)

    def record(self, body: Any, fields: Sequence[Column], item: Any) -> None:
        """One item, a line per field; fields without value are left out of the table."""
        if self.mode is Mode.JSON:
            return self.body(body)
        pairs = [(field.title, cell(field.value(item))) for field in fields]
        if self.mode is Mode.PLAIN:
            for title, text in pairs:
                self.line(f"{title}\t{text}")
            return
        width = max(len(title) for title, _ in pairs)
        for title, text in pairs:
            if text:
                self._styled(f"{title:<{width}}  ", text)

    # --- narration

    def say(self, text: str) -> None:
        self.stderr.write(printable(text) + "\n")
        self.stderr.flush()

    # --- rich, loaded only where a table is drawn

    def console(self) -> Console:
        from rich.console import Console

        terminal = self.stdout.isatty()
        return Console(
            file=self.stdout,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
            width=None if terminal else UNBOUNDED_WIDTH,
        )

    def _table(self, columns: Sequence[Column], rows: list[list[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            # The first column names the item: it is never cut, the others share what is left.
            table.add_column(
                column.title, justify="right" if column.right else "left", no_wrap=number == 0, overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
        self.console().print(table)

    def _styled(self, title: str, text: str) -> None:
        from rich.text import Text

        self.console().print(Text.assemble((title, "bold"), (text, STYLES.get(text, ""))), soft_wrap=True)


def size_text(size_bytes: float | None) -> str | None:
    """Bytes for people, with powers of 1024."""
    if size_bytes is None:
        return None
    for unit in ("B", "K", "M", "G"):
        if abs(size_bytes) < 1024:
            return f"{size_bytes:.0f}{unit}" if unit == "B" or size_bytes >= 10 else f"{size_bytes:.1f}{unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f}T"


def age_text(seconds: float) -> str:
    """An age for people, in its two biggest units."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"
