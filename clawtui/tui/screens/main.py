"""The one screen: bar on top, one place at a time, what was said, the command line, the hints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen

from clawtui.errors import UsageError
from clawtui.tui.actions import Where
from clawtui.tui.bars import banner, needs_you, top_bar
from clawtui.tui.guard import report
from clawtui.tui.jobs import JobWatch, jobs_line
from clawtui.tui.screens.build import BuildPane
from clawtui.tui.screens.difference import DifferencePane
from clawtui.tui.screens.disk import DiskPane
from clawtui.tui.screens.error import ErrorPane
from clawtui.tui.screens.fleet import FleetPane
from clawtui.tui.screens.gateway_log import GatewayLogPane
from clawtui.tui.screens.gateways import GatewaysPane
from clawtui.tui.screens.hub import HubPane
from clawtui.tui.screens.jobs import JobsPane
from clawtui.tui.screens.journal import JournalPane
from clawtui.tui.screens.logs import LogsPane
from clawtui.tui.screens.messages import MessagesPane
from clawtui.tui.screens.migration import MigrationPane
from clawtui.tui.screens.output import OutputPane
from clawtui.tui.screens.pane import Pane
from clawtui.tui.screens.persona import PersonaPane
from clawtui.tui.screens.profiles import ProfilesPane
from clawtui.tui.screens.rollout import RolloutPane
from clawtui.tui.screens.snapshots import SnapshotsPane
from clawtui.tui.screens.sync import SyncPane
from clawtui.tui.screens.tasks import TasksPane
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.command_line import CommandLine
from clawtui.tui.widgets.hint_bar import HintBar
from clawtui.tui.widgets.topbar import Line

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

PANES: Final[dict[Where, Callable[..., Pane]]] = {
    Where.FLEET: FleetPane, Where.TASKS: TasksPane, Where.LOGS: LogsPane, Where.JOURNAL: JournalPane,
    Where.HUB: HubPane, Where.JOBS: JobsPane, Where.OUTPUT: OutputPane, Where.ROLLOUT: RolloutPane,
    Where.SNAPSHOTS: SnapshotsPane, Where.DIFFERENCE: DifferencePane,
    Where.PROFILES: ProfilesPane, Where.BUILD: BuildPane, Where.DISK: DiskPane,
    Where.SYNC: SyncPane, Where.PERSONA: PersonaPane, Where.GATEWAYS: GatewaysPane,
    Where.GATEWAY_LOG: GatewayLogPane,
    Where.MESSAGES: MessagesPane, Where.MIGRATION: MigrationPane,
}  # fmt: skip
"""A pane is made when it is first gone to."""
WIDE, MEDIUM = 120, 80
TALL, NEEDS_ROWS = 30, 3
"""Terminals of so many lines have room for so many things that need a person."""


class MainScreen(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (MEDIUM, "-medium"), (WIDE, "-wide")]
        self._panes: dict[Where, Pane] = {}
        self._way: list[Where] = [Where.FLEET]
        self.job_watch = JobWatch()

    @property
    def ui(self) -> ClawtuiApp:
        from clawtui.tui.app import ClawtuiApp

        assert isinstance(self.app, ClawtuiApp)
        return self.app

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="top")
        yield Line(id="banner")
        yield Line(id="needs")
        with Container(id="places"):
            self._panes[Where.FLEET] = FleetPane(id="pane-fleet")
            yield self._panes[Where.FLEET]
        yield Line(stay=True, id="jobs")
        yield CommandLine(self.ui.memory)
        yield HintBar(id="hints")

    def on_mount(self) -> None:
        self.call_after_refresh(self._first)

    def _first(self) -> None:
        self.ui.choosing.dress_log(self.pane.log_view())
        self.ui.refresh_now()

    def on_resize(self) -> None:
        # The table has another width after the next layout, and fewer or more columns fit.
        self.call_after_refresh(self.ui.refresh_now)

    async def _dispatch_message(self, message: Message) -> None:
        # Textual would end this screen's loop, and all input with it, at the first exception of any widget's paint.
        try:
            await super()._dispatch_message(message)
        except Exception as error:  # noqa: BLE001 - the boundary; the app shows it
            self.app._handle_exception(error)

    # --- places

    @property
    def pane(self) -> Pane:
        return self._panes[self._way[-1]]

    async def go(self, place: Where) -> Pane:
        if place is Where.ANY:
            return self.pane
        if place not in self._panes:
            self._panes[place] = PANES[place](id=f"pane-{place.value}")
            self._panes[place].display = False
            await self.query_one("#places").mount(self._panes[place])
        if place is not self._way[-1]:
            self.pane.leave()
            self._way = [*(one for one in self._way if one is not place), place]
            self._front()
        return self.pane

    async def go_back(self) -> None:
        if len(self._way) > 1:
            self.pane.leave()
            self._way.pop()
            self._front()

    def _front(self) -> None:
        for place, pane in self._panes.items():
            pane.display = place is self._way[-1]
        self.ui.choosing.dress_log(self.pane.log_view())
        self.pane.focus_first()
        self.ui.refresh_now()

    async def replace_pane(self, pane: Pane, error: Exception) -> None:
        """The failed pane goes, a word about it comes in its place."""
        place = next((place for place, known in self._panes.items() if known is pane), None)
        if place is None:
            return  # it failed once more on its way out
        shown = pane.display
        self._panes[place] = ErrorPane(place, report(error))
        self._panes[place].display = shown
        await pane.remove()
        for places in self.query("#places"):  # there is none any more when the screen is closed meanwhile
            await places.mount(self._panes[place])
        self.ui.refresh_now()

    async def reload_pane(self, place: Where) -> None:
        old, fresh = self._panes[place], PANES[place](id=f"pane-{place.value}")
        # At once: a tick in between asks for the pane in front.
        self._panes[place] = fresh
        fresh.display = place is self._way[-1]
        await old.remove()
        await self.query_one("#places").mount(fresh)
        fresh.focus_first()
        self.ui.refresh_now()

    # --- painting

    def show_all(self) -> None:
        """Bars and the pane in front; a pane that fails here is replaced, the bars go on."""
        ui = self.ui
        if ui.store is None:
            self.query_one("#top", Line).set_pieces([(" clawtui ", "bold"), (f"◔ {ui.starting}", "accent")])
        else:
            now = ui.store.now()
            self.query_one("#top", Line).set_pieces(top_bar(ui.store, ui.address, ui.modes, now, self.size.width))
            self.query_one("#banner", Line).set_pieces([(f" {text}", "bad")] if (text := banner(ui.store)) else [])
            rows = 1 if self.size.height < TALL else NEEDS_ROWS
            needs = needs_you(ui.store, rows, ui.keymap.first("attention.open"), now, self.size.width)
            self.query_one("#needs", Line).set_pieces(needs)
            try:
                if self.pane.is_mounted:
                    self.pane.show()
            except Exception as error:  # noqa: BLE001 - the boundary
                ui.pane_failed(self.pane, error)
        self.query_one("#jobs", Line).set_pieces(self._jobs_line())
        if self.screen is self and self.pane.is_mounted:
            badge = "READ-ONLY" if ui.read_only else ""
            self.query_one(HintBar).set_hints(ui.doing.hints(), badge)

    def _jobs_line(self) -> list[Piece]:
        """What was said last; beside it the way back, the jobs that run, and the last that failed."""
        ui = self.ui
        if ui.store is None:
            return [(" ", ""), *ui.said]
        ui.undoing.watch()
        jobs, key = ui.store.jobs, ui.keymap.first("show.jobs")
        failed = self.job_watch.news(jobs) if ui.store.loaded else None
        return jobs_line(ui.said, ui.undoing.says(), jobs, failed, key, ui.store.now(), self.size.width)

    # --- command line

    def on_command_line_entered(self, event: CommandLine.Entered) -> None:
        self._leave_line()
        if event.mode == "/":
            self._filter(event.text)
        else:
            self.run_worker(partial(self.ui.do_words, event.text), group="words", exit_on_error=True)

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        self._filter(event.text)

    def on_command_line_cut(self, event: CommandLine.Cut) -> None:
        self.ui.say(f"the paste was too long: {event.characters} characters are cut", "warn")

    def on_command_line_left(self) -> None:
        self._leave_line()

    def _filter(self, text: str) -> None:
        try:
            self.pane.set_filter(text)
        except UsageError as error:
            self.ui.say(error.message, "warn")

    def _leave_line(self) -> None:
        self.query_one(CommandLine).close()
        self.pane.focus_first()
        self.ui.refresh_now()

    def on_hint_bar_pressed(self, event: HintBar.Pressed) -> None:
        action = next((one for one in self.ui.keymap.keys if self.ui.keymap.first(one) == event.key), None)
        if action is not None:
            from clawtui.tui.actions import BY_ID

            self.run_worker(partial(self.ui.do, BY_ID[action]), group="words")
