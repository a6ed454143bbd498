"""What all places that show lines share: one log view with its feed, filter, search, copying and saving."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from textual.app import ComposeResult

from clawtui.cli.output import size_text
from clawtui.tui.logs.feed import Feed, LogSource
from clawtui.tui.logs.saving import passing, path_of, save, suggested_path
from clawtui.tui.logs.viewing import LogFilter
from clawtui.tui.screens.pane import Pane
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.log_view import LogView
from clawtui.tui.widgets.topbar import Line
from hub.errors import HubError


class LogPlace(Pane):
    """Leaving the place stops all reading; what is held and where one reads stays for the way back."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._source: LogSource | None = None
        self._feed: Feed | None = None
        self._feeding = self._failed = self._was_live = False

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id=f"{self.place.value}-title")
        yield Line(id=f"{self.place.value}-about")
        view = LogView()
        self.log_filter = LogFilter(view)
        yield view

    def on_mount(self) -> None:
        self.view.focus()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    @property
    def title(self) -> Line:
        return self.query_one(f"#{self.place.value}-title", Line)

    @property
    def about(self) -> Line:
        return self.query_one(f"#{self.place.value}-about", Line)

    # --- reading

    def read(self, source: LogSource) -> None:
        """Show this from now on, from its end."""
        self._source = source
        self._feed = Feed(self.view, source, self.ui.problem)
        self._feeding = False
        self.view.clear()
        self.view.follow = True

    def keep_reading(self, store: FleetStore) -> None:
        """Feed the view while the hub is there, and go on where it was when it comes back."""
        came, self._was_live = store.live and not self._was_live, store.live
        if self._feed is None or not store.live:
            return
        if not self._feeding or (came and self._failed):
            self._feeding, self._failed = True, False
            self.background(partial(self._run, self._feed), "feed")
        elif came:
            self._feed.again()
            self.hub_came_back()

    def hub_came_back(self) -> None:
        """What was followed may have ended."""

    async def _run(self, feed: Feed) -> None:
        try:
            await feed.run()
        except HubError:
            self._failed = feed is self._feed
            raise

    def leave(self) -> None:
        self._feeding = self._was_live = False
        self.workers.cancel_node(self)

    # --- what is shown of it

    @property
    def filter_text(self) -> str:
        return self.log_filter.text

    def set_filter(self, text: str) -> None:
        self.log_filter.set(text)
        self.ui.refresh_now()

    def set_context(self, lines: int | None) -> None:
        self.log_filter.set_context(lines)
        self.ui.refresh_now()

    def has(self, needs: str) -> bool:
        return needs == "log"

    def log_view(self) -> LogView | None:
        return self.view

    def focus_first(self) -> None:
        if self.is_mounted:
            self.view.focus()

    def back(self) -> bool:
        """The filter goes first, then the search."""
        if self.log_filter.text:
            self.set_filter("")
        elif self.view.sought:
            self.view.search(None)
            self.ui.refresh_now()
        else:
            return False
        return True

    def nothing(self, otherwise: str) -> str:
        """Why no line is seen, and what to do about it."""
        if self.log_filter.text and self.view.kept:
            further = "g looks further back, " if self.view.more_above else ""
            return f"None of {self.view.kept} lines passes the filter.  {further}esc shows all"
        return otherwise

    def on_log_view_changed(self) -> None:
        self.ui.refresh_now()

    def on_log_view_copied(self, event: LogView.Copied) -> None:
        lines = f"{event.lines} lines" if event.lines > 1 else "1 line"
        if event.lines < event.all_lines:
            key = self.ui.keymap.first("log.save")
            self.ui.say(f"copied the first {lines} of {event.all_lines}; {key} saves them all to a file", "warn")
        else:
            self.ui.say(f"copied {lines}", "ok")

    # --- saving

    def selection(self) -> str:
        """What is saved, as a name for the file."""
        return self.place.value

    async def do_log_save(self, text: str) -> None:
        if self._source is None:
            self.ui.say("there is nothing to save yet", "warn")
        elif not text:
            name = suggested_path(f"clawtui-{self.selection()}", datetime.now(UTC))
            self.ui.doing.ask_words(f"save {name}")
        else:
            path = path_of(text)
            if path.exists():
                self._ask_to_replace(self._source, path)
            else:
                self._save(self._source, path, replace=False)

    def _ask_to_replace(self, source: LogSource, path: Path) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._save(source, path, replace=True)

        lines: Sequence[str] = [f"{path} is there: {size_text(path.stat().st_size)}.", "What is in it will be lost."]
        self.ui.push_screen(ConfirmDialog(f"Replace {path.name}?", lines, "Replace"), answered)

    def _save(self, source: LogSource, path: Path, *, replace: bool) -> None:
        chosen, timestamps, ui = self.view.filter, self.view.timestamps, self.ui

        async def work() -> None:
            ui.say(f"▶ saving to {path} …", "accent")
            count, size = await save(
                passing(source.everything(), chosen),
                path,
                replace=replace,
                timestamps=timestamps,
                progress=lambda lines: ui.say(f"▶ saving to {path}: {lines} lines …", "accent"),
            )
            filtered = " that pass the filter" if chosen is not None else ""
            ui.say(f"√ {count} lines{filtered} ({size_text(size)}) are in {path}", "ok")

        # Not this place's worker: it goes on when the place is left.
        ui.acting.work(work)
