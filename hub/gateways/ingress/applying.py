"""Puts a configuration in force, or leaves the one that is: the files of a refused one are as they were before."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hub.gateways.ingress.caddy import main_text, sites_text
from hub.gateways.ingress.layout import Layout
from hub.gateways.ingress.program import Caddy, Refused
from hub.gateways.ingress.sites import Sites

CHECKED: Final = "next.caddy"
CHECKED_MAIN: Final = "next.Caddyfile"

log = structlog.get_logger("hub.ingress")


class Before(msgspec.Struct, frozen=True):
    """A file as it was; None: there was none."""

    path: Path
    content: bytes | None


class Applier:
    """One configuration at a time."""

    def __init__(self, layout: Layout, caddy: Caddy) -> None:
        self._layout = layout
        self._caddy = caddy
        self._one = asyncio.Lock()

    async def apply(self, sites: Sites) -> None:
        """Validate, write and load; with the same content as before it changes nothing.

        Raises:
            Refused: Caddy does not take it, with Caddy's words; what was in force is, and its files are there again.
            OSError: the files cannot be written.
        """
        async with self._one:
            await asyncio.to_thread(_make_folder, self._layout.folder)
            await self._check(sites)
            before = await asyncio.to_thread(self._write, sites)
            try:
                await self._load()
            except asyncio.CancelledError:
                # A hub that ends in the middle must not leave what nobody has taken.
                _restore(before)
                raise
            except Refused:
                await asyncio.to_thread(_restore, before)
                await self._serve_as_before(before)
                raise

    async def ensure(self) -> bool:
        """Start our own Caddy again where it is away, with what was in force; tell whether it had to be.

        Raises Refused.
        """
        async with self._one:
            if not self._layout.own or await self._caddy.answers():
                return False
            await self._caddy.start()
            return True

    async def end(self) -> None:
        """Stop a Caddy of ours that runs. Raises Refused."""
        async with self._one:
            if self._layout.own and self._layout.main.exists() and await self._caddy.answers():
                await self._caddy.stop()

    async def _check(self, sites: Sites) -> None:
        """Validate it in files beside those in force."""
        layout, folder = self._layout, self._layout.folder
        if not layout.own and not sites.served:
            # Caddy takes no Caddyfile without anything in it, but imports one.
            return
        checked = msgspec.structs.replace(layout, sites=folder / CHECKED, main=folder / CHECKED_MAIN)
        main = checked.main if layout.own else checked.sites
        try:
            await asyncio.to_thread(_write_file, checked.sites, sites_text(sites.served, layout).encode())
            if layout.own:
                await asyncio.to_thread(_write_file, main, main_text(checked).encode())
            await self._caddy.validate(main)
        finally:
            for path in (checked.sites, checked.main):
                path.unlink(missing_ok=True)

    def _write(self, sites: Sites) -> list[Before]:
        """Replace what differs and return what was there. Blocks."""
        layout = self._layout
        texts = {layout.sites: sites_text(sites.served, layout)}
        if layout.own:
            texts[layout.main] = main_text(layout)
        before = [Before(path, _read(path)) for path in texts]
        try:
            for one in before:
                if one.content != (content := texts[one.path].encode()):
                    _write_file(one.path, content)
        except OSError:
            _restore(before)
            raise
        return before

    async def _load(self) -> None:
        if self._layout.own and not await self._caddy.answers():
            await self._caddy.start()
        else:
            await self._caddy.load()

    async def _serve_as_before(self, before: list[Before]) -> None:
        """A Caddy of ours that was away when the new configuration was refused comes back with the old one."""
        if not self._layout.own or any(one.content is None for one in before) or await self._caddy.answers():
            return
        with contextlib.suppress(Refused):
            await self._caddy.start()


def _make_folder(folder: Path) -> None:
    # Whoever reaches the admin socket in it says what the proxy serves.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _restore(before: list[Before]) -> None:
    for one in before:
        try:
            if one.content is None:
                one.path.unlink(missing_ok=True)
            elif _read(one.path) != one.content:
                _write_file(one.path, one.content)
        except OSError as exc:
            log.warning("old_configuration_not_restored", path=str(one.path), error=exc.strerror)


def _write_file(path: Path, content: bytes) -> None:
    """Replace a file so that it is the old or the new one whenever the machine stops. A Caddy that somebody else runs
    must be able to read it."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    temporary.replace(path)
