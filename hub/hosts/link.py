"""The way to one Docker host while the hub runs: its tunnel, and its engine behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.core.hosts import StoredHost
from hub.drivers.cells import Capacity, Cells
from hub.errors import BadRequest, DriverFailed, HubError
from hub.hosts.address import Address, parse
from hub.hosts.ssh import explain_engine
from hub.hosts.tunnel import HostAway, Tunnel

ASK_SECONDS: Final = 10.0
"""For what an engine has."""
_OWN: Final = frozenset({"DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"})
"""Of the hub's own engine."""

Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Runs something beside the hub under a name."""


class Ways(msgspec.Struct, frozen=True):
    """What every link needs. `folder`: for sockets, private; `program`: ssh."""

    hub_id: str
    state_folder: Path
    folder: Path
    start: Start
    program: Sequence[str] = ("ssh",)


class HostLink:
    """Made open: its tunnel, if it needs one, is being opened. Closed by `close`."""

    def __init__(self, stored: StoredHost, ways: Ways) -> None:
        # Imported here: a hub without further hosts need not load the Docker client.
        from hub.drivers.docker.docker_py import Connector
        from hub.hosts.engine import HostEngine, tls_folder

        self.stored = stored
        self.address: Address = parse(stored.url)
        self.tunnel: Tunnel | None = None
        self._task: asyncio.Task[None] | None = None
        surroundings = {name: value for name, value in os.environ.items() if name not in _OWN}
        ready: Callable[[], None] = _nothing
        if self.address.kind == "ssh":
            socket = ways.folder / f"{stored.name}.sock"
            self.tunnel = Tunnel(self.address, str(socket), self.address.socket, ways.program)
            url, ready = f"unix://{socket}", self.tunnel.wait_in_thread
            self._task = ways.start(self.tunnel.run(), f"tunnel {stored.name}")
        else:
            try:
                surroundings |= tls_folder(ways.folder / stored.name, msgspec.structs.asdict(stored))
            except OSError as exc:
                raise DriverFailed(f"TLS files of {stored.name}: {exc.strerror}") from exc
            url = f"tcp://{self.address.host}:{self.address.port}"
        self._engine = HostEngine(
            url, surroundings, ready, Connector(None, os.environ), hub_id=ways.hub_id, state_folder=ways.state_folder
        )

    @property
    def cells(self) -> Cells:
        return self._engine.cells

    @property
    def away(self) -> str:
        """Why nothing of the host can be reached now; empty while it can, as far as is known."""
        if self.tunnel is None or self.tunnel.is_open:
            return ""
        return self.tunnel.trouble.message if self.tunnel.trouble is not None else "it is being connected to"

    async def capacity(self) -> Capacity:
        """Ask the engine what it has. Raises HubError, with ssh's own words where it knows better."""
        if self.tunnel is not None:
            await self.tunnel.wait_told()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self.cells.capacity()
        except TimeoutError as exc:
            raise HostAway(f"the engine of {self.stored.name} did not answer within {ASK_SECONDS:g} s") from exc
        except HubError as exc:
            known = explain_engine(self.tunnel.said, self.address) if self.tunnel is not None else None
            if known is None:
                raise
            raise HostAway(known.message, hint=known.hint, retryable=not known.final) from exc

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._engine.close()


def check_readable(files: Mapping[str, str]) -> None:
    """Blocks. Raises BadRequest naming the first TLS file, by its field, that cannot be read."""
    for field, path in files.items():
        try:
            with Path(path).open("rb") as file:
                file.read(1)
        except OSError as exc:
            raise BadRequest(f"{path}: {exc.strerror}", field=field, hint="The hub itself has to read it.") from exc


def _nothing() -> None:
    """There is nothing to wait for."""
