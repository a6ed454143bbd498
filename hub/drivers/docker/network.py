"""The networks that agents share, and how an agent reaches its hub through them.

`openclaw-agents` keeps agents apart (no traffic between containers); `openclaw-agents-isolated`
has no way out besides. Both belong to all hubs of the engine, are made when first needed and
removed when no agent of any hub uses them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import urlsplit

import structlog

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import AgentPlan, HubReach
from hub.drivers.docker.answers import Container, ContainerEntry, Created, Network, System, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound
from hub.drivers.docker.labels import ISOLATED_NETWORK, SHARED, SHARED_NETWORK, filters, is_shared_ours
from hub.drivers.docker.plan import HUB_HOST, NO_NETWORK, SOCKET_FOLDER, Way
from hub.drivers.docker.pool import Pool
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotAvailable

HOST_GATEWAY: Final = "host-gateway"
"""The engine's word for the host; right on Docker Desktop only (elsewhere it is docker0's address)."""
ISOLATED: Final = "isolated"
ICC: Final = "com.docker.network.bridge.enable_icc"
"""Whether containers of a bridge reach each other; "false" keeps them apart."""
MAKE_ATTEMPTS: Final = 3
"""Hubs share the network and each removes it when nobody uses it."""
OURS: Final = {SHARED_NETWORK: False, ISOLATED_NETWORK: True}
"""Name, and whether it is internal."""

_log = structlog.get_logger(__name__)


def network_name(wanted: str) -> str:
    """Return the engine's network for an agent plan's."""
    return {"": SHARED_NETWORK, ISOLATED: ISOLATED_NETWORK}.get(wanted, wanted)


# --- blocking steps ----------------------------------------------------------------------------


def find_networks(engine: Engine, name: str) -> list[Network]:
    """Return the networks of exactly this name, the oldest first; the engine allows several."""
    answer = engine.call(Call("GET", "/networks", {"filters": filters(name=[f"^{name}$"])}))
    found = [network for network in decode(answer, list[Network]) if network.name == name]
    return sorted(found, key=lambda network: network.created)


def ensure_network(engine: Engine, name: str) -> Network:
    """Return the network, made when it is one of ours and missing.

    Raises:
        Conflict: a foreign network has the name of ours.
        BadRequest: there is no such network.
    """
    found = find_networks(engine, name)
    for _ in range(MAKE_ATTEMPTS if name in OURS else 0):
        if found:
            break
        with contextlib.suppress(EngineConflict):  # another hub was faster
            _make_network(engine, name)
        found = find_networks(engine, name)  # or another hub removed it again, because nobody used it yet
    if name in OURS:
        _remove_twins(engine, found[1:])
    if not found:
        raise BadRequest(
            f"there is no network {name}", hint=f"clawtui network create {name}", field="network", driver=NAME
        )
    if name in OURS and not is_shared_ours(found[0].labels):
        raise Conflict(
            f"the network {name} exists and was not made by clawtui",
            hint=f"Remove or rename it (docker network rm {name}), or give the agent another network.",
            driver=NAME,
        )
    return found[0]


def _remove_twins(engine: Engine, twins: list[Network]) -> None:
    """Two hubs that make a network in one moment make two of one name, with which no container starts."""
    for twin in twins:
        if is_shared_ours(twin.labels):
            with contextlib.suppress(EngineConflict, EngineNotFound):
                engine.call(Call("DELETE", f"/networks/{twin.id}"))


def _make_network(engine: Engine, name: str) -> None:
    body = {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Internal": OURS[name],
        "Labels": SHARED,
        "Options": {ICC: "false"},
    }
    made = decode(engine.call(Call("POST", "/networks/create", body=body)), Created)
    found = find_networks(engine, name)
    if found and found[0].id != made.id:
        # Two hubs at the same moment: both take the older one.
        engine.call(Call("DELETE", f"/networks/{made.id}"))


def remove_unused(engine: Engine, names: list[str]) -> None:
    """Remove those of our networks that no container of any kind uses, running or not."""
    for name in names:
        for network in find_networks(engine, name):
            if not is_shared_ours(network.labels) or _users(engine, network):
                continue
            # In use after all, or removed by another hub: both are as good.
            with contextlib.suppress(EngineConflict, EngineNotFound):
                engine.call(Call("DELETE", f"/networks/{network.id}"))


def _users(engine: Engine, network: Network) -> list[ContainerEntry]:
    found: list[ContainerEntry] = []
    for reference in (network.name, network.id):
        params = {"all": "1", "filters": filters(network=[reference])}
        found += decode(engine.call(Call("GET", "/containers/json", params)), list[ContainerEntry])
    return found


def gateway_of(network: Network) -> str:
    """Return the host's IPv4 address in the network; raises DriverFailed when it has none."""
    for pool in network.addresses.config or []:
        address = pool.gateway.partition("/")[0]
        if address and ":" not in address:
            return address
    raise DriverFailed(
        f"the network {network.name} has no IPv4 gateway, so its agents cannot reach the hub",
        hint="Create it with --gateway, or start the hub with --advertise-agents URL.",
        retryable=False,
        driver=NAME,
    )


