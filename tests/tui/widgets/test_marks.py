"""Marks belong to keys."""

from __future__ import annotations

from clawtui.tui.widgets.marks import Marks

SHOWN = ["a", "b", "c", "d", "e"]


def test_a_mark_is_toggled() -> None:
    marks = Marks()
    marks.toggle("a")
    assert marks.keys == {"a"}
    marks.toggle("a")
    assert marks.keys == frozenset()


def test_a_range_starts_at_the_row_marked_last_in_either_direction() -> None:
    marks = Marks()
    marks.toggle("d")
    marks.mark_range(SHOWN, "b")
    assert marks.keys == {"b", "c", "d"}
    marks.mark_range(SHOWN, "a")
    assert marks.keys == {"a", "b", "c", "d"}


def test_a_range_without_a_start_is_one_row() -> None:
    marks = Marks()
    marks.mark_range(SHOWN, "c")
    assert marks.keys == {"c"}
    marks.toggle("hidden")
    marks.mark_range(SHOWN, "e")
    assert marks.keys == {"c", "hidden", "e"}


def test_marks_of_hidden_rows_are_counted_and_those_of_gone_rows_forgotten() -> None:
    marks = Marks()
    marks.mark(["a", "x", "y"])
    assert marks.hidden(SHOWN) == 2
    marks.keep({"a", "x"})
    assert marks.keys == {"a", "x"}
    marks.clear()
    assert not marks.keys
