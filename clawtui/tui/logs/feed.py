"""Feeding a log view from a source: its newest lines and what comes, and pages before and after when it asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from clawtui.tui.logs.lines import Page, notice
from clawtui.tui.widgets.log_store import LogLineView
from clawtui.tui.widgets.log_view import LogView, Want
from hub.errors import HubError

BATCH_SECONDS: Final = 0.25
BATCH_LINES: Final = 5_000
"""More lines wait in one batch than this: the reader waits for the screen."""

Put = Callable[[str, LogLineView], Awaitable[None]]
"""Takes a line that came, and the time by which it is sorted among others."""


class LogSource(Protocol):
    """Where lines come from. `held`: the lines that the view keeps, oldest first."""

    async def newest(self) -> Page:
        """The last lines; `end`: there are none before them."""
        ...

    async def older(self, held: Sequence[LogLineView]) -> Page: ...

    async def newer(self, held: Sequence[LogLineView]) -> Page: ...

    async def follow(self, held: Sequence[LogLineView], put: Put) -> str:
        """Give what comes after `held`; returns, when no more can come, what to say where nothing came at all."""
        ...

    def everything(self) -> AsyncIterator[LogLineView]:
        """All lines there are now, in order, read as they are taken."""
        ...


class Batch:
    """Lines on their way to a view: sorted by time, handed over a few times a second, held back when too many wait."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self._lines: list[tuple[str, LogLineView]] = []
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, at: str, line: LogLineView) -> None:
        self._lines.append((at, line))
        if len(self._lines) >= BATCH_LINES:
            self._room.clear()
        await self._room.wait()

    def flush(self) -> None:
        if self._lines and self._view.is_attached:
            lines, self._lines = self._lines, []
            # Stable: lines without a time keep their place behind the one before them.
            self._view.append([line for _, line in sorted(lines, key=lambda pair: pair[0])])
        self._room.set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            self.flush()


class Feed:
    """Fills one view until it is cancelled."""

    def __init__(self, view: LogView, source: LogSource, problem: Callable[[HubError], None]) -> None:
        """`problem`: is told what could not be read."""
        self._view, self._source, self._problem = view, source, problem
        self._inbox: asyncio.Queue[Want | None] = asyncio.Queue()
        self._live: asyncio.Task[None] | None = None
        self._failed = False

    async def run(self) -> None:
        """Go on with what the view keeps, when it stays there. Raises HubError when nothing can be read at all."""
        wanted = self._view.wanted = self._inbox.put_nowait
        for want in Want:
            self._view.refused(want)
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve_all(group)
        except ExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            if self._view.wanted == wanted:
                self._view.wanted = None

    def again(self) -> None:
        """The hub is back: go on where following failed."""
        if self._failed:
            self._inbox.put_nowait(None)

    async def _serve_all(self, group: asyncio.TaskGroup) -> None:
        view = self._view
        await (self._begin(group) if view.follow or not view.lines else self._follow(group))
        while True:
            want = await self._inbox.get()
            if want is None:
                await self._follow(group)
                continue
            try:
                await self._get(want, group)
            except HubError as error:
                view.refused(want)
                self._problem(error)

    async def _get(self, want: Want, group: asyncio.TaskGroup) -> None:
        view = self._view
        match want:
            case Want.OLDER:
                page = await self._source.older(view.lines)
                view.prepend(page.lines, start=page.end)
            case Want.NEWER:
                page = await self._source.newer(view.lines)
                if page.end:
                    await self._stop()
                view.extend(page.lines, end=page.end)
                if page.end:
                    await self._follow(group)
            case Want.NEWEST:
                await self._begin(group)

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        await self._stop()
        page = await self._source.newest()
        self._view.begin(page.lines, start=page.end)
        await self._follow(group)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        await self._stop()
        self._failed = False
        if not self._view.detached:  # what comes then is not next to what is kept
            self._live = group.create_task(self._run_live())

    async def _run_live(self) -> None:
        batch = Batch(self._view)
        async with asyncio.TaskGroup() as group:
            flushing = group.create_task(batch.run())
            try:
                said = await self._source.follow(self._view.lines, batch.put)
            except HubError as error:
                self._failed, said = True, ""
                await batch.put("", notice(error.message))
                self._problem(error)
            batch.flush()
            flushing.cancel()
            if said and self._view.is_attached:
                self._view.set_empty(said)

    async def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.cancel()
            await asyncio.wait({live})


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
