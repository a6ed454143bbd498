"""Verbs on OpenClaw gateways that the hub runs: tiers, provision, start, stop, restart, destroy, logs."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from cyclopts import Group, Parameter

from clawtui.cli import exits
from clawtui.cli.lifecycle import NoWait
from clawtui.cli.output import Column, Mode, size_text
from clawtui.cli.progress import finish_job
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from clawtui.follow import closed
from hub.contract import (
    Credentials,
    DestroyGateway,
    DestroyPlan,
    GatewayAct,
    GatewayView,
    LogEntry,
    LogQuery,
    ProvisionGateway,
)

MOST_SECRET_BYTES: Final = 4096
MOST_CONFIG_BYTES: Final = 1024 * 1024
WHERE: Final = Group("Where it runs", sort_key=1)
SECRETS: Final = Group("Secrets", sort_key=2)


@Parameter(name="*", group=WHERE)
@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """What it runs from, and where."""

    image_kind: str = ""
    """Kind of its image: official, coollabsio or npm (built by the hub); without it the tier's."""
    image: str = ""
    """Image by tag or digest; without it the kind's own."""
    version: Annotated[str, Parameter(name="--openclaw-version")] = ""
    """OpenClaw version, for the image's tag or for one that the hub builds."""
    platform: str = ""
    """Platform of the image, e.g. linux/amd64."""
    host: str = ""
    """Docker host; without it the hub's own machine."""
    port: int | None = None
    """Port on the host's loopback; without it the next free one from 19100."""


NOWHERE: Final = PlaceOptions()


# --- secrets


def read_keys(context: Context, given: Sequence[str]) -> dict[str, str]:
    """Return values by variable of `NAME=@FILE`, `NAME=-` (a line of stdin) and `NAME` (asked for).

    Raises:
        UsageError: a value stands in the command itself, where every process list shows it.
    """
    keys: dict[str, str] = {}
    for text in given:
        name, equals, where = text.partition("=")
        if not name or (equals and where != "-" and not where.startswith("@")):
            raise UsageError(
                f"--key {name[:64]}=…: a key is not given in the command, where process lists show it",
                field="key",
                hint=f"--key {name[:64] or 'NAME'}=@FILE, --key {name[:64] or 'NAME'}=- for a line of stdin, "
                f"or --key {name[:64] or 'NAME'} to be asked",
            )
        if name in keys:
            raise UsageError(f"--key {name} is given twice", field="key")
        keys[name] = _secret(context, name, where)
    return keys


def _secret(context: Context, name: str, where: str) -> str:
    if where.startswith("@"):
        return _file(where[1:], name)
    if where == "-":
        line = context.world.stdin.readline(MOST_SECRET_BYTES + 1).strip()
        if not line:
            raise UsageError(f"stdin has no line for {name}", field="key")
        return line
    if not context.interactive:
        raise UsageError(f"nobody is here to be asked for {name}", field="key", hint=f"--key {name}=@FILE")
    return getpass.getpass(f"{name}: ", stream=context.world.stderr).strip()


def _file(path: str, name: str) -> str:
    try:
        raw = Path(path).expanduser().read_bytes()
        text = raw.decode().strip()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise UsageError(f"the file for {name} cannot be read: {why}", field="key", hint=path) from exc
    if not text or len(raw) > MOST_SECRET_BYTES:
        raise UsageError(f"the file for {name} {'is empty' if not text else 'is too long'}", field="key", hint=path)
    return text


def _absolute(path: str) -> str:
    """A path as the hub takes it; what is relative is so to where the command was called."""
    return str(Path(path).expanduser().absolute()) if path else ""


def read_config(path: Path | None) -> dict[str, Any]:
    """Return more of openclaw.json out of a JSON file. Raises UsageError."""
    if path is None:
        return {}
    try:
        with path.expanduser().open("rb") as file:
            found = msgspec.json.decode(file.read(MOST_CONFIG_BYTES))
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", field="with") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path} is no JSON: {exc}", field="with") from exc
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no JSON object", field="with", hint='{"agents": {…}}')
    return found


# --- what is shown


