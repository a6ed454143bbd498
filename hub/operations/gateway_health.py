"""Operations on the health of OpenClaw gateways."""

from __future__ import annotations

from hub.contract import GatewayHealthList, GatewayHealthQuery
from hub.operations.base import Operations, parse_since


class GatewayHealthOperations(Operations):
    """See `hub.control.Control`."""

    async def gateway_health(self, query: GatewayHealthQuery) -> GatewayHealthList:
        gateways = self._inside.gateways
        names = list(dict.fromkeys(name.strip() for name in query.names.split(",") if name.strip()))
        chosen = [gateways.book.get(name) for name in names] if names else gateways.book.all()
        since_ms = parse_since(query.since, self._kernel.now().wall_ms) or 0
        if query.now:
            await gateways.watch.look_at(chosen)
        states = [(one, gateways.watch.sight(one.name).seen.state) for one in chosen]
        return await gateways.history.health(states, since_ms, query.checks)
