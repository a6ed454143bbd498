"""Parsers of single values."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.values import KINDS, Parse, as_bool, as_list, as_path, as_size


@pytest.mark.parametrize("parse", list(KINDS), ids=lambda parse: parse.__name__)
@given(value=st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(), st.lists(st.integers())))
def test_whatever_is_given_a_parser_answers_or_raises_value_error(parse: Parse, value: object) -> None:
    with contextlib.suppress(ValueError):
        assert parse(value) is not NotImplemented


def test_words_for_true_and_false() -> None:
    assert [as_bool(word) for word in ("true", "YES", "1", True)] == [True] * 4
    assert [as_bool(word) for word in ("False", "no", "0", False)] == [False] * 4


def test_paths_know_the_home_folder_and_emptiness() -> None:
    assert as_path("~/x") == Path("~/x").expanduser()
    assert as_path("") is None


def test_lists_are_lists_or_text() -> None:
    assert as_list(["a", "b"]) == as_list("a, b") == ("a", "b")


@pytest.mark.parametrize("text", ["", "g", "-1g", "1e999g", "nang"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_size(text)
