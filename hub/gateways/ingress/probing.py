"""One look at a gateway through the proxy, as a caller from outside comes: with TLS and the name, but without asking
any name server, because whether the name leads here is another matter than whether the proxy serves it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import time
from pathlib import Path
from typing import Final

import h11

from hub.contract import GatewayState
from hub.gateways import looks
from hub.gateways.client import MOST_BYTES, STEP_SECONDS, TooMuch, authorized
from hub.gateways.ingress.layout import Layout
from hub.gateways.ingress.sites import Site
from hub.gateways.looks import Reply, Seen
from hub.gateways.secret import Secret

_NO_TOKEN: Final = Secret("")
_NOT_REACHED: Final = frozenset({502, 503, 504})


class IngressClient:
    """Looks through the proxy of a layout."""

    def __init__(self, layout: Layout, step_seconds: float = STEP_SECONDS) -> None:
        self._layout = layout
        self._step_seconds = step_seconds
        self._host = local_address(layout.settings.listen)

    async def probe(self, site: Site, token: Secret = _NO_TOKEN, user: str = "") -> Seen:
        """Whatever goes wrong is what was seen. `user`: what is in front of the gateway wants HTTP Basic."""
        began = time.monotonic()
        try:
            context = await asyncio.to_thread(trusting, self._layout)
            async with asyncio.timeout(self._step_seconds):
                reply = await self._get(site, context, authorized(token, user) if user else {})
        except TimeoutError:
            reason = f"no answer comes through the proxy within {self._step_seconds:g} s"
            return Seen(state=GatewayState.WEDGED, reason=reason)
        except (h11.RemoteProtocolError, TooMuch, OSError) as exc:
            return Seen(state=GatewayState.DOWN, reason=self._trouble(site, exc))
        state, reason = judge(reply, site)
        return Seen(state=state, reason=reason, response_ms=round((time.monotonic() - began) * 1000, 1))

    async def _get(self, site: Site, context: ssl.SSLContext, headers: dict[str, str]) -> Reply:
        port = self._layout.settings.https_port
        authority = site.domain if port == 443 else f"{site.domain}:{port}"
        told = {**headers, "Host": authority, "User-Agent": "clawtui", "Connection": "close"}
        # Not by httpx, which leaves a socket open when a look is cancelled in the middle of its TLS handshake.
        reader, writer = await asyncio.open_connection(self._host, port, ssl=context, server_hostname=site.domain)
        try:
            return await _exchange(
                reader, writer, h11.Request(method="GET", target="/readyz", headers=list(told.items()))
            )
        finally:
            writer.close()

    def _trouble(self, site: Site, error: Exception) -> str:
        if (refused := _of_tls(error)) is not None:
            return f"TLS with the proxy for {site.domain} fails: {_tls_words(refused)}"
        if isinstance(error, ConnectionRefusedError):
            return f"the proxy does not listen at {self._host}:{self._layout.settings.https_port}"
        if isinstance(error, OSError):
            words = os.strerror(error.errno) if error.errno else str(error)
            return f"the proxy at {self._host} cannot be reached: {words}"
        if isinstance(error, TooMuch):
            return "what answers through the proxy is no gateway: its answer is too long"
        return "the proxy hung up, or speaks no HTTP"


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request) -> Reply:
    """Send a request and read its answer. Raises h11.RemoteProtocolError, TooMuch, OSError."""
    talk = h11.Connection(h11.CLIENT)
    writer.write(talk.send(request) or b"")
    writer.write(talk.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    status, kind, body = 0, "", bytearray()
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(65536))
            case h11.Response() as told:
                status = told.status_code
                kind = next((value.decode("latin-1") for name, value in told.headers if name == b"content-type"), "")
            case h11.Data() as piece:
                body += piece.data
                if len(body) > MOST_BYTES:
                    raise TooMuch
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return Reply(status, kind, bytes(body))
            case _:
                continue


def judge(reply: Reply, site: Site) -> tuple[GatewayState, str]:
    """Say what an answer of `/readyz` through the proxy means."""
    found = looks.readiness(reply)
    if found is not None:
        return found.state, found.reason
    if reply.status in _NOT_REACHED:
        return GatewayState.DOWN, f"the proxy does not reach it at {site.upstream} (HTTP {reply.status})"
    if reply.status == 200 and not reply.body:
        return GatewayState.DOWN, f"the proxy knows no site {site.domain}: does its Caddyfile import the hub's file?"
    what = "a page" if reply.is_html else reply.content_type[:60] or "no content type"
    return GatewayState.DOWN, f"what answers through the proxy is no gateway (HTTP {reply.status}, {what})"


def local_address(listen: tuple[str, ...]) -> str:
    """Return the address at which the hub reaches the proxy."""
    if not listen:
        return "127.0.0.1"
    address = ipaddress.ip_address(listen[0])
    if address.version == 4:
        return "127.0.0.1" if address.is_unspecified else str(address)
    return "::1" if address.is_unspecified else str(address)


def trusting(layout: Layout) -> ssl.SSLContext:
    """Return what trusts the system's authorities, Caddy's own and those of the settings. Blocks.

    Raises OSError: a file of the settings cannot be read.
    """
    context = ssl.create_default_context()
    extra: list[Path] = [layout.root] if layout.own and layout.root.exists() else []
    if layout.settings.ca is not None:
        extra.append(layout.settings.ca)
    for path in extra:
        context.load_verify_locations(cafile=path)
    return context


def _of_tls(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}; name its authority in the setting ingress_ca, or see its log"
    if "ALERT_INTERNAL_ERROR" in (error.reason or "").upper():
        return "it has no certificate for the name, or not yet; its log says why"
    return (error.reason or "no reason is told").replace("_", " ").lower()
