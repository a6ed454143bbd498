"""The composition root: settings become a hub's configuration, a hub runs. Nothing else imports the hub."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from clawtui import __version__
from clawtui.cli import exits
from clawtui.cli.output import Mode, Output
from clawtui.logs import hub_log
from clawtui.settings import SPECS, Settings
from hub.config import HubConfig, TlsFiles
from hub.contract import HubHealth
from hub.control import Principal
from hub.core.model import Role
from hub.docker_install import InstallPlan, docker_install_plan, probe_engine, run_plan
from hub.doctor import Check, CheckState, judge, usable
from hub.drivers.base import Fingerprint
from hub.errors import HubError, StartFailed
from hub.probing import probe
from hub.registry.backup import restore_backup
from hub.registry.opening import SQLITE_VERSION
from hub.service import Hub, Reach, built_in_drivers
from hub.state import StateFolder

__all__ = [
    "LOCAL",
    "Check",
    "CheckState",
    "InstallPlan",
    "checks",
    "docker_plan",
    "embedded",
    "hub_config",
    "restore_registry",
    "run_plan",
    "serve",
    "usable",
]

LOCAL: Final = Principal(name="local", role=Role.ADMIN)
"""Whoever runs the hub's own process."""


def hub_config(settings: Settings) -> HubConfig:
    """Put each setting where the table says it goes.

    Raises:
        StartFailed: certificate without key, or key without certificate.
    """
    fields: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, spec in SPECS.items():
        if not spec.row.hub:
            continue
        group, _, field = spec.row.hub.rpartition(".")
        (groups.setdefault(group, {}) if group else fields)[field] = getattr(settings, name)
    fields["advertise_agents"] = settings.advertise_agents or None
    config = HubConfig(state_folder=settings.state_folder, version=__version__, tls=_tls(settings), **fields)
    nested = {group: msgspec.structs.replace(getattr(config, group), **values) for group, values in groups.items()}
    return msgspec.structs.replace(config, **nested)


def _tls(settings: Settings) -> TlsFiles | None:
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise StartFailed("TLS needs a certificate and its key", hint="give --tls-cert and --tls-key")
    return TlsFiles(certificate=settings.tls_cert, key=settings.tls_key)


async def serve(settings: Settings, out: Output) -> int:
    """Run the hub until SIGTERM or SIGINT, or until it stops by itself.

    Raises:
        StartFailed: busy port, second hub, unreadable registry …
    """
    with hub_log(settings.log_level, settings.log_file), _stop_signals() as asked:
        async with Hub.open(hub_config(settings)) as hub:
            health = await hub.control(LOCAL).health()
            _announce(settings, health, out)
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(_stop_when(asked, hub, out))
                await hub.wait_stopped()
                waiting.cancel()
    return exits.DONE


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Set when SIGTERM or SIGINT comes, already while the hub starts; a second one has its usual force."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    heard = (signal.SIGTERM, signal.SIGINT)

    def forget() -> None:
        for number in heard:
            loop.remove_signal_handler(number)

    def hear() -> None:
        asked.set()
        forget()

    for number in heard:
        loop.add_signal_handler(number, hear)
    try:
        yield asked
    finally:
        forget()


async def _stop_when(asked: asyncio.Event, hub: Hub, out: Output) -> None:
    await asked.wait()
    out.say("stopping; agents go on and come back to the next hub")
    await hub.stop()


def _announce(settings: Settings, health: HubHealth, out: Output) -> None:
    """Where the hub is, on stdout: for people, and for scripts that wait for it."""
    if out.mode is Mode.JSON:
        out.body(health)
        return
    lines = {
        "hub": health.hub_id,
        **health.addresses,
        "state": str(settings.state_folder),
        "token": str(settings.state_folder / "token"),
    }
    separator = "\t" if out.mode is Mode.PLAIN else "  "
    for name, value in lines.items():
        out.line(f"{name if out.mode is Mode.PLAIN else f'{name:<6}'}{separator}{value}")
    where = "" if settings.home is None else f" --home {settings.home}"
    out.say(f"ready; in another terminal: clawtui{where} list")
    if url := health.addresses.get("api"):
        out.say(f"from elsewhere: clawtui --hub {url} --token-file FILE list")


@contextlib.asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Hub]:
    """A hub inside this process, which stops at the end; free ports where the usual ones are busy."""
    config = hub_config(settings)
    async with contextlib.AsyncExitStack() as stack:
        try:
            hub = await stack.enter_async_context(Hub.open(config))
        except StartFailed as exc:
            if exc.code != "port_busy":
                raise
            free = msgspec.structs.replace(config, agents_port=0, api_port=0)
            hub = await stack.enter_async_context(Hub.open(free))
        yield hub


def restore_registry(settings: Settings, backup: Path) -> dict[str, str]:
    """Put a backup in the place of the registry while no hub runs on the state folder.

    Raises:
        StartFailed: a hub runs there.
        BadRequest: the file is no sound registry; nothing has changed then.
    """
    folder = StateFolder(settings.state_folder)
    folder.acquire()
    try:
        restored = restore_backup(backup, folder.path)
    finally:
        folder.release()
    return {"database": str(restored.database), "kept": str(restored.kept or "")}


async def checks(settings: Settings) -> list[Check]:
    """What works on this machine; changes nothing."""
    fingerprints = {name: await _fingerprint(name, settings) for name in settings.drivers}
    ports = {"agents": settings.port_agents, "api": settings.port_api}
    wanted = {name: number for name, number in ports.items() if number}
    facts = await asyncio.to_thread(probe, settings.state_folder, wanted, SQLITE_VERSION, fingerprints)
    return judge(facts)


async def _fingerprint(name: str, settings: Settings) -> Fingerprint:
    """Ask a driver outside of any hub; one that cannot even be loaded is not usable."""
    try:
        config = msgspec.structs.replace(hub_config(settings), drivers=(name,))
        (driver,) = built_in_drivers(config)(Reach(StateFolder(settings.state_folder), "doctor"))
    except (HubError, ImportError) as exc:
        return Fingerprint(usable=False, reason=str(exc))
    try:
        return await driver.fingerprint()
    except HubError as exc:
        return Fingerprint(usable=False, reason=exc.message, hint=exc.hint)
    finally:
        await driver.stop_driver()


def docker_plan(found: list[Check]) -> InstallPlan:
    """What would give this machine a Docker engine; `found` are the answers of `checks`."""
    answers = any(check.name == "driver docker" and check.state is CheckState.OK for check in found)
    return docker_install_plan(probe_engine(answers))
