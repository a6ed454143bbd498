"""Migrating VM profiles from the screen: reading files of this machine, comparing, and writing after a question."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clawtui.cli.migrate import sources
from clawtui.cli.migrate_files import changes_of, write
from clawtui.errors import UsageError
from clawtui.tui.actions import Where
from clawtui.tui.migration import Item, question
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.migration_form import MigrationDialog, Wanted

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

NAMED = 6


class Found(NamedTuple):
    """What was read of `what`, and held against the folder `out`; empty = nowhere yet."""

    what: tuple[str, ...] = ()
    out: str = ""
    items: tuple[Item, ...] = ()


def _paths(what: Iterable[str]) -> list[Path]:
    return [Path(one).expanduser() for one in what]


def look(wanted: Wanted) -> Found:
    """Read, migrate and compare. Blocks. Raises UsageError for what is not there."""
    out = str(Path(wanted.out).expanduser()) if wanted.out else ""
    items: list[Item] = []
    try:
        read = list(sources(_paths(wanted.what)))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", field="what") from error
    for source in read:
        if source.migration is None or not out:
            items.append(Item(source))
            continue
        try:
            items.append(Item(source, changes_of(Path(out), source.migration)))
        except UsageError as error:
            items.append(Item(source, refused=f"{error.message}. {error.hint}".strip()))
    return Found(wanted.what, out, tuple(items))


def write_all(items: Iterable[Item], out: str) -> list[str]:
    """Write what was shown and return the paths. Blocks. Raises UsageError."""
    written: list[str] = []
    for item in items:
        if item.source.migration is not None:
            written += write(Path(out), item.source.migration, item.changes)
    return written


class Migrating:
    """Handlers of the migration. What was found stays until something else is looked at."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self.found = Found()
        self.version = 0

    async def do_profile_migrate(self, text: str) -> None:
        """`FILE-OR-FOLDER… [--out DIR]`, else a form."""
        if text:
            wanted = _wanted(text)
            self.app.acting.work(lambda: self._look(wanted))
        else:
            filled = Wanted(self.found.what, self.found.out)
            self.app.push_screen(MigrationDialog(filled, self._look))

    async def do_migration_again(self, _: str) -> None:
        if not self.found.what:
            raise UsageError("nothing was migrated yet", hint=f"{self.app.keymap.first('profile.migrate')} begins")
        self.app.acting.work(lambda: self._look(Wanted(self.found.what, self.found.out)))

    async def _look(self, wanted: Wanted) -> None:
        self.app.say("▶ reading and migrating …", "accent")
        self._take(await asyncio.to_thread(look, wanted))
        await self.app.main.go(Where.MIGRATION)
        self.app.say(f"√ {len(self.found.items)} read; nothing is written — {self._command()}", "ok")

    def _take(self, found: Found) -> None:
        self.found = found
        self.version += 1
        self.app.refresh_now()

    def _command(self) -> str:
        out = ["--out", self.found.out] if self.found.out else []
        return self.app.acting.equivalent("profile", "migrate", *self.found.what, *out)

    async def do_migration_write(self, text: str) -> None:
        """To the folder that was compared with. `DIR`: compare with that one first, and show it."""
        if text:
            self.app.acting.work(lambda: self._look(Wanted(self.found.what, text)))
            return
        pane = self.app.main.pane
        keys = set(pane.addresses())
        items = [one for one in self.found.items if one.source.path in keys and one.source.migration is not None]
        if not items:
            raise UsageError("no profile is meant: put the cursor on one that could be migrated, or mark some")
        if not self.found.out:
            # Compared and shown first: nothing is written that nobody has seen.
            self.app.push_screen(MigrationDialog(Wanted(self.found.what, ""), self._look, where=True))
            return
        refused = next((one for one in items if one.refused), None)
        if refused is not None:
            raise UsageError(f"{refused.name}: {refused.refused}", field="out")
        if not any(item.writes for item in items):
            self.app.say(f"√ all of it is in {self.found.out} already", "ok")
            return
        self._ask(items)

    def _ask(self, items: list[Item]) -> None:
        title, lines = question(items, self.found.out)

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(partial(self._write, items))
            else:
                self.app.say("nothing was written", "ok")

        self.app.push_screen(ConfirmDialog(title, lines, "Write"), answered)

    async def _write(self, items: list[Item]) -> None:
        out = self.found.out
        written = await asyncio.to_thread(write_all, items, out)
        self._take(await asyncio.to_thread(look, Wanted(self.found.what, out)))
        more = f" and {len(written) - NAMED} more" if len(written) > NAMED else ""
        self.app.say(f"√ written to {out}: {', '.join(written[:NAMED])}{more} — {self._command()} --yes", "ok")


def _wanted(text: str) -> Wanted:
    """Raises UsageError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"a quote is not closed: {error}") from error
    if "--out" not in words:
        return Wanted(tuple(words), "")
    at = words.index("--out")
    if at != len(words) - 2:
        raise UsageError("--out DIR stands at the end", hint=":migrate FILE-OR-FOLDER… --out DIR")
    return Wanted(tuple(words[:at]), words[-1])
