"""The log pane: follows or stays, folds, filters, searches, copies; nothing that comes can break the screen."""

from __future__ import annotations

import re

import pytest
from textual.app import App, ComposeResult
from textual.strip import Strip
from textual.widgets import ContentSwitcher, Static

from clawtui.tui.widgets.log_view import COPY_CHARACTERS, LogLineView, LogView, Want
from tests.tui.widgets.screens import OneWidget, painted, screen_text

SIZE = (40, 6)
HOSTILE = [
    "\x1b[2J\x1b[H\x1b]0;owned\x07",
    "\x00" * 500,
    "x" * 1_000_000,
    "漢" * 5_000,
    "e" + "\u0301" * 5_000,
    "\u202e" + "reversed",
    "👨‍👩‍👧‍👦🇩🇪" * 300,
    "\t" * 300,
    "progress 1%\rprogress 2%\r",
    "\u0301\u0301leading accents",
    "\ud800 lone surrogate",
    "",
]


class CountingView(LogView):
    """Counts the lines that it paints."""

    painted_lines = 0

    def render_line(self, y: int) -> Strip:
        self.painted_lines += 1
        return super().render_line(y)


def lines(count: int, start: int = 0, text: str = "line") -> list[LogLineView]:
    return [LogLineView(f"{text} {start + i}", f"12:00:{i % 60:02}", key=start + i) for i in range(count)]


def texts(app: App[None]) -> list[str]:
    """The screen without the gutter, the scroll bar and empty lines."""
    return [text for strip in painted(app) if (text := strip.text[3:-1].rstrip())]


async def test_an_empty_pane_says_why() -> None:
    app = OneWidget(LogView(empty="No output yet."))
    async with app.run_test(size=SIZE):
        assert screen_text(app)[1] == "  No output yet."


async def test_it_follows_until_asked_to_stay_and_again_at_the_end() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(100))
        view.focus()
        await pilot.pause()
        assert texts(app)[-1] == "line 99"
        await pilot.press("up")
        assert not view.follow
        view.append(lines(100, 100))
        await pilot.pause()
        assert texts(app)[-1] == "line 99"
        assert any(strip.text.startswith("▸  line 98") for strip in painted(app))
        await pilot.press("G")
        assert view.follow
        assert texts(app)[-1] == "line 199"


async def test_what_is_read_stays_while_lines_come_and_they_are_counted() -> None:
    view = LogView(max_lines=100)
    wants: list[Want] = []
    view.wanted = wants.append
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(90))
        view.focus()
        await pilot.press("up")
        view.follow = False
        view.scroll_to(y=50, animate=False)
        await pilot.pause()
        assert texts(app)[0] == "line 50"
        view.append(lines(30, 90))
        await pilot.pause()
        assert (texts(app)[0], view.dropped, view.kept, view.below) == ("line 50", 0, 100, 30)
        view.append(lines(1_000, 120))
        await pilot.pause()
        assert (texts(app)[0], view.dropped, view.below) == ("line 50", 0, 1_030)
        view.scroll_to(y=94, animate=False)
        await pilot.pause()
        assert view.below == 1_020
        await pilot.press("end")
        assert wants == [Want.NEWEST]
        view.begin(lines(100, 1_020), start=False)
        await pilot.pause()
        assert (texts(app)[-1], view.dropped, view.kept, view.below) == ("line 1119", 1_020, 100, 0)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [(40, 6), (7, 3), (1, 1), (120, 40)])
async def test_hostile_output_stays_in_its_cells(wrap: bool, size: tuple[int, int]) -> None:
    view = LogView()
    view.wrap = wrap
    app = OneWidget(view)
    async with app.run_test(size=size) as pilot:
        view.search(re.compile("x|漢|e"))
        view.append(
            [
                LogLineView(text, "\x1b[1mnow", "a\nb\x07漢漢漢漢漢漢漢漢漢", "ERROR", i)
                for i, text in enumerate(HOSTILE)
            ]
        )
        view.timestamps = True
        for y in range(0, view.virtual_size.height, max(1, view.virtual_size.height // 25)):
            view.follow = False
            view.scroll_to(y=y, animate=False)
            await pilot.pause()
            for strip in painted(app):
                assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in strip.text)


async def test_a_megabyte_says_how_much_is_not_shown() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE):
        view.append([LogLineView("x" * 1_000_000)])
        assert view._text(view._store.line(0)).endswith("… +995,904 characters")


