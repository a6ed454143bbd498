"""The difference of a persona's files in words: a row each, and one as a unified difference. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from clawtui.cli.output import printable
from clawtui.tui.sync import WAITING, step_sign
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from hub.contract import FileDifference

CONTEXT_LINES: Final = 3
COLUMNS: Final = (
    Column("change", "WHAT", 10, "left"),
    Column("path", "FILE", 20, "left"),
    Column("lines", "LINES", 9, "right"),
    Column("why", "WHY", 16, "left", True),
)
KEYS: Final = frozenset({"change", "path", "why"})
DECIDED: Final = WAITING | {"keep"}
"""What a person may decide about, or decide anew."""
SAME: Final = "The texts are the same."
LEGEND: Final = "- stands there now and goes, + comes when the source's is applied"

Line = tuple[str, str]
"""A text of one line and its meaning."""


class Difference(NamedTuple):
    """`lines` of the unified difference; so many lines more and less in what is wanted."""

    lines: tuple[Line, ...]
    more: int = 0
    less: int = 0


def difference_of(file: FileDifference) -> Difference:
    """From what is on the disk to what the source wants. Takes long for long texts: not on the screen's loop."""
    if file.binary:
        return Difference((("It is not text: there is nothing to compare line by line.", "dim"),))
    if file.on_disk is None and file.wanted is None:
        return Difference(((file.reason or "There is no such file, and none is wanted.", "dim"),))
    before, after = _split(file.on_disk), _split(file.wanted)
    lines = list(_lines(file, before, after))
    if file.on_disk == file.wanted:
        return Difference((*lines, (SAME, "dim")))
    signs = [text[:1] for text, _ in lines[2:]]
    return Difference((*lines, *_last_lines(file)), signs.count("+"), signs.count("-"))


def _split(text: str | None) -> list[str]:
    """Lines as they are shown: a carriage return is seen."""
    return [line.replace("\r", "␍") for line in (text or "").split("\n")][: None if _open_end(text) else -1]


def _open_end(text: str | None) -> bool:
    return bool(text) and not str(text).endswith("\n")


def _lines(file: FileDifference, before: list[str], after: list[str]) -> Iterator[Line]:
    styles = {"+": "ok", "-": "bad", "@": "accent"}
    yield f"--- {'no file' if file.on_disk is None else 'on the disk'}: {printable(file.path)}", "bold"
    yield f"+++ {'no file is wanted' if file.wanted is None else 'as the source wants it'}", "bold"
    unified = difflib.unified_diff(before, after, n=CONTEXT_LINES, lineterm="")
    for number, line in enumerate(unified):
        if number > 1:  # the first two name the files
            yield line, styles.get(line[:1], "")


def _last_lines(file: FileDifference) -> list[Line]:
    """Which of the two has no line break at its end, where only one has."""
    open_ends = [_open_end(text) for text in (file.on_disk, file.wanted)]
    if open_ends[0] == open_ends[1] or file.on_disk is None or file.wanted is None:
        return []
    which = "on the disk" if open_ends[0] else "as the source wants it"
    return [(f"\\ no line break at the end {which}", "dim")]


def file_row(file: FileDifference, found: Difference | None, stale: bool) -> tuple[Mapping[str, str], Row]:
    sign = step_sign(file.action)
    count = "" if found is None or not (found.more or found.less) else f"+{found.more} -{found.less}"
    why = printable(file.reason)
    cells = (
        Cell(f"{sign.glyph} {file.action}", sign.style), Cell(printable(file.path), "bold"), Cell(count), Cell(why),
    )  # fmt: skip
    return {"change": file.action, "path": file.path, "why": why}, Row(file.path, cells, stale)