def tier_columns(context: Context) -> tuple[Column, ...]:
    def limit(value: int | None) -> object:
        return "unlimited" if value is None else size_text(value)

    return (
        Column("TIER", lambda view: view.name),
        Column("CPUS", lambda view: f"{view.cpus:g}" if view.valid else None, right=True),
        Column("MEMORY", lambda view: size_text(view.memory_bytes) if view.valid else None, right=True),
        Column("MODEL", lambda view: view.model),
        Column("SESSIONS", lambda view: "unlimited" if view.sessions is None else view.sessions, right=True),
        Column("WORKSPACE", lambda view: limit(view.workspace_bytes), right=True),
        Column("BROWSER", lambda view: "yes" if view.browser else "no"),
        Column("CHANNELS", lambda view: ", ".join(view.channels)),
        Column("IMAGE", lambda view: view.image_kind),
        Column("USD/MONTH", lambda view: f"{view.cost_per_month:g}", right=True),
        Column("SOURCE", lambda view: view.source),
        Column("PROBLEMS", lambda view: "; ".join(f"{one.field}: {one.message}" for one in view.problems)),
    )


def _seconds(view: GatewayView) -> str | None:
    seconds = view.instance.deploy_seconds if view.instance else None
    return None if seconds is None else f"{seconds:g} s"


CREDENTIALS: Final = (
    Column("URL", lambda one: one.url),
    Column("PUBLIC URL", lambda one: one.public_url),
    Column("USER", lambda one: one.user),
    Column("TOKEN", lambda one: one.token),
)

INSTANCE: Final = (
    Column("GATEWAY", lambda view: view.name),
    Column("STATE", lambda view: view.state.value),
    Column("PHASE", lambda view: view.instance.phase.value if view.instance else None),
    Column("TIER", lambda view: view.instance.tier if view.instance else None),
    Column("IMAGE", lambda view: view.instance.image if view.instance else None),
    Column("URL", lambda view: view.url),
    Column("DEPLOYED IN", _seconds),
    Column("FOLDER", lambda view: view.instance.folder if view.instance else None),
    Column("NOTES", lambda view: "; ".join(view.instance.notes) if view.instance else None),
    Column("REASON", lambda view: view.reason or (view.instance.reason if view.instance else "")),
)


def show_credentials(context: Context, found: Credentials) -> None:
    """Print how to get in; nobody can show it again."""
    context.out.say("these credentials are shown once:")
    context.out.record(found, CREDENTIALS, found)


# --- verbs


async def tiers(*, context: Ctx) -> int:
    """List the tiers that a gateway can be provisioned with. Your own are files in STATE/tiers. Ends with 1 when one
    is wrong."""
    async with context.control() as control:
        page = await control.tiers()
    context.out.listing(page, tier_columns(context), page.tiers, "no tiers")
    return exits.DONE if all(one.valid for one in page.tiers) else exits.FAILED


async def provision(
    name: str, /, *, tier: str = "pro", customer: str = "", subdomain: str = "", place: PlaceOptions = NOWHERE,
    key: Annotated[list[str] | None, Parameter(group=SECRETS)] = None,
    gateway_token: Annotated[str, Parameter(group=SECRETS)] = "",
    source: Literal["registry", "folder"] | None = None, folder: str = "",
    with_config: Annotated[Path | None, Parameter(name="--with")] = None,
    force: bool = False, no_wait: NoWait = False, context: Ctx,
) -> int:  # fmt: skip
    """Make a gateway of its own for a customer, start it and wait until it is ready. Prints its credentials, once.

    Args:
        name: Its name: up to 40 of a-z, 0-9 and -.
        tier: What it gets; clawtui gateway tiers lists them.
        customer: Id of the customer; without it the name.
        subdomain: Host name that the reverse proxy leads to it, e.g. acme.example.com.
        key: A provider's key: NAME=@FILE, NAME=- for a line of stdin, NAME to be asked; may be repeated.
        gateway_token: The gateway's own token: @FILE, or =- for a line of stdin; without it one is made.
        source: Where its personas come from: the hub's profiles (registry), or profile files in a folder.
        folder: Folder on the hub's machine with the profile files, for --source folder.
        with_config: JSON file with more of openclaw.json.
        force: Also with less memory than a gateway needs.
    """
    token = ""
    if gateway_token:
        token = read_keys(context, [f"gateway-token={gateway_token}"])["gateway-token"]
    request = ProvisionGateway(
        name=name, customer=customer, subdomain=subdomain, tier=tier, image_kind=place.image_kind, image=place.image,
        version=place.version, platform=place.platform, host=place.host, port=place.port,
        keys=read_keys(context, key or ()), gateway_token=token, source=source or "",
        folder=_absolute(folder), config=read_config(with_config),
        force=force,
    )  # fmt: skip
    async with context.control() as control:
        made = await control.provision_gateway(request)
        if context.out.mode is Mode.JSON:
            # One document: the job in it goes on; clawtui jobs show follows it.
            context.out.body(made)
            return exits.DONE
        # Before the wait: whoever leaves it has the token, which nobody can show again.
        show_credentials(context, made.credentials)
        if await finish_job(context, control, made.job, no_wait=no_wait):
            view = await control.gateway(name)
            context.out.record(view, INSTANCE, view)
    return exits.DONE