async def test_folded_lines_show_everything_and_turning_it_on_keeps_the_place() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=(20, 6)) as pilot:
        view.append([*lines(50), LogLineView("0123456789abcdef漢字ghijkl"), *lines(50, 50)])
        view.follow = False
        view.scroll_to(y=50, animate=False)
        await pilot.pause()
        view.wrap = True
        await pilot.pause()
        assert texts(app)[:4] == ["0123456789abcdef", "漢字ghijkl", "line 50", "line 51"]
        await pilot.resize_terminal(14, 6)
        await pilot.pause()
        assert texts(app)[:4] == ["0123456789", "abcdef漢字", "ghijkl", "line 50"]


async def test_following_folded_lines_shows_the_last_one() -> None:
    view = LogView(max_lines=20)
    view.wrap = True
    app = OneWidget(view)
    async with app.run_test(size=(20, 6)) as pilot:
        for start in range(0, 100, 7):
            view.append(lines(7, start, "a long line of words"))
        await pilot.pause()
        assert texts(app)[-2:] == ["a long line of w", "ords 104"]
        view.follow = False
        view.scroll_to(y=10, animate=False)
        await pilot.pause()
        top = texts(app)
        view.append(lines(2, 105, "a long line of words"))
        await pilot.pause()
        assert texts(app) == top


async def test_times_sources_and_levels() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=(60, 4)) as pilot:
        view.append(
            [
                LogLineView("fine", "12:00:01", "builder-1", "info"),
                LogLineView("broken", "12:00:02", "web-3", "ERROR"),
                LogLineView("odd", "12:00:03", "web-3", "warning"),
            ]
        )
        await pilot.pause()
        assert screen_text(app)[:3] == [
            "   builder-1        fine", " E web-3            broken", " W web-3            odd",
        ]  # fmt: skip
        view.timestamps = True
        await pilot.pause()
        assert screen_text(app)[1] == " E 12:00:02 web-3            broken"


async def test_a_filter_shows_context_and_gaps() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(100))
        view.set_filter(re.compile("line [15]0$"), 1)
        await pilot.pause()
        assert [text.rstrip() for text in screen_text(app)] == [
            "   line 9", "   line 10", "   line 11", "┄  line 49", "   line 50", "   line 51",
        ]  # fmt: skip
        assert view.hits == 2
        view.append([*lines(1, 150), LogLineView("line 50")])
        await pilot.pause()
        assert (texts(app)[-1], view.hits) == ("line 50", 3)
        view.set_filter(re.compile("line"), invert=True)
        view.set_empty("Nothing passes the filter.")
        await pilot.pause()
        assert screen_text(app)[1] == "  Nothing passes the filter."
        view.set_filter(None)
        await pilot.pause()
        assert len(texts(app)) == 6


async def test_n_goes_from_hit_to_hit_and_round() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(100))
        view.search(re.compile("line [27]5$"))
        view.focus()
        await pilot.press("g", "n")
        assert view.copy_line() == "line 25"
        await pilot.press("n")
        assert view.copy_line() == "line 75"
        await pilot.press("n")
        assert view.copy_line() == "line 25"
        await pilot.press("N")
        assert view.copy_line() == "line 75"
        hit = next(it for strip in painted(app) for it in strip if it.text == "line 75")
        assert hit.style is not None
        assert hit.style.reverse
        view.search(re.compile("nothing"))
        assert not view.next_hit()