def _has_socket(container: Container) -> bool:
    """Whether the hub's socket folder is mounted: the driver and Compose ask the engine for that in two ways."""
    asked = {mount.target for mount in container.host_config.mounts or []}
    return SOCKET_FOLDER in asked | {mount.destination for mount in container.mounts or []}


# --- the driver's side -------------------------------------------------------------------------


class Networks:
    """Prepares the way from an agent to the hub.

    Args:
        local: the engine runs on this host, so its gateways and folders are this host's.
        agents_url: what agents dial instead, when the operator said so.
    """

    def __init__(self, pool: Pool, reach: HubReach, *, local: bool, agents_url: str | None) -> None:
        self._pool = pool
        self._reach = reach
        self._local = local
        self._agents_url = agents_url
        self._lock = asyncio.Lock()
        self._pending: Counter[str] = Counter()
        self._attached: set[str] = set()
        self._held: dict[AgentUid, str] = {}

    def hold(self, plan: AgentPlan) -> None:
        """Keep the agent's network, although nobody uses it yet."""
        self._held[plan.uid] = network_name(plan.network)

    def holds(self, uid: AgentUid) -> bool:
        return uid in self._held

    def let_go(self, uid: AgentUid) -> None:
        self._held.pop(uid, None)

    def is_held(self, name: str) -> bool:
        return name in self._held.values()

    @contextlib.asynccontextmanager
    async def prepared(self, plan: AgentPlan, system: System) -> AsyncGenerator[Way]:
        """Yield the way; while it is held the network stays, although nobody uses it yet."""
        name = network_name(plan.network)
        self._pending[name] += 1
        try:
            async with self._lock:
                network = None
                if name != NO_NETWORK:
                    network = await self._pool.run(ensure_network, name)
            yield await self._way(plan, system, network)
        finally:
            self._pending[name] -= 1

    async def remove_unused(self) -> None:
        """Remove our networks that nobody uses; those of creates under way and those that are held stay."""
        async with self._lock:
            names = [name for name in OURS if not self._pending[name] and not self.is_held(name)]
            await self._pool.run(remove_unused, names)

    async def attach(self, agent_id: AgentId, uid: AgentUid, container: Container) -> None:
        """Listen where an agent that exists already looks for its hub: a hub that was restarted has forgotten."""
        if self._agents_url is not None or not self._local:
            return
        host = container.host_config
        try:
            for entry in host.extra_hosts or []:
                name, _, address = entry.partition(":")
                if name == HUB_HOST and address not in (HOST_GATEWAY, *self._attached):
                    await self._reach.listen_agents_on(address)
                    self._attached.add(address)
            if _has_socket(container) and uid not in self._attached:
                await self._reach.offer_agent_socket(agent_id, uid)
                self._attached.add(uid)
        except HubError as exc:
            _log.warning("agent_cannot_reach_hub", agent=agent_id, error=exc.message, hint=exc.hint)

    async def _way(self, plan: AgentPlan, system: System, network: Network | None) -> Way:
        if network is None or (system.is_rootless and self._agents_url is None):
            return await self._socket(plan, system, network.name if network is not None else NO_NETWORK)
        if self._agents_url is not None:
            needs_host = urlsplit(self._agents_url).hostname == HUB_HOST
            return Way(network=network.name, url=self._agents_url, hub_host=gateway_of(network) if needs_host else "")
        if not self._local:
            raise NotAvailable(
                "agents on a remote engine do not know where the hub is",
                hint="Start the hub with --advertise-agents URL.",
                driver=NAME,
            )
        address = HOST_GATEWAY
        if not system.is_desktop:
            address = gateway_of(network)
            await self._reach.listen_agents_on(address)
        return Way(network=network.name, url=f"ws://{HUB_HOST}:{self._reach.agents_port}", hub_host=address)

    async def _socket(self, plan: AgentPlan, system: System, network: str) -> Way:
        if not self._local or system.is_desktop:
            raise NotAvailable(
                "an agent without a network needs an engine of this host's own Linux",
                hint="Give the agent a network.",
                field="network",
                driver=NAME,
            )
        folder = await self._reach.offer_agent_socket(plan.agent_id, plan.uid)
        return Way(network=network, url=f"unix:{SOCKET_FOLDER}/agent.sock", socket_folder=folder)
