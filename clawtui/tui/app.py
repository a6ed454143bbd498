"""The screen as a program: places, the one way in which actions are carried out, and what is said about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from clawtui.settings import Settings
from clawtui.tui.acting import Acting
from clawtui.tui.actions import Action, Grade, applies, find_word
from clawtui.tui.building import Building
from clawtui.tui.choosing import Choosing
from clawtui.tui.doing import Doing
from clawtui.tui.editing import Editing
from clawtui.tui.gateways_acts import Operating
from clawtui.tui.going import Going
from clawtui.tui.guard import culprit, origin, report
from clawtui.tui.key_order import InOrder
from clawtui.tui.keymap import Keymap
from clawtui.tui.links import Link
from clawtui.tui.memory import Memory
from clawtui.tui.messages_acts import Messaging
from clawtui.tui.migration_acts import Migrating
from clawtui.tui.saving import Saving
from clawtui.tui.screens.main import MainScreen
from clawtui.tui.screens.pane import Pane
from clawtui.tui.store import PACE_SECONDS, FleetStore
from clawtui.tui.sync_acts import Syncing
from clawtui.tui.theme import DEFAULT_THEME, PALETTES, Dresser, Piece, variables
from clawtui.tui.undoing import Undoing
from hub.control import Control
from hub.errors import HubError

SAID_SECONDS = 8.0
"""How long a word about an act stays; a failure stays until the next word."""
CLOCK_SECONDS = 1.0
WRITES_WAITING = 8
"""So many unwritten pictures, and the next ones are left out; Textual's own queue blocks at 30."""


