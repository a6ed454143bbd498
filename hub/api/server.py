"""Where the hub listens: TCP for agents and API, a Unix socket for both, and one per isolated agent."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from hub.api.app import DEPARTURE, Parts
from hub.api.sockets import (
    bind_hosts,
    bind_tcp,
    bind_unix,
    check_socket_path,
    file_number,
    is_loopback,
    resolve,
    tls_context,
)
from hub.config import HubConfig
from hub.errors import StartFailed

BACKLOG: Final = 1024
"""A thousand agents that return at once wait in the kernel, not in a retry."""
AGENT_SOCKET: Final = "agent.sock"
HUB_SOCKET: Final = "hub.sock"
SHORT_ID_BYTES: Final = 16
"""Longest name of an agent's socket folder, for the check of path lengths at the start."""

_log = structlog.get_logger(__name__)


class Listeners:
    """All sockets of one hub. `start` binds everything or nothing; `stop` lets requests finish.

    Addresses are those really used, so a port that was picked is known after `start`.
    """

    def __init__(self, config: HubConfig, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._tls: ssl.SSLContext | None = None
        self._runners: dict[str, web.AppRunner] = {}
        self._files: dict[str, tuple[Path, int | None]] = {}
        self.agents_port: int | None = None
        self.api_port: int | None = None

    @property
    def socket_path(self) -> Path:
        return self._config.state_folder / HUB_SOCKET

    @property
    def agents_url(self) -> str | None:
        """Base URL that agents on this machine dial, or None without a TCP listener."""
        return self._url("ws", self._config.listen_agents, self.agents_port)

    @property
    def api_url(self) -> str | None:
        return self._url("http", self._config.listen_api, self.api_port)

    @property
    def addresses(self) -> dict[str, str]:
        """What `/health` and `hub.json` say: `agents`, `api` where they listen, and `socket`."""
        found = {"agents": self.agents_url, "api": self.api_url, "socket": f"unix:{self.socket_path}"}
        return {name: url for name, url in found.items() if url is not None}

    @property
    def streams(self) -> int:
        """Answers that go on: logs, output, stats, events and shells that somebody follows."""
        departures = (runner.app.get(DEPARTURE) for runner in self._runners.values())
        return sum(departure.streams for departure in departures if departure is not None)

    async def start(self, *, kept_agents_port: int = 0, kept_api_port: int = 0) -> None:
        """Bind and serve everything. A configured port 0 takes the kept one where that is free, else any.

        Raises StartFailed: a busy port, an address off this machine without TLS, a path too long …
        """
        config = self._config
        check_socket_path(self.socket_path)
        check_socket_path(config.state_folder / "run" / ("x" * SHORT_ID_BYTES) / AGENT_SOCKET)
        self._tls = tls_context(config.tls) if config.tls is not None else None
        agents = self._checked(config.listen_agents, "--listen-agents")
        api = self._checked(config.listen_api, "--listen-api")
        try:
            await self._serve_file("hub", self._parts.local(), self.socket_path, 0o600)
            if config.agents_port is not None:
                bound = bind_hosts(agents, config.agents_port, "--port-agents", kept=kept_agents_port, freebind=True)
                self.agents_port = bound[0].getsockname()[1]
                await self._serve("agents", self._parts.agents(), bound)
            if config.api_port is not None:
                bound = bind_hosts(api, config.api_port, "--port-api", kept=kept_api_port)
                self.api_port = bound[0].getsockname()[1]
                await self._serve("api", self._parts.api(), bound)
        except BaseException:
            await self.stop()
            raise
        _log.info("listening", **self.addresses)

    async def add_agents_host(self, host: str) -> str:
        """Listen for agents on one more address of this machine, on the agents' port; returns the URL.

        Without TLS: no certificate names such an address, and nothing there leaves this machine.
        For the gateways of agents' networks, which exist only later and may not be up yet. Repeating
        it is fine. Raises StartFailed: not a private address of one interface, or busy.
        """
        if self.agents_port is None:
            raise StartFailed("agents have no TCP port", code="no_agents_port", hint="use --port-agents")
        address = ipaddress.ip_address(host)
        if address.is_unspecified or not address.is_private:
            raise StartFailed(f"{host} is no private address of one interface", code="bad_address")
        name = f"agents {host}"
        if name not in self._runners and not self._covers(host):
            bound = bind_tcp(host, self.agents_port, "--port-agents", freebind=True)
            await self._serve(name, self._parts.agents(), [bound], secured=False)
        return f"ws://{_bracketed(host)}:{self.agents_port}"

    async def open_agent_socket(self, agent_id: str, short_id: str) -> Path:
        """Open the socket that serves one agent alone; returns the folder to mount, `run/<short_id>`."""
        folder = self._config.state_folder / "run" / short_id
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o755, exist_ok=True)
        # The agent's user inside the container is not ours; the folder above keeps everybody else out.
        folder.chmod(0o755)
        name = f"agent {agent_id}"
        if name not in self._runners:
            await self._serve_file(name, self._parts.agents(only_agent=agent_id), folder / AGENT_SOCKET, 0o666)
        return folder

    async def close_agent_socket(self, agent_id: str) -> None:
        """Close the agent's socket and remove its folder when nothing else is in it."""
        path, _ = self._files.get(f"agent {agent_id}", (None, None))
        await self._close(f"agent {agent_id}")
        if path is not None and not any(path.parent.iterdir()):
            path.parent.rmdir()

    async def stop_accepting(self) -> None:
        """Take no new connection on any socket; those that are open go on."""
        for name in self._runners:
            await self._shut(name)

    async def stop(self) -> None:
        """Stop listening, end streams, let other requests finish within `Timing.drain_seconds`."""
        await self.stop_accepting()
        async with asyncio.TaskGroup() as group:
            for name in list(self._runners):
                group.create_task(self._close(name), name=f"close {name}")

    # --- inside ---------------------------------------------------------------------------------

    def _checked(self, hosts: tuple[str, ...], flag: str) -> list[str]:
        """Resolve; refuse to leave this machine without TLS unless told so."""
        addresses = list(dict.fromkeys(address for host in hosts for address in resolve(host, flag)))
        beyond = [address for address in addresses if not is_loopback(address)]
        if beyond and self._tls is None and not self._config.insecure_listen:
            raise StartFailed(
                f"{flag} {beyond[0]} would send tokens over the network unprotected",
                code="insecure_listen",
                hint="give --tls-cert and --tls-key, or say --insecure-listen",
            )
        return addresses

    def _covers(self, host: str) -> bool:
        """True when a configured listener already serves `host`, itself or by listening everywhere."""
        everywhere = "::" if ":" in host else "0.0.0.0"
        configured = [address for name in self._config.listen_agents for address in resolve(name, "--listen-agents")]
        return host in configured or everywhere in configured

    async def _serve(
        self, name: str, application: web.Application, bound: list[socket.socket], *, secured: bool = True
    ) -> None:
        runner = await self._set_up(name, application)
        tls = self._tls if secured else None
        for listener in bound:
            await web.SockSite(runner, listener, ssl_context=tls, backlog=BACKLOG).start()

    async def _serve_file(self, name: str, application: web.Application, path: Path, mode: int) -> None:
        listener = bind_unix(path, mode)
        self._files[name] = (path, file_number(path))
        runner = await self._set_up(name, application)
        await web.SockSite(runner, listener, backlog=BACKLOG).start()

    async def _set_up(self, name: str, application: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            logger=_quiet_logger(),
            shutdown_timeout=self._config.timing.drain_seconds,
        )
        self._runners[name] = runner
        await runner.setup()
        return runner

    async def _shut(self, name: str) -> None:
        for site in list(self._runners[name].sites):
            await site.stop()
        path, inode = self._files.pop(name, (None, None))
        # Another hub may have put its own socket there meanwhile.
        if path is not None and file_number(path) == inode:
            path.unlink()

    async def _close(self, name: str) -> None:
        if name not in self._runners:
            return
        await self._shut(name)
        runner = self._runners.pop(name)
        departure = runner.app.get(DEPARTURE)
        if departure is not None:
            await departure.leave(self._config.timing.drain_seconds)
        await runner.cleanup()

    def _url(self, scheme: str, hosts: tuple[str, ...], port: int | None) -> str | None:
        if port is None or not hosts:
            return None
        host = hosts[0]
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1" if host != "::" else "::1"
        return f"{scheme}{'s' if self._tls else ''}://{_bracketed(host)}:{port}"


class _PeerFaults(logging.Handler):
    """Requests that are not HTTP, in one line and without their text, which may hold a token."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        _log.info("http_peer_fault", error=kind.__name__ if kind is not None else record.levelname)


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("hub.api.transport")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(_PeerFaults())
    return logger


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def remove_stale_folders(state_folder: Path, keep: set[str]) -> None:
    """Remove socket folders under `run/` whose agent is gone. `keep`: short ids of living agents."""
    run = state_folder / "run"
    for folder in run.iterdir() if run.is_dir() else ():
        if folder.name not in keep and folder.is_dir():
            (folder / AGENT_SOCKET).unlink(missing_ok=True)
            if not os.listdir(folder):
                folder.rmdir()
