"""Names and addresses of Docker hosts. Pure: nothing is looked up."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from hub.contract import AddHost
from hub.core.instances import LOCAL_HOST
from hub.core.model import AGENT_ID_PATTERN
from hub.errors import BadRequest
from hub.gateways.checking import check_path

SOCKET: Final = "/var/run/docker.sock"
"""Where an engine listens when nobody said otherwise."""
TLS_PORT: Final = 2376
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9A-Fa-f:]{2,39}")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_SHAPES: Final = "ssh://USER@HOST, ssh://USER@HOST:PORT/PATH/OF/docker.sock or tcp://HOST:PORT"
_FILES: Final = (("ca_file", "caFile"), ("certificate_file", "certificateFile"), ("key_file", "keyFile"))


class Address(msgspec.Struct, frozen=True):
    """Where an engine is. `user` and `port` empty or None: as ssh's own configuration says. `socket`: the engine's, on
    a host over ssh. `host` may be a name of that configuration."""

    kind: Literal["ssh", "tcp"]
    host: str
    user: str = ""
    port: int | None = None
    socket: str = SOCKET


def check_name(name: str) -> str:
    """Return a host's name. Raises BadRequest."""
    if re.fullmatch(AGENT_ID_PATTERN, name) is None:
        hint = "1 to 40 characters: a-z, 0-9 and -, not starting with -"
        raise BadRequest(f"{name[:60]!r} is not a name for a Docker host", field="name", hint=hint)
    if name == LOCAL_HOST:
        raise BadRequest(f"{name} is the hub's own engine", field="name", hint="Choose another name.")
    return name


def parse(url: str) -> Address:
    """Return what an address means. Raises BadRequest (field url)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise _wrong(url) from exc
    # What begins with a dash would be an option to ssh.
    if parts.hostname is None or _HOST.fullmatch(parts.hostname) is None or parts.query or parts.fragment:
        raise _wrong(url)
    if parts.password is not None:
        raise BadRequest(
            "an address must not hold a password", field="url", hint="ssh uses keys: ssh-copy-id USER@HOST brings one."
        )
    # Names of ssh's configuration keep their case, which hostname does not.
    host = parts.netloc.rpartition("@")[2]
    host = parts.hostname if host.startswith("[") else host.partition(":")[0]
    match parts.scheme:
        case "ssh":
            return _over_ssh(url, host, parts.username or "", port, parts.path)
        case "tcp":
            if parts.username is not None or parts.path not in ("", "/"):
                raise _wrong(url)
            return Address("tcp", host, port=port or TLS_PORT)
        case _:
            raise _wrong(url)


def check_files(request: AddHost, address: Address) -> AddHost:
    """Return the request with plain paths. Raises BadRequest: files that are missing or of no use."""
    given = {field: getattr(request, field) for field, _ in _FILES}
    for field, shown in _FILES:
        if address.kind == "ssh" and given[field]:
            raise BadRequest("ssh needs no TLS files", field=shown, hint="Its keys are those of the hub's user.")
        if address.kind == "tcp" and not given[field]:
            raise BadRequest(
                "an engine at tcp:// is only spoken to with TLS on both sides: whoever reaches it is root there",
                field=shown,
                hint="Give all three: --tls-ca, --tls-certificate and --tls-key. Or use ssh://.",
            )
    plain = {field: check_path(path, shown) for field, shown in _FILES if (path := given[field])}
    return msgspec.structs.replace(request, **plain)


def _over_ssh(url: str, host: str, user: str, port: int | None, path: str) -> Address:
    if user and _USER.fullmatch(user) is None:
        raise _wrong(url)
    socket = path if path not in ("", "/") else SOCKET
    if not re.fullmatch(r"/[A-Za-z0-9._/-]{1,100}", socket):
        raise BadRequest(f"{path[:80]!r} is not the path of a socket", field="url", hint=_SHAPES)
    return Address("ssh", host, user, port, socket)


def _wrong(url: str) -> BadRequest:
    shown = re.sub(r"//[^@/]*@", "//***@", url)[:120]
    return BadRequest(f"{shown!r} is not the address of a Docker host", field="url", hint=_SHAPES)
