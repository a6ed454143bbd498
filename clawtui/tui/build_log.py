"""The output of an image's newest build as a source of lines. Lines are named by their number, from 1.

The hub gives a build's output from its beginning on: 16 MiB at most, so a page is found by reading up to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from clawtui.follow import closed
from clawtui.tui.logs.feed import Put
from clawtui.tui.logs.lines import Page, first_key, last_key, level_of
from clawtui.tui.widgets.log_store import LogLineView
from hub.contract import BuildLogQuery
from hub.control import Control

PAGE_LINES: Final = 2_000
BREATH_LINES: Final = 500
"""So many lines are taken at once: the hub may share this loop."""
NOTHING: Final = "The build ended without any output"


class BuildLog:
    """Of a profile's image, or of `base`."""

    def __init__(self, control: Control, name: str) -> None:
        self._control, self._name = control, name

    async def newest(self) -> Page:
        return await self._before(None)

    async def older(self, held: Sequence[LogLineView]) -> Page:
        return await self._before(first_key(held))

    async def newer(self, held: Sequence[LogLineView]) -> Page:
        after, lines = last_key(held) or 0, list[LogLineView]()
        async with closed(self._lines(follow=False)) as all_lines:
            async for line in all_lines:
                if line.key > after:
                    lines.append(line)
                if len(lines) > PAGE_LINES:
                    return Page(lines, end=False)
        return Page(lines, end=True)

    async def follow(self, held: Sequence[LogLineView], put: Put) -> str:
        """Give what comes after `held` until the build ends; returns what to say where nothing came at all."""
        after = last_key(held) or 0
        async with closed(self._lines(follow=True)) as lines:
            async for line in lines:
                if line.key > after:
                    await put("", line)
        return NOTHING

    async def everything(self) -> AsyncIterator[LogLineView]:
        async with closed(self._lines(follow=False)) as lines:
            async for line in lines:
                yield line

    async def _before(self, border: int | None) -> Page:
        """The last page of lines with numbers below `border`."""
        kept: deque[LogLineView] = deque(maxlen=PAGE_LINES)
        async with closed(self._lines(follow=False)) as lines:
            async for line in lines:
                if border is not None and line.key >= border:
                    break
                kept.append(line)
        return Page(list(kept), end=not kept or kept[0].key == 1)

    async def _lines(self, *, follow: bool) -> AsyncIterator[LogLineView]:
        number = 0
        async with closed(self._control.build_log(self._name, BuildLogQuery(follow=follow))) as lines:
            async for line in lines:
                number += 1
                yield LogLineView(line.text, level=level_of(line.text), key=number)
                if not number % BREATH_LINES:
                    await asyncio.sleep(0)
