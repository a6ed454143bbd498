"""Everything about OpenClaw gateways of a running hub, put together."""

from __future__ import annotations

from hub.gateways.book import GatewayBook
from hub.gateways.client import GatewayClient
from hub.gateways.environment import environment_gateway
from hub.gateways.messages import Messenger
from hub.gateways.watch import GatewayWatch
from hub.kernel import Kernel


class Gateways:
    """Raises StartFailed when made: the settings describe a gateway that cannot be."""

    def __init__(self, kernel: Kernel) -> None:
        self.client = GatewayClient()
        self.book = GatewayBook(kernel, environment_gateway(kernel.config.openclaw))
        self.watch = GatewayWatch(kernel, self.book, self.client)
        self.messenger = Messenger(kernel, self.book, self.watch, self.client)

    async def open(self) -> None:
        """Read what the registry has. Raises HubError."""
        await self.book.open()

    async def run(self) -> None:
        """Look at gateways until cancelled."""
        await self.watch.run()

    async def close(self) -> None:
        await self.client.close()