async def test_lines_and_ranges_are_copied_without_their_escape_sequences() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append([*lines(10), LogLineView("\x1b[31mrm -rf\x1b[0m\x1b]52;c;AAAA\x07 x\r")])
        view.focus()
        await pilot.press("y")
        assert app.clipboard == "rm -rf x"
        await pilot.press("up", "v", "up", "up")
        assert [strip.text[:9] for strip in painted(app)][1:4] == ["   line 6", "▸  line 7", "*  line 8"]
        await pilot.press("y")
        assert app.clipboard == "line 7\nline 8\nline 9"
        assert not view.check_action("drop_range", ())


async def test_pages_are_asked_for_once_and_the_window_slides_over_them() -> None:
    view = LogView(max_lines=50)
    wants: list[Want] = []
    view.wanted = wants.append
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(40, 100))
        view.focus()
        await pilot.press("g", "up", "up")
        assert wants == [Want.OLDER]
        view.prepend(lines(20, 80))
        await pilot.pause()
        assert "line 100" in texts(app)
        await pilot.press("g")
        assert (texts(app)[0], wants) == ("line 80", [Want.OLDER] * 2)
        view.prepend([], start=True)
        await pilot.press("up")
        assert (len(wants), view.more_above) == (2, False)
        for _ in range(12):
            await pilot.press("pagedown")
        assert wants[2:] == [Want.NEWER]
        view.extend(lines(10, 130), end=True)
        assert (view.kept, view.dropped, view.more_above) == (50, 10, True)
        view.append(lines(1, 140))
        await pilot.press("G")
        assert texts(app)[-1] == "line 139"


async def test_n_and_N_read_on_for_the_next_hit() -> None:
    view = LogView(max_lines=50)
    wants: list[Want] = []
    view.wanted = wants.append
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(40, 100))
        view.search(re.compile("line (5|120)$"))
        view.focus()
        await pilot.press("N")
        assert view.copy_line() == "line 120"
        await pilot.press("N")
        assert (wants, view.seeking) == ([Want.OLDER], True)
        view.prepend(lines(40, 60))
        assert (wants, view.seeking) == ([Want.OLDER] * 2, True)
        view.prepend(lines(40, 20))
        view.prepend(lines(20), start=True)
        assert (view.copy_line(), view.seeking, len(wants)) == ("line 5", False, 3)
        await pilot.press("n")
        assert wants[3:] == [Want.NEWER]
        await pilot.press("down")
        assert not view.seeking


async def test_all_hits_are_copied_and_too_many_are_cut_with_a_word() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(100))
        assert view.copy_hits() == ""
        view.search(re.compile("line [27]5$"))
        assert view.copy_hits() == "line 25\nline 75"
        view.append([LogLineView("x75" * 1_000)] * 100)
        view.search(re.compile("x75"))
        assert len(view.copy_hits()) <= COPY_CHARACTERS
        await pilot.pause()
        counts = [(it.lines, it.all_lines) for it in app.said if isinstance(it, LogView.Copied)]
        assert counts == [(2, 2), (33, 100)]


async def test_a_click_chooses_a_line_and_the_wheel_stops_following() -> None:
    view = LogView()
    app = OneWidget(view)
    async with app.run_test(size=SIZE) as pilot:
        view.append(lines(100))
        await pilot.pause()
        await pilot.click(view, offset=(5, 2))
        assert view.copy_line() == "line 96"
        assert not view.follow


class TwoTabs(App[None]):
    def __init__(self, view: LogView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="other"):
            yield Static("other", id="other")
            yield self.view


async def test_a_hidden_pane_paints_nothing_and_is_complete_when_shown() -> None:
    view = CountingView(id="logs")
    app = TwoTabs(view)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for start in range(0, 1_000, 100):
            view.append(lines(100, start))
            await pilot.pause()
        assert view.painted_lines == 0
        assert view.virtual_size.height == 0
        app.query_one(ContentSwitcher).current = "logs"
        await pilot.pause()
        assert texts(app)[-1] == "line 999"
