"""The window of log lines: bounds, filter with context against a plain reference, hits, older lines."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.log_store import LINE_CHARACTERS, Filter, LogLineView, LogStore


def lines(*texts: str) -> list[LogLineView]:
    return [LogLineView(text) for text in texts]


def shown(store: LogStore) -> list[str]:
    return [store.line(store.number(row)).text for row in range(len(store))]


def grep(texts: list[str], chosen: Filter) -> list[str]:
    """What `grep -C` would print, without separators."""
    hits = [i for i, text in enumerate(texts) if (chosen.pattern.search(text) is None) == chosen.invert]
    near = {j for i in hits for j in range(i - chosen.context, i + chosen.context + 1)}
    return [text for i, text in enumerate(texts) if i in near]


BATCHES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=7), max_size=8)


@given(BATCHES, st.integers(0, 3), st.booleans())
def test_lines_that_come_in_batches_are_filtered_like_all_at_once(
    batches: list[list[str]], context: int, invert: bool
) -> None:
    chosen = Filter(re.compile("a"), context, invert)
    store = LogStore()
    store.set_filter(chosen)
    for batch in batches:
        store.append(lines(*batch))
    texts = [text for batch in batches for text in batch]
    assert shown(store) == grep(texts, chosen)
    assert store.hits == sum(chosen.passes(LogLineView(text)) for text in texts)


@given(BATCHES, st.integers(1, 9), st.integers(0, 3))
def test_bounds_hold_and_every_line_is_kept_or_counted(batches: list[list[str]], bound: int, context: int) -> None:
    store = LogStore(max_lines=bound)
    store.set_filter(Filter(re.compile("a"), context))
    store.set_search(re.compile("b"))
    came = 0
    for batch in batches:
        before = [store.number(row) for row in range(len(store))]
        gone = store.append(lines(*batch))
        came += len(batch)
        numbers = [store.number(row) for row in range(len(store))]
        assert store.kept <= bound
        assert store.kept + store.dropped == came
        assert numbers == sorted(set(numbers))
        assert all(store.has(number) for number in numbers)
        assert gone >= len([number for number in before if number not in numbers])
        assert store.hits == sum("b" in store.line(number).text for number in numbers)


def test_more_than_fits_is_dropped_and_counted() -> None:
    store = LogStore(max_lines=3)
    assert store.append(lines(*"abcdefgh")) == 0
    assert (shown(store), store.dropped) == (["f", "g", "h"], 5)
    assert store.append(lines("i")) == 1
    assert store.dropped == 6


def test_characters_are_bounded_too() -> None:
    store = LogStore(max_lines=100, max_characters=10)
    store.append(lines("12345", "12345", "12345"))
    assert (store.kept, store.dropped) == (2, 1)
    store.append(lines("x" * 50))
    assert (shown(store), store.dropped) == (["x" * 50], 3)


def test_a_megabyte_is_cut_on_the_way_in() -> None:
    store = LogStore()
    store.append(lines("x" * 1_000_000))
    assert len(store.line(store.number(0)).text) < LINE_CHARACTERS + 40
    assert "characters" in store.line(store.number(0)).text


def test_hits_before_and_after_a_line() -> None:
    store = LogStore()
    store.append(lines("x", "hit", "x", "hit"))
    store.set_search(re.compile("hit"))
    assert store.hits == 2
    first, second = store.number(1), store.number(3)
    assert (store.next_hit(store.number(0)), store.next_hit(first), store.next_hit(second)) == (first, second, None)
    assert (store.previous_hit(second), store.previous_hit(first)) == (first, None)
    assert (store.first_hit(), store.last_hit()) == (first, second)
    store.set_search(re.compile("nothing"))
    assert (store.next_hit(0), store.previous_hit(9), store.first_hit(), store.last_hit()) == (None,) * 4


def test_without_a_search_the_hits_are_those_of_the_filter_without_its_context() -> None:
    store = LogStore()
    store.append(lines("x", "hit", "x", "x", "hit"))
    store.set_filter(Filter(re.compile("hit"), 1))
    assert store.next_hit(store.number(0)) == 1
    assert store.next_hit(1) == 4
    assert [line.text for line in store.hit_lines()] == ["hit", "hit"]


def test_hits_are_found_in_what_is_shown_not_in_escape_sequences() -> None:
    store = LogStore()
    store.append(lines("\x1b[31mplain\x1b[0m"))
    store.set_search(re.compile("31m"))
    assert store.hits == 0


def test_context_lines_and_gaps_are_told_apart() -> None:
    store = LogStore()
    store.append(lines("a", "x", "y", "z", "a"))
    store.set_filter(Filter(re.compile("a"), 1))
    assert shown(store) == ["a", "x", "z", "a"]
    assert [store.passed(store.number(row)) for row in range(4)] == [True, False, False, True]
    assert [store.after_gap(row) for row in range(4)] == [False, False, True, False]


@given(BATCHES, BATCHES, st.integers(0, 3), st.booleans())
def test_lines_that_come_in_front_are_filtered_and_found_like_all_at_once(
    later: list[list[str]], earlier: list[list[str]], context: int, invert: bool
) -> None:
    chosen = Filter(re.compile("a"), context, invert)
    store = LogStore()
    store.set_filter(chosen)
    store.set_search(re.compile("b"))
    for batch in later:
        store.append(lines(*batch))
    texts = [text for batch in later for text in batch]
    for batch in earlier:
        store.prepend(lines(*batch))
        texts = [*batch, *texts]
        seen = grep(texts, chosen)
        assert shown(store) == seen
        assert store.hits == sum("b" in text for text in seen)
        assert [line.text for line in store.hit_lines()] == [text for text in seen if "b" in text]
    assert (store.dropped, store.below, store.detached) == (0, 0, False)


def test_older_lines_come_in_front_and_the_newest_make_room() -> None:
    store = LogStore(max_lines=4)
    store.append(lines("c", "d"))
    assert store.prepend(lines("a", "b")) == 2
    assert (shown(store), store.detached) == (["a", "b", "c", "d"], False)
    assert store.prepend(lines("z")) == 1
    assert (shown(store), store.detached, store.dropped, store.below) == (["z", "a", "b", "c"], True, 0, 1)
    store.append(lines("e"))
    assert (shown(store), store.below) == (["z", "a", "b", "c"], 2)
    store.extend(lines("d"))
    assert (shown(store), store.dropped, store.below) == (["a", "b", "c", "d"], 1, 1)
    store.extend(lines("e"))
    store.attach()
    store.append(lines("f"))
    assert (shown(store), store.dropped, store.below, store.detached) == (["c", "d", "e", "f"], 3, 0, False)
    store.prepend(lines("a", "b"))
    assert (store.dropped, store.below) == (1, 2)


@given(BATCHES, st.integers(1, 9))
def test_what_is_held_stays_and_every_line_is_kept_or_counted(batches: list[list[str]], bound: int) -> None:
    store = LogStore(max_lines=bound)
    texts = [text for batch in batches for text in batch]
    for batch in batches:
        assert store.append(lines(*batch), hold=True) == 0
    assert shown(store) == texts[:bound]
    assert (store.below, store.detached) == (max(0, len(texts) - bound), len(texts) > bound)


def test_clear_keeps_the_filter() -> None:
    store = LogStore(max_lines=2)
    store.set_filter(Filter(re.compile("a")))
    store.append(lines("a", "a", "a"))
    store.clear()
    assert (store.kept, store.dropped, len(store)) == (0, 0, 0)
    store.append(lines("b", "a"))
    assert shown(store) == ["a"]
