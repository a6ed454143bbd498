"""The agents' own log lines, as they send them: for agents whose driver has no log of its own.

One file per agent, JSON lines, cut in half by rotation when it reaches its bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hub.core.model import AgentId
from runtime.wire import Log

MAX_FILE_BYTES: Final = 1024 * 1024
"""Per file; an agent has at most two."""
MAX_LINE_BYTES: Final = 8 * 1024


class AgentLine(msgspec.Struct, frozen=True):
    """`at`: ms since the epoch by the hub's clock."""

    at: int
    text: str
    level: str | None = None


class AgentLogs:
    """Appends and reads lines. Writes are small and go to the page cache only: a log is no promise."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, agent_id: AgentId, at_ms: int, data: bytes, message: Log) -> None:
        """Keep the lines of one `log` message; a full disk loses them, never a task."""
        text = data[:MAX_LINE_BYTES].decode("utf-8", "replace")
        lines = [AgentLine(at_ms, line, message.level) for line in text.splitlines() if line]
        if not lines:
            return
        path = self._path(agent_id)
        try:
            self._rotate(path)
            with path.open("ab") as file:
                file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        except OSError:
            return

    def read(self, agent_id: AgentId) -> Iterator[AgentLine]:
        """Yield all lines kept, oldest first."""
        path = self._path(agent_id)
        for source in (path.with_suffix(".old"), path):
            try:
                content = source.read_bytes()
            except FileNotFoundError:
                continue
            for raw in content.splitlines():
                try:
                    yield msgspec.json.decode(raw, type=AgentLine)
                except msgspec.DecodeError:
                    # The last line of a hub that was killed while it wrote.
                    continue

    def remove(self, agent_id: AgentId) -> None:
        for suffix in (".jsonl", ".old"):
            self._path(agent_id).with_suffix(suffix).unlink(missing_ok=True)

    def _path(self, agent_id: AgentId) -> Path:
        return self._folder / f"{agent_id}.jsonl"

    @staticmethod
    def _rotate(path: Path) -> None:
        if path.exists() and path.stat().st_size > MAX_FILE_BYTES:
            os.replace(path, path.with_suffix(".old"))
