"""Which OpenClaw gateways there are: those that somebody named, kept by the registry, and the environment's, which is
not kept. Tokens are read from their files when they are needed and kept nowhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from hub.contract import AddGateway, SyncSettings
from hub.core.effects import Delete, Kind, Publish, Save
from hub.core.gateways import StoredGateway, check_gateway_name
from hub.errors import Conflict, NotFound
from hub.gateways.checking import check_clashes, check_sync, check_token_file, check_url
from hub.gateways.secret import Secret, read_secret
from hub.kernel import Kernel

MOST_GATEWAYS: Final = 200
"""Each is looked at all the time."""

Changed = Callable[[str], None]


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway as the hub uses it. `url` has no `/` at its end; empty: it is never called, only its files are synced.

    `environment`: of the hub's settings, so that nothing here may change it.
    """

    name: str
    url: str
    token_file: str = ""
    token: Secret = Secret("")
    """From the settings themselves, where they name no file."""
    user: str = ""
    """Where what is in front of it wants HTTP Basic: the token is the password."""
    sync: SyncSettings | None = None
    environment: bool = False
    instance: bool = False
    """The hub runs it: it goes only by being destroyed."""
    added_at: int = 0

    @property
    def origin(self) -> Literal["added", "environment", "provisioned"]:
        if self.instance:
            return "provisioned"
        return "environment" if self.environment else "added"

    async def read_token(self) -> Secret:
        """Return the token as its file has it now, empty where there is none. Raises BadRequest (`token_file`)."""
        if not self.token_file:
            return self.token
        return await asyncio.to_thread(read_secret, self.token_file)


