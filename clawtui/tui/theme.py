"""Colours: one table of themes, from which the style sheet's variables and the styles of texts are made.

Everything else names a meaning (`ok`, `warn`, `bad` …) or a variable, never a colour. `NO_COLOR` and `--plain` take
the colours away again, whatever the theme.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import rich.theme
from rich.text import Text
from textual.app import App
from textual.filter import Monochrome, NoColor
from textual.theme import Theme
from textual.widgets import Static

from clawtui.errors import UsageError

STYLES: Final = {
    "ok": "$text-success", "warn": "$text-warning", "bad": "bold $text-error", "dim": "$text-dim",
    "accent": "$text-info", "key": "bold $text-info", "": "", "bold": "bold", "title": "bold reverse",
}  # fmt: skip
"""The style of each meaning in texts that are no table. The names are variables of the style sheet, and a Rich
theme knows them too: where a text keeps its style by name, both give the theme's colour."""

Piece = tuple[str, str]
"""A text and its meaning."""


class Palette(NamedTuple):
    """Colours of one theme, as the style sheet writes them. `hint` is for keys in the hint bar.

    `cursor`, `blurred`, `marked`: lines of tables and logs; `needs`, `banner`: the strips below the bar on top;
    `field`: where something can be entered; `shade`: what lies over the screen behind a dialog. Texts stand on all of
    them.
    """

    background: str
    surface: str
    panel: str
    foreground: str
    primary: str
    ok: str
    warn: str
    bad: str
    dim: str
    info: str
    hint: str
    cursor: str
    blurred: str
    marked: str
    needs: str
    banner: str
    field: str
    rule: str
    shade: str
    dark: bool = True
    ansi: bool = False


PALETTES: Final = {
    "dark": Palette(
        background="#121212", surface="#1e1e1e", panel="#242f38", foreground="#e0e0e0", primary="#0178d4",
        ok="#8ad4a1", warn="#ffc473", bad="#eb95a8", dim="#a6a6a6", info="#6fc9e0", hint="#ffc473",
        cursor="#0f3852", blurred="#1a3042", marked="#3b3220", needs="#2b2314", banner="#411a24", field="#292929",
        rule="#3e4951", shade="#121212 60%",
    ),
    "light": Palette(
        background="#f2f2f2", surface="#ffffff", panel="#dfe5ec", foreground="#1b1b1b", primary="#0b5cad",
        ok="#0e5a26", warn="#7a4300", bad="#9c0f2a", dim="#50565c", info="#00507c", hint="#7a3300",
        cursor="#b9d6f3", blurred="#dcebf9", marked="#fdecc4", needs="#fdf1d4", banner="#fbdde2", field="#eceff2",
        rule="#a9b4be", shade="#707070 40%", dark=False,
    ),
    "high-contrast": Palette(
        background="#000000", surface="#000000", panel="#1c1c1c", foreground="#ffffff", primary="#3d9bff",
        ok="#00ff7f", warn="#ffd700", bad="#ffb0b0", dim="#d6d6d6", info="#00ffff", hint="#ffff00",
        cursor="#00138a", blurred="#000f57", marked="#332700", needs="#2e2400", banner="#4a0000", field="#262626",
        rule="#ffffff", shade="#000000 70%",
    ),
    "terminal": Palette(
        background="ansi_default", surface="ansi_default", panel="ansi_default", foreground="ansi_default",
        primary="ansi_blue", ok="ansi_green", warn="ansi_yellow", bad="ansi_red", dim="ansi_default",
        info="ansi_cyan", hint="ansi_yellow", cursor="ansi_default", blurred="ansi_default", marked="ansi_default",
        needs="ansi_default", banner="ansi_default", field="ansi_default", rule="ansi_default", shade="transparent",
        ansi=True,
    ),
}  # fmt: skip
"""Texts of every meaning have a contrast of at least 4.5 on every ground of their theme, of 7 in `high-contrast`
(WCAG 2.2, levels AA and AAA); a test measures it. `terminal` has the terminal's own sixteen colours."""
DEFAULT_THEME: Final = "dark"


