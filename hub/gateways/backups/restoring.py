"""Gateways made from what was saved, and those of others taken in. Both are provisioned like any new one, with volumes
that are filled before; the token of a restored one is always a new one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.archives.work import Meter, Workers
from hub.contract import AddGateway, Credentials, ImportGateway, ProvisionGateway, RestoreGateway
from hub.core.gateways import check_gateway_name
from hub.core.instances import LOCAL_HOST
from hub.core.model import Job
from hub.drivers.cells import CellSeen
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound
from hub.gateways.backups.filling import Seed, read_config
from hub.gateways.backups.shelf import KEYS, ORDER, BackupShelf, Manifest
from hub.gateways.backups.taking import Taking
from hub.gateways.instances.folder import Kept, write
from hub.gateways.instances.plan import read_environment
from hub.gateways.instances.provisioning import Provisioning
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.kinds import find_kind
from hub.gateways.secret import read_secret
from hub.jobs import JobHandle, Work

IMPORT: Final = "gateway.import"
PORTS: Final = (18789, 8080)
"""Inside of containers: OpenClaw's own, and the proxy's of images that have one."""
TOKENS: Final = ("OPENCLAW_GATEWAY_TOKEN", "AUTH_PASSWORD")
CONNECT_SECONDS: Final = 1.0
TOKEN_FOLDER: Final = "gateway-tokens"
REDUCED: Final = (
    "it is looked at, spoken to and kept in step; it is not started, stopped, restarted, upgraded or backed up: "
    "the hub did not make its container and cannot mark it as its own"
)


class Restored(msgspec.Struct, frozen=True):
    """The saved part of an order."""

    kept: Kept
    keys: dict[str, str]


class Restoring:
    """Makes gateways from backups and from what runs elsewhere."""

    def __init__(
        self, room: InstanceRoom, provisioning: Provisioning, taking: Taking, shelf: BackupShelf, workers: Workers
    ) -> None:
        self._room = room
        self._provisioning = provisioning
        self._taking = taking
        self._shelf = shelf
        self._workers = workers

    async def restore(self, request: RestoreGateway, by: str) -> tuple[Job, Credentials]:
        """Start making a gateway from a backup; returns the job and the credentials, which are told once.

        Raises:
            NotFound: the backup.
            Conflict: there is a gateway of this name (code gateway_exists), or the backup is damaged.
            Refused: as for a new one.
        """
        backup = await self._taking.get(request.backup)
        manifest = await self._workers.run(self._shelf.read, backup.id)
        if manifest is None:
            raise Conflict(
                f"the files of the backup {backup.id} are not there or cannot be read",
                code="archive_damaged",
                hint=f"They belong into {backup.path}.",
            )
        name = request.name or manifest.gateway
        if self._room.book.find(name) is not None:
            raise Conflict(
                f"there is a gateway {name}, which a restore does not overwrite",
                code="gateway_exists",
                field="name",
                hint=f"Restore under another name, or clawtui gateway destroy {name} before (its backups stay).",
            )
        restored = await self._workers.run(self._read, backup.id)
        wish = self._wish(name, manifest, restored)
        return await self._provisioning.start(wish, by, msgspec.to_builtins(Seed(backup=backup.id)))

    def _read(self, meter: Meter, backup_id: str) -> Restored:
        folder = self._shelf.path(backup_id)
        try:
            kept = msgspec.json.decode((folder / ORDER).read_bytes(), type=Kept)
            return Restored(kept, read_environment((folder / KEYS).read_text()))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Conflict(f"{folder} is damaged: {type(exc).__name__}", code="archive_damaged") from exc

    def _wish(self, name: str, manifest: Manifest, restored: Restored) -> ProvisionGateway:
        """What is unique and taken meanwhile is left out: one who is restored beside the first has no subdomain."""
        others = self._room.book.all()
        kind = find_kind(manifest.image_kind)
        by_version = kind.built and bool(manifest.version)
        source = restored.kept.source if restored.kept.source in ("registry", "folder") else ""
        customer = manifest.customer
        subdomain = manifest.subdomain
        return ProvisionGateway(
            name=name,
            customer="" if any(one.customer == customer for one in others) else customer,
            subdomain="" if any(one.subdomain == subdomain for one in others) else subdomain,
            tier=manifest.tier,
            image_kind=manifest.image_kind,
            image="" if by_version else manifest.image,
            version=manifest.version if by_version else "",
            platform=manifest.platform,
            host="" if manifest.host == LOCAL_HOST else manifest.host,
            keys=restored.keys,
            source=source,
            folder=restored.kept.source_folder,
            config=restored.kept.config,
        )

    # --- import

    async def take_in(self, request: ImportGateway, by: str) -> Job:
        """Take in a gateway that exists. Raises BadRequest, NotFound, Conflict."""
        self._room.kernel.check_writable()
        if bool(request.container) == bool(request.state_folder):
            raise BadRequest("name the container, or the state folder of one that runs from source", field="container")
        if request.container:
            return await self._take_container(request, by)
        return await self._take_folder(request, by)

    async def _take_folder(self, request: ImportGateway, by: str) -> Job:
        folder = Path(request.state_folder)
        if not folder.is_absolute() or not await asyncio.to_thread(folder.is_dir):
            raise BadRequest(
                f"{request.state_folder} is no folder on the hub's machine", field="stateFolder",
                hint="The absolute path, such as /home/me/.openclaw.",
            )  # fmt: skip
        config_path = request.config or str(folder / "openclaw.json")
        config = await asyncio.to_thread(read_config, Path(config_path))
        section = config.get("gateway")
        await asyncio.to_thread(_check_ended, section if isinstance(section, dict) else {})
        token = ""
        if request.token_file:
            token = str(await asyncio.to_thread(read_secret, request.token_file))
        wish = ProvisionGateway(
            name=request.name, tier=request.tier, host=request.host, subdomain=request.subdomain, gateway_token=token
        )
        seed = Seed(state_folder=str(folder), config=config_path)
        job, _ = await self._provisioning.start(wish, by, msgspec.to_builtins(seed))
        return job

    async def _take_container(self, request: ImportGateway, by: str) -> Job:
        room = self._room
        cells = room.engine(request.host or LOCAL_HOST)
        seen = await cells.look(request.container)
        if seen is None:
            raise NotFound(
                f"there is no container {request.container[:100]!r}", code="container_missing", hint="docker ps -a"
            )
        if seen.ours:
            raise Conflict(f"the container {seen.name} is of a hub already", code="container_ours", field="container")
        port = published(seen)
        token = request.token_file or await self._keep_token(request.name, await cells.environment(seen.container))
        gateway = AddGateway(name=request.name, url=f"http://127.0.0.1:{port}", token_file=token)

        async def work(job: JobHandle) -> dict[str, Any]:
            job.progress(0.3, f"{seen.name} runs {seen.image} at port {port}")
            added = await room.gateways.book.add(gateway, by)
            sight = await room.gateways.watch.look(added)
            job.progress(1.0, f"{request.name} is {sight.seen.state.value}; {REDUCED}")
            return {
                "gateway": request.name, "url": gateway.url, "state": sight.seen.state.value, "image": seen.image,
                "environment": list(seen.environment), "volumes": [one.name for one in seen.volumes],
                "notes": [REDUCED],
            }  # fmt: skip

        return await room.jobs.start(IMPORT, None, by, work, about=request.name)

    def again(self, job: Job) -> Work:
        """A hub was killed in an import of a container, which changes nothing but the list of gateways."""

        async def work(job: JobHandle) -> dict[str, Any]:
            if self._room.gateways.book.find(job.job.about) is not None:
                return {"gateway": job.job.about}
            raise DriverFailed("nothing was taken in", code="interrupted", hint="clawtui gateway import again")

        return work

    async def _keep_token(self, name: str, environment: dict[str, str]) -> str:
        """Write the container's token into a file of the hub's; returns its path, "" where it has none."""
        token = next((environment[one] for one in TOKENS if environment.get(one)), "")
        if not token:
            return ""
        folder = self._room.kernel.config.state_folder / TOKEN_FOLDER

        def keep() -> str:
            folder.mkdir(mode=0o700, exist_ok=True)
            write(folder / name, f"{token}\n".encode())
            return str(folder / name)

        check_gateway_name(name)
        return await asyncio.to_thread(keep)


def published(seen: CellSeen) -> int:
    """Return the port of the machine at which a container's gateway is. Raises BadRequest."""
    for wanted in PORTS:
        for port in seen.ports:
            if port.container_port == wanted:
                return port.port
    if len(seen.ports) == 1:
        return seen.ports[0].port
    raise BadRequest(
        f"the container {seen.name} publishes no port of a gateway",
        field="container",
        code="port_not_published",
        hint="Run it with --publish 127.0.0.1:PORT:18789, or add it by its address: clawtui gateway add NAME --url URL",
    )


def _check_ended(section: dict[str, Any]) -> None:
    """Raises Conflict: somebody listens where the gateway of the folder would. Blocks."""
    given = section.get("port")
    port = given if isinstance(given, int) and 0 < given < 65_536 else PORTS[0]
    listens = False
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS):
        listens = True
    if listens:
        raise Conflict(
            f"a gateway seems to run on this state still: port {port} is taken",
            code="still_running",
            field="stateFolder",
            hint="Stop it first: what it writes while it is copied would be lost or torn.",
        )
