"""The caddy program: validates, starts, loads and stops. Nothing here knows what it serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hub.gateways.ingress.layout import SOCKET, Layout

RUN_SECONDS: Final = 60.0
"""Of one caddy command; a load takes long only while old connections hold a port."""
ANSWER_SECONDS: Final = 5.0
MOST_WORDS: Final = 600
MOST_SOCKET_BYTES: Final = 100
_KEPT: Final = ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_ERROR: Final = re.compile(r"^(?:Error|\w+: error): *", re.MULTILINE)


class Refused(Exception):
    """Caddy does not take a configuration, or cannot be run; the message is its words."""


class Missing(Refused):
    """There is no such program."""


class Caddy:
    """One Caddy: that of the layout. Every command runs in the layout's folder, which must be there."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def validate(self, path: Path) -> None:
        """Raises Refused: a configuration with this main file would not be taken."""
        await self._run(["validate", *_config(path)])

    async def load(self) -> None:
        """Put the main file in force. Raises Refused; what was in force stays."""
        await self._run(["reload", *_config(self._layout.main), "--address", self._layout.admin])

    async def start(self) -> None:
        """Start a Caddy that outlives the hub, and return when it serves. Raises Refused."""
        await self._run(["start", *_config(self._layout.main), "--pidfile", "caddy.pid"])

    async def stop(self) -> None:
        """Raises Refused."""
        await self._run(["stop", "--address", self._layout.admin])

    async def answers(self) -> bool:
        """Tell whether a Caddy takes configurations at the admin address now."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._greet()
        except (OSError, TimeoutError):
            return False

    async def _greet(self) -> bool:
        """Any answer in HTTP will do; what it says depends on who asks."""
        with contextlib.ExitStack() as held:
            if (path := self._socket(held)) is not None:
                reader, writer = await asyncio.open_unix_connection(path)
                host = ""
            else:
                host, _, port = self._layout.admin.rpartition(":")
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(f"GET /config/admin HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return (await reader.read(16)).startswith(b"HTTP/")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _socket(self, held: contextlib.ExitStack) -> str | None:
        """Return the path of the admin socket; None where the admin address is no socket."""
        admin = self._layout.admin
        if not admin.startswith("unix/"):
            return None
        path = self._layout.folder / admin.removeprefix("unix/")
        if len(os.fsencode(path)) <= MOST_SOCKET_BYTES or path.parent != self._layout.folder:
            return str(path)
        # Too long a path for a socket is reached through its folder.
        folder = os.open(self._layout.folder, os.O_RDONLY | os.O_DIRECTORY)
        held.callback(os.close, folder)
        return f"/proc/self/fd/{folder}/{SOCKET}"

    async def _run(self, arguments: Sequence[str]) -> None:
        """Run caddy; its words go to a file, because one that stays in the background keeps them open."""
        layout = self._layout
        said = layout.folder / "caddy.out"
        with said.open("wb") as out:
            try:
                process = await asyncio.create_subprocess_exec(
                    layout.settings.caddy,
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    cwd=layout.folder,
                    env=_environment(layout),
                    start_new_session=True,
                )
            except OSError as exc:
                raise Missing(f"the program {layout.settings.caddy} cannot be run: {exc.strerror}") from exc
        code = await _end(process)
        if code is None:
            raise Refused(f"caddy {arguments[0]} did not end within {RUN_SECONDS:g} s")
        if code != 0:
            text = await asyncio.to_thread(said.read_text, encoding="utf-8", errors="replace")
            raise Refused(words(text) or f"caddy {arguments[0]} ended with exit code {code}")


async def _end(process: asyncio.subprocess.Process) -> int | None:
    try:
        async with asyncio.timeout(RUN_SECONDS):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def words(output: str) -> str:
    """Return what caddy says went wrong, without its log."""
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("{")]
    told = [line for line in lines if _ERROR.match(line)] or lines[-3:]
    # The first says what was wrong, later ones that it therefore ends.
    text = _ERROR.sub("", told[0]) if told else ""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:MOST_WORDS]


def _config(path: Path) -> list[str]:
    return ["--config", str(path), "--adapter", "caddyfile"]


def _environment(layout: Layout) -> dict[str, str]:
    """Nothing of a Caddy of ours is written outside its folder; the Caddyfile of another one may use any variable."""
    if not layout.own:
        return dict(os.environ)
    folder = str(layout.folder)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
