"""Waiting for what a thread does: it cannot be cancelled, and whoever cleans up must not meet it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def wait_done(future: asyncio.Future[T]) -> None:
    """Wait for the end of what was begun, through cancellations of the caller, who is about to raise one anyway."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        # The caller's cancellation is what is reported; the step's own error would only be a warning at exit.
        future.exception()
