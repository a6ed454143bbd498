"""Networks that the operator makes for agents, and agents in more than one network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from hub.drivers.base import AgentHandle
from hub.drivers.docker import labels, steps
from hub.drivers.docker.answers import Container, ContainerEntry, Network, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.drivers.docker.labels import Identity, identity_of
from hub.drivers.docker.network import HOST_GATEWAY, ICC, OURS, find_networks, gateway_of
from hub.drivers.docker.plan import HUB_HOST
from hub.drivers.docker.pool import Pool
from hub.drivers.networks import NetworkOrder, NetworkSeen
from hub.errors import BadRequest, Conflict, NotFound

CUSTOM: Final = "clawtui.network"
"""On networks that the operator asked for; they stay until somebody removes them."""
NAME_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}"
RESERVED: Final = frozenset({"bridge", "host", "none", "default", "isolated", *OURS})


class CustomNetworks:
    """See `hub.drivers.networks.NetworkAdmin`."""

    def __init__(
        self,
        pool: Pool,
        hub_id: str,
        identity_in: Callable[[AgentHandle], Identity],
        is_held: Callable[[str], bool],
    ) -> None:
        self._pool = pool
        self._hub_id = hub_id
        self._identity_in = identity_in
        self._is_held = is_held

    async def list(self) -> list[NetworkSeen]:
        return await self._pool.run(_list, self._hub_id)

    async def create(self, order: NetworkOrder) -> NetworkSeen:
        check_order(order)
        return await self._pool.run(_create, order, self._hub_id)

    async def remove(self, name: str) -> None:
        if name not in OURS and self._is_held(name):
            hint = "Destroy them first, or start their Compose file."
            raise Conflict(f"agents of a Compose file wait for the network {name}", hint=hint, driver=NAME)
        await self._pool.run(_remove, name)

    async def connect(self, handle: AgentHandle, name: str) -> None:
        await self._pool.run(_connect, self._identity_in(handle), name)

    async def disconnect(self, handle: AgentHandle, name: str) -> None:
        await self._pool.run(_disconnect, self._identity_in(handle), name)


def check_order(order: NetworkOrder) -> None:
    """Raises BadRequest, with `field`, for a network that cannot be."""
    if re.fullmatch(NAME_PATTERN, order.name) is None:
        raise _bad("name", f"{order.name[:60]!r} is not the name of a network", "Letters, digits, _ . and -.")
    if order.name in RESERVED:
        raise _bad("name", f"{order.name!r} is a name of the engine's or of ours", "Choose another name.")
    if order.gateway and not order.subnet:
        raise _bad("gateway", "a gateway needs its subnet", "Give --subnet, such as 10.20.0.0/24.")
    if not order.subnet:
        return
    try:
        subnet = ipaddress.IPv4Network(order.subnet)
    except ValueError as exc:
        hint = "Write it like 10.20.0.0/24, with zeros after the prefix."
        raise _bad("subnet", f"{order.subnet[:40]!r} is not a subnet", hint) from exc
    if subnet.prefixlen > 29:
        raise _bad("subnet", f"{subnet} has no room for agents", "A prefix of 29 or less.")
    if order.gateway:
        _check_gateway(order.gateway, subnet)


def _check_gateway(text: str, subnet: ipaddress.IPv4Network) -> None:
    try:
        gateway = ipaddress.IPv4Address(text)
    except ValueError as exc:
        raise _bad("gateway", f"{text[:40]!r} is not an address") from exc
    if gateway not in subnet or gateway in (subnet.network_address, subnet.broadcast_address):
        raise _bad("gateway", f"{gateway} is not an address in {subnet}", f"Such as {next(subnet.hosts())}.")


def _bad(field: str, message: str, hint: str = "") -> BadRequest:
    return BadRequest(message, hint=hint, field=field, driver=NAME)


# --- blocking steps ----------------------------------------------------------------------------


def _list(engine: Engine, hub_id: str) -> list[NetworkSeen]:
    """Bridges only: agents cannot join the engine's other kinds. Its own `bridge` and `host` are not for agents."""
    found = decode(engine.call(Call("GET", "/networks")), list[Network])
    entries = decode(engine.call(Call("GET", "/containers/json", {"all": "1"})), list[ContainerEntry])
    bridges = [network for network in found if network.driver == "bridge" and network.name != "bridge"]
    return [_seen(network, entries, hub_id) for network in sorted(bridges, key=lambda network: network.name)]


