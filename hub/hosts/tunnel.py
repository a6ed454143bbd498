"""A tunnel through the ssh program that is kept open: started again when it ends, ended with the hub."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from hub.errors import DriverFailed
from hub.hosts.address import Address
from hub.hosts.ssh import READY, Trouble, command, explain

OPEN_SECONDS: Final = 25.0
"""From its start until it is open; ssh itself gives up a connection after ten."""
LEAST_WAIT_SECONDS: Final = 0.5
MOST_WAIT_SECONDS: Final = 30.0
STABLE_SECONDS: Final = 60.0
"""A tunnel that was open for so long begins with the shortest wait again."""
KEPT_LINES: Final = 20
LINE_BYTES: Final = 4096
END_SECONDS: Final = 3.0
LAST_WORDS_SECONDS: Final = 1.0

log = structlog.get_logger("hub.hosts")


class HostAway(DriverFailed):
    """A Docker host cannot be reached now; nothing is known of what runs there."""

    default_code = "host_away"


class Tunnel:
    """From `here` (a socket's path, or ADDRESS:PORT) on the hub's machine to `there` on the host.

    `program`: ssh, with options of its own where need be.
    """

    def __init__(
        self, address: Address, here: str, there: str, program: Sequence[str] = ("ssh",),
        least_wait_seconds: float = LEAST_WAIT_SECONDS,
    ) -> None:  # fmt: skip
        self.address = address
        self.here = here
        self.trouble: Trouble | None = None
        """Why it is not open; None while it is, and before the first attempt has ended."""
        self.opened_times = 0
        self._words = command(program, address, here, there)
        self._least_wait = least_wait_seconds
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._settled = threading.Event()
        """Threads wait for the first word: open, or why not."""
        self._open = asyncio.Event()
        self._told = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    @property
    def said(self) -> str:
        """What ssh said lately, for who asks why nothing answers behind an open tunnel."""
        return "\n".join(self._lines)

    def wait_in_thread(self) -> None:
        """Wait until it is known whether it is open. Raises HostAway."""
        self._settled.wait(OPEN_SECONDS)
        self._check()

    async def wait_told(self) -> None:
        """Wait until it is open, or could not be opened once. Raises HostAway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS + END_SECONDS):
                await self._told.wait()
        self._check()

    def _check(self) -> None:
        if not self._open.is_set():
            trouble = self.trouble or Trouble(f"{self.address.host} did not answer in time")
            raise HostAway(trouble.message, hint=trouble.hint)

    async def run(self) -> None:
        """Keep it open until cancelled."""
        loop, wait = asyncio.get_running_loop(), self._least_wait
        try:
            while True:
                opened_at = await self._once()
                if opened_at is not None and loop.time() - opened_at >= STABLE_SECONDS:
                    wait = self._least_wait
                await asyncio.sleep(wait)
                wait = min(wait * 2, MOST_WAIT_SECONDS)
        finally:
            # No thread waits for what nobody opens any more.
            self._failed(Trouble("the hub has let go of it"))

    async def _once(self) -> float | None:
        """Open it and wait for its end; returns when it was opened, in the loop's time."""
        self._lines.clear()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES, start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            self._failed(
                Trouble(f"{self._words[0]}: {exc.strerror}", "Install the ssh program (openssh-client).", True)
            )
            return None
        opened_at: float | None = None
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(self._listen(process), name="ssh says")
                if await self._answered(process):
                    opened_at = asyncio.get_running_loop().time()
                    self._opened()
                elif process.returncode is None:
                    # Somebody who takes connections and says nothing.
                    process.kill()
                await process.wait()
                # A program that ssh started to get through may live longer, with the same pipe.
                await asyncio.wait([listener], timeout=LAST_WORDS_SECONDS)
                listener.cancel()
            self._failed(explain(self.said, self.address))
        finally:
            self._open.clear()
            await _end(process)
        return opened_at

    async def _answered(self, process: asyncio.subprocess.Process) -> bool:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                while line := await process.stdout.readline():
                    # A shell of the other side may greet before.
                    if line.strip() == READY:
                        return True
        except (TimeoutError, ValueError):
            return False
        return False

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while part := await process.stderr.read(LINE_BYTES):
            self._lines.extend(part.decode(errors="replace").splitlines())

    def _opened(self) -> None:
        self.trouble = None
        self.opened_times += 1
        log.info("tunnel_open", host=self.address.host, here=self.here)
        self._open.set()
        self._told.set()
        self._settled.set()

    def _failed(self, trouble: Trouble) -> None:
        if trouble != self.trouble:
            log.warning("tunnel_closed", host=self.address.host, here=self.here, why=trouble.message)
        self.trouble = trouble
        self._open.clear()
        self._told.set()
        self._settled.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program, also while this is being cancelled."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