class ClawtuiApp(InOrder):
    """One screen on one hub. The hub is not this program's: it only gets a Control, sooner or later."""

    CSS_PATH: ClassVar[Any] = Path(__file__).parent / "clawtui.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "clawtui"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        *,
        address: str,
        modes: tuple[str, ...] = (),
        read_only: bool = False,
        settings: Settings | None = None,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        shell_command: tuple[str, ...] = ("clawtui",),
        memory: Memory | None = None,
        link: Link | None = None,
        plain: bool = False,
    ) -> None:
        """`keys`: the user's own keys by action id. `shell_command`: a `clawtui` that reaches the same hub.

        `link`: where to go as soon as the hub is read. `plain`: without colours.

        Raises:
            UsageError: keys that cannot be meant.
        """
        super().__init__()
        self.keymap = Keymap(keys)
        self.address, self.read_only = address, read_only
        self.modes = (*modes, *(("READ-ONLY",) if read_only else ()))
        self.settings = settings or Settings()
        self.memory = memory or Memory()
        self._link = link
        self.shell_command = shell_command
        self.store: FleetStore | None = None
        self.doing, self.acting = Doing(self), Acting(self)
        self.going, self.choosing, self.undoing = Going(self), Choosing(self), Undoing(self)
        self.building, self.editing, self.saving = Building(self), Editing(self), Saving(self)
        self.syncing, self.messaging, self.migrating = Syncing(self), Messaging(self), Migrating(self)
        self.operating = Operating(self)
        self.dresser = Dresser(self, plain=plain)
        self.dresser.put_on(self.choosing.first_theme())
        self.last_problem, self.starting = "", "starting"
        self.painted = asyncio.Event()
        """The first picture stands."""
        self.failed = self._behind = False
        self.aside = False
        """The terminal is somebody else's: nothing may be written, or the full queue of the writer blocks the loop."""
        self.tick_lag_seconds = 0.0
        self._said: tuple[Piece, ...] = ()
        self._said_until = 0.0
        self._shown_revision, self._shown_at = -1, 0.0
        self._ticked_at = 0.0

    # --- life

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The style sheet names them under any theme."""
        return variables(PALETTES[DEFAULT_THEME])

    def on_mount(self) -> None:
        self.animation_level = "none"
        for key in self.keymap.all_keys():
            self.bind(key, f"key('{key}')", show=False)
        self.push_screen(MainScreen())
        self.set_interval(PACE_SECONDS, self.tick)
        self.call_after_refresh(self.painted.set)
        self.run_worker(self.memory.run(lambda problem: self.say(problem, "warn")), group="memory")
        if self.memory.problem:
            self.say(self.memory.problem, "warn")
        if self.store is not None:
            self._read()

    @property
    def main(self) -> MainScreen:
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen):
                return screen
        raise LookupError("the main screen is not up")

    def connect(self, control: Control, address: str = "") -> None:
        """The hub is there; until now the screen said that it starts."""
        self.store = FleetStore(control)
        self.address = address or self.address
        if self.is_running:
            self._read()

    def _read(self) -> None:
        assert self.store is not None
        self.run_worker(self.store.run, group="store", exclusive=True)

    def tick(self) -> None:
        """Look whether something changed; only then is anything painted."""
        if self.aside:
            return
        now = time.monotonic()
        if self._ticked_at:
            self.tick_lag_seconds = max(now - self._ticked_at - PACE_SECONDS, 0.0)
        self._ticked_at = now
        if self._behind and self._writable():
            self._behind = False
            self.screen.refresh(layout=True)
        if self._said and self._said_until and now > self._said_until:
            self._said = ()
        if self._link is not None and self.store is not None and self.store.live:
            link, self._link = self._link, None
            self.acting.work(lambda: self.going.open(link))
        revision = self.store.revision if self.store is not None else 0
        if revision != self._shown_revision or now - self._shown_at >= CLOCK_SECONDS:
            self.refresh_now()

    def refresh_now(self) -> None:
        if not self.is_running or len(self.screen_stack) < 2 or not self.main.is_mounted:
            return
        self._shown_at = time.monotonic()
        if self.store is not None:
            self._shown_revision = self.store.revision
        self.main.show_all()

    # --- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "key":
            return self._for_key(str(parameters[0])) is not None
        return True

    def _for_key(self, key: str) -> Action | None:
        place = self.main.pane.place
        return next((action for action in self.keymap.candidates(key) if applies(action, place)), None)

    async def action_key(self, key: str) -> None:
        action = self._for_key(key)
        if action is not None:
            await self.do(action)

    async def do(self, action: Action, argument: str = "") -> None:
        """Carry out one action where we are; refuses what the mode forbids, whatever key or word it came by."""
        if self.read_only and action.grade > Grade.LOOKS:
            self.say(f"read-only: {action.title.lower()} is not possible here", "warn")
            return
        pane = self.main.pane
        if not applies(action, pane.place):
            await self.main.go(action.where[0])
            pane = self.main.pane
        handler = self._handler(action, pane)
        if handler is None:  # its pane failed, and what stands in its place can do nothing
            self.say(f"{action.title.lower()}: this place failed; load it again first", "warn")
            return
        if not argument and (why := self.doing.why_not(action)):
            self.say(why, "warn")
            return
        try:
            await handler(argument)
        except HubError as error:
            self.problem(error)

    def _handler(self, action: Action, pane: Pane) -> Any:
        """Who carries it out: the place in front, else the first of the others that can."""
        name = f"do_{action.id.replace('.', '_').replace('-', '_')}"
        owners = (
            pane, self.doing, self.acting, self.saving, self.going, self.choosing, self.undoing, self.building,
            self.editing, self.syncing, self.messaging, self.migrating, self.operating,
        )  # fmt: skip
        return next((found for owner in owners if (found := getattr(owner, name, None))), None)

    async def do_words(self, text: str) -> None:
        """A `:` command."""
        word, _, argument = text.strip().partition(" ")
        if not word:
            return
        action = find_word(word)
        if action is None:
            self.say(f"there is no action {word!r}; ? shows them all", "warn")
            return
        await self.do(action, argument.strip())

    # --- what is said

    @property
    def said(self) -> tuple[Piece, ...]:
        return self._said

    def say(self, text: str, style: str = "") -> None:
        self._said = ((text, style),)
        self._said_until = time.monotonic() + SAID_SECONDS
        self.refresh_now()

    def problem(self, error: HubError) -> None:
        """A failure: stays until the next word; `e` shows it in full."""
        parts = [f"{error.code}: {error.message}"]
        if error.hint:
            parts.append(f"what to do: {error.hint}")
        if error.field:
            parts.append(f"field: {error.field}")
        self.last_problem = "\n".join(parts)
        hint = error.hint or f"{self.keymap.first('details')} shows it in full"
        self._said, self._said_until = ((f"× {error.message} — {hint}", "bad"),), 0.0
        self.refresh_now()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self._writable():
            super()._display(screen, renderable)
        else:
            self._behind = True

    def _writable(self) -> bool:
        """Whether a write returns at once: a full queue before a slow or gone terminal blocks the loop, and the hub."""
        writer = getattr(self._driver, "_writer_thread", None)
        if self.aside or writer is None:
            return not self.aside
        return writer.is_alive() and writer._queue.qsize() < WRITES_WAITING

    # --- the error boundary

    def _handle_exception(self, error: Exception) -> None:
        """Textual's last word on an exception; ours when it came out of a pane."""
        cause = origin(error)
        pane = culprit(cause)
        if pane is None or not isinstance(cause, Exception):
            self.failed = True
            super()._handle_exception(error)
            return
        self.pane_failed(pane, cause)

    def pane_failed(self, pane: Pane, error: Exception) -> None:
        self.last_problem = report(error)
        self.log.error(self.last_problem)
        self.call_later(self.main.replace_pane, pane, error)

    async def _dispatch_message(self, message: Message) -> None:
        # The app's own loop must outlive a handler too: it is the one that replaces panes.
        try:
            await super()._dispatch_message(message)
        except Exception as error:  # noqa: BLE001 - the boundary
            self._handle_exception(error)

    def details(self) -> Text:
        return Text(self.last_problem or "nothing has failed")