TERMINAL_MORE: Final = {
    "ansi-background": "ansi_default", "ansi-foreground": "ansi_default", "border": "ansi_default",
    "border-blurred": "ansi_default", "block-cursor-foreground": "ansi_default",
    "block-cursor-background": "ansi_default", "block-cursor-text-style": "bold reverse",
    "block-cursor-blurred-text-style": "underline", "block-hover-background": "ansi_default",
    "scrollbar": "ansi_blue", "scrollbar-background": "ansi_default", "scrollbar-background-hover": "ansi_default",
    "scrollbar-background-active": "ansi_default", "input-selection-background": "ansi_cyan",
    "input-selection-foreground": "ansi_black",
}  # fmt: skip
"""What Textual's own widgets ask of a theme with the terminal's colours: nothing that is black on one ground only."""


def variables(palette: Palette) -> dict[str, str]:
    """The variables of the style sheet that are ours, and Textual's where its own derivation would not do."""
    return {
        "text-success": palette.ok, "text-warning": palette.warn, "text-error": palette.bad,
        "text-accent": palette.hint, "text-info": palette.info, "text-dim": palette.dim, "text-muted": palette.dim,
        "text-primary": palette.info, "text-disabled": palette.dim,
        "block-cursor-background": palette.cursor, "block-cursor-foreground": palette.foreground,
        "row-cursor": palette.cursor, "row-blurred": palette.blurred, "row-marked": palette.marked,
        "ground-needs": palette.needs, "ground-banner": palette.banner, "ground-field": palette.field,
        "rule": palette.rule, "shade": palette.shade,
    }  # fmt: skip


def textual_theme(name: str) -> Theme:
    palette = PALETTES[name]
    more = TERMINAL_MORE if palette.ansi else {}
    return Theme(
        name=f"clawtui-{name}", primary=palette.primary, secondary=palette.info, warning=palette.warn,
        error=palette.bad, success=palette.ok, accent=palette.hint, foreground=palette.foreground,
        background=palette.background, surface=palette.surface, panel=palette.panel, dark=palette.dark,
        ansi=palette.ansi, variables=variables(palette) | more,
    )  # fmt: skip


def rich_theme(name: str) -> rich.theme.Theme:
    """What `STYLES` names, for texts whose styles Rich resolves."""
    known = {f"${name}": colour.removeprefix("ansi_") for name, colour in variables(PALETTES[name]).items()}
    styles: dict[str, Any] = {}
    for style in STYLES.values():
        *words, variable = style.split() or [""]
        if variable in known:
            styles[style] = " ".join((*words, known[variable]))
    return rich.theme.Theme(styles, inherit=False)


class Dresser:
    """Puts a theme on a screen, also while it runs."""

    def __init__(self, app: App[Any], *, plain: bool = False) -> None:
        """`plain`: no colours, as with `NO_COLOR`."""
        self._app = app
        self.name = ""
        app.no_color = app.no_color or plain
        for name in PALETTES:
            app.register_theme(textual_theme(name))

    def put_on(self, name: str) -> None:
        """Raises UsageError: there is no such theme."""
        if name not in PALETTES:
            raise UsageError(f"there is no theme {name!r}", field="theme", hint=f"themes: {', '.join(PALETTES)}")
        app = self._app
        if self.name:
            app.console.pop_theme()
        app.console.push_theme(rich_theme(name))
        self.name = name
        app.theme = f"clawtui-{name}"
        if app.no_color:
            others = [one for one in app._filters if not isinstance(one, (Monochrome, NoColor))]
            app._filters = [*others, NoColor() if PALETTES[name].ansi else Monochrome()]
        for screen in app.screen_stack if app.is_running else ():
            for static in screen.query(Static):
                static.update(static.content)  # it keeps the colours of its text otherwise


def styled(pieces: Iterable[Piece]) -> Text:
    return Text.assemble(
        *((text, STYLES.get(meaning, "")) for text, meaning in pieces), no_wrap=True, overflow="ellipsis"
    )
