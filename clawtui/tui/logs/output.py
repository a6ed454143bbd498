"""A task's output as a source of lines: its end, pages before and after what is held, and what comes.

Lines are named by the offset after them. A page begins to be read a little earlier than it begins, so that the lines at
its border are whole, and what ends before the border is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from clawtui.follow import Say, closed, follow_output, raw
from clawtui.tui.logs.feed import Put
from clawtui.tui.logs.lines import LineCutter, Page, first_key, last_key
from clawtui.tui.widgets.log_store import LogLineView
from hub.contract import OutputChunk, OutputQuery
from hub.control import Control

SLICE_BYTES: Final = 16 * 1024
"""Cut into lines at once: a few ms."""
PAGE_BYTES: Final = 64 * 1024
BORDER_BYTES: Final = 16 * 1024
"""Longer lines may lose their beginning at the border of a page; that shows."""


class TaskOutput:
    """The output of one attempt of a task."""

    def __init__(self, control: Control, task_id: str, say: Say) -> None:
        """`say`: what is told about a hub that goes away and comes back."""
        self._control, self._task_id, self._say = control, task_id, say

    async def newest(self) -> Page:
        return await self._back(None)

    async def older(self, held: Sequence[LogLineView]) -> Page:
        # The byte that ends the first line held belongs to that line, and so does what is before it on that line.
        first = first_key(held)
        return await self._back(None if first is None else first - 1)

    async def newer(self, held: Sequence[LogLineView]) -> Page:
        after = last_key(held) or 0
        offset = max(0, after - BORDER_BYTES)
        cutter, lines = LineCutter(offset, whole=not offset), list[LogLineView]()
        async with closed(self._control.task_output(self._task_id, OutputQuery(offset=offset))) as chunks:
            async for chunk in chunks:
                if chunk.end:
                    return Page([*lines, *_after(cutter.end(), after)], end=True)
                lines += _after([line async for line in _cut(cutter, chunk)], after)
                if lines and cutter.offset > after + PAGE_BYTES:
                    return Page(lines, end=False)
        return Page(lines, end=True)

    async def follow(self, held: Sequence[LogLineView], put: Put) -> str:
        """Give what comes after `held` until the task ends; returns what to say where nothing came at all."""
        after = last_key(held) or 0
        offset = max(0, after - BORDER_BYTES)
        cutter = LineCutter(offset, whole=not offset)
        output = follow_output(self._control, self._task_id, offset=offset, say=self._say)
        async with closed(output) as pieces:
            async for piece in pieces:
                async for line in _cut_data(cutter, piece.stream, piece.data, piece.skipped):
                    if line.key > after:
                        await put("", line)
        for line in _after(cutter.end(), after):
            await put("", line)
        return "The task ended without any output"

    async def everything(self) -> AsyncIterator[LogLineView]:
        """All lines there are now, from the disk, oldest first."""
        end = 0
        async with closed(self._control.task_output(self._task_id, OutputQuery(tail=1))) as chunks:
            async for chunk in chunks:
                end = chunk.offset + len(raw(chunk))
        cutter = LineCutter(0, whole=True)
        async with closed(self._control.task_output(self._task_id, OutputQuery())) as chunks:
            async for chunk in chunks:
                async for line in _cut(cutter, chunk):
                    yield line
                if chunk.end or cutter.offset >= end:
                    break
        for line in cutter.end():
            yield line

    async def _back(self, before: int | None) -> Page:
        """The page before offset `before`, or as many of them as it takes to have a line."""
        while True:
            query = OutputQuery(tail=PAGE_BYTES + BORDER_BYTES, before=before)
            async with closed(self._control.task_output(self._task_id, query)) as chunks:
                found = [chunk async for chunk in chunks if not chunk.end]
            start = found[0].offset - found[0].skipped if found else 0
            cutter = LineCutter(start, whole=not start)
            lines = [line for chunk in found async for line in _cut(cutter, chunk)]
            # Half at most is given away to the border: every page gets on.
            border = start + min(BORDER_BYTES, (cutter.offset - start) // 2) if start else 0
            lines = _after(lines, border)
            if lines or not start:
                return Page(lines, end=not start)
            before = border


def _cut(cutter: LineCutter, chunk: OutputChunk) -> AsyncIterator[LogLineView]:
    return _cut_data(cutter, chunk.stream, raw(chunk), chunk.skipped)


async def _cut_data(cutter: LineCutter, stream: str, data: bytes, skipped: int) -> AsyncIterator[LogLineView]:
    """A slice at a time: the hub may share this loop."""
    for start in range(0, len(data) or 1, SLICE_BYTES):
        for line in cutter.take(stream, data[start : start + SLICE_BYTES], skipped if not start else 0):
            yield line
        await asyncio.sleep(0)


def _after(lines: list[LogLineView], offset: int) -> list[LogLineView]:
    return [line for line in lines if line.key > offset]
