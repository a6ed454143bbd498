"""Colours by meaning. `NO_COLOR` is honoured by Textual itself, which then shows everything in greys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.text import Text

STYLES: Final = {
    "ok": "green", "warn": "yellow", "bad": "bold red", "dim": "bright_black", "accent": "cyan", "": "",
    "bold": "bold", "title": "bold reverse",
}  # fmt: skip
"""Rich styles for text that is no table: terminal colours, so that they follow the terminal's theme."""

Piece = tuple[str, str]
"""A text and its meaning."""


def styled(pieces: Iterable[Piece]) -> Text:
    return Text.assemble(*((text, STYLES.get(meaning, "")) for text, meaning in pieces), no_wrap=True, overflow="ellipsis")
