"""Verbs on OpenClaw gateways: name those that exist, keep their files in step; and all verbs of those the hub runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Group, Parameter

from clawtui.cli import exits
from clawtui.cli import gateway_backup as backups
from clawtui.cli import gateway_provision as provision
from clawtui.cli import gateway_upgrade as upgrades
from clawtui.cli.gateway_health import health
from clawtui.cli.gateway_image import image
from clawtui.cli.gateway_ingress import ingress
from clawtui.cli.output import Column, age_text
from clawtui.cli.values import seconds
from clawtui.cli.words import GATEWAY_OPTIONS
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import AddGateway, GatewayState, GatewayView, MountMapping, SyncSettings

gateway = App(name="gateway", help="Name OpenClaw gateways or make new ones, look at them, keep them in step.")
gateway.command(image)

DAY_SECONDS: Final = 86_400
SYNC: Final = Group("Sync", sort_key=1)
_DEFAULTS: Final = SyncSettings(workspace_root="", config_path="")


@Parameter(name="*", group=SYNC)
@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """Where a gateway's personas come from and where its files are, on the hub's machine."""

    source: Literal["registry", "folder", "convex"] | None = None
    """Where personas come from: the hub's profiles (registry), profile files in a folder, or Convex."""
    workspaces: Annotated[str, Parameter(alias="--workspace-root")] = ""
    """Folder in which every persona has its workspace."""
    config: Annotated[str, Parameter(name=("--config", GATEWAY_OPTIONS["--config"]))] = ""
    """The gateway's openclaw.json. Before the verb, --config is clawtui's own settings file."""
    mount: list[str] | None = None
    """HOST:CONTAINER, where the gateway sees a folder of the hub's machine; may be repeated."""
    folder: str = ""
    """Folder with the profile files, for --source folder."""
    convex_url: str = ""
    """Address of the Convex deployment, for --source convex."""
    convex_account: str = ""
    """Account whose agents Convex is asked for."""
    convex_token_file: str = ""
    """File with the service token for Convex."""
    persona: list[str] | None = None
    """Only this slug; may be repeated. Without it all."""
    shape: Literal["auto", "entries", "list"] = "auto"
    """Shape of the roster in the config; auto = as the gateway's version wants it."""
    reload: Literal["auto", "hot", "restart", "off"] = "auto"
    """How the gateway takes a new config; auto = hot, restarted only where that does not take."""
    restart_command: str = ""
    """Command that restarts the gateway, e.g. "docker restart openclaw"; no shell."""
    container: str = ""
    """Docker container that the gateway runs in, on the hub's engine; its mounts are then looked at."""
    agents_file: str = ""
    """Shared instructions, for every AGENTS.md."""
    models_file: str = ""
    """TOML with more of the map of models."""
    system_agent: str = ""
    """Slug that acts where no persona is named; without it the first."""
    file_mode: str = _DEFAULTS.file_mode
    """Mode of files."""
    folder_mode: str = _DEFAULTS.folder_mode
    """Mode of folders."""
    owner: str = ""
    """Owner of files and folders, uid or uid:gid; without it the hub's user."""
    interval: str = f"{_DEFAULTS.interval_seconds}s"
    """How often the source is read again."""

    def settings(self) -> SyncSettings | None:
        """Return what was asked for, None where nothing was. Raises UsageError."""
        if self == SyncOptions():
            return None
        if not self.workspaces or not self.config:
            raise UsageError(
                "a sync needs the folder of the workspaces and the gateway's openclaw.json",
                field="workspaces" if not self.workspaces else "config",
                hint="--workspaces DIR --config FILE",
            )
        return SyncSettings(
            source=self.source or "registry",
            folder=_absolute(self.folder),
            convex_url=self.convex_url,
            convex_account=self.convex_account,
            convex_token_file=_absolute(self.convex_token_file),
            personas=self.persona or [],
            workspace_root=_absolute(self.workspaces),
            config_path=_absolute(self.config),
            mounts=_mounts(self.mount or ()),
            shape=self.shape,
            reload=self.reload,
            restart_command=_command(self.restart_command),
            container=self.container,
            agents_file=_absolute(self.agents_file),
            models_file=_absolute(self.models_file),
            system_agent=self.system_agent,
            file_mode=self.file_mode,
            folder_mode=self.folder_mode,
            owner=self.owner,
            interval_seconds=_interval(self.interval),
        )


_NO_SYNC: Final = SyncOptions()


def _absolute(path: str) -> str:
    """A path as the hub takes it; what is relative is so to where the command was called."""
    return str(Path(path).expanduser().absolute()) if path else ""


def _interval(text: str) -> int:
    given = seconds(text, "--interval")
    if not 1 <= given <= DAY_SECONDS:
        raise UsageError("--interval is 1s to 24h", field="interval")
    return given


def _mounts(texts: Sequence[str]) -> list[MountMapping]:
    mounts: list[MountMapping] = []
    for text in texts:
        host, colon, container = text.rpartition(":")
        if not colon or not host or not container:
            raise UsageError(f"--mount {text!r} is not HOST:CONTAINER", field="mount")
        mounts.append(MountMapping(host=_absolute(host), container=container))
    return mounts


