"""Verbs about the hub and this program: doctor, backup, settings, demo, completion, version."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import msgspec
from cyclopts import App

from clawtui import __version__
from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, size_text
from clawtui.cli.world import Context, Ctx
from clawtui.errors import NoHub, OtherVersion
from clawtui.settings import SPECS, config_path

backup = App(name="backup", help="Copy the hub's registry, or put a copy back.")


@backup.default
async def make_backup(path: Path | None = None, /, *, context: Ctx) -> int:
    """Write a consistent copy of the running hub's registry.

    Args:
        path: A new file on the hub's machine; without it a file in the state folder.
    """
    async with context.control() as control:
        answer = await control.backup(_as_the_hub_sees(path, context))
    fields = (Column("PATH", lambda it: it.path), Column("SIZE", lambda it: size_text(it.size_bytes)))
    context.out.record(answer, fields, answer)
    return exits.DONE


def _as_the_hub_sees(path: Path | None, context: Context) -> str:
    """A local hub has another working folder than this process; one elsewhere has other folders."""
    if path is None:
        return ""
    return str(path) if context.settings.hub else str(path.absolute())


@backup.command
async def restore(path: Path, /, *, force: bool = False, context: Ctx) -> int:
    """Make a copy the registry of the state folder; no hub may run there, the present one is kept.

    Args:
        path: The copy.
        force: Do not ask.
    """
    folder = context.settings.state_folder
    question = f"Replace the registry in {folder} with {path}?"
    if not force and not context.confirm(question, f"clawtui backup restore {path} --force"):
        context.out.say("nothing was changed")
        return exits.FAILED
    from clawtui.root import restore_registry

    restored = await asyncio.to_thread(restore_registry, context.settings, path)
    fields = (Column("REGISTRY", lambda it: it["database"]), Column("REPLACED ONE", lambda it: it["kept"]))
    context.out.record(restored, fields, restored)
    return exits.DONE


class SettingRow(msgspec.Struct, rename="camel"):
    """One line of `clawtui settings`."""

    name: str
    value: str
    origin: str
    variable: str
    flag: str
    help: str


def settings(*, context: Ctx) -> int:
    """Show every setting, its value and where it comes from."""
    used = context.settings
    rows = [
        SettingRow(
            name=name,
            value=_shown(getattr(used, name), spec.row.secret),
            origin=used.origin(name),
            variable=spec.env,
            flag=spec.flag,
            help=spec.row.help,
        )
        for name, spec in SPECS.items()
    ]
    columns = (
        Column("NAME", lambda row: row.name),
        Column("VALUE", lambda row: row.value),
        Column("FROM", lambda row: row.origin),
        Column("VARIABLE", lambda row: row.variable),
        Column("WHAT", lambda row: row.help),
    )
    context.out.listing({"settings": rows}, columns, rows)
    context.out.say(f"file: {config_path(context.world.environ)}")
    return exits.DONE


def _shown(value: object, secret: bool) -> str:
    if value is None or value == "":
        return ""
    if secret:
        return "(hidden)"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


async def demo(*, context: Ctx) -> int:
    """See it work: a hub, two agents on this machine, tasks of several types, a result table."""
    from clawtui.demo import run_demo

    return await run_demo(context.settings, context.out)


def completion(shell: Literal["bash", "zsh", "fish"], /, *, context: Ctx) -> int:
    """Print the completion script of a shell.

    Args:
        shell: bash, zsh or fish; e.g. eval "$(clawtui completion bash)".
    """
    from clawtui.cli.app import make_app

    context.out.line(make_app(context.world).generate_completion(prog_name=context.world.program, shell=shell))
    return exits.DONE


class Versions(msgspec.Struct, rename="camel"):
    """This program's version, and the hub's where one runs."""

    version: str
    hub_version: str | None = None
    hub_id: str | None = None


async def version(*, context: Ctx) -> int:
    """Show the version of this program, and of the hub where one runs."""
    versions = Versions(version=__version__)
    try:
        async with context.control() as control:
            health = await control.health()
        versions = Versions(version=__version__, hub_version=health.version, hub_id=health.hub_id)
    except NoHub as exc:
        if context.out.mode is not Mode.JSON:
            context.out.say(exc.message)
    except OtherVersion as exc:
        versions = Versions(version=__version__, hub_version=exc.hub_version)
        context.out.say(f"{exc.message}; {exc.hint}")
    fields = (
        Column("VERSION", lambda it: it.version),
        Column("HUB", lambda it: it.hub_version),
        Column("HUB ID", lambda it: it.hub_id),
    )
    context.out.record(versions, fields, versions)
    return exits.DONE


async def doctor(*, install_docker: bool = False, yes: bool = False, context: Ctx) -> int:
    """Say what works on this machine, how to get the rest, and what of the hub's gateways should be changed.

    Args:
        install_docker: Install a Docker engine, on Debian and Ubuntu, after asking.
        yes: Do not ask.
    """
    from clawtui.cli.examine import examine

    return await examine(context, install_docker=install_docker, yes=yes)
