"""Making an instance: a row and a staged folder first, then a job whose steps can each be done again.

A hub that was stopped or killed in the middle goes on with the job at its next start. A job that a person cancels
removes everything of it; one that fails leaves the container, stopped, and its log for inspection.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from hub.contract import Credentials, InstancePhase, ProvisionGateway
from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.instances import StoredInstance, Wanted
from hub.core.model import Job
from hub.drivers.base import Progress
from hub.errors import Conflict, DriverFailed, HubError, NotFound
from hub.gateways.images import have_image, version_of
from hub.gateways.ingress.sites import public_url
from hub.gateways.instances.checks import Checked, Facts, Refused, check
from hub.gateways.instances.folder import config_bytes, sync_settings
from hub.gateways.instances.model import (
    FIRST_PORT,
    LAST_PORT,
    PROVISION,
    Keys,
    Order,
    cell_of,
    is_shared,
    url_of,
)
from hub.gateways.instances.plan import base_config, cell_plan, names_of, secrets_of, with_limits
from hub.gateways.instances.removing import remove_everything
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.kinds import ApiAuth, ImageKind, find_kind
from hub.jobs import JobHandle, Work
from profiles.errors import Problem

TOKEN_BYTES: Final = 32

log = structlog.get_logger("hub.instances")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's row keeps, to be gone on with later."""

    name: str
    uid: str
    seed: dict[str, Any] | None = None
    """What its volumes are filled from: `Provisioning.fill` knows what it means."""


Fill = Callable[[Order, dict[str, Any], Progress], Awaitable[None]]
"""Fills volumes and the shared folder, as often as need be, while no container has them."""


