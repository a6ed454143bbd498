"""Labels with values: nothing is lost, nothing wraps below its label, and no line is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from clawtui.tui.widgets.fields import LEAST_CELLS, Field, broken, field_lines, heading


def lines(*fields: Field, cells: int = 40) -> list[str]:
    return "".join(text for text, _ in field_lines(fields, cells)).rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("", 10, [""]),
        ("one two three", 8, ["one two", "three"]),
        ("one\ntwo", 8, ["one", "two"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("ab abcdefghij", 4, ["ab", "abcd", "efgh", "ij"]),
        ("日本 日本", 4, ["日本", "日本"]),
        ("\x1b[31mred\x07", 10, ["red␇"]),
    ],
)
def test_a_text_is_broken_between_words_where_that_is_possible(text: str, cells: int, expected: list[str]) -> None:
    assert broken(text, cells) == expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs"]), max_size=200), st.integers(2, 40))
def test_no_line_is_too_long_and_no_word_is_lost(text: str, cells: int) -> None:
    found = broken(text, cells)
    assert all(cell_len(line) <= cells for line in found)
    assert "".join("".join(found).split()) == "".join("".join(broken(text, 10_000)).split())


def test_a_value_that_does_not_fit_goes_on_below_the_value() -> None:
    shown = lines(Field("Name", "short"), Field("Error", "a long sentence that needs more than one line"))
    assert shown == [
        " Name   short",
        " Error  a long sentence that needs more",
        "        than one line",
    ]


def test_what_stands_behind_goes_below_where_it_does_not_fit() -> None:
    assert lines(Field("A", "value", more="more")) == [" A  value  more"]
    assert lines(Field("A", "v" * 30, more="more words")) == [f" A  {'v' * 30}", "    more words"]


def test_a_heading_has_air_above_it_but_not_on_top() -> None:
    assert lines(heading("One"), Field("A", "x"), heading("Two")) == [" One", " A  x", "", " Two"]


def test_in_a_sliver_the_value_keeps_some_room() -> None:
    shown = lines(Field("A label of its own", "word " * 10), cells=10)
    assert max(len(line) for line in shown) <= len(" A label of its own  ") + LEAST_CELLS
