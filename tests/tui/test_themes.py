"""The themes: every text can be read, putting one on while the screen runs, and which one counts."""

from __future__ import annotations

import pytest

from clawtui.errors import UsageError
from clawtui.settings import Settings
from clawtui.tui.memory import Memory
from clawtui.tui.theme import PALETTES, STYLES
from clawtui.values import THEMES
from hub.core.model import AgentStatus
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, typed, until


def fleet() -> ScriptedHub:
    return ScriptedHub(an_agent("a-1"), an_agent("a-2", AgentStatus.CRASHED))


def test_every_theme_is_a_setting_and_the_other_way_round() -> None:
    assert tuple(PALETTES) == THEMES


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of `#rrggbb`."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


GROUNDS = ("background", "surface", "panel", "cursor", "blurred", "marked", "needs", "banner", "field")
TEXTS = ("foreground", "ok", "warn", "bad", "dim", "info", "hint")


@pytest.mark.parametrize(("theme", "least"), [("dark", 4.5), ("light", 4.5), ("high-contrast", 7.0)])
def test_every_text_can_be_read_on_every_ground(theme: str, least: float) -> None:
    palette = PALETTES[theme]._asdict()
    poor = {
        (text, ground): round(found, 2)
        for text in TEXTS
        for ground in GROUNDS
        if (found := contrast(palette[text], palette[ground])) < least
    }
    assert poor == {}


@pytest.mark.parametrize("theme", THEMES)
async def test_a_theme_is_put_on_while_the_screen_runs(theme: str) -> None:
    async with shown(fleet(), (120, 40)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words(f"theme {theme}")
        await until(pilot, sees(app, f"theme {theme}"))
        await until(pilot, lambda: app.theme == f"clawtui-{theme}")
        # Texts that stood before have the new colours too, the same that the style sheet has.
        shown_as = app.console.get_style(STYLES["ok"]).color
        assert shown_as is not None
        wanted = PALETTES[theme].ok.removeprefix("ansi_")
        assert shown_as.name == wanted
        # Every dialog can be painted in it.
        for key, word in (("question_mark", "Help"), ("c", "New agent"), ("t", "New task"), ("ctrl+p", "Palette")):
            await pilot.press(key)
            await until(pilot, sees(app, word))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)


async def test_an_unknown_theme_is_said_and_changes_nothing() -> None:
    async with shown(fleet()) as (app, pilot):
        await app.do_words("theme plaid")
        await until(pilot, sees(app, "there is no theme 'plaid'", "high-contrast"))
        assert app.theme == "clawtui-dark"


async def test_a_theme_is_chosen_from_a_list_and_remembered() -> None:
    async with shown(fleet()) as (app, pilot):
        await app.do_words("theme")
        await until(pilot, sees(app, "Theme (now dark)", "dark text on light ground"))
        await typed(pilot, "light")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "clawtui-light")
        assert app.memory.preferences.theme == "light"


async def test_the_settings_are_stronger_than_what_was_chosen_last() -> None:
    memory = Memory()
    memory.choose(theme="light")
    settings = Settings().overridden({"theme": "high-contrast"}, "CLAWTUI_THEME")
    async with shown(fleet(), memory=memory, settings=settings) as (app, pilot):
        assert app.theme == "clawtui-high-contrast"
        await app.do_words("theme terminal")
        await until(pilot, sees(app, "until you leave", "CLAWTUI_THEME says high-contrast"))


def test_a_theme_that_does_not_exist_is_no_setting() -> None:
    with pytest.raises(UsageError, match="one of dark, light"):
        Settings().overridden({"theme": "plaid"})


def colours_of(app: object) -> set[tuple[int, int, int]]:
    """Every colour on the screen, as the filters leave it."""
    found: set[tuple[int, int, int]] = set()
    for strip in app.screen._compositor.render_strips():  # pyright: ignore[reportAttributeAccessIssue]
        line = strip  # through one filter after the other, as on the way to the terminal
        for one in app._filters:  # pyright: ignore[reportAttributeAccessIssue]
            if one.enabled:
                line = line.apply_filter(one, app.screen.background_colors[1])  # pyright: ignore[reportAttributeAccessIssue]
        for segment in line:
            for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                if colour is not None and colour.triplet is not None:
                    found.add(tuple(colour.triplet))
    return found


@pytest.mark.parametrize("theme", THEMES)
async def test_plain_takes_the_colours_of_every_theme_away(theme: str) -> None:
    async with shown(fleet(), plain=True) as (app, pilot):
        await until(pilot, sees(app, "● online", "× crashed"))
        await app.do_words(f"theme {theme}")
        await until(pilot, lambda: app.theme == f"clawtui-{theme}")
        await until(pilot, lambda: all(red == green == blue for red, green, blue in colours_of(app)))
        assert sees(app, "● online", "× crashed")()
