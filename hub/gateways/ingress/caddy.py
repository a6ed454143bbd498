"""Caddyfiles: the one of a Caddy of our own, and the sites of all gateways. Pure.

Everything goes through to a gateway, its web interface with its WebSocket included: it asks for its token itself on
every path but those that say how it is. It is told nothing of the caller: OpenClaw refuses forwarded headers of whom it
does not trust, and whom it trusts only with them, so that the hub, which comes from the same address as the proxy,
could not look at it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hub.gateways.ingress.layout import Layout
from hub.gateways.ingress.sites import Site

NOTE: Final = "# Written by clawtui: what is changed here is lost. Put sites of your own into another file.\n"
FORWARDED: Final = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
DIAL_SECONDS: Final = 5
LOG_MIB: Final = 10
LOGS_KEPT: Final = 3


def main_text(layout: Layout) -> str:
    """Return the Caddyfile of a Caddy that the hub runs."""
    settings = layout.settings
    ports = [f"\thttps_port {settings.https_port}"]
    # Caddy wants a number also where nothing listens there.
    ports += [f"\thttp_port {settings.http_port}"] if settings.http_port else ["\tauto_https disable_redirects"]
    lines = [
        "{",
        f"\tadmin {layout.admin}",
        # Whoever wants to trust it installs it: nothing is changed on this machine unasked.
        "\tskip_install_trust",
        *ports,
        f"\tstorage file_system {quoted(layout.storage)}",
        "\tservers {",
        "\t\tprotocols h1 h2",
        "\t}",
        "\tlog {",
        f"\t\toutput file {quoted(layout.log)} {{",
        f"\t\t\troll_size {LOG_MIB}MiB",
        f"\t\t\troll_keep {LOGS_KEPT}",
        "\t\t}",
        "\t}",
        "}",
        f"import {quoted(layout.sites)}",
    ]
    return NOTE + "\n".join(lines) + "\n"


def sites_text(sites: Sequence[Site], layout: Layout) -> str:
    """Return the file that leads names to gateways; a file with no name is fine for Caddy's `import`."""
    blocks = [_block(site, layout) for site in sorted(sites, key=lambda one: one.domain)]
    return "\n".join([NOTE, *blocks])


def _block(site: Site, layout: Layout) -> str:
    settings = layout.settings
    port = "" if settings.https_port == 443 else f":{settings.https_port}"
    lines = [f"# gateway {site.gateway}", f"https://{site.domain}{port} {{"]
    if settings.listen:
        lines.append(f"\tbind {' '.join(settings.listen)}")
    lines += _tls(layout)
    if settings.body_bytes:
        lines += ["\trequest_body {", f"\t\tmax_size {settings.body_bytes}", "\t}"]
    lines += [
        f"\treverse_proxy {site.upstream} {{",
        # Each piece of an answer goes on when it comes. Not -1: with that Caddy 2.6 cuts every answer that streams when
        # another configuration is loaded; server-sent events go on at once with any value.
        "\t\tflush_interval 1ms",
        *(f"\t\theader_up -{name}" for name in FORWARDED),
        # There is no limit of time for an answer: a turn may run for hours, and the gateway ends it.
        "\t\ttransport http {",
        f"\t\t\tdial_timeout {DIAL_SECONDS}s",
        # A gateway that was started again must not look gone because of an old connection.
        "\t\t\tkeepalive off",
        "\t\t}",
        "\t}",
        "}",
        "",
    ]
    return "\n".join(lines)


def _tls(layout: Layout) -> list[str]:
    settings = layout.settings
    if settings.tls == "internal":
        return ["\ttls internal"]
    if settings.tls == "files" and settings.certificate is not None and settings.key is not None:
        return [f"\ttls {quoted(settings.certificate.absolute())} {quoted(settings.key.absolute())}"]
    return []


def quoted(path: Path) -> str:
    """Return a path as one word of a Caddyfile. `layout` refuses those that cannot be one."""
    return f"`{path}`"
