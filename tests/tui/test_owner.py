"""The hub is owned outside of the screen: no failure of the screen ends it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawtui.cli.output import Mode, Output
from clawtui.settings import Settings
from clawtui.tui.app import ClawtuiApp
from clawtui.tui.links import Link
from clawtui.tui.run import Owner, Reach, shell_command
from hub.errors import StartFailed
from tests.tui.scripted import ScriptedHub, an_agent


class Watched(Owner):
    """Screens fail as often as told; the hub notes whether it is still up while they do."""

    def __init__(self, failures: int, error: StartFailed | None = None) -> None:
        self.failures, self.error = failures, error
        self.screens = 0
        self.up = False
        self.up_at_the_end: list[bool] = []
        out = Output(Mode.PLAIN, io.StringIO(), io.StringIO(), colour=False)
        super().__init__(Settings(), out, attached=False, read_only=False, headless=True)

    def screen(self, link: Link | None = None) -> ClawtuiApp:
        app = super().screen(link)
        self.screens += 1
        last = self.screens > self.failures
        app.call_later(lambda: app.set_interval(0.05, lambda: self.end(app, last)))
        return app

    def end(self, app: ClawtuiApp, last: bool) -> None:
        if app.store is None or not app.store.live:
            return
        self.up_at_the_end.append(self.up)
        if last:
            app.exit(0)
        else:
            raise RuntimeError("injected outside of every pane")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Reach]:
        if self.error is not None:
            raise self.error
        self.up = True
        yield Reach(ScriptedHub(an_agent("a-1")), "test")
        self.up = False


async def test_a_screen_that_fails_is_followed_by_another_one_on_the_same_hub() -> None:
    owner = Watched(failures=2)
    assert await owner.run() == 0
    assert owner.screens == 3
    assert owner.up_at_the_end == [True] * 3
    assert not owner.up


async def test_a_hub_that_cannot_start_takes_the_screen_with_it_and_says_why() -> None:
    owner = Watched(failures=0, error=StartFailed("the port is taken"))
    with pytest.raises(BaseException) as failed:  # noqa: PT011 - a group around it is fine
        await owner.run()
    assert "the port is taken" in repr(failed.value) or "the port is taken" in str(failed.getrepr())


def test_a_shell_reaches_the_same_hub() -> None:
    settings = Settings().overridden({"hub": "http://h:1", "token_file": "/t"})
    assert shell_command(settings)[-4:] == ("--hub", "http://h:1", "--token-file", "/t")
    assert shell_command(Settings(home=Path("/x")))[-2:] == ("--home", "/x")
