"""Lines out of bytes and entries, pages of several logs as one, whose logs are meant: all without a screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.logs.choice import MOST_AGENTS, WINDOWS, choose, following_window
from clawtui.tui.logs.lines import (
    NOTICE_KEY,
    PIECE_BYTES,
    LineCutter,
    Page,
    entry_line,
    level_of,
    notice,
    time_ms,
    time_text,
)
from clawtui.tui.logs.merge import Border, Seen, border_of, newer_page, older_page
from clawtui.tui.widgets.log_store import LogLineView
from hub.contract import LogEntry
from hub.errors import BadRequest
from tests.tui.scripted import an_agent

AT = "2026-01-02T03:04:05.678Z"


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("ab\né", max_size=8), st.sampled_from([0, 0, 5])))
)
def test_bytes_become_lines_however_they_are_cut(parts: list[tuple[str, str, int]]) -> None:
    cutter = LineCutter(0, whole=True)
    offset, whole, lines = 0, {"stdout": "", "stderr": ""}, list[LogLineView]()
    for stream, text, skipped in parts:
        data = text.encode()
        for place in range(len(data) or 1):
            lines += cutter.take(stream, data[place : place + 1], skipped if not place else 0)
        offset += len(data) + skipped
        whole[stream] += text
    assert cutter.offset == offset
    keys = [line.key for line in lines]
    assert keys == sorted(keys)
    lines += cutter.end()
    own = [line for line in lines if not line.text.startswith("—")]
    for stream, level in (("stdout", ""), ("stderr", "error")):
        assert "\n".join(line.text for line in own if line.level == level) == whole[stream].removesuffix("\n")


def test_a_line_whose_beginning_was_not_read_shows_it() -> None:
    cutter = LineCutter(100, whole=False)
    lines = cutter.take("stdout", b"ginning\nwhole\n") + cutter.take("stderr", b"other\n")
    assert [(line.text, line.key) for line in lines] == [("…ginning", 108), ("whole", 114), ("other", 120)]


def test_a_line_without_an_end_comes_in_pieces_of_whole_characters() -> None:
    cutter = LineCutter(0, whole=True)
    lines = cutter.take("stdout", b"x" + "é".encode() * PIECE_BYTES)
    assert [len(line.text.encode()) for line in lines] == [PIECE_BYTES - 1, PIECE_BYTES]
    assert not any("�" in line.text for line in [*lines, *cutter.end()])


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2026-01-02 ERROR it broke", "error"), ("[WARN] odd", "warn"), ("level=debug x", "debug"),
        ('{"severity": "Warning"}', "warning"), ("PANIC: no", "error"), ("no errors at all", ""), ("TERRORS", ""),
        ("x" * 200 + " ERROR", ""), ("", ""),
    ],
)  # fmt: skip
def test_levels_that_plain_lines_name(text: str, level: str) -> None:
    assert level_of(text) == level


def test_entries_become_lines_with_their_time_as_key() -> None:
    own = LogEntry(text='{"time":"x","level":"warning","event":"went","n":1}', source="process", at=AT)
    assert entry_line(own, "a") == LogLineView("went n=1", "03:04:05.678", "a", "warning", time_ms(AT))
    assert entry_line(LogEntry(text="{no json", source="docker")).text == "{no json"
    assert time_text(time_ms(AT)) == AT
    assert (time_ms(None), time_ms("soon")) == (0, 0)


# --- pages of several logs


def page(source: str, *times: int, end: bool = False) -> Page:
    return Page([LogLineView(f"{source}{at}", source=source, key=at) for at in times], end)


def texts(merged: Page) -> list[str]:
    return [line.text for line in merged.lines]


def test_a_page_reaches_as_far_as_is_known_of_everybody() -> None:
    pages = [page("a", 5, 7, 9), page("b", 1, 6, 8, end=True), page("c", 3, 7)]
    assert (texts(older_page(pages)), older_page(pages).end) == (["a5", "b6", "a7", "c7", "b8", "a9"], False)
    assert texts(newer_page(pages)) == ["b1", "c3", "a5", "b6", "a7", "c7"]
    ended = [part._replace(end=True) for part in pages]
    assert (len(older_page(ended).lines), older_page(ended).end, newer_page(ended).end) == (8, True, True)


def test_lines_without_a_time_stay_behind_the_one_before() -> None:
    timed, untimed = page("a", 5, 0, 9), page("b", 6, 7)
    assert texts(older_page([timed._replace(end=True), untimed._replace(end=True)])) == ["a5", "a0", "b6", "b7", "a9"]


def test_the_border_of_what_is_held() -> None:
    lines = [*page("a", 0, 4, 4).lines, notice("x", "a"), *page("b", 4).lines, *page("a", 6).lines]
    assert lines[3].key == NOTICE_KEY
    assert border_of(lines, "a") == Border(4, 3)
    assert border_of(lines) == Border(4, 4)
    assert border_of(lines[::-1], "b") == Border(4, 1)
    assert border_of(lines, "c") is None
    assert border_of(page("a", 0, 0).lines, "a") == Border(0, 2)


def test_what_is_held_is_told_apart_once() -> None:
    seen = Seen(Border(5, 2))
    assert [seen.before(line) for line in page("a", 4, 5, 5, 5, 6).lines] == [True, True, True, False, False]
    assert not seen.missed
    late = Seen(Border(5, 2))
    assert not late.before(page("a", 9).lines[0])
    assert late.missed


# --- whose logs


def test_names_patterns_and_selectors_choose() -> None:
    agents = {name: an_agent(name, type=kind) for name, kind in (("w-1", "web"), ("w-2", "web"), ("db", "store"))}
    assert choose((), agents).shown == ("db", "w-1", "w-2")
    assert choose(("all",), agents).shown == ("db", "w-1", "w-2")
    assert choose(("w-2", "gone"), agents).shown == ("w-2", "gone")
    assert choose(("w-2", "w-*"), agents).shown == ("w-2", "w-1")
    assert choose(("type=web", "id!=w-1"), agents).shown == ("w-2",)
    with pytest.raises(BadRequest):
        choose(("=x",), agents)


def test_more_than_fit_are_left_out_by_name_but_never_those_that_are_named() -> None:
    agents = {f"a-{n:02}": an_agent(f"a-{n:02}") for n in range(40)}
    everybody = choose((), agents)
    assert (len(everybody.shown), everybody.left_out[0]) == (MOST_AGENTS, "a-30")
    assert {*everybody.shown, *everybody.left_out} == set(agents)
    assert choose(tuple(agents), agents).left_out == ()
    assert choose(("a-39", "a-*"), agents).shown[0] == "a-39"


def test_windows_go_round() -> None:
    assert following_window("all") == WINDOWS[0]
    assert [following_window(window) for window in WINDOWS] == [*WINDOWS[1:], WINDOWS[0]]