def _command(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as exc:
        raise UsageError(f"--restart-command cannot be split: {exc}", field="restart-command") from exc


def columns(context: Context) -> tuple[Column, ...]:
    """The columns of a list; ages count from the call."""

    def age(at: str | None) -> str | None:
        passed = context.age(at)
        return None if passed is None else f"{age_text(passed)} ago"

    def response(view: GatewayView) -> str | None:
        return None if view.response_ms is None else f"{view.response_ms:.0f} ms"

    return (
        Column("GATEWAY", lambda view: view.name),
        Column("STATE", lambda view: view.state.value),
        Column("VERSION", lambda view: view.version),
        Column("PERSONAS", lambda view: None if view.roster is None else len(view.roster), right=True),
        Column("ANSWER", response, right=True),
        Column("SEEN", lambda view: age(view.checked_at)),
        Column("READY", lambda view: age(view.ready_at)),
        Column("SYNC", lambda view: view.sync.source if view.sync is not None else ""),
        Column("URL", lambda view: view.url),
        Column("REASON", lambda view: view.reason),
    )


def details(context: Context) -> tuple[Column, ...]:
    """The fields of one gateway: those of a list, and what a list has no room for."""
    listed = [column for column in columns(context) if column.title not in ("PERSONAS", "SYNC")]
    return (
        *listed,
        Column("PERSONAS", lambda view: view.roster),
        Column("TOKEN FILE", lambda view: view.token_file),
        Column("ORIGIN", lambda view: view.origin),
        *(Column(f"SYNC {title}", value) for title, value in _sync_columns()),
    )


def _sync_columns() -> list[tuple[str, Any]]:
    def of(name: str) -> Any:
        return lambda view: getattr(view.sync, name) if view.sync is not None else None

    def mounts(view: GatewayView) -> list[str]:
        return [f"{one.host}:{one.container}" for one in view.sync.mounts] if view.sync is not None else []

    return [
        ("SOURCE", of("source")),
        ("WORKSPACES", of("workspace_root")),
        ("CONFIG", of("config_path")),
        ("MOUNTS", mounts),
        ("CONTAINER", of("container")),
    ]


def show(context: Context, view: GatewayView) -> int:
    context.out.record(view, details(context), view)
    return exits.DONE


@gateway.command(name="list")
async def list_gateways(*, context: Ctx) -> int:
    """List gateways as they were seen last, with how long ago that was."""
    async with context.control() as control:
        page = await control.gateways()
    context.out.listing(page, columns(context), page.gateways, "no gateways yet; clawtui gateway add NAME --url URL")
    return exits.DONE


@gateway.command(name="show")
async def show_gateway(name: str, /, *, context: Ctx) -> int:
    """Look at a gateway now and show it: state, version, personas, files. Ends with 1 when it is not ready.

    Args:
        name: The gateway.
    """
    async with context.control() as control:
        view = await control.gateway(name)
    show(context, view)
    return exits.DONE if view.state in (GatewayState.READY, GatewayState.UNKNOWN) else exits.FAILED


@gateway.command
async def add(
    name: str, /, *, url: str,
    token_file: Annotated[str, Parameter(name=("--token-file", GATEWAY_OPTIONS["--token-file"]))] = "",
    sync: SyncOptions = _NO_SYNC, context: Ctx,
) -> int:  # fmt: skip
    """Name a gateway that runs already, with its sync where that is wanted; the same one again is fine.

    Args:
        name: Up to 40 of a-z, 0-9 and -.
        url: Its address, e.g. http://127.0.0.1:18789.
        token_file: File on the hub's machine that holds its token. Before the verb, it is the hub's own.
    """
    request = AddGateway(name=name, url=url, token_file=_absolute(token_file), sync=sync.settings())
    async with context.control() as control:
        view = await control.add_gateway(request)
    show(context, view)
    if view.state is not GatewayState.READY:
        context.out.say(f"gateway {name} is added; it is {view.state.value} now")
    return exits.DONE


@gateway.command
async def remove(name: str, /, *, context: Ctx) -> int:
    """Forget a gateway; it runs on, and its files stay as they are.

    Args:
        name: The gateway.
    """
    async with context.control() as control:
        await control.remove_gateway(name)
    context.out.say(f"gateway {name} is forgotten")
    return exits.DONE


@gateway.command(name="sync")
async def set_sync(name: str, /, *, off: bool = False, sync: SyncOptions = _NO_SYNC, context: Ctx) -> int:
    """Keep a gateway's workspaces and config in step with a source of personas, from now on.

    Args:
        name: The gateway.
        off: End it, and leave the files as they are.
    """
    settings = sync.settings()
    if off == (settings is not None):
        raise UsageError(
            "name the workspaces and the config, or --off" if not off else "--off stands alone",
            hint=f"{context.world.program} gateway sync {name} --workspaces DIR --config FILE",
        )
    async with context.control() as control:
        return show(context, await control.set_gateway_sync(name, settings))


for _verb in (
    provision.tiers, provision.provision, provision.start, provision.stop, provision.restart, provision.destroy,
    provision.logs, health, ingress, upgrades.upgrade, upgrades.rollback, backups.backup, backups.backups,
    backups.restore,
):  # fmt: skip
    gateway.command(_verb)
gateway.command(backups.take_in, name="import")
