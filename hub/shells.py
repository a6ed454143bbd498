"""Terminals on agents: bytes between an observer and a PTY beside the work."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from hub.connections.link import Link
from hub.connections.table import LinkTable
from hub.core.model import AgentId
from hub.errors import Conflict, QueueFull, Unavailable
from runtime.wire import Shell, ShellOp, WireError

MAX_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Output kept for an observer that does not read; more ends the shell."""
MAX_INPUT_BYTES: Final = 32 * 1024
"""Input in one frame."""


class Terminal:
    """Implements `hub.control.ShellSession`: one shell, seen from the hub."""

    def __init__(self, shells: Shells, link: Link, shell_id: str) -> None:
        self.shell_id = shell_id
        self.exit_code: int | None = None
        self.message = ""
        self._shells = shells
        self._link = link
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._ready = asyncio.Event()

    @property
    def link(self) -> Link:
        return self._link

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_INPUT_BYTES):
            piece = base64.b64encode(data[start : start + MAX_INPUT_BYTES]).decode()
            self._shells.tell(self, Shell(op=ShellOp.DATA, shell_id=self.shell_id, data=piece))

    async def resize(self, cols: int, rows: int) -> None:
        order = Shell(op=ShellOp.RESIZE, shell_id=self.shell_id, cols=cols, rows=rows)
        self._shells.tell(self, order)

    async def output(self) -> AsyncIterator[bytes]:
        """Yield what the shell writes until it ends."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._bytes -= len(chunk)
                yield chunk
            if self._ended:
                return
            self._ready.clear()
            await self._ready.wait()

    async def close(self) -> None:
        """Hang up; what runs in the shell gets its SIGHUP."""
        if not self._ended:
            self._shells.tell(self, Shell(op=ShellOp.CLOSE, shell_id=self.shell_id))
        self._shells.forget(self)
        self.end(self.exit_code, self.message)

    # --- from the agent

    def feed(self, data: bytes) -> None:
        """Take output; an observer that does not read loses the shell, not the hub its memory."""
        if self._bytes + len(data) > MAX_BUFFER_BYTES:
            self._shells.tell(self, Shell(op=ShellOp.CLOSE, shell_id=self.shell_id))
            self._shells.forget(self)
            self.end(None, "the shell was closed: its output was not read")
            return
        self._chunks.append(data)
        self._bytes += len(data)
        self._ready.set()

    def end(self, exit_code: int | None, message: str) -> None:
        self._ended, self.exit_code, self.message = True, exit_code, message
        self._ready.set()


class Shells:
    """All open terminals."""

    def __init__(self, links: LinkTable, per_agent: int) -> None:
        self._links = links
        self._per_agent = per_agent
        self._open: dict[str, Terminal] = {}

    def open(self, link: Link | None, agent_id: AgentId, shell_id: str, cols: int, rows: int) -> Terminal:
        """Start a shell on an agent's connection. Raises as `check`."""
        link = self.check(link, agent_id)
        terminal = Terminal(self, link, shell_id)
        self._open[shell_id] = terminal
        self.tell(terminal, Shell(op=ShellOp.OPEN, shell_id=shell_id, cols=cols, rows=rows))
        return terminal

    def check(self, link: Link | None, agent_id: AgentId) -> Link:
        """Return the connection when a shell may start on it.

        Raises:
            Unavailable: the agent is not connected.
            Conflict: it is a basic agent.
            QueueFull: it has too many shells.
        """
        if link is None:
            raise Unavailable(f"agent {agent_id} is not connected", code="agent_offline", agent=agent_id)
        if link.basic:
            raise Conflict(f"agent {agent_id} is basic and has no shell", code="basic_agent")
        if sum(terminal.link is link for terminal in self._open.values()) >= self._per_agent:
            raise QueueFull(f"agent {agent_id} has {self._per_agent} shells already")
        return link

    def tell(self, terminal: Terminal, order: Shell) -> None:
        self._links.put(terminal.link, order)

    def forget(self, terminal: Terminal) -> None:
        self._open.pop(terminal.shell_id, None)

    def from_agent(self, link: Link, message: Shell) -> None:
        """Raises WireError for what an agent may not say."""
        terminal = self._open.get(message.shell_id)
        if terminal is None or terminal.link is not link:
            return
        if message.op is ShellOp.DATA:
            try:
                terminal.feed(base64.b64decode(message.data or "", validate=True))
            except (binascii.Error, ValueError) as exc:
                raise WireError("malformed", f"shell data is not base64: {exc}") from exc
        elif message.op is ShellOp.EXIT:
            self.forget(terminal)
            terminal.end(message.exit_code, message.message or "")

    def agent_left(self, link: Link) -> None:
        """The connection ended, and every shell on it."""
        for terminal in [one for one in self._open.values() if one.link is link]:
            self.forget(terminal)
            terminal.end(None, "the connection to the agent was lost")
