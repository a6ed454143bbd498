"""Who owns what: the hub (or the way to one) here, the screen inside of it. No failure of the screen stops the hub."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from clawtui.cli import exits
from clawtui.cli.output import Mode, Output
from clawtui.remote import open_remote
from clawtui.settings import Settings
from clawtui.tui.app import ClawtuiApp
from clawtui.tui.keymap import own_keys
from clawtui.tui.links import Link, parse_link
from clawtui.tui.memory import Memory
from hub.control import Control
from hub.errors import StartFailed

FAILURES: Final = 3
"""So many failed screens within `FAILURES_SECONDS`: the hub goes on without one."""
FAILURES_SECONDS: Final = 60.0


class Reach(NamedTuple):
    """A hub and how to name it; `modes` stand in the bar."""

    control: Control
    address: str
    modes: tuple[str, ...] = ()


async def run_screen(settings: Settings, out: Output, *, attached: bool, read_only: bool, link: str = "") -> int:
    """Show the screen until the user leaves it. `attached`: on the hub that the settings name, else on our own.

    `link`: what is shown first.

    Raises:
        HubError: the hub cannot start, or the settings or the link cannot be meant.
    """
    first = parse_link(link) if link else None
    owner = Owner(settings, out, attached=attached, read_only=read_only, link=first)
    return await owner.run()


class Owner:
    """Starts the screen first, so that something is seen at once; then the hub; ends the hub last."""

    def __init__(
        self,
        settings: Settings,
        out: Output,
        *,
        attached: bool,
        read_only: bool,
        headless: bool = False,
        link: Link | None = None,
    ) -> None:
        """`headless`: without a terminal, for tests."""
        self._settings, self._out, self._headless = settings, out, headless
        self._attached, self._read_only = attached, read_only
        self._reach: Reach | None = None
        self._failed_at: list[float] = []
        self._stop = asyncio.Event()
        self._memory = Memory.of(settings)
        self._app = self.screen(link)

    def screen(self, link: Link | None = None) -> ClawtuiApp:
        app = ClawtuiApp(
            address=self._settings.hub or "local",
            modes=self._reach.modes if self._reach else (),
            read_only=self._read_only,
            settings=self._settings,
            keys=own_keys(self._settings.keys),
            shell_command=shell_command(self._settings),
            memory=self._memory,
            link=link,
            plain=self._out.mode is Mode.PLAIN,
        )
        app.starting = "connecting" if self._attached else "the hub starts"
        if self._reach is not None:
            app.connect(self._reach.control, self._reach.address)
        return app

    async def run(self) -> int:
        try:
            return await self._run()
        finally:
            if problem := await self._memory.close():
                self._out.say(problem)

    async def _run(self) -> int:
        with _on_signals(self._asked):
            async with asyncio.TaskGroup() as group:
                screens = group.create_task(self._screens())
                await self._painted(screens)
                try:
                    async with self.open() as reach:
                        self._reach = reach
                        self._app.modes = (*reach.modes, *self._app.modes)
                        self._app.connect(reach.control, reach.address)
                        return await screens
                except StartFailed:
                    self._asked()
                    await screens
                    raise

    async def _painted(self, screens: asyncio.Task[int]) -> None:
        """The first picture stands before anything of a hub is touched."""
        screens.add_done_callback(lambda _: self._app.painted.set())
        await self._app.painted.wait()

    async def _screens(self) -> int:
        """One screen after the other while they fail; 0 when the user left."""
        while True:
            code = await self._app.run_async(headless=self._headless)
            if self._stop.is_set() or not self._app.failed:
                return code or exits.DONE
            self._failed_at = [at for at in self._failed_at if time.monotonic() - at < FAILURES_SECONDS]
            self._failed_at.append(time.monotonic())
            if len(self._failed_at) >= FAILURES:
                self._out.say("the screen failed again and again; the hub goes on without one, Ctrl-C stops it")
                await self._stop.wait()
                return exits.FAILED
            self._app = self.screen()

    def _asked(self) -> None:
        self._stop.set()
        if self._app.is_running:
            self._app.exit(0)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Reach]:
        if self._attached:
            async with open_remote(self._settings) as control:
                yield Reach(control, self._settings.hub, ("REMOTE",))
            return
        async with contextlib.AsyncExitStack() as stack:
            try:
                reach = await stack.enter_async_context(own_hub(self._settings))
            except StartFailed as error:
                if error.code != "second_hub":
                    raise
                # A hub runs on this state folder already: this is another screen on it.
                control = await stack.enter_async_context(open_remote(self._settings))
                reach = Reach(control, "local", ("SHARED",))
            yield reach


@contextlib.asynccontextmanager
async def own_hub(settings: Settings) -> AsyncIterator[Reach]:
    """A hub inside this process; its log goes to a file, the terminal belongs to the screen."""
    from clawtui.logs import hub_log
    from clawtui.root import LOCAL, embedded

    with hub_log(settings.log_level, settings.log_file or settings.state_folder / "logs" / "hub.log"):
        async with embedded(settings) as hub:
            yield Reach(hub.control(LOCAL), "local")


def shell_command(settings: Settings) -> tuple[str, ...]:
    """A `clawtui` that reaches the same hub as this one."""
    words = [sys.executable, "-m", "clawtui"]
    named: dict[str, Path | str | None] = {
        "--home": settings.home, "--hub": settings.hub or None, "--token-file": settings.token_file,
        "--ca-file": settings.ca_file,
    }  # fmt: skip
    for option, value in named.items():
        if value is not None:
            words += [option, str(value)]
    return tuple(words)


@contextlib.contextmanager
def _on_signals(asked: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    heard = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    for number in heard:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
