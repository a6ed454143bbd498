"""Looks at all instances for `hub.gateways.instances.inspecting`; changes nothing."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from hub.contract import GatewayFinding, GatewayInspection
from hub.core.instances import StoredInstance
from hub.drivers.cells import Capacity
from hub.errors import HubError
from hub.gateways.instances.inspecting import FileSeen, InstanceFacts, inspect_host, inspect_instance
from hub.gateways.instances.model import Order
from hub.gateways.instances.room import InstanceRoom

LEAST_SECRET: Final = 8
"""Shorter values stand in any text by chance."""
MOST_CONFIG_BYTES: Final = 4 * 2**20


async def inspect_all(room: InstanceRoom) -> GatewayInspection:
    """Look at every instance and judge. What cannot be looked at is a finding and no error."""
    instances = room.book.all()
    capacities = {host: await _capacity(room, host) for host in sorted({one.host for one in instances})}
    findings: list[GatewayFinding] = []
    for instance in instances:
        findings += inspect_instance(await _facts(room, instance))
    for host, capacity in capacities.items():
        if capacity is not None:
            findings += inspect_host(host, capacity, [one for one in instances if one.host == host])
    return GatewayInspection(gateways=[one.name for one in instances], findings=findings)


async def _capacity(room: InstanceRoom, host: str) -> Capacity | None:
    try:
        return await room.engine(host).capacity()
    except HubError:
        # Each instance of the host says why it cannot be looked at.
        return None


async def _facts(room: InstanceRoom, instance: StoredInstance) -> InstanceFacts:
    facts = InstanceFacts(instance=instance, files=await asyncio.to_thread(_files, room, instance))
    try:
        facts = replace(facts, seen=await room.look(instance))
    except HubError as exc:
        facts = replace(facts, unseen=exc.message)
    try:
        order = await asyncio.to_thread(room.load, instance)
        path, text = await _config(room, order)
    except HubError as exc:
        return replace(facts, unread=exc.message)
    except (OSError, UnicodeDecodeError) as exc:
        return replace(facts, unread=str(exc))
    return replace(
        facts,
        config=text,
        config_path=path,
        secrets_in_config=_found_in(order, text),
        kind_proxies=order.kind.trusted_proxies,
    )


async def _config(room: InstanceRoom, order: Order) -> tuple[str, str]:
    """Return where the configuration lies, and its text. Raises HubError, OSError, UnicodeDecodeError."""
    if order.shared:
        path = room.folders.paths(order.instance.name).config
        return str(path), (await asyncio.to_thread(path.read_bytes)).decode()
    handle = room.handle(order.instance)
    content = await room.cells(order.instance).get_file(handle, order.kind.config_path, MOST_CONFIG_BYTES)
    return f"{order.kind.config_path} of its state volume", content.decode()


def _found_in(order: Order, text: str) -> tuple[str, ...]:
    values = order.secrets.values.items()
    return tuple(sorted(name for name, value in values if len(value) >= LEAST_SECRET and value in text))


def _files(room: InstanceRoom, instance: StoredInstance) -> tuple[FileSeen, ...]:
    paths = room.folders.paths(instance.name)
    return tuple(_file(path) for path in (paths.folder, paths.environment, paths.token, paths.order))


def _file(path: Path) -> FileSeen:
    try:
        found = path.lstat()
    except OSError:
        return FileSeen(str(path), None)
    return FileSeen(str(path), stat.S_IMODE(found.st_mode), found.st_uid == os.geteuid())