class GatewayBook:
    """All gateways, by name. Changes are made one after the other and are committed before they are seen."""

    def __init__(self, kernel: Kernel, environment: Gateway | None = None) -> None:
        self._kernel = kernel
        self._environment = environment
        self._known: dict[str, Gateway] = {}
        self._changing = asyncio.Lock()
        self._observers: list[Changed] = []

    async def open(self) -> None:
        """Read what the registry has. Raises HubError."""
        self._known = {stored.name: _known(stored) for stored in await self._kernel.registry.gateways()}
        if self._environment is not None:
            if self._environment.name in self._known:
                self._kernel.notices.say(
                    "gateway_hidden",
                    f"the gateway {self._environment.name} of the hub's settings hides one added under that name",
                    self._kernel.now(),
                )
            self._known[self._environment.name] = self._environment
            await self._part_from(self._environment)

    async def _part_from(self, environment: Gateway) -> None:
        """Two syncs must never write the same files, and the hub's settings may have come after the other one."""
        for name, gateway in list(self._known.items()):
            if gateway.sync is None or environment.sync is None or gateway is environment:
                continue
            try:
                await self._check_clashes(name, gateway.sync, {environment.name: environment.sync})
            except Conflict as exc:
                text = f"gateway {name} is not synced: {exc.message}"
                self._kernel.notices.say("gateway_clash", text, self._kernel.now())
                self._known[name] = msgspec.structs.replace(gateway, sync=None)

    def on_change(self, observer: Changed) -> None:
        """`observer` is called with a gateway's name after it came, changed or went; it must not block."""
        self._observers.append(observer)

    def all(self) -> list[Gateway]:
        """Return every gateway, by name."""
        return [self._known[name] for name in sorted(self._known)]

    def find(self, name: str) -> Gateway | None:
        return self._known.get(name)

    def get(self, name: str) -> Gateway:
        """Raises NotFound, naming those that there are."""
        if (gateway := self._known.get(name)) is None:
            there = ", ".join(sorted(self._known)[:10])
            hint = f"there is {there}; clawtui gateway list" if there else "clawtui gateway add NAME --url URL"
            raise NotFound(f"there is no gateway {name[:64]!r}", code="unknown_gateway", hint=hint)
        return gateway

    async def add(self, request: AddGateway, by: str) -> Gateway:
        """Take in a gateway; fine when the same one is there. Raises BadRequest, Conflict, StorageFull, Unavailable."""
        name, url = check_gateway_name(request.name), check_url(request.url)
        token_file = check_token_file(request.token_file)
        sync = check_sync(request.sync, "sync.") if request.sync is not None else None
        async with self._changing:
            there = self._known.get(name)
            if there is not None:
                return _same(there, url, token_file, sync)
            if len(self._known) >= MOST_GATEWAYS:
                raise Conflict(f"a hub looks after at most {MOST_GATEWAYS} gateways", code="too_many_gateways")
            await self._check_clashes(name, sync, self._synced())
            if token_file:
                await asyncio.to_thread(read_secret, token_file)
            stored = StoredGateway(
                name=name, url=url, token_file=token_file, sync=sync, added_at=self._kernel.now().wall_ms
            )
            await self._save(stored, by, "gateway.add", url)
            return self._known[name]

    async def remove(self, name: str, by: str) -> None:
        """Raises NotFound, Conflict (the environment's), StorageFull, Unavailable."""
        async with self._changing:
            gateway = self._own(name, "removed")
            if gateway.instance:
                raise Conflict(
                    f"the hub runs the gateway {name}: to forget it would leave it running",
                    code="gateway_is_run",
                    hint=f"clawtui gateway destroy {name} shows what that removes, and asks",
                )
            kernel = self._kernel
            gone = Delete(StoredGateway(name=name, url=gateway.url))
            audit = kernel.audited(by, "gateway.remove", name, detail=gateway.url)
            await kernel.commit([gone, audit])
            del self._known[name]
            self._tell(name, gone=True)

    async def add_instance(
        self, name: str, url: str, token_file: str, *, sync: SyncSettings | None, user: str, by: str
    ) -> None:
        """Take in a gateway that the hub runs; fine when it is there, with the sync that it has then.

        Raises Conflict (somebody added another one under its name meanwhile), StorageFull, Unavailable.
        """
        async with self._changing:
            there = self._known.get(name)
            if there is not None:
                if not there.instance:
                    raise Conflict(f"there is another gateway {name} already", code="gateway_exists")
                if (there.url, there.token_file, there.user) == (url, token_file, user):
                    return
                sync = there.sync
            check_clashes(name, sync, self._synced())
            stored = StoredGateway(
                name=name, url=url, token_file=token_file, sync=sync, instance=True, user=user,
                added_at=there.added_at if there is not None else self._kernel.now().wall_ms,
            )  # fmt: skip
            await self._save(stored, by, "gateway.add", url)

    async def drop_instance(self, name: str, by: str) -> None:
        """Forget a gateway that the hub ran; fine when it is not there. Raises StorageFull, Unavailable."""
        async with self._changing:
            gateway = self._known.get(name)
            if gateway is None or not gateway.instance:
                return
            kernel = self._kernel
            gone = Delete(StoredGateway(name=name, url=gateway.url))
            await kernel.commit([gone, kernel.audited(by, "gateway.remove", name, detail=gateway.url)])
            del self._known[name]
            self._tell(name, gone=True)

    async def set_sync(self, name: str, settings: SyncSettings | None, by: str) -> Gateway:
        """Raises NotFound, BadRequest, Conflict, StorageFull, Unavailable."""
        sync = check_sync(settings) if settings is not None else None
        async with self._changing:
            gateway = self._own(name, "changed")
            await self._check_clashes(name, sync, self._synced())
            if gateway.sync != sync:
                stored = StoredGateway(
                    name=name, url=gateway.url, token_file=gateway.token_file, sync=sync, added_at=gateway.added_at,
                    instance=gateway.instance, user=gateway.user,
                )  # fmt: skip
                detail = f"{sync.source} -> {sync.workspace_root}" if sync is not None else "off"
                await self._save(stored, by, "gateway.sync", detail)
            return self._known[name]

    def _own(self, name: str, how: str) -> Gateway:
        gateway = self.get(name)
        if gateway.environment:
            raise Conflict(
                f"the gateway {name} is of the hub's settings and cannot be {how} here",
                code="environment_gateway",
                hint="change OPENCLAW_… in the hub's environment or settings, then start the hub again",
            )
        return gateway

    def _synced(self) -> dict[str, SyncSettings]:
        return {name: gateway.sync for name, gateway in self._known.items() if gateway.sync is not None}

    @staticmethod
    async def _check_clashes(name: str, sync: SyncSettings | None, others: dict[str, SyncSettings]) -> None:
        """Raises Conflict. A folder with two names, one through a link, is one folder."""
        check_clashes(name, sync, others)
        if sync is not None:
            check_clashes(name, *await asyncio.to_thread(_real, sync, others))

    async def _save(self, stored: StoredGateway, by: str, what: str, detail: str) -> None:
        kernel = self._kernel
        kernel.check_writable()
        audit = kernel.audited(by, what, stored.name, detail=detail)
        await kernel.commit([Save(stored), audit])
        self._known[stored.name] = _known(stored)
        self._tell(stored.name)

    def _tell(self, name: str, *, gone: bool = False) -> None:
        # Only now, because who hears of it reads the book again.
        self._kernel.push([Publish(Kind.GATEWAY, name, gone=gone)])
        for observer in self._observers:
            observer(name)


def _real(sync: SyncSettings, others: dict[str, SyncSettings]) -> tuple[SyncSettings, dict[str, SyncSettings]]:
    """The same with the places to which their paths lead. Blocks."""

    def real(one: SyncSettings) -> SyncSettings:
        root, config = os.path.realpath(one.workspace_root), os.path.realpath(one.config_path)
        return msgspec.structs.replace(one, workspace_root=root, config_path=config)

    return real(sync), {name: real(one) for name, one in others.items()}


def _known(stored: StoredGateway) -> Gateway:
    return Gateway(
        name=stored.name, url=stored.url, token_file=stored.token_file, sync=stored.sync, added_at=stored.added_at,
        instance=stored.instance, user=stored.user,
    )  # fmt: skip


def _same(there: Gateway, url: str, token_file: str, sync: SyncSettings | None) -> Gateway:
    """Return the gateway that is there, when the same is added again. Raises Conflict."""
    if there.environment or (there.url, there.token_file) != (url, token_file) or sync not in (None, there.sync):
        raise Conflict(
            f"there is another gateway {there.name} already",
            code="gateway_exists",
            hint=f"clawtui gateway show {there.name}; remove it first, or choose another name",
        )
    return there
