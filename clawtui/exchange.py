"""One HTTP request and its answer, as the transport sees it; two ways to make it.

`hub.sock` and plain HTTP on this machine go over asyncio's own streams: loading httpx would take a
third of the time in which `clawtui list` has to answer. Everything else goes over httpx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Ask(NamedTuple):
    """A request. `path` has its query. `timeout_seconds`: until the answer begins, and between its
    pieces unless `endless`."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    timeout_seconds: float
    endless: bool = False


class Answer(NamedTuple):
    """An answer whose body still comes."""

    status: int
    retry_after: str | None
    pieces: AsyncIterator[bytes]


class Wire(Protocol):
    """Makes exchanges. Raises NoHub, ConnectionLost, Unavailable; nothing of a library's own."""

    def exchange(self, ask: Ask) -> AbstractAsyncContextManager[Answer]: ...

    async def close(self) -> None: ...
