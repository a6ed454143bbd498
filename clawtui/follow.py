"""A task's output to its end, over the hub's restarts: nothing twice, nothing left out without a word."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple, TypeVar

from clawtui.errors import ConnectionLost, NoHub
from clawtui.outage import Outage, Pause, Say
from hub.contract import OutputChunk, OutputQuery
from hub.control import Control

T = TypeVar("T")


class Piece(NamedTuple):
    """Raw bytes of one stream; `skipped` bytes of the output are missing before them."""

    stream: str
    data: bytes
    skipped: int = 0


def raw(chunk: OutputChunk) -> bytes:
    return base64.b64decode(chunk.data) if chunk.encoding == "base64" else chunk.data.encode()


@contextlib.asynccontextmanager
async def closed(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close a stream when its reader leaves, so that the other side learns of it now and not at random."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def follow_output(
    control: Control,
    task_id: str,
    *,
    offset: int = 0,
    patience_seconds: float = 60.0,
    say: Say,
    pause: Pause = asyncio.sleep,
) -> AsyncIterator[Piece]:
    """Yield the output from `offset` on until the task has ended and all of it was told.

    A hub that goes away is waited for, `patience_seconds` long, and asked for the rest.

    Raises:
        NoHub, ConnectionLost: the hub did not come back in time; the task goes on.
    """
    outage = Outage(patience_seconds, ", the task goes on", say=say, pause=pause)
    while True:
        outage.trying()
        try:
            async with closed(control.task_output(task_id, OutputQuery(offset=offset, follow=True))) as chunks:
                async for chunk in chunks:
                    outage.over()
                    piece, offset = unseen(chunk, offset)
                    if piece.data or piece.skipped:
                        yield piece
                    if chunk.end:
                        return
            raise ConnectionLost("the hub closed the output before its end")
        except (NoHub, ConnectionLost) as exc:
            await outage.wait(exc)


def unseen(chunk: OutputChunk, offset: int) -> tuple[Piece, int]:
    """What of a chunk lies behind `offset`, and the offset after it: overlaps are shown once."""
    data = raw(chunk)
    seen = min(max(offset - chunk.offset, 0), len(data))
    return Piece(chunk.stream, data[seen:], chunk.skipped if not seen else 0), max(offset, chunk.offset + len(data))
