"""The Docker hosts of this hub: its own engine as `local`, and those that somebody named."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec.structs import replace

from hub.contract import AddHost, HostView
from hub.core.effects import Delete, Save
from hub.core.hosts import StoredHost
from hub.core.instances import LOCAL_HOST, StoredInstance
from hub.drivers.cells import Capacity, Cells
from hub.errors import BadRequest, Conflict, HubError, NotAvailable, NotFound
from hub.gateways.instances.room import InstanceRoom
from hub.hosts.address import check_files, check_name, parse
from hub.hosts.link import HostLink, Ways, check_readable
from hub.hosts.tunnel import Tunnel
from hub.kernel import Kernel
from hub.surviving import surviving

MOST_HOSTS: Final = 50
"""Each has a connection that is kept open."""
_LOCAL_URL: Final = "unix:///var/run/docker.sock"

log = structlog.get_logger("hub.hosts")


class HostDesk:
    """Knows `local` only before `open`. `program`: ssh, with options where tests need them."""

    def __init__(
        self, kernel: Kernel, room: InstanceRoom, group: asyncio.TaskGroup, program: Sequence[str] = ("ssh",)
    ) -> None:
        self._kernel = kernel
        self._room = room
        self._group = group
        self._program = program
        self._links: dict[str, HostLink] = {}
        self._lost: dict[str, tuple[StoredHost, str]] = {}
        """Hosts without a way at all, and why: what they were named with is gone."""
        self._tunnels: dict[str, tuple[StoredInstance, Tunnel, asyncio.Task[None]]] = {}
        """By gateway."""
        self._changing = asyncio.Lock()
        self._folder: Path | None = None
        self._local: Callable[[str], Cells] = room.engine
        room.engine = self.cells
        room.hosts = self.names
        room.no_way = self.no_way
        room.book.on_change(self.attend)
        room.gateways.watch.away = self.away

    async def open(self) -> None:
        """Read what the registry has and begin to connect; nobody waits for it. Raises HubError."""
        for stored in await self._kernel.registry.hosts():
            try:
                self._links[stored.name] = HostLink(stored, self._ways())
            except HubError as exc:
                log.warning("no_way_to_host", host=stored.name, error=exc.message)
                self._lost[stored.name] = (stored, exc.message)
        for instance in self._room.book.all():
            self.attend(instance.name)

    async def close(self) -> None:
        """End every tunnel and give connections back; tunnels first, so that no thread waits for an answer."""
        for name in list(self._tunnels):
            self._drop(name)
        for link in self._links.values():
            await link.close()
        self._links.clear()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # --- what instances ask

    def names(self) -> tuple[str, ...]:
        return (LOCAL_HOST, *sorted({*self._links, *self._lost}))

    def cells(self, host: str) -> Cells:
        """Return the engine of a host. Raises NotAvailable."""
        if host == LOCAL_HOST:
            return self._local(host)
        if (link := self._links.get(host)) is not None:
            return link.cells
        if host in self._lost:
            raise NotAvailable(f"there is no way to the Docker host {host}: {self._lost[host][1]}", code="host_away")
        raise NotAvailable(
            f"there is no Docker host {host[:60]!r}",
            code="no_engine",
            hint=f"There is {', '.join(self.names())}; clawtui host add names another one.",
        )

    def no_way(self, host: str) -> str:
        """Why gateways on a host could not be reached; empty where they can."""
        link = self._links.get(host)
        if host == LOCAL_HOST or link is None or link.tunnel is not None:
            return ""
        return f"{host} is named by {link.stored.url}, and nothing leads to a gateway's port on its loopback"

    def away(self, gateway: str) -> str:
        """Why a gateway on another host cannot be asked now; empty where it can."""
        instance = self._room.book.find(gateway)
        if instance is None or instance.host == LOCAL_HOST:
            return ""
        link, there = self._links.get(instance.host), self._tunnels.get(gateway)
        why = link.away if link is not None else "there is no way to it"
        if not why and there is not None and not there[1].is_open:
            trouble = there[1].trouble
            why = trouble.message if trouble is not None else "the tunnel to it is being opened"
        return f"its Docker host {instance.host} is away: {why}" if why else ""

    def tunnel_of(self, gateway: str) -> Tunnel | None:
        """The tunnel to a gateway on another host; None where there is none."""
        found = self._tunnels.get(gateway)
        return found[1] if found is not None else None

    def attend(self, gateway: str) -> None:
        """Keep a tunnel to the gateway's port as long as it is there: the same port on the hub's machine, so that it
        has one address for everybody. Does not block."""
        instance = self._room.book.find(gateway)
        there = self._tunnels.get(gateway)
        wanted = instance is not None and instance.host in self._links and bool(instance.container)
        if there is not None and (not wanted or instance is None or _moved(there[0], instance)):
            self._drop(gateway)
            there = None
        if not wanted or instance is None or there is not None:
            return
        link = self._links[instance.host]
        if link.tunnel is None:
            return
        place = f"127.0.0.1:{instance.port}"
        tunnel = Tunnel(link.address, place, place, self._program)
        self._tunnels[gateway] = (instance, tunnel, self._start(tunnel.run(), f"tunnel to {gateway}"))

    # --- hosts

    async def add(self, request: AddHost, by: str) -> HostView:
        """Take in a host whose engine answers; fine when the same one is there.

        Raises BadRequest, Conflict, HostAway and other DriverFailed, StorageFull, Unavailable.
        """
        kernel = self._kernel
        kernel.check_writable()
        name, address = check_name(request.name), parse(request.url)
        request = check_files(request, address)
        stored = StoredHost(
            name=name, url=request.url, ca_file=request.ca_file, certificate_file=request.certificate_file,
            key_file=request.key_file, added_at=kernel.now().wall_ms,
        )  # fmt: skip
        if address.kind == "tcp":
            files = {"caFile": stored.ca_file, "certificateFile": stored.certificate_file, "keyFile": stored.key_file}
            await asyncio.to_thread(check_readable, files)
        async with self._changing:
            if (there := self._links.get(name)) is not None:
                if replace(there.stored, added_at=0) != replace(stored, added_at=0):
                    raise Conflict(
                        f"there is another Docker host {name} already", code="host_exists",
                        hint="Choose another name, or remove it first: clawtui host remove",
                    )  # fmt: skip
                return await self._view(there)
            if len(self._links) >= MOST_HOSTS:
                raise Conflict(f"a hub has at most {MOST_HOSTS} Docker hosts", code="too_many_hosts")
            link = HostLink(stored, self._ways())
            try:
                capacity = await link.capacity()
                audit = kernel.audited(by, "host.add", name, detail=f"{request.url}: Docker {capacity.version}")
                await kernel.commit([Save(stored), audit])
            except BaseException:
                await link.close()
                raise
            self._lost.pop(name, None)
            self._links[name] = link
        return self._shown(link.stored, capacity)

    async def remove(self, name: str, by: str) -> None:
        """Forget a host. Raises NotFound, BadRequest (local), Conflict while a gateway is on it, StorageFull."""
        if name == LOCAL_HOST:
            raise BadRequest("the hub's own engine cannot be removed", field="name")
        async with self._changing:
            stored = self._stored(name)
            if here := [one.name for one in self._room.book.all() if one.host == name]:
                raise Conflict(
                    f"the Docker host {name} has gateways of this hub: {', '.join(here[:10])}",
                    code="host_in_use",
                    hint=f"clawtui gateway destroy {here[0]}, then remove the host",
                )
            kernel = self._kernel
            await kernel.commit([Delete(stored), kernel.audited(by, "host.remove", name, detail=stored.url)])
            self._lost.pop(name, None)
            link = self._links.pop(name, None)
            if link is not None:
                await link.close()

    async def views(self) -> list[HostView]:
        """Ask every host what it has, all at once; the hub's own first."""
        async with asyncio.TaskGroup() as group:
            local = group.create_task(self._view_local())
            others = [group.create_task(self._view(self._links[name])) for name in sorted(self._links)]
        lost = [self._shown(stored, None, reason=why) for stored, why in self._lost.values()]
        return [local.result(), *(one.result() for one in others), *lost]

    # --- parts

    async def _view_local(self) -> HostView:
        stored = StoredHost(name=LOCAL_HOST, url=os.environ.get("DOCKER_HOST") or _LOCAL_URL)
        try:
            return self._shown(stored, await self._local(LOCAL_HOST).capacity())
        except HubError as exc:
            return self._shown(stored, None, exc.message, exc.hint)

    async def _view(self, link: HostLink) -> HostView:
        try:
            return self._shown(link.stored, await link.capacity())
        except HubError as exc:
            return self._shown(link.stored, None, exc.message, exc.hint)

    def _shown(self, stored: StoredHost, found: Capacity | None, reason: str = "", hint: str = "") -> HostView:
        ours = [one for one in self._room.book.all() if one.host == stored.name]
        agents = self._kernel.fleet.agents.values() if stored.name == LOCAL_HOST else ()
        return HostView(
            name=stored.name,
            url=stored.url,
            usable=found is not None,
            reason=reason,
            hint=hint,
            version=found.version if found is not None else "",
            cpus=float(found.cpus) if found is not None else None,
            memory_bytes=found.memory_bytes if found is not None else None,
            used_cpus=sum(one.cpus or 0.0 for one in ours),
            used_memory_bytes=sum(one.memory_bytes or 0 for one in ours),
            gateways=len(ours),
            agents=sum(1 for agent in agents if agent.driver == "docker"),
        )

    def _stored(self, name: str) -> StoredHost:
        """Raises NotFound."""
        if (link := self._links.get(name)) is not None:
            return link.stored
        if name in self._lost:
            return self._lost[name][0]
        raise NotFound(
            f"there is no Docker host {name[:60]!r}", code="unknown_host", hint=f"There is {', '.join(self.names())}."
        )

    def _ways(self) -> Ways:
        if self._folder is None:
            # A socket's path may have 107 bytes at most, so the state folder is no place for it.
            self._folder = Path(tempfile.mkdtemp(prefix="clawtui-"))
        kernel = self._kernel
        return Ways(
            kernel.feed.hub_id, Path(kernel.config.state_folder), self._folder, self._start, self._program
        )  # fmt: skip

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        async def kept() -> None:
            with surviving(self._kernel.notices, self._kernel.now, "tunnel_broken", f"{name} is not kept open"):
                await work

        return self._group.create_task(kept(), name=name)

    def _drop(self, gateway: str) -> None:
        # Its task ends the program; the group of the hub waits for it.
        _, _, task = self._tunnels.pop(gateway)
        task.cancel()


def _moved(before: StoredInstance, now: StoredInstance) -> bool:
    return (before.uid, before.host, before.port) != (now.uid, now.host, now.port)
