"""A text in the person's own editor: the screen steps aside, and what was written comes back."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clawtui.errors import UsageError
from clawtui.tui.shell import run_aside
from hub.errors import HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

FALLBACK: Final = ("sensible-editor", "nano", "vi")
FAILED_WORD: Final = "\r\n[clawtui] the editor did not work; press Enter to go back to the screen "


def editor_words() -> tuple[str, ...]:
    """The command in `VISUAL` or `EDITOR`, else the first usual one.

    Raises:
        UsageError: there is none.
    """
    for name in ("VISUAL", "EDITOR"):
        try:
            words = tuple(shlex.split(os.environ.get(name, "")))
        except ValueError as exc:
            raise UsageError(f"{name} cannot be read as a command: {exc}", field=name) from exc
        if words and shutil.which(words[0]) is None:
            raise UsageError(f"{name} names {words[0]!r}, which is not there", field=name)
        if words:
            return words
    for word in FALLBACK:
        if shutil.which(word):
            return (word,)
    raise UsageError("there is no editor", field="EDITOR", hint="set EDITOR, or edit in place")


async def edit_outside(app: ClawtuiApp, text: str, file_name: str) -> str | None:
    """Let the person edit `text`; None: there is no terminal to give away.

    Raises:
        HubError: the editor failed or its file cannot be read; the file stays where the message says.
    """
    words = editor_words()
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="clawtui-"))
    path = folder / file_name
    await asyncio.to_thread(path.write_text, text, encoding="utf-8")
    code = await run_aside(app, (*words, str(path)), FAILED_WORD)
    if code:
        raise HubError(f"{words[0]} ended with {code}; what it left is in {path}", code="editor_failed")
    try:
        written = await asyncio.to_thread(path.read_text, encoding="utf-8-sig")
    except (OSError, UnicodeError) as exc:
        raise HubError(f"what {words[0]} wrote to {path} cannot be read: {exc}", code="editor_failed") from exc
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return None if code is None else written
