"""Where to dial: from the settings to a host or a socket path, anew at every attempt."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runtime.settings import Settings


class AddressError(Exception):
    """The hub's address cannot be found; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Address:
    """One place to dial. `socket` is a Unix socket's path; then `url` only names the resource."""

    url: str
    socket: str | None = None
    context: ssl.SSLContext | None = None


def find_address(settings: Settings) -> Address:
    """Return where the hub is now; `HUB_FILE` is read again and wins over `HUB_URL`.

    Raises:
        AddressError: no address, or a CA file that cannot be used.
    """
    resource = f"/agent/{quote(settings.agent_id)}"
    socket = None if settings.hub_file is None else _socket_in(settings.hub_file)
    url = settings.hub_url
    if socket is None and url is None:
        raise AddressError(f"{settings.hub_file} names no socket: is the hub running?")
    if socket is None and url is not None and url.startswith("unix:"):
        socket = url.removeprefix("unix:")
    if socket is not None:
        return Address(f"ws://localhost{resource}", socket=socket)
    assert url is not None
    context = _context(settings.hub_ca_file) if url.startswith("wss://") else None
    return Address(url.rstrip("/") + resource, context=context)


def _socket_in(hub_file: Path) -> str | None:
    try:
        facts: object = json.loads(hub_file.read_bytes())
    except (OSError, ValueError):
        # Absent or half-written while a hub starts: the next attempt reads it again.
        return None
    match facts:
        case {"socket": str(path)} if path:
            return path
        case _:
            return None


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as exc:
        raise AddressError(f"HUB_CA_FILE {ca_file} cannot be used: {exc}") from exc
