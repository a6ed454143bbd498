"""`clawtui` without a verb: the hub alone with `--serve`, else a word on how to begin."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from clawtui.cli import exits
from clawtui.cli.later import LATER_OPTIONS, not_in_this_version
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError

SERVING = Parameter(group=Group("Options of --serve", sort_key=5))
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
    attach: Annotated[str | None, LATER] = None,
    read_only: Annotated[bool, LATER] = False,
    context: Ctx,
) -> Awaitable[int] | int:
    """Run the hub alone with --serve; it runs until Ctrl-C or SIGTERM.

    Args:
        serve: Run the hub, without a screen.
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
    later = {"--port-web": port_web is not None, "--attach": attach is not None, "--read-only": read_only}
    for option in (option for option, given in later.items() if given):
        not_in_this_version(f"{option} ({LATER_OPTIONS[option]})")
    given = {
        "port_agents": port_agents, "port_api": port_api, "listen_agents": listen_agents, "listen_api": listen_api,
        "advertise_agents": advertise_agents, "tls_cert": _text(tls_cert), "tls_key": _text(tls_key),
        "insecure_listen": insecure_listen or None, "drivers": drivers, "log_level": log_level,
        "log_file": _text(log_file),
    }  # fmt: skip
    if serve:
        from clawtui.root import serve as run_hub

        return run_hub(context.settings.overridden(given), context.out)
    if any(value is not None for value in given.values()):
        raise UsageError("these options belong to --serve", hint=f"{context.world.program} --serve …")
    return _introduce(context)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _introduce(context: Context) -> int:
    name = context.world.program
    for line in (
        f"{name} runs real work on a fleet of agents.",
        "",
        f"  {name} demo                     see it work: a hub, two agents, tasks of several types",
        f"  {name} --serve                  run the hub; leave it running",
        f"  {name} create worker --driver process",
        f"  {name} exec worker 'uname -a'   run a command, stream its output",
        f"  {name} list                     the agents and how they are",
        f"  {name} doctor                   what works on this machine, and how to get the rest",
        f"  {name} help                     every verb",
    ):
        context.out.line(line)
    return exits.DONE
