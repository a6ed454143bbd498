"""Any text is safe to draw, exactly as wide as asked, and says that it was cut."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from clawtui.tui.widgets.text import clean, fit, fold, paragraph, shorten, truncate, width

ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b[]0;31mHJK\x07\x9b\x9d\x00\r\n\t漢字é\u0301\u0301\u202e\u200d\ufe0f👨👩👧🇩🇪"),
    )
)


@given(ANY_TEXT)
def test_nothing_that_moves_the_terminals_cursor_is_left(text: str) -> None:
    shown = clean(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in shown)
    assert not set("\u200b\u200d\u202a\u202e\u2066\ufe0f\ufeff") & set(shown)


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(ANY_TEXT, st.integers(0, 40), st.sampled_from(["left", "right"]))
def test_fitted_text_takes_exactly_its_cells(text: str, cells: int, align: str) -> None:
    assert cell_len(fit(text, cells, "right" if align == "right" else "left")) == cells


@given(ANY_TEXT, st.integers(2, 40))
def test_folded_pieces_are_the_text_and_never_too_wide(text: str, cells: int) -> None:
    pieces = fold(clean(text), cells)
    assert all(width(piece) <= cells for piece in pieces)
    assert "".join(pieces) == clean(text)
    assert pieces


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[H\x1bcgone", "gone"),
        ("\x1bP1$r\x1b\\x", "x"),
        ("\x9b2Jx", "x"),
        ("half \x1b[", "half ␛["),
        ("a\x00b", "a␀b"),
        ("10%\r20%\r\n", "10%␍20%"),
        ("a\tb", "a   b"),
        ("\x7f", "␡"),
        ("abc\u202edef", "abc�def"),
        ("a\u200bb\ufeff", "ab"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 3),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_title_that_never_ends_does_not_swallow_the_line() -> None:
    assert clean("\x1b]0;" + "x" * 10_000).endswith("x" * 5_000)


def test_truncated_text_says_so() -> None:
    assert truncate("abcdef", 4) == "abc…"
    assert truncate("abcd", 4) == "abcd"
    assert truncate("漢字漢字", 4) == "漢…"
    assert truncate("abc", 0) == ""


def test_numbers_stand_right() -> None:
    assert fit("7", 4, "right") == "   7"
    assert fit("漢", 4, "right") == "  漢"


def test_a_megabyte_is_shortened_and_says_by_how_much() -> None:
    assert shorten("x" * 1_000_000, 8) == "xxxxxxxx … +999,992 characters"
    assert shorten("short", 8) == "short"


def test_a_sentence_breaks_between_words() -> None:
    assert paragraph("No agents yet. Press a.\nOr c.", 12) == ["No agents", "yet. Press", "a.", "Or c."]
    assert paragraph("", 12) == [""]
    assert all(width(line) <= 3 for line in paragraph("漢字漢字 words", 3))
