"""Saving a log to a file: line by line from its source, filtered as on the screen, never held whole."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from clawtui.errors import UsageError
from clawtui.tui.logs.lines import time_text
from clawtui.tui.widgets.log_paint import prefix
from clawtui.tui.widgets.log_store import Filter, LogLineView
from clawtui.tui.widgets.text import clean

WRITE_LINES: Final = 1_000
"""Written at once, beside the event loop."""
SAID_LINES: Final = 50_000
"""How often is said how far it came."""


def suggested_path(what: str, now: datetime) -> str:
    """A name that is new every second, in the folder where the program was started."""
    safe = "".join(character if character.isalnum() or character in "-_." else "-" for character in what)[:60]
    return f"{safe}-{now.astimezone():%Y%m%d-%H%M%S}.log"


def path_of(text: str) -> Path:
    """Where to save. Raises UsageError for what can be no file."""
    path = Path(os.path.expanduser(text)).absolute()
    if path.is_dir():
        raise UsageError(f"{path} is a folder", field="path", hint=f"for instance {path / 'agent.log'}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", field="path", hint="make it first, or save elsewhere")
    return path


async def passing(lines: AsyncIterator[LogLineView], chosen: Filter | None) -> AsyncIterator[LogLineView]:
    """Lines that the filter lets pass, with the lines of context around them."""
    before: deque[LogLineView] = deque(maxlen=chosen.context if chosen is not None else 0)
    after = 0
    async for line in lines:
        if chosen is None or chosen.passes(line):
            for one in before:
                yield one
            before.clear()
            after = chosen.context if chosen is not None else 0
            yield line
        elif after:
            after -= 1
            yield line
        else:
            before.append(line)


async def save(
    lines: AsyncIterator[LogLineView],
    path: Path,
    *,
    replace: bool,
    timestamps: bool,
    progress: Callable[[int], None],
) -> tuple[int, int]:
    """Write the lines as they are shown, without controls; returns how many lines and bytes.

    Without `replace` a file that is there is left alone. A save that does not come to its end leaves nothing behind.

    Raises:
        UsageError: the file is there, or cannot be written.
    """
    target = path.with_name(f".{path.name}.{os.getpid()}.part") if replace else path
    try:
        file = await asyncio.to_thread(target.open, "x", encoding="utf-8", errors="replace")
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror}", field="path") from exc
    try:
        with file:
            count = await _write(lines, file, timestamps, progress)
            size = file.tell()
        if replace:
            target.replace(path)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"{path} cannot be written: {error.strerror}", field="path") from error
        raise
    return count, size


def _text(line: LogLineView, timestamps: bool) -> str:
    """As on the screen, but with the whole time: a file is read on another day."""
    if line.at and line.key > 0:
        line = line._replace(at=time_text(line.key))
    return (prefix(line, timestamps) + clean(line.text)).rstrip()


async def _write(
    lines: AsyncIterator[LogLineView], file: IO[str], timestamps: bool, progress: Callable[[int], None]
) -> int:
    count, waiting = 0, list[LogLineView]()

    def write() -> None:
        file.writelines(f"{_text(line, timestamps)}\n" for line in waiting)

    async for line in lines:
        waiting.append(line)
        count += 1
        if len(waiting) >= WRITE_LINES:
            await asyncio.to_thread(write)
            waiting.clear()
            if count % SAID_LINES == 0:
                progress(count)
    await asyncio.to_thread(write)
    return count
