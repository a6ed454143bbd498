"""The state folder: its lock, the file by which others find a running hub, and the admin's token."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from hub.errors import StartFailed

HUB_FILE = "hub.json"
TOKEN_FILE = "token"
HUB_ID_FILE = "hub-id"
LOCK_FILE = "hub.lock"


class HubFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `hub.json` says: how the CLI and process agents find the hub that runs here."""

    pid: int
    started_at: str
    hub_id: str
    version: str
    socket: str
    agents: dict[str, str] = {}
    api: dict[str, str] = {}


class StateFolder:
    """Held by one hub at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def hub_file(self) -> Path:
        return self.path / HUB_FILE

    @property
    def hub_id_file(self) -> Path:
        return self.path / HUB_ID_FILE

    @property
    def token_file(self) -> Path:
        return self.path / TOKEN_FILE

    def acquire(self) -> None:
        """Make the folder and lock it.

        Raises:
            StartFailed: another hub holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StartFailed(
                f"the state folder {self.path} cannot be used: {exc.strerror}",
                code="state_folder",
                hint="choose another one with --home or CLAWTUI_HOME",
            ) from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self.release()
            raise self._second_hub() from exc

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write_hub_file(self, content: HubFile) -> None:
        _write_atomically(self.hub_file, msgspec.json.format(msgspec.json.encode(content)), 0o600)

    def remove_hub_file(self) -> None:
        self.hub_file.unlink(missing_ok=True)

    def read_token(self) -> str | None:
        """Return the admin's token, or None when the file is not there."""
        try:
            return self.token_file.read_text().strip()
        except FileNotFoundError:
            return None

    def write_token(self, secret: str) -> None:
        _write_atomically(self.token_file, secret.encode() + b"\n", 0o600)

    def read_hub_id(self) -> str | None:
        """Return the id under which this folder's hub has labelled its agents, or None."""
        try:
            return self.hub_id_file.read_text().strip() or None
        except FileNotFoundError:
            return None

    def write_hub_id(self, hub_id: str) -> None:
        """Keep the id outside the registry: `adopt` needs it when that is lost."""
        _write_atomically(self.hub_id_file, hub_id.encode() + b"\n", 0o600)

    def _second_hub(self) -> StartFailed:
        try:
            other = msgspec.json.decode(self.hub_file.read_bytes(), type=HubFile)
            who = f"process {other.pid}"
        except (OSError, msgspec.MsgspecError, UnicodeError):
            who = "another process"
        return StartFailed(
            f"a hub ({who}) already runs on {self.path}",
            code="second_hub",
            hint=f"use it: clawtui --home {self.path} list; for a second hub choose another --home",
        )


def _write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Write so that a reader sees the old or the new file, also after a power loss."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