def _seen(network: Network, entries: list[ContainerEntry], hub_id: str) -> NetworkSeen:
    users = [entry for entry in entries if network.name in entry.networks()]
    owners = [identity_of(entry.labels) for entry in users]
    agents = sorted(str(owner.agent_id) for owner in owners if owner is not None and owner.hub_id == hub_id)
    pool = next(iter(network.addresses.config or []), None)
    return NetworkSeen(
        name=network.name,
        driver=network.driver,
        subnet=pool.subnet if pool else "",
        gateway=pool.gateway if pool else "",
        internal=network.internal,
        apart=(network.options or {}).get(ICC) == "false",
        ours=labels.is_shared_ours(network.labels),
        shared=network.name in OURS,
        agents=tuple(agents),
        others=len(users) - len(agents),
    )


def _create(engine: Engine, order: NetworkOrder, hub_id: str) -> NetworkSeen:
    for network in find_networks(engine, order.name):
        seen = _seen(network, [], hub_id)
        if seen.ours and _fits(seen, order):
            return seen
        why = "exists with other settings" if seen.ours else "exists and was not made by clawtui"
        raise Conflict(f"the network {order.name} {why}", hint="Choose another name, or remove it first.", driver=NAME)
    pool = {name: value for name, value in (("Subnet", order.subnet), ("Gateway", order.gateway)) if value}
    body = {
        "Name": order.name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Internal": order.internal,
        "Labels": {**labels.SHARED, CUSTOM: "custom"},
        "Options": {ICC: "false"} if order.apart else {},
        "IPAM": {"Config": [pool]} if pool else {},
    }
    try:
        engine.call(Call("POST", "/networks/create", body=body))
    except EngineRefused as exc:
        # Addresses that overlap are refused with 403 or 500, depending on the engine.
        raise Conflict(
            f"the network {order.name} cannot be made: {exc.message}",
            hint="Choose a subnet that no other network of this host has.",
            field="subnet",
            driver=NAME,
        ) from exc
    return _seen(_found(engine, order.name), [], hub_id)


def _fits(seen: NetworkSeen, order: NetworkOrder) -> bool:
    same = seen.internal == order.internal and seen.apart == order.apart
    return same and order.subnet in ("", seen.subnet) and order.gateway in ("", seen.gateway)


def _found(engine: Engine, name: str) -> Network:
    found = find_networks(engine, name)
    if not found:
        raise NotFound(f"there is no network {name[:64]!r}", hint="clawtui network list", driver=NAME)
    return found[0]


def _remove(engine: Engine, name: str) -> None:
    for network in find_networks(engine, name):
        if name in OURS:
            hint = "It goes with the last agent."
            raise Conflict(f"the network {name} is shared by all agents", hint=hint, driver=NAME)
        if not labels.is_shared_ours(network.labels):
            raise Conflict(f"the network {name} was not made by clawtui", hint="docker network rm", driver=NAME)
        entries = decode(engine.call(Call("GET", "/containers/json", {"all": "1"})), list[ContainerEntry])
        users = [entry.name for entry in entries if name in entry.networks()]
        if users:
            hint = "Disconnect or destroy these first."
            raise Conflict(f"the network {name} is used by {', '.join(sorted(users)[:10])}", hint=hint, driver=NAME)
        try:
            engine.call(Call("DELETE", f"/networks/{network.id}"))
        except EngineNotFound:
            continue


def _connect(engine: Engine, identity: Identity, name: str) -> None:
    container, network = steps.present(engine, identity), _found(engine, name)
    if container.host_config.network_mode == "none":
        hint = "Make it again with a network."
        raise Conflict(f"{identity.agent_id} was made without a network", hint=hint, driver=NAME)
    if name in container.networks():
        return
    call = Call("POST", f"/networks/{quote(network.id)}/connect", body={"Container": container.id})
    try:
        engine.call(call)
    except EngineConflict:
        if name not in steps.present(engine, identity).networks():
            raise


def _disconnect(engine: Engine, identity: Identity, name: str) -> None:
    container = steps.present(engine, identity)
    if name not in container.networks():
        return
    network = _found(engine, name)
    if _leads_to_hub(container, network):
        hint = "It would be lost: destroy it, or make it again with another network."
        raise Conflict(f"{identity.agent_id} reaches its hub through {name}", hint=hint, driver=NAME)
    engine.call(Call("POST", f"/networks/{quote(network.id)}/disconnect", body={"Container": container.id}))


def _leads_to_hub(container: Container, network: Network) -> bool:
    """Whether the hub's address, as the container knows it, is this network's gateway, or nobody can say."""
    addresses = [entry.partition(":")[2] for entry in container.host_config.extra_hosts or [] if
                 entry.partition(":")[0] == HUB_HOST]  # fmt: skip
    if not addresses:
        return False
    return addresses[0] in (HOST_GATEWAY, gateway_of(network)) or container.host_config.network_mode == network.name
