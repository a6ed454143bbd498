"""Everything about OpenClaw gateways of a running hub, put together."""

from __future__ import annotations

from hub.gateways.book import GatewayBook
from hub.gateways.client import GatewayClient
from hub.gateways.environment import environment_gateway
from hub.gateways.history import History
from hub.gateways.messages import Messenger
from hub.gateways.watch import GatewayWatch
from hub.kernel import Kernel
from hub.registry.checks_store import ChecksStore


class Gateways:
    """Raises StartFailed when made: the settings describe a gateway that cannot be."""

    def __init__(self, kernel: Kernel) -> None:
        self.client = GatewayClient()
        self.book = GatewayBook(kernel, environment_gateway(kernel.config.openclaw))
        self.watch = GatewayWatch(kernel, self.book, self.client)
        self.history = History(kernel, self.book)
        self.watch.on_look(self.history.take)
        self.watch.figures = self.history.figures
        self.messenger = Messenger(kernel, self.book, self.watch, self.client)

    async def open(self, checks: ChecksStore | None = None) -> None:
        """Read what the registry has. `checks` keeps looks; None: nothing does. Raises HubError."""
        await self.book.open()
        self.history.open(checks)

    async def run(self) -> None:
        """Look at gateways until cancelled."""
        await self.watch.run()

    async def close(self) -> None:
        """Write the looks that wait."""
        await self.history.flush()
        await self.client.close()
