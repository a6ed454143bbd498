"""Sockets to listen on, bound by us so that a refusal can say who is in the way and what to do."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import stat
import sys
from pathlib import Path
from typing import Final

import psutil

from hub.config import TlsFiles
from hub.errors import StartFailed

SOCKET_PATH_BYTES: Final = 103 if sys.platform == "darwin" else 107
"""Longest path of a Unix socket: the kernel's field without its closing zero."""
ANSWER_SECONDS: Final = 1.0
"""How long a socket file may take to show that somebody is behind it."""
PORT_ATTEMPTS: Final = 16
"""Tries to find a port that is free on every host."""
# Not in Python's socket module everywhere; numbers of the Linux kernel's interface.
_IP_FREEBIND: Final = 15
_IPV6_FREEBIND: Final = 78


def resolve(host: str, flag: str) -> list[str]:
    """Return the addresses of `host`. Raises StartFailed, naming the flag it came from."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartFailed(f"{flag} {host}: no such address ({error})", code="bad_address", field=flag) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def bind_hosts(
    addresses: list[str], port: int, flag: str, *, kept: int = 0, freebind: bool = False
) -> list[socket.socket]:
    """Bind all addresses to one port; port 0 takes `kept`, or picks one that is free on all. Raises StartFailed."""
    for attempt in range(PORT_ATTEMPTS):
        bound: list[socket.socket] = []
        chosen = port or (kept if attempt == 0 else 0)
        try:
            for address in addresses:
                bound.append(bind_tcp(address, chosen, flag, freebind=freebind))
                chosen = bound[-1].getsockname()[1]
        except StartFailed as error:
            for listener in bound:
                listener.close()
            if port != 0 or error.code != "port_busy" or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            return bound
    raise AssertionError("the last attempt returns or raises")


def bind_tcp(address: str, port: int, flag: str, *, freebind: bool = False) -> socket.socket:
    """Bind one address; `freebind` also where no interface has it yet. Raises StartFailed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if freebind:
            _set_freebind(listener, family)
        listener.bind((address, port))
        # A socket that does not listen yet does not keep the next one from binding the same port.
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise _bind_failed(error, address, port, flag) from error
    listener.setblocking(False)
    return listener


def _set_freebind(listener: socket.socket, family: socket.AddressFamily) -> None:
    if sys.platform != "linux":
        return
    # Where the kernel refuses, binding itself says clearly that the address is not there.
    with contextlib.suppress(OSError):
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)


def _bind_failed(error: OSError, address: str, port: int, flag: str) -> StartFailed:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        by = f" by {owner}" if owner else ""
        return StartFailed(
            f"{where} is in use{by}",
            code="port_busy",
            hint=f"stop it, or choose another port with {flag} PORT ({flag} 0 picks a free one)",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return StartFailed(f"{where} may not be used: {error.strerror}", code="port_denied", hint=f"use {flag} PORT")
    return StartFailed(f"cannot listen on {where}: {error.strerror}", code="bad_address")


def port_owner(port: int) -> str | None:
    """Name the process that listens on `port`, as `pid 42 (name)`; None where the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid is not None:
            try:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def check_socket_path(path: Path) -> None:
    """Raises StartFailed for a path that the kernel would not take."""
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES:
        raise StartFailed(
            f"the path of the socket {path} has {length} bytes; the system allows {SOCKET_PATH_BYTES}",
            code="socket_path_too_long",
            hint="choose a shorter state folder with CLAWTUI_HOME",
        )


def bind_unix(path: Path, mode: int) -> socket.socket:
    """Bind a socket file with permissions `mode`; a dead one in its place is replaced. Raises StartFailed."""
    check_socket_path(path)
    _remove_dead(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        # Nobody can connect before it listens, so the permissions are in force from the first moment.
        os.chmod(path, mode)
    except OSError as error:
        listener.close()
        raise StartFailed(f"cannot make the socket {path}: {error.strerror}", code="socket_failed") from error
    listener.setblocking(False)
    return listener


def _remove_dead(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise StartFailed(f"{path} is there and is no socket", code="socket_failed", hint="move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise StartFailed(f"cannot tell whether a hub is behind {path}: {error}", code="socket_failed") from error
    raise StartFailed(
        f"another hub answers on {path}", code="second_hub", hint="use it, or choose another CLAWTUI_HOME"
    )


def file_number(path: Path) -> int | None:
    """Tells one file from another that later has its name; None when there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Raises StartFailed when the files are no usable pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise StartFailed(
            f"cannot use {files.certificate} with {files.key}: {error}",
            code="bad_tls_files",
            hint="--tls-cert takes the certificate with its chain, --tls-key its key, both PEM",
        ) from error
    return context
