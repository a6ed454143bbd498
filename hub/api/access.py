"""Who may call: the token, the role, the origin, and what is open on this machine."""

from __future__ import annotations

import ipaddress
from typing import Final

import yarl
from aiohttp import web

from hub.api.route import Route
from hub.control import Door, Principal
from hub.core.identity import allows
from hub.core.model import Role
from hub.errors import Forbidden, HubError, Unauthorized

ANONYMOUS: Final = Principal(name="anonymous", role=Role.VIEWER)
"""Somebody on this machine without a token, on a route that is open to them."""


def refuse_foreign_origin(request: web.Request) -> None:
    """A browser names the page a request comes from; pages of others are refused. Raises Forbidden."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    try:
        same = str(yarl.URL(origin).origin()) == str(yarl.URL(f"{request.scheme}://{request.host}").origin())
    except ValueError:
        same = False
    if not same:
        raise Forbidden("requests from other web pages are refused", code="foreign_origin")


async def admit(door: Door, route: Route, request: web.Request) -> Principal:
    """Return who calls. Raises Unauthorized or Forbidden, after the refusal went into the audit."""
    what = f"{route.method} {route.path}"
    target = "/".join(request.match_info.values())
    if route.open_on_loopback and "Authorization" not in request.headers and from_this_machine(request):
        return ANONYMOUS
    try:
        principal = door.admit(bearer(request))
    except HubError as error:
        await door.refused(peer(request), what, target, error.code)
        raise
    if not allows(principal.role, route.role):
        await door.refused(principal.name, what, target, f"needs {route.role.value}")
        raise Forbidden(
            f"this needs the role {route.role.value}; your token has {principal.role.value}",
            hint=f"an admin makes such a token: clawtui token create --role {route.role.value}",
        )
    return principal


def bearer(request: web.Request) -> str | None:
    """Return the secret, or None without one. Raises Unauthorized for what cannot be a token."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret.isascii() or not secret:
        raise Unauthorized(
            "the Authorization header holds no bearer token", hint="send it as: Authorization: Bearer <token>"
        )
    return secret


def from_this_machine(request: web.Request) -> bool:
    """True for a Unix socket, and for loopback when the caller also addressed it as such.

    The second half keeps out web pages whose name was made to resolve to this machine.
    """
    if not request.remote:
        return True
    try:
        called = yarl.URL(f"http://{request.host}").host or ""
    except ValueError:
        return False
    return _is_loopback(request.remote) and (called == "localhost" or _is_loopback(called))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def peer(request: web.Request) -> str:
    """The caller's address for the audit."""
    return request.remote or "unix socket"
