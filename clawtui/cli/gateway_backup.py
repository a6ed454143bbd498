"""Verbs that save gateways and make them again: backup, backups, restore, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.gateway_provision import show_credentials
from clawtui.cli.lifecycle import NoWait
from clawtui.cli.output import Column, Mode, size_text
from clawtui.cli.progress import finish_job
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import BackupGateway, BackupView, ImportGateway, RestoreGateway


def columns(context: Context) -> tuple[Column, ...]:
    plain = context.out.mode is Mode.PLAIN

    def size(view: BackupView) -> object:
        return view.size_bytes if plain else size_text(view.size_bytes)

    return (
        Column("ID", lambda view: view.id),
        Column("GATEWAY", lambda view: view.gateway),
        Column("CREATED", lambda view: view.created_at),
        Column("SIZE", size, right=True),
        Column("FILES", lambda view: view.files, right=True),
        Column("CONSISTENCY", lambda view: view.consistency),
        Column("TIER", lambda view: view.tier),
        Column("IMAGE", lambda view: view.image),
        Column("PATH", lambda view: view.path),
    )


async def backup(name: str, /, *, pause: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Save a gateway: its state, configuration, workspaces and keys. It stands still meanwhile, and runs again after.

    Args:
        name: The gateway.
        pause: Freeze it instead of stopping it: quicker, and what is saved is as after a power cut.
    """
    async with context.control() as control:
        job = await control.backup_gateway(name, BackupGateway(pause=pause))
        if await finish_job(context, control, job, no_wait=no_wait):
            made = ((await control.job(job.id)).result or {}).get("backup")
            for view in (await control.gateway_backups(name)).backups:
                if view.id == made:
                    context.out.record(view, columns(context), view)
    return exits.DONE


async def backups(
    name: str = "", /, *, delete: str = "", force: Annotated[bool, Parameter(negative=())] = False, context: Ctx
) -> int:
    """List backups, newest first, also of gateways that are gone; or delete one.

    Args:
        name: Only those of this gateway.
        delete: The id of one that goes.
        force: Do not ask before.
    """
    async with context.control() as control:
        if not delete:
            page = await control.gateway_backups(name)
            empty = "no backups; clawtui gateway backup NAME makes one"
            context.out.listing(page, columns(context), page.backups, empty)
            return exits.DONE
        again = f"{context.world.program} gateway backups --delete {delete} --force"
        if not force and not context.confirm(f"Delete the backup {delete} for good?", again):
            context.out.say("nothing was changed")
            return exits.FAILED
        await control.delete_gateway_backup(delete)
    context.out.say(f"backup {delete} is deleted")
    return exits.DONE


async def restore(backup_id: str, /, *, name: str = "", no_wait: NoWait = False, context: Ctx) -> int:
    """Make a gateway from a backup. Its token is a new one, and is shown once.

    Args:
        backup_id: The backup.
        name: The gateway that it becomes; without it the one that it was, which must be gone.
    """
    async with context.control() as control:
        made = await control.restore_gateway(RestoreGateway(backup=backup_id, name=name))
        show_credentials(context, made.credentials)
        await finish_job(context, control, made.job, no_wait=no_wait)
    return exits.DONE


FIELDS: Final = (
    Column("GATEWAY", lambda found: found.get("gateway")),
    Column("URL", lambda found: found.get("url")),
    Column("STATE", lambda found: found.get("state")),
    Column("IMAGE", lambda found: found.get("image")),
    Column("ENVIRONMENT", lambda found: found.get("environment")),
    Column("VOLUMES", lambda found: found.get("volumes")),
    Column("NOTES", lambda found: found.get("notes")),
)


async def take_in(
    name: str, /, *, container: str = "", state_folder: str = "", state_config: str = "", tier: str = "pro",
    host: str = "", subdomain: str = "", secret_file: str = "", no_wait: NoWait = False, context: Ctx,
) -> int:  # fmt: skip
    """Take in a gateway that exists: a container as it is, or a copy of the state of one that ran from source.

    Args:
        name: What it is called here.
        container: Name or id of a container, which stays as it is and is not managed.
        state_folder: State folder of one that ran from source and is stopped; a copy of it becomes a new gateway.
        state_config: Its openclaw.json, where that is not in the state folder.
        tier: Tier of the new gateway.
        host: Docker host; without it the hub's own machine.
        subdomain: Name at which the ingress leads to it.
        secret_file: File on the hub's machine with its token; without it the container's own, or a new one.
    """
    if bool(container) == bool(state_folder):
        raise UsageError("name --container or --state-folder", field="container")
    request = ImportGateway(
        name=name, container=container, state_folder=_absolute(state_folder), config=_absolute(state_config),
        tier=tier, host=host, subdomain=subdomain, token_file=_absolute(secret_file),
    )  # fmt: skip
    async with context.control() as control:
        job = await control.import_gateway(request)
        if await finish_job(context, control, job, no_wait=no_wait):
            found = (await control.job(job.id)).result or {}
            context.out.record(found, FIELDS, found)
    return exits.DONE


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
