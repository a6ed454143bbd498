"""Colours by meaning. `NO_COLOR` is honoured by Textual itself, which then shows everything in greys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.text import Text

STYLES: Final = {
    "ok": "#8ad4a1", "warn": "#ffc473", "bad": "bold #e58a9f", "dim": "#949494", "accent": "#6fc9e0", "": "",
    "bold": "bold", "title": "bold reverse",
}  # fmt: skip
"""Rich styles for text that is no table, in the colours of the tables. Each has a contrast of at least 5 on the
background: bright black, which would be the usual dim, has less than 3."""

Piece = tuple[str, str]
"""A text and its meaning."""


def styled(pieces: Iterable[Piece]) -> Text:
    return Text.assemble(
        *((text, STYLES.get(meaning, "")) for text, meaning in pieces), no_wrap=True, overflow="ellipsis"
    )
