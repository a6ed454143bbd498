"""Pure helpers for text in terminal cells: make any string safe to draw, measure it, fit it, fold it."""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Literal

from rich.cells import cell_len, get_character_cell_size, set_cell_size

Align = Literal["left", "right"]

ELLIPSIS = "…"
TAB_CELLS = 4
OFTEN_TEXTS = 4_096
OFTEN_CHARACTERS = 200
"""States, bars and names come again in every frame; longer texts would only fill the cache."""

# Complete terminal sequences carry no words: colours and cursor movement (CSI), titles and links (OSC, DCS, PM, APC,
# SOS), two-byte escapes. What is left of a broken one is shown as a control picture.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-Z\\^-~]"
)
# Characters that take no cell but reorder or join their neighbours: terminals disagree about what they do to a line.
_INVISIBLE = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_VARIATION = "".join(map(chr, range(0xFE00, 0xFE10)))
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_INVISIBLE}{_DIRECTION}{_VARIATION}]")
# More than this many accents on one letter is an attack on the lines above and below, not a language.
_ACCENT = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILED_ACCENTS = re.compile(f"({_ACCENT}{{3}}){_ACCENT}+")


def clean(text: str) -> str:
    """`text` as one line that cannot leave its cells: no escape sequences, controls, joins or direction changes.

    Complete escape sequences go; other control characters become their pictures (`␀`), direction changes `�`.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text or "\x9b" in text or "\x9d" in text:
        text = _SEQUENCE.sub("", text)
    text = text.rstrip("\r\n")
    if "\t" in text:
        text = text.expandtabs(TAB_CELLS)
    return _PILED_ACCENTS.sub(r"\1", _UNSAFE.sub(_replacement, text))


def _replacement(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if character in _INVISIBLE or character in _VARIATION:
        return ""
    return "�"


def width(text: str) -> int:
    """Cells that cleaned `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def truncate(text: str, cells: int) -> str:
    """Cleaned `text` cut to `cells`, with an ellipsis in the last cell when something was cut."""
    if width(text) <= cells:
        return text
    if cells <= 0:
        return ""
    return set_cell_size(text, cells - 1).rstrip() + ELLIPSIS


def fit(text: str, cells: int, align: Align = "left") -> str:
    """`text` cleaned, cut and padded to exactly `cells`."""
    if len(text) <= cells and text.isascii() and text.isprintable():
        return text.rjust(cells) if align == "right" else text.ljust(cells)
    return _fit_often(text, cells, align) if len(text) <= OFTEN_CHARACTERS else _fit(text, cells, align)


def _fit(text: str, cells: int, align: Align) -> str:
    shown = truncate(clean(text), cells)
    padding = " " * (cells - width(shown))
    return padding + shown if align == "right" else shown + padding


_fit_often = lru_cache(OFTEN_TEXTS)(_fit)


def fold(text: str, cells: int) -> list[str]:
    """Cleaned `text` in pieces of at most `cells`; at least one piece. `cells` is 2 or more."""
    if text.isascii():
        return [text[start : start + cells] for start in range(0, len(text), cells)] or [""]
    # A megabyte of wide characters must not stall the screen: one pass in C, then one search per piece.
    ends = list(accumulate(map(get_character_cell_size, text)))
    pieces: list[str] = []
    start = 0
    while start < len(text):
        before = ends[start - 1] if start else 0
        end = max(start + 1, bisect_right(ends, before + cells, start))
        pieces.append(text[start:end])
        start = end
    return pieces


def paragraph(text: str, cells: int) -> list[str]:
    """A sentence for the operator, broken between words into lines of at most `cells`; line breaks stay."""
    lines = [line for part in text.split("\n") for line in textwrap.wrap(clean(part), max(1, cells)) or [""]]
    return [truncate(line, cells) for line in lines]


def shorten(text: str, characters: int) -> str:
    """`text` as it is, or its first `characters` and how many more there were."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]} {ELLIPSIS} +{len(text) - characters:,} characters"
