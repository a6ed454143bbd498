"""What drivers may know of this hub, and which drivers ship with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hub.api.server import Listeners
from hub.config import HubConfig
from hub.core.identity import sha256
from hub.core.model import AgentId, AgentUid
from hub.drivers.base import Driver, HubReach
from hub.errors import NotAvailable, StartFailed
from hub.state import StateFolder

DriverFactory = Callable[[HubReach], Sequence[Driver]]
SOCKET_NAME_LENGTH: Final = 16
"""Socket paths end at 107 bytes, so an agent's folder has a short name."""


def short_id(uid: AgentUid) -> str:
    """The name of an agent's socket folder."""
    return sha256(uid)[:SOCKET_NAME_LENGTH]


class Reach:
    """What drivers may know of this hub; see `hub.drivers.base.HubReach`."""

    def __init__(self, folder: StateFolder, hub_id: str) -> None:
        self._folder = folder
        self._hub_id = hub_id
        self._listeners: Listeners | None = None

    def connect(self, listeners: Listeners) -> None:
        """Drivers are made before the hub listens."""
        self._listeners = listeners

    @property
    def hub_id(self) -> str:
        return self._hub_id

    @property
    def socket_path(self) -> str:
        return str(self._ready().socket_path)

    @property
    def hub_file(self) -> str:
        return str(self._folder.hub_file)

    @property
    def state_folder(self) -> str:
        return str(self._folder.path)

    @property
    def agents_port(self) -> int:
        port = self._ready().agents_port
        if port is None:
            raise NotAvailable("agents have no TCP port", hint="start the hub with --port-agents")
        return port

    async def listen_agents_on(self, host: str) -> None:
        await self._ready().add_agents_host(host)

    async def offer_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> str:
        return str(await self._ready().open_agent_socket(agent_id, short_id(uid)))

    async def withdraw_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> None:
        await self._ready().close_agent_socket(agent_id)

    def _ready(self) -> Listeners:
        if self._listeners is None:
            raise StartFailed("the hub does not listen yet")
        return self._listeners


def built_in_drivers(config: HubConfig) -> DriverFactory:
    """Return a factory for the drivers that ship with the hub. Raises StartFailed at its call."""

    def make(reach: HubReach) -> list[Driver]:
        return [_built_in(name, reach, config.advertise_agents) for name in config.drivers]

    return make


def _built_in(name: str, reach: HubReach, agents_url: str | None) -> Driver:
    # Imported here: a hub without Docker agents need not load the Docker client.
    if name == "process":
        from hub.drivers.process.driver import ProcessDriver

        return ProcessDriver(reach)
    if name == "docker":
        from hub.drivers.docker import DockerDriver

        return DockerDriver(reach, agents_url=agents_url)
    raise StartFailed(f"there is no driver {name!r}", code="no_such_driver", hint="drivers: process, docker")