class Provisioning:
    """Makes instances, and goes on with those of a killed hub."""

    def __init__(self, room: InstanceRoom) -> None:
        self._room = room
        self._choosing = asyncio.Lock()
        self.fill: Fill | None = None

    async def start(
        self, request: ProvisionGateway, by: str, seed: dict[str, Any] | None = None
    ) -> tuple[Job, Credentials]:
        """Commit a new instance and start making it, from a `seed` where it is made from something saved.

        Raises:
            Refused: fields are wrong, one problem each.
            Conflict, NotAvailable, StorageFull, Unavailable.
        """
        room, kernel = self._room, self._room.kernel
        kernel.check_writable()
        # Two that ask at the same time must not get one port, or one name.
        async with self._choosing:
            checked = await self._checked(request)
            capacity = await room.engine(checked.host).capacity()
            port = request.port or await self._free_port()
            token = request.gateway_token or secrets.token_urlsafe(TOKEN_BYTES)
            instance = self._instance(request, checked, port)
            given = Keys(secrets_of(checked.kind, token, request.keys))
            order = with_limits(
                Order(
                    instance=instance,
                    tier=checked.tier,
                    kind=checked.kind,
                    secrets=given,
                    config=request.config,
                    source=request.source,
                    source_folder=request.folder,
                    shared=is_shared(checked.kind, checked.host),
                ),
                capacity,
            )
            await asyncio.to_thread(room.folders.stage, order, token)
            job = await self._commit(order.instance, by, seed)
        port = self._room.kernel.config.ingress.https_port
        return job, credentials(order.instance, order.kind, token, port)

    async def _commit(self, instance: StoredInstance, by: str, seed: dict[str, Any] | None) -> Job:
        room, kernel = self._room, self._room.kernel
        asked = Asked(name=instance.name, uid=instance.uid, seed=seed)
        what = (
            f"{instance.tier}, {instance.image_kind} on {instance.host}, port {instance.port}, for {instance.customer}"
        )
        effects: list[Effect] = [
            Save(instance),
            Publish(Kind.GATEWAY, instance.name),
            kernel.audited(by, PROVISION, instance.name, detail=what),
        ]
        room.book.expect(instance)
        try:
            return await room.jobs.start(
                PROVISION, None, by, self._work(asked), effects=effects,
                request=msgspec.json.encode(asked).decode(), about=instance.name,
            )  # fmt: skip
        except HubError:
            # Nothing was kept. After a cancellation the row may be there, and with it the job.
            room.book.drop(instance)
            await asyncio.to_thread(room.folders.unstage, instance)
            raise

    def again(self, job: Job) -> Work:
        """Go on with a job that a killed hub left."""
        return self._work(msgspec.json.decode(job.request, type=Asked))

    # --- what is asked for

    async def _checked(self, request: ProvisionGateway) -> Checked:
        room = self._room
        tiers = {one.name: one for one in await asyncio.to_thread(room.tiers.all)}

        def find(name: str) -> Any:
            found = tiers.get(name)
            return found.tier if found is not None and found.tier is not None else room.tiers.usable(name)

        busy = await asyncio.to_thread(_busy, [request.port]) if request.port is not None else set()
        facts = Facts(
            instances=room.book.all(),
            gateways=[one.name for one in room.gateways.book.all()],
            hosts=room.hosts(),
            no_way=room.no_way,
            busy_ports=busy,
        )
        return check(request, find, facts)

    async def _free_port(self) -> int:
        """Return the first port that no instance has, whatever host it is on, and nobody of this machine listens at: a
        gateway on another host has the end of its tunnel here, at the same port."""
        taken = {one.port for one in self._room.book.all()}
        free = [port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in taken]
        found = await asyncio.to_thread(_first_free, free)
        if found is None:
            raise Refused([Problem("port", f"no port from {FIRST_PORT} to {LAST_PORT} is free", "Name another one.")])
        return found

    def _instance(self, request: ProvisionGateway, checked: Checked, port: int) -> StoredInstance:
        kernel, kind = self._room.kernel, checked.kind
        version = request.version or (kind.version if kind.built and not request.image else "")
        instance = StoredInstance(
            name=request.name,
            uid=kernel.clock.new_id("g"),
            tier=checked.tier.name,
            image_kind=kind.name,
            image=checked.image,
            port=port,
            host=checked.host,
            customer=request.customer or request.name,
            subdomain=request.subdomain,
            version=version,
            platform=request.platform,
            created_at=kernel.now().wall_ms,
        )
        return names_of(instance, kind)

    # --- the work

    def _work(self, asked: Asked) -> Work:
        async def work(job: JobHandle) -> dict[str, Any]:
            room = self._room
            async with room.hold(asked.name):
                instance = room.book.present(asked.name, asked.uid)
                try:
                    return await self._make(instance, asked, job)
                except asyncio.CancelledError:
                    if job.cancelled:
                        await remove_everything(room, room.book.present(asked.name, asked.uid), job.job.by)
                    raise
                except Exception as exc:
                    await room.fail(room.book.present(asked.name, asked.uid), exc)
                    raise

        return work

    async def _make(self, instance: StoredInstance, asked: Asked, job: JobHandle) -> dict[str, Any]:
        room = self._room
        await asyncio.to_thread(room.folders.settle, instance)
        instance = await self._with_image(instance, job)
        instance = await self.ensure_cell(instance, job, asked.seed)
        job.progress(0.7, f"starting {instance.container_name}")
        await self.start_cell(instance)
        await self.introduce(instance, job.job.by)
        await room.wait_ready(
            instance, room.kernel.config.timing.instance_ready_seconds, lambda text: job.progress(0.8, text)
        )
        return await self._finish(instance, job)

    async def _with_image(self, instance: StoredInstance, job: JobHandle) -> StoredInstance:
        """Build or pull the image, and keep its name."""
        cells = self._room.cells(instance)

        def progress(fraction: float, line: str) -> None:
            job.progress(0.05 + 0.5 * fraction, line)

        kind = find_kind(instance.image_kind)
        job.progress(0.05, f"the image of {instance.name}: {instance.image or f'OpenClaw {instance.version}'}")
        try:
            found = await have_image(
                cells, kind, progress, image=instance.image, version="" if instance.image else instance.version,
                platform=instance.platform,
            )  # fmt: skip
        except NotFound as exc:
            raise DriverFailed(
                f"gateway {instance.name}: {exc.message}",
                code="image_missing",
                retryable=False,
                hint=f"clawtui gateway destroy {instance.name}; then provision it with another --image or --version",
            ) from exc
        version = instance.version or version_of(found.reference)
        if (found.reference, version) != (instance.image, instance.version):
            instance = await self._room.book.save(replace(instance, image=found.reference, version=version))
        return instance

    async def ensure_cell(
        self, instance: StoredInstance, job: JobHandle, seed: dict[str, Any] | None = None
    ) -> StoredInstance:
        """Make network, volumes, files and container where they are missing, and keep their names."""
        room, cells = self._room, self._room.cells(instance)
        cell = cell_of(instance)
        job.progress(0.6, f"network and volumes of {instance.name}")
        network = await cells.ensure_network(cell, instance.network)
        if not instance.adopted:
            for volume in instance.volumes:
                await cells.ensure_volume(cell, volume)
        instance = await room.book.save(replace(instance, network_gateway=network.gateway))
        order = await asyncio.to_thread(room.load, instance)
        if seed is not None and self.fill is not None and not instance.container:
            await self.fill(order, seed, lambda fraction, line: job.progress(0.6, line))
        plan = cell_plan(order, room.folders.paths(instance.name))
        config = base_config(order, room.kernel.config.ingress.https_port)
        await asyncio.to_thread(room.folders.write_run, order, plan, config)
        job.progress(0.65, f"making {plan.name}")
        made = await cells.create(plan, lambda fraction, line: job.progress(0.65, line))
        if not order.shared and made.handle.container != instance.container:
            await cells.put_file(made.handle, order.kind.config_path, config_bytes(config), uid=order.kind.uid)
        notes = tuple(dict.fromkeys((*instance.notes, *made.notes)))
        return await room.book.save(replace(instance, container=made.handle.container, notes=notes))

    async def start_cell(self, instance: StoredInstance) -> None:
        """Raises DriverFailed, in words for a port that is taken."""
        room = self._room
        try:
            await room.cells(instance).start(room.handle(instance))
        except Conflict as exc:
            if exc.code != "port_taken":
                raise
            raise DriverFailed(
                f"gateway {instance.name}: port {instance.port} was taken by another program meanwhile",
                code="port_taken",
                retryable=False,
                hint=f"End that program and: clawtui gateway start {instance.name}. "
                f"Or: clawtui gateway destroy {instance.name}, and provision it again",
            ) from exc

    async def introduce(self, instance: StoredInstance, by: str) -> None:
        """From now on it is a gateway like any other: watched, synced, spoken to. Fine when it is already."""
        room = self._room
        order = await asyncio.to_thread(room.load, instance)
        paths = room.folders.paths(instance.name)
        sync = sync_settings(paths, order.kind, order.source, order.source_folder) if order.source else None
        user = order.kind.default_user if order.kind.auth is ApiAuth.BASIC else ""
        await room.gateways.book.add_instance(
            instance.name, url_of(instance), str(paths.token), sync=sync, user=user, by=by
        )

    async def _finish(self, instance: StoredInstance, job: JobHandle) -> dict[str, Any]:
        room, kernel = self._room, self._room.kernel
        seen = await room.look(instance)
        seconds = round((kernel.now().wall_ms - instance.created_at) / 1000, 1)
        sight = room.gateways.watch.sight(instance.name)
        done = replace(
            room.book.present(instance.name, instance.uid),
            phase=InstancePhase.RUNNING,
            wanted=Wanted.RUNNING,
            image_id=seen.image_id if seen is not None else "",
            deploy_seconds=seconds,
            version=instance.version or sight.version,
            reason="",
        )
        await room.book.save(done)
        job.progress(1.0, f"{instance.name} is ready after {seconds:g} s")
        return {"gateway": instance.name, "url": url_of(instance), "seconds": seconds, "notes": list(done.notes)}


def credentials(instance: StoredInstance, kind: ImageKind, token: str, https_port: int = 443) -> Credentials:
    """Return how to get in; the only place where a token leaves its file. `https_port`: of the proxy in front of it."""
    return Credentials(
        url=url_of(instance),
        token=token,
        public_url=public_url(instance.subdomain, https_port),
        user=kind.default_user if kind.auth is ApiAuth.BASIC else "",
    )


def _busy(ports: Collection[int]) -> set[int]:
    """Return those at which somebody listens on this machine, or that may not be used. Blocks."""
    return {port for port in ports if not _is_free(port)}


def _first_free(ports: Collection[int]) -> int | None:
    return next((port for port in ports if _is_free(port)), None)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that was closed a minute ago does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
