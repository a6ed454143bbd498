"""Verbs on Docker hosts: list, show, add, remove."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode
from clawtui.cli.world import Context, Ctx
from hub.contract import AddHost, HostView
from hub.errors import NotFound

host = App(name="host", help="Docker hosts that gateways can run on: the hub's own, and others over ssh or TLS.")

GIB = 1 << 30


def columns() -> tuple[Column, ...]:
    return (
        Column("HOST", lambda view: view.name),
        Column("URL", lambda view: view.url),
        Column("DOCKER", lambda view: view.version or "-"),
        Column("CPUS", lambda view: _share(view.used_cpus, view.cpus), right=True),
        Column("MEMORY", lambda view: _share(view.used_memory_bytes / GIB, _gib(view.memory_bytes)), right=True),
        Column("GATEWAYS", lambda view: view.gateways, right=True),
        Column("AGENTS", lambda view: view.agents, right=True),
        Column("PROBLEM", lambda view: view.reason),
    )


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / GIB


def _share(used: float, whole: float | None) -> str:
    """What limits of ours add up to, of what the machine has."""
    return f"{used:.3g} of {whole:.3g}" if whole is not None else f"{used:.3g} of ?"


def show_view(context: Context, view: HostView) -> int:
    """Print it; 1 where it cannot be used."""
    context.out.record(view, columns(), view)
    if view.hint and context.out.mode is not Mode.JSON:
        context.out.say(f"hint: {view.hint}")
    return exits.DONE if view.usable else exits.FAILED


def _absolute(path: str) -> str:
    """The hub may have another working folder."""
    return str(Path(path).expanduser().absolute()) if path else ""


@host.command(name="list")
async def list_hosts(*, context: Ctx) -> int:
    """List the Docker hosts, what each has, and what the limits of gateways there add up to."""
    async with context.control() as control:
        answer = await control.hosts()
    context.out.listing(answer, columns(), answer.hosts, "there is no Docker host")
    return exits.DONE


@host.command
async def show(name: str, /, *, context: Ctx) -> int:
    """Show one Docker host. Ends with 1 when it cannot be used now.

    Args:
        name: The host; `local` is the hub's own engine.
    """
    async with context.control() as control:
        answer = await control.hosts()
    for view in answer.hosts:
        if view.name == name:
            return show_view(context, view)
    known = ", ".join(view.name for view in answer.hosts)
    raise NotFound(f"there is no Docker host {name!r}", code="unknown_host", hint=f"There is {known}.")


@host.command
async def add(
    name: str, url: str, /, *, tls_ca: str = "", tls_certificate: str = "", tls_key: str = "", context: Ctx
) -> int:
    """Name a Docker host whose engine answers; fine when the same one is there.

    Args:
        name: 1 to 40 characters: a-z, 0-9 and -.
        url: ssh://USER@HOST, with :PORT and the path of Docker's socket where they are other ones, or tcp://HOST:PORT.
            Over ssh the configuration, keys and known hosts of the hub's user count; nobody is asked for a password.
        tls_ca: For tcp:// the certificate of who signed the engine's.
        tls_certificate: For tcp:// the certificate to be let in with.
        tls_key: For tcp:// the key of that certificate.
    """
    request = AddHost(
        name=name, url=url, ca_file=_absolute(tls_ca), certificate_file=_absolute(tls_certificate),
        key_file=_absolute(tls_key),
    )  # fmt: skip
    async with context.control() as control:
        return show_view(context, await control.add_host(request))


@host.command
async def remove(name: str, /, *, context: Ctx) -> int:
    """Forget a Docker host; refused while a gateway of this hub is on it. Nothing on it is changed.

    Args:
        name: The host.
    """
    async with context.control() as control:
        await control.remove_host(name)
    context.out.say(f"the Docker host {name} is forgotten")
    return exits.DONE
