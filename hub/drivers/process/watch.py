"""Notices when an agent's process ends: by pidfd on Linux, elsewhere by looking now and then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from hub.drivers.process import processes
from hub.drivers.process.processes import Identity

POLL_SECONDS: Final = 2.0
"""How often to look where the kernel does not tell."""
WAIT_POLL_SECONDS: Final = 0.05
"""How often to look while somebody waits for an end."""


class ExitWatch:
    """Calls back once, on the loop, when a followed process has ended. All methods on one loop.

    `told`: the kernel tells of ends; else somebody must call `poll` now and then.
    """

    def __init__(self, told: bool = processes.PIDFD) -> None:
        self.told = told
        self._descriptors: dict[Identity, int] = {}
        self._callbacks: dict[Identity, Callable[[], object]] = {}

    def follow(self, identity: Identity, ended: Callable[[], object]) -> None:
        """Start to follow; fine when it is followed already or has ended already."""
        if identity in self._callbacks:
            return
        self._callbacks[identity] = ended
        if not self.told:
            return
        try:
            descriptor = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            asyncio.get_running_loop().call_soon(self._ended, identity)
            return
        self._descriptors[identity] = descriptor
        if processes.find(identity) is None:
            asyncio.get_running_loop().call_soon(self._ended, identity)
        else:
            asyncio.get_running_loop().add_reader(descriptor, self._ended, identity)

    def poll(self) -> None:
        """Look at everything that is followed; for platforms without pidfd."""
        for identity in [known for known in self._callbacks if not processes.alive(known)]:
            self._ended(identity)

    async def wait_ended(self, identity: Identity, timeout_seconds: float) -> bool:
        """Wait until the process has ended; False when it still runs after the timeout."""
        if not self.told:
            return await _wait_by_looking(identity, timeout_seconds)
        try:
            descriptor = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return True
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        try:
            if not processes.alive(identity):
                return True
            async with asyncio.timeout(timeout_seconds):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return True

    def close(self) -> None:
        for identity in list(self._callbacks):
            self._forget(identity)

    def _ended(self, identity: Identity) -> None:
        if (callback := self._forget(identity)) is not None:
            callback()

    def _forget(self, identity: Identity) -> Callable[[], object] | None:
        descriptor = self._descriptors.pop(identity, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        return self._callbacks.pop(identity, None)


async def _wait_by_looking(identity: Identity, timeout_seconds: float) -> bool:
    try:
        async with asyncio.timeout(timeout_seconds):
            # Nothing tells of the end of another's child here.
            while processes.alive(identity):  # noqa: ASYNC110
                await asyncio.sleep(WAIT_POLL_SECONDS)
    except TimeoutError:
        return False
    return True
