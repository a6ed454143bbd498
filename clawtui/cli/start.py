"""`clawtui` without a verb: the screen with its own hub, the screen on another one, or the hub alone."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from clawtui.cli.later import LATER_OPTIONS, not_in_this_version
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from clawtui.settings import Settings

SERVING = Parameter(group=Group("Options of the hub in this process", sort_key=5))
SCREEN_GROUP = Group("Options of the screen", sort_key=4)
SCREEN = Parameter(group=SCREEN_GROUP)
LATER = Parameter(show=False)


def start(
    *,
    serve: bool = False,
    port_agents: Annotated[int | None, SERVING] = None,
    port_api: Annotated[int | None, SERVING] = None,
    listen_agents: Annotated[str | None, SERVING] = None,
    listen_api: Annotated[str | None, SERVING] = None,
    advertise_agents: Annotated[str | None, SERVING] = None,
    tls_cert: Annotated[Path | None, SERVING] = None,
    tls_key: Annotated[Path | None, SERVING] = None,
    insecure_listen: Annotated[bool, SERVING] = False,
    drivers: Annotated[str | None, SERVING] = None,
    log_level: Annotated[str | None, SERVING] = None,
    log_file: Annotated[Path | None, SERVING] = None,
    port_web: Annotated[int | None, LATER] = None,
    attach: Annotated[str | None, SCREEN] = None,
    read_only: Annotated[bool, SCREEN] = False,
    link: Annotated[str, Parameter(name="--open", group=SCREEN_GROUP)] = "",
    context: Ctx,
) -> Awaitable[int] | int:
    """Show the screen, with a hub of its own in the same process; ctrl+q leaves it.

    Without a terminal it does what `demo` does, in plain text. With --serve the hub runs alone until Ctrl-C.

    Args:
        serve: Run the hub, without a screen.
        attach: Address of the hub that the screen is for, instead of one in this process.
        read_only: Show everything, do nothing.
        link: What the screen shows first: agents/NAME, tasks/ID, logs/NAME,NAME, journal, hub and others.
        port_agents: Port of the agents' WebSocket; 0 picks a free one.
        port_api: Port of the HTTP API; 0 picks a free one.
        listen_agents: Addresses for agents, with commas between them.
        listen_api: Addresses of the HTTP API, with commas; beyond loopback with TLS only.
        advertise_agents: URL that agents are told to dial.
        tls_cert: Certificate (PEM) of the listeners.
        tls_key: Key (PEM) of the certificate.
        insecure_listen: Listen beyond loopback without TLS.
        drivers: Drivers that the hub offers, with commas.
        log_level: debug, info, warning or error.
        log_file: File for the hub's JSON log instead of stderr.
    """
    if port_web is not None:
        not_in_this_version(f"--port-web ({LATER_OPTIONS['--port-web']})")
    given = {
        "port_agents": port_agents, "port_api": port_api, "listen_agents": listen_agents, "listen_api": listen_api,
        "advertise_agents": advertise_agents, "tls_cert": _text(tls_cert), "tls_key": _text(tls_key),
        "insecure_listen": insecure_listen or None, "drivers": drivers, "log_level": log_level,
        "log_file": _text(log_file),
    }  # fmt: skip
    if link and (serve or not context.on_terminal):
        raise UsageError("--open is for the screen: it needs a terminal, and no --serve")
    if serve:
        return _hub_alone(context.settings.overridden(given), context)
    if attach is not None and any(value is not None for value in given.values()):
        raise UsageError("these options belong to a hub in this process; --attach needs none of them")
    address = attach or context.settings.hub
    settings = context.settings.overridden({**given, "hub": address or None})
    if not context.on_terminal:
        return _without_terminal(settings, context)
    return _screen(settings, context, attached=bool(address), read_only=read_only, link=link)


def _hub_alone(settings: Settings, context: Context) -> Awaitable[int]:
    from clawtui.root import serve

    return serve(settings, context.out)


def _screen(settings: Settings, context: Context, *, attached: bool, read_only: bool, link: str) -> Awaitable[int]:
    from clawtui.tui.run import run_screen

    return run_screen(settings, context.out, attached=attached, read_only=read_only, link=link)


def _without_terminal(settings: Settings, context: Context) -> Awaitable[int]:
    from clawtui.demo import run_demo

    context.out.say("no terminal for the screen, so here is a demonstration in plain text")
    return run_demo(settings, context.out)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
