"""Which hub this is, also after its registry was lost."""

from __future__ import annotations

import structlog

from hub.registry.store import Registry
from hub.state import StateFolder

log = structlog.get_logger("hub.service")


async def lasting_hub_id(folder: StateFolder, registry: Registry) -> str:
    """Return the hub's id: an empty registry takes over the one that the folder's agents are labelled with."""
    stored, kept = await registry.load(), folder.read_hub_id()
    if kept is None or kept == stored.hub_id or stored.agents or stored.tokens:
        folder.write_hub_id(stored.hub_id)
        return stored.hub_id
    log.warning("registry_is_new", hub_id=kept, hint="clawtui adopt takes this hub's agents back")
    await registry.set_meta("hub_id", kept)
    return kept
