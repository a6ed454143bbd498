"""The hub: everything put together, started in order and stopped in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

import structlog

from hub.acts import Acts
from hub.agentlog import AgentLogs
from hub.allowance import Allowance
from hub.api.app import Parts
from hub.api.server import Listeners, remove_stale_folders
from hub.archives.work import Workers
from hub.attention import AttentionDesk
from hub.clock import Clock, SystemClock
from hub.compose import Composing
from hub.config import HubConfig
from hub.connections.server import AgentServer
from hub.contract import API_VERSION, HubHealth
from hub.control import Control, Principal
from hub.core.model import Role
from hub.core.view import rfc3339
from hub.disk.care import Care
from hub.driverset import DriverSet
from hub.errors import HubError, Unauthorized
from hub.feed import Feed
from hub.gateways.running import Running
from hub.gateways.service import Gateways
from hub.gauges import measure
from hub.hub_id import lasting_hub_id
from hub.image_jobs import KINDS as IMAGE_JOBS
from hub.image_jobs import ImageJobs
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.metrics import Metrics
from hub.operations.base import Inside
from hub.operations.local import LocalControl
from hub.output import OutputStore
from hub.profiles import ProfileBook
from hub.reach import DriverFactory, Reach, built_in_drivers, short_id
from hub.reception import AUDITED_REFUSALS_BURST, AUDITED_REFUSALS_PER_SECOND, Reception
from hub.reconcile import Reconciler
from hub.registry.store import Registry
from hub.shells import Shells
from hub.snapshots.room import Room
from hub.snapshots.service import Snapshots
from hub.snapshots.shelf import Shelf
from hub.state import HubFile, StateFolder
from hub.stats import Stats
from hub.sync.service import make_sync
from hub.tokens import user_token
from hub.traffic import Traffic
from hub.upkeep import Upkeep, raise_file_limit
from runtime.wire import GoawayReason

STOP_RETRY_MS = 2_000
CLOSE_GOING_AWAY = 1001

log = structlog.get_logger("hub.service")


class Hub:
    """A running hub; made by `open`. Implements `Door` and the health that operations read."""

    def __init__(
        self, kernel: Kernel, folder: StateFolder, drivers: DriverSet, group: asyncio.TaskGroup, reach: Reach
    ) -> None:
        self.kernel = kernel
        self._folder = folder
        self._drivers = drivers
        self._group = group
        self._started = kernel.now()
        self._logs = AgentLogs(folder.path / "logs" / "agents")
        self._shells = Shells(kernel.links, kernel.config.limits.shells_per_agent)
        self._stats = Stats(kernel, folder.path / "metrics.db")
        self._jobs = Jobs(kernel, group)
        profiles = ProfileBook(folder.path, kernel.config.profiles_folder)
        images = ImageJobs(profiles, drivers)
        self._acts = Acts(kernel, drivers, self._jobs, self._logs, self._stats, profiles)
        self._acts.resumers |= dict.fromkeys(IMAGE_JOBS, images.again)
        shelf, workers = Shelf(folder.path / "snapshots"), Workers("snapshots")
        self.snapshots = Snapshots(Room(kernel, drivers, self._jobs, self._acts, shelf, workers, KeyLocks()))
        self._upkeep = Upkeep(kernel, drivers, self._stats)
        self._reconcilers = [Reconciler(kernel, self._acts, driver) for driver in drivers]
        self.gateways = Gateways(kernel)
        self.sync = make_sync(kernel, self.gateways, profiles, drivers)
        self.running = running = Running(kernel, drivers, self._jobs, self._acts, self.gateways, self.sync, group)
        self._attention = AttentionDesk(
            kernel, self._reconcilers, self._problems, gateways=self.gateways.watch.facts, syncs=self.sync.facts,
            given_up=running.monitor.facts, ingress=running.ingress.facts,
        )  # fmt: skip
        self._inside = Inside(
            kernel, drivers, self._jobs, self._acts, self._shells, self._logs, KeyLocks(), self, self._attention,
            self._stats, Traffic(kernel, lambda: self._upkeep.loop_lag_seconds, lambda: self._listeners.streams),
            profiles, images, self.snapshots, Composing(kernel, drivers, self._acts, profiles),
            Care(kernel, drivers, self._jobs, self._acts, self.snapshots), self.gateways,
            self.sync, running.instances, running.upgrades, running.ingress, running.hosts,
        )  # fmt: skip
        self._listeners = Listeners(kernel.config, self._parts())
        reach.connect(self._listeners)
        self._refusals = Allowance(AUDITED_REFUSALS_PER_SECOND, AUDITED_REFUSALS_BURST, self._started.mono)
        self._loops: list[asyncio.Task[None]] = []
        self._stopped = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        config: HubConfig,
        *,
        drivers: DriverFactory | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator[Self]:
        """Start a hub and stop it at the end.

        Raises:
            StartFailed: second hub on the state folder, busy port, unreadable registry …
        """
        folder = StateFolder(config.state_folder)
        folder.acquire()
        try:
            registry = await Registry.open(folder.path / "registry.db")
            try:
                async with asyncio.TaskGroup() as group:
                    hub = await cls._make(config, folder, registry, group, drivers, clock)
                    try:
                        await hub._start()
                        yield hub
                    finally:
                        await hub._stop_all()
            except BaseExceptionGroup as errors:
                # The group wraps what the caller's block or the start raised; callers want that itself.
                error, *others = errors.exceptions
                if others:
                    raise
                raise error from error.__cause__
            finally:
                await registry.close()
        finally:
            folder.release()

    @classmethod
    async def _make(
        cls,
        config: HubConfig,
        folder: StateFolder,
        registry: Registry,
        group: asyncio.TaskGroup,
        factory: DriverFactory | None,
        clock: Clock | None,
    ) -> Self:
        clock = clock or SystemClock()
        metrics = Metrics(config.version)
        hub_id = await lasting_hub_id(folder, registry)
        feed = Feed(
            hub_id,
            clock.new_id("run"),
            config.limits.feed_events,
            first_seq=clock.now().wall_ms << 8,
            on_gap=metrics.feed_gap,
        )
        output = OutputStore(folder.path / "output")
        kernel = Kernel(config, clock, registry, output, feed, metrics)
        reach = Reach(folder, hub_id)
        made = (factory or built_in_drivers(config))(reach)
        return cls(kernel, folder, DriverSet(made, config.default_driver), group, reach)

    # --- Door

    def admit(self, secret: str | None) -> Principal:
        """Return who a secret belongs to. Raises Unauthorized."""
        if secret is None:
            raise Unauthorized("a token is needed", hint="Authorization: Bearer …")
        token = self.kernel.fleet.identity.user(secret, self.kernel.now())
        return Principal(name=token.name or token.id, role=token.role, token_id=token.id)

    async def refused(self, who: str, what: str, target: str, reason: str) -> None:
        """Put a refused call into the audit; of a flood only a part, the metrics count all."""
        if self._refusals.take(self.kernel.now().mono):
            self.kernel.push([self.kernel.audited(who, what, target, "refused", reason)])

    def control(self, principal: Principal) -> Control:
        return LocalControl(self._inside, principal)

    # --- health

    async def read(self) -> HubHealth:
        """What the hub says of itself; `degraded` names every problem."""
        kernel, now = self.kernel, self.kernel.now()
        problems = self._problems()
        if not kernel.writable:
            problems.insert(0, kernel.trouble)
        for reconciler, driver in zip(self._reconcilers, self._drivers, strict=True):
            if reconciler.problem:
                problems.append(f"driver {driver.name}: {reconciler.problem}")
        counts = {status.value: count for status, count in kernel.fleet.count_agents().items() if count}
        return HubHealth(
            status="degraded" if problems else "ok",
            version=kernel.config.version,
            hub_id=kernel.feed.hub_id,
            uptime_seconds=round(now.mono - self._started.mono, 3),
            loop_lag_seconds=round(self._upkeep.loop_lag_seconds, 6),
            registry_writable=kernel.writable,
            agents=counts,
            tasks={state.value: count for state, count in kernel.fleet.count_tasks().items()},
            drivers=self._drivers.health(),
            problems=problems,
            addresses=self._listeners.addresses,
            api=API_VERSION,
        )

    def _problems(self) -> list[str]:
        kept = [self._stats.problem] if self._stats.problem else []
        return [*self.kernel.registry.problems(), *kept, *self.kernel.notices.current(self.kernel.now())]

    def agents_url(self) -> str:
        advertised = self.kernel.config.advertise_agents or self._listeners.agents_url
        return advertised or f"unix:{self._listeners.socket_path}"

    # --- running

    async def wait_stopped(self) -> None:
        """Wait until somebody called `stop`."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """Ask the hub to stop; the owner of `open` leaves its block then."""
        self._stopped.set()

    async def _start(self) -> None:
        kernel = self.kernel
        for warning in kernel.registry.warnings:
            log.warning("registry", text=warning)
        for source in (partial(measure, kernel, self._stats), *self.running.measures):
            kernel.metrics.add_source(source)
        raise_file_limit()
        self._group.create_task(kernel.run_pipeline(), name="pipeline")
        await kernel.restore()
        await self._stats.open()
        await self._ensure_admin_token()
        await self.gateways.open(self._stats.checks)
        await self.running.open(self._stats.checks)
        self.sync.open()
        await self._listen()
        self._folder.write_hub_file(self._hub_file())
        self._loops = [
            self._group.create_task(kernel.run_clock(), name="clock"),
            self._group.create_task(kernel.run_recovery(), name="recovery"),
            self._group.create_task(self._stats.run(), name="history"),
            self._group.create_task(self._attention.run(), name="attention"),
            *(self._group.create_task(loop, name=name) for name, loop in self.running.loops().items()),
            *self._upkeep.start(self._group),
        ]
        await self.snapshots.open(kernel.unfinished_jobs)
        self._inside.composing.expect_all()
        await self._resume_jobs()
        kernel.on_recovered = self._resume_jobs
        self._loops += [self._group.create_task(one.run(), name="reconcile") for one in self._reconcilers]
        self._loops.append(self._group.create_task(self.snapshots.run(), name="snapshots"))

    async def _resume_jobs(self) -> None:
        await self._acts.resume_jobs(self.kernel.unfinished_jobs)

    async def _stop_all(self) -> None:
        """No new work, everything decided committed, everybody told; agents live on."""
        self._jobs.stop()
        await self._listeners.stop_accepting()
        await self._send_agents_away()
        self.kernel.feed.close()
        await self._listeners.stop()
        self._folder.remove_hub_file()
        # Their last words need the pipeline and the drivers.
        await self._jobs.wait_stopped(self.kernel.config.timing.drain_seconds)
        self.kernel.stop()
        for loop in self._loops:
            loop.cancel()
        await self.gateways.close()
        await self._stats.close()
        self.snapshots.close()
        self._inside.care.desk.close()
        await self.running.close()
        await self._drivers.stop()
        self.kernel.output.close()

    async def _send_agents_away(self) -> None:
        """Tell every agent when to come back; a server that shuts down does not flush for us."""
        links = self.kernel.links
        self.kernel.draining = True
        links.close_all(GoawayReason.DRAINING, STOP_RETRY_MS, CLOSE_GOING_AWAY)
        try:
            async with asyncio.timeout(self.kernel.config.timing.drain_seconds):
                await links.wait_empty()
        except TimeoutError:
            log.warning("agents_did_not_leave", count=len(links))

    # --- parts

    def _parts(self) -> Parts:
        kernel = self.kernel
        reception = Reception(kernel, self._shells, self._logs, self._stats)
        config = kernel.config
        server = AgentServer(reception, kernel.links, kernel.clock, kernel.metrics, config.limits, config.timing)
        return Parts(door=self, metrics=kernel.metrics, agent_handler=server.handle, version=config.version)

    async def _ensure_admin_token(self) -> None:
        """The state folder's `token` file opens this hub; it is made at the first start."""
        kernel = self.kernel
        secret = self._folder.read_token()
        if secret is not None:
            try:
                kernel.fleet.identity.user(secret, kernel.now())
            except HubError as exc:
                log.warning("local_token_is_void", why=exc.message)
            else:
                return
        token, secret = user_token(kernel.clock, Role.ADMIN, "local")
        audit = kernel.audited("hub", "token.create", token.id, detail="user: admin, for the state folder")
        await kernel.commit([*kernel.fleet.identity.add(token), audit])
        self._folder.write_token(secret)

    async def _listen(self) -> None:
        """Port 0 picks a free one, and what was picked is used again by the next start."""
        living = {short_id(agent.uid) for agent in self.kernel.fleet.agents.values()}
        remove_stale_folders(self._folder.path, living)
        registry, listeners = self.kernel.registry, self._listeners
        await listeners.start(
            kept_agents_port=int(await registry.get_meta("agents_port") or 0),
            kept_api_port=int(await registry.get_meta("api_port") or 0),
        )
        for name, port in (("agents", listeners.agents_port), ("api", listeners.api_port)):
            if port is not None:
                await registry.set_meta(f"{name}_port", str(port))

    def _hub_file(self) -> HubFile:
        addresses = self._listeners.addresses
        return HubFile(
            pid=os.getpid(),
            started_at=rfc3339(self._started.wall_ms) or "",
            hub_id=self.kernel.feed.hub_id,
            version=self.kernel.config.version,
            socket=str(self._listeners.socket_path),
            agents={"url": addresses["agents"]} if "agents" in addresses else {},
            api={"url": addresses["api"]} if "api" in addresses else {},
        )
