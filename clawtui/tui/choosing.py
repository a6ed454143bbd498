"""Choices of taste that are remembered: the theme, and how logs are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawtui.settings import DEFAULT
from clawtui.tui.theme import DEFAULT_THEME, PALETTES
from clawtui.tui.widgets.dialogs import Choice, Picker

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp
    from clawtui.tui.widgets.log_view import LogView

ABOUT = {
    "dark": "light text on dark ground", "light": "dark text on light ground",
    "high-contrast": "black, white and strong colours", "terminal": "the terminal's own sixteen colours",
}  # fmt: skip


class Choosing:
    """Handlers of choices, and the first use of what is remembered."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    def first_theme(self) -> str:
        """What the settings say, else what was chosen last, else the default."""
        settings = self.app.settings
        remembered = self.app.memory.preferences.theme
        if settings.origin("theme") != DEFAULT:
            return settings.theme
        return remembered if remembered in PALETTES else DEFAULT_THEME

    async def do_theme(self, name: str) -> None:
        if name:
            self._use(name.lower())
            return

        def chosen(picked: str | None) -> None:
            if picked is not None:
                self._use(picked)

        choices = [Choice(one, one, ABOUT[one]) for one in PALETTES]
        self.app.push_screen(Picker(f"Theme (now {self.app.dresser.name})", choices), chosen)

    def _use(self, name: str) -> None:
        self.app.dresser.put_on(name)
        self.app.memory.choose(theme=name)
        origin = self.app.settings.origin("theme")
        until = "" if origin == DEFAULT else f" until you leave: {origin} says {self.app.settings.theme}"
        self.app.say(f"theme {name}{until}", "ok")

    def dress_log(self, log: LogView | None) -> None:
        """Show a log as the user likes logs; a log in which nothing was chosen yet stays as it is."""
        if log is None:
            return
        preferences = self.app.memory.preferences
        if preferences.wrap is not None and log.wrap != preferences.wrap:
            log.wrap = preferences.wrap
        if preferences.timestamps is not None and log.timestamps != preferences.timestamps:
            log.timestamps = preferences.timestamps
