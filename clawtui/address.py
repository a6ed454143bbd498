"""Where a hub is, and what opens it: an address that was named, or the local hub's `hub.json`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from clawtui.errors import NoHub, UsageError
from clawtui.settings import COMMAND_LINE, Settings
from hub.errors import Forbidden

START_HINT: Final = "start one: clawtui --serve"


class Address(NamedTuple):
    """Where a hub is and what opens it. `socket` is None for a hub reached over TCP."""

    url: str
    socket: Path | None
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _ListenerFile(msgspec.Struct, frozen=True):
    url: str = ""


class HubFile(msgspec.Struct, frozen=True, rename="camel"):
    """What a running hub writes into `hub.json` in its state folder."""

    pid: int = 0
    started_at: str = ""
    hub_id: str = ""
    version: str = ""
    socket: str = ""
    agents: _ListenerFile = _ListenerFile()
    api: _ListenerFile = _ListenerFile()


def read_hub_file(state_folder: Path) -> HubFile:
    """Raises NoHub when the folder has none, Forbidden when it belongs to somebody else."""
    path = state_folder / "hub.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=HubFile)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NoHub(f"no hub is running on {state_folder}", hint=START_HINT) from exc
    except PermissionError as exc:
        raise Forbidden(f"{path} belongs to another user", hint="use --hub URL with --token-file FILE") from exc
    except msgspec.MsgspecError as exc:
        raise NoHub(f"{path} cannot be understood: {exc}", hint=START_HINT) from exc


def read_token(settings: Settings, state_folder: Path | None) -> str:
    """The token for the hub: the setting, its file, or the local hub's own token file; empty = none."""
    if settings.token and settings.origin("token_file") != COMMAND_LINE:
        return settings.token
    if settings.token_file is not None:
        try:
            return settings.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as exc:
            raise UsageError(f"cannot read the token file {settings.token_file}: {exc}", field="token_file") from exc
    try:
        return (state_folder / "token").read_text(encoding="utf-8").strip() if state_folder is not None else ""
    except OSError:
        # Without a token the hub refuses and says why, which is the better message.
        return ""


def find_hub(settings: Settings) -> Address:
    """Where the hub of these settings is now; read anew for every connection, since hubs move.

    Raises:
        NoHub, Forbidden: see `read_hub_file`.
        UsageError: the address is no URL of a hub.
    """
    if not settings.hub:
        folder = settings.state_folder
        file = read_hub_file(folder)
        socket = Path(file.socket) if file.socket else None
        return Address(file.api.url if socket is None else "http://hub", socket, read_token(settings, folder))
    token = read_token(settings, None)
    if settings.hub.startswith("unix:"):
        return Address("http://hub", Path(settings.hub.removeprefix("unix:")), token)
    url = settings.hub.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{settings.hub!r} is no address of a hub", field="hub", hint="e.g. https://host:9091")
    return Address(url, None, token)


def on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def trusted(settings: Settings) -> ssl.SSLContext:
    """What a TLS hub's certificate is checked against."""
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as exc:
        raise UsageError(f"cannot read the certificates {settings.ca_file}: {exc}", field="ca_file") from exc