async def _act(context: Context, name: str, act: GatewayAct, no_wait: bool) -> int:
    async with context.control() as control:
        job = await control.act_on_gateway(name, act)
        if await finish_job(context, control, job, no_wait=no_wait):
            view = await control.gateway(name)
            context.out.record(view, INSTANCE, view)
    return exits.DONE


async def start(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Start a gateway that the hub runs, and wait until it is ready. Its container is made again where it is gone."""
    return await _act(context, name, GatewayAct.START, no_wait)


async def stop(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Stop a gateway that the hub runs. Turns that run are finished first: up to five and a half minutes."""
    return await _act(context, name, GatewayAct.STOP, no_wait)


async def restart(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Stop a gateway, with its running turns finished first, and start it."""
    return await _act(context, name, GatewayAct.RESTART, no_wait)


async def destroy(
    name: str, /, *, backups: bool = False, plan: bool = False, force: bool = False, no_wait: NoWait = False,
    context: Ctx,
) -> int:  # fmt: skip
    """Remove a gateway that the hub runs and everything that was made for it. Shows what, and asks for its name.

    Args:
        name: The gateway.
        backups: Its backups too.
        plan: Only show what would be removed.
        force: Do not ask.
    """
    async with context.control() as control:
        found = await control.plan_destroy_gateway(name)
        if plan or context.out.mode is not Mode.JSON:
            _show_plan(context, found, backups)
        if plan:
            return exits.DONE
        if not force and not _named(context, name):
            context.out.say("nothing was changed")
            return exits.FAILED
        job = await control.destroy_gateway(name, DestroyGateway(data=True, backups=backups))
        if await finish_job(context, control, job, no_wait=no_wait):
            context.out.say(f"gateway {name} is destroyed")
    return exits.DONE


def _show_plan(context: Context, plan: DestroyPlan, backups: bool) -> None:
    columns = (Column("REMOVES", lambda text: text),)
    saved = [f"{plan.backups} backups"] if backups and plan.backups else []
    context.out.listing(plan, columns, [*plan.objects, *saved])
    if plan.data:
        context.out.say("its volumes have data that nobody can make again")
    if plan.backups and not backups:
        context.out.say(f"{plan.backups} backups stay; --backups removes them too")


def _named(context: Context, name: str) -> bool:
    """Whether whoever is asked writes the gateway's name. Raises UsageError: nobody is there."""
    if not context.interactive:
        raise UsageError(
            f"Destroy the gateway {name}? Nobody is here to answer", hint=f"clawtui gateway destroy {name} --force"
        )
    context.world.stderr.write(f"Write {name} to destroy it: ")
    context.world.stderr.flush()
    return context.world.stdin.readline().strip() == name


async def logs(
    name: str, /, *, follow: Annotated[bool, Parameter(alias="-f")] = False,
    lines: Annotated[int, Parameter(alias="-n")] = 200, since: str | None = None, context: Ctx,
) -> int:  # fmt: skip
    """Print what a gateway that the hub runs has printed, without its secrets.

    Args:
        name: The gateway.
        follow: Go on with new lines, until Ctrl-C.
        lines: The last so many; 0 = all that is kept.
        since: Not older than this: 10m, 2h, or a time.
    """
    query = LogQuery(since=since, lines=lines or None, follow=follow)
    try:
        async with context.control() as control, closed(control.gateway_logs(name, query)) as entries:
            async for entry in entries:
                _write_entry(context, entry)
    except asyncio.CancelledError:
        # Ctrl-C is the ordinary end of what goes on for ever.
        if not follow:
            raise
    return exits.DONE


def _write_entry(context: Context, entry: LogEntry) -> None:
    match context.out.mode:
        case Mode.JSON:
            context.out.body(entry)
        case Mode.PLAIN:
            context.out.line(f"{entry.at or ''}\t{entry.text}")
        case Mode.TABLE:
            context.out.line(f"{entry.at} {entry.text}" if entry.at else entry.text)
