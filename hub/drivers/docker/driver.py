"""The Docker driver: an agent is a container with two volumes, recognised by its labels.

The engine keeps agents running without the hub. docker-py blocks, so everything that speaks to
the engine is a step in one of the driver's own threads (`pool`, `steps`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import (
    AgentHandle,
    AgentPlan,
    Features,
    Fingerprint,
    HubReach,
    LogLine,
    LogRequest,
    Observation,
    Progress,
)
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Container, System
from hub.drivers.docker.cells import DockerCells
from hub.drivers.docker.checks import features_of, fingerprint_of, host_of
from hub.drivers.docker.compose import DockerComposer, check_token_place
from hub.drivers.docker.containers import DockerContainers
from hub.drivers.docker.custom_networks import CustomNetworks
from hub.drivers.docker.disk import DockerDisk
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import DOCTOR, NAME, Connect, Engine, EngineNotFound, EngineRefused
from hub.drivers.docker.image import BuildOptions
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.labels import HUB, OWNER, OWNER_NAME, Identity, container_name, workspace_volume
from hub.drivers.docker.logs import LogDecoder, log_call
from hub.drivers.docker.network import Networks
from hub.drivers.docker.observe import handle_of, identity_in, observe
from hub.drivers.docker.plan import ContainerPlan, check_host, plan_container
from hub.drivers.docker.plan_checks import check_plan, without_gpu
from hub.drivers.docker.pool import STEP_DEADLINE_SECONDS, Pool, Streams
from hub.drivers.docker.repair import DockerRepairs
from hub.drivers.docker.snapshots import DockerSnapshots, Shop
from hub.drivers.docker.usage import DockerUsage
from hub.drivers.docker.watch import Watch
from hub.drivers.images import ImageOrder
from hub.drivers.snapshots import Seed
from hub.errors import DriverFailed, HubError

IMAGE_SHARE: Final = 0.6
"""Of a create's progress; the rest takes half a second."""
REMOVE_DEADLINE_SECONDS: Final = 600.0
"""A container and two volumes, which may hold millions of files."""


class DockerDriver:
    """See `hub.drivers.base.Driver`.

    Args:
        base_url: the engine; None = DOCKER_HOST of `environment`, else the local socket.
        environment: where DOCKER_*, CLAWTUI_EXTRA_CA, CLAWTUI_PIP_CONFIG and proxies are read;
            None = the process's.
        build: how images are built; None = as `environment` says.
        agents_url: what agents dial, when it is not the gateway of their network.
        command: what agents run instead of the runtime; for tests.
        connect: another way to the engine; for tests.
    """

    def __init__(
        self,
        hub: HubReach,
        *,
        base_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        build: BuildOptions | None = None,
        agents_url: str | None = None,
        command: tuple[str, ...] = (),
        connect: Connect | None = None,
    ) -> None:
        surroundings = dict(os.environ if environment is None else environment)
        connector = Connector(base_url, surroundings)
        self._hub = hub
        self._command = command
        self._pool = Pool(connect or connector)
        self._streams = Streams(connect or connector)
        self.images = DockerImages(
            self._pool, self._streams, build or BuildOptions.from_environment(surroundings),
            Path(hub.state_folder, "logs", "builds"), connector.url, surroundings, hub.hub_id,
        )  # fmt: skip
        self._networks = Networks(self._pool, hub, local=connector.local, agents_url=agents_url)
        self._watch = Watch(self._streams, hub.hub_id)
        self._locks: WeakValueDictionary[AgentId, asyncio.Lock] = WeakValueDictionary()
        self._system: System | None = None
        self.networks = CustomNetworks(self._pool, hub.hub_id, self._identity, self._networks.is_held)
        self.compose = DockerComposer(self._pool, self._networks, self.images, hub.hub_id, self._look, command)
        self._snapshots = DockerSnapshots(
            Shop(self._pool, self._streams, hub.hub_id, self._lock, self._plain_image, self._planned, connector.local)
        )
        self.cells = DockerCells(
            self._pool, self._streams, self.images, hub.hub_id, self._snapshots.run, self._plain_image,
            local=connector.local,
        )  # fmt: skip
        self.containers = DockerContainers(self._pool, self._streams)
        self.usage = DockerUsage(self._pool, hub.hub_id)
        self.disk = DockerDisk(self._pool, connect or connector, hub.hub_id)
        self.repairs = DockerRepairs(self._snapshots, hub.hub_id, self._pool, self._plain_image)

    @property
    def snapshots(self) -> DockerSnapshots:
        return self._snapshots

    @property
    def name(self) -> str:
        return NAME

    @property
    def features(self) -> Features:
        return features_of(self._system)

    async def fingerprint(self) -> Fingerprint:
        try:
            system = await self._look()
        except HubError as exc:
            return Fingerprint(usable=False, reason=exc.message, hint=exc.hint or DOCTOR)
        return fingerprint_of(system)

    async def _look(self) -> System:
        self._system = await self._pool.run(steps.system)
        return self._system

    # --- create --------------------------------------------------------------------------------

    async def create(self, plan: AgentPlan, progress: Progress, seed: Seed | None = None) -> AgentHandle:
        check_plan(plan)
        identity = Identity(self._hub.hub_id, plan.agent_id, plan.uid)
        async with self._lock(plan.agent_id):
            if await self._pool.run(steps.known, identity) is not None:
                await self._pool.run(steps.put_token, identity, plan.join_token)
                await self._pool.run(steps.start, identity)
                progress(1.0, f"{plan.agent_id} was there already and runs")
                return handle_of(plan.agent_id, plan.uid)
            try:
                await self._make_or_undo(plan, identity, progress, seed)
            except steps.NetworkGone as exc:
                # The next network has another gateway, so everything that names it is made anew.
                progress(0.6, f"{exc.message}: another hub removed it meanwhile; once more")
                await self._make_or_undo(plan, identity, progress, seed)
        return handle_of(plan.agent_id, plan.uid)

    async def _make_or_undo(self, plan: AgentPlan, identity: Identity, progress: Progress, seed: Seed | None) -> None:
        try:
            await self._make(plan, identity, progress, seed)
        except BaseException as exc:
            await self._undo(identity, exc)
            raise

    async def _make(self, plan: AgentPlan, identity: Identity, progress: Progress, seed: Seed | None) -> None:
        if plan.machine.logging.driver or plan.machine.limits.cpuset:
            # Known before an image is built, which may take minutes.
            check_host(plan.machine, host_of(await self._look()))
        image = await self._image_for(plan, seed, progress)
        async with self._planned(plan, identity, image, progress) as container:
            progress(0.7, f"making the volumes of {container.name}")
            await self._pool.run(steps.make_volumes, identity)
            if seed is not None:
                await self._snapshots.fill(
                    identity, workspace_volume(identity.agent_id), seed,
                    lambda done, line: progress(0.7 + done * 0.1, line),
                )  # fmt: skip
            progress(0.8, f"making the container {container.name} from {image}")
            for warning in await self._pool.run(steps.make_container, container, identity):
                progress(0.85, f"the engine says: {warning}")
            await self._pool.run(steps.put_token, identity, plan.join_token)
            progress(0.9, f"starting {container.name}")
            try:
                await self._pool.run(steps.start, identity)
            except HubError as exc:
                raise without_gpu(container, exc) from exc
        progress(1.0, f"{container.name} runs")
        # A caller who gives up at the last line is still in time.
        await asyncio.sleep(0)

    async def _image_for(self, plan: AgentPlan, seed: Seed | None, progress: Progress) -> str:
        if seed is not None:
            await self._snapshots.check_image(seed)
            return seed.image
        order = ImageOrder(recipe=plan.recipe, sudo=plan.sudo)
        return (await self.images.ensure(order, lambda done, line: progress(done * IMAGE_SHARE, line))).image

    async def _plain_image(self, progress: Progress) -> str:
        """An image for helpers: the base of all agents."""
        return (await self.images.ensure(ImageOrder(), progress)).image

    @asynccontextmanager
    async def _planned(
        self, plan: AgentPlan, identity: Identity, image: str, progress: Progress
    ) -> AsyncIterator[ContainerPlan]:
        """Plan the container; while it is held its network stays, although nobody uses it yet."""
        progress(0.62, "asking the engine what it has")
        system = await self._look()
        progress(0.65, f"preparing the network for {plan.agent_id}")
        async with self._networks.prepared(plan, system) as way:
            container, notes = plan_container(plan, identity, image, host_of(system), way, self._command)
            for note in notes:
                progress(0.7, note)
            yield container

    async def _undo(self, identity: Identity, why: BaseException) -> None:
        try:
            await self._remove(identity)
        except HubError as exc:
            raise DriverFailed(
                f"{why}; undoing it failed too: {exc.message}", hint=exc.hint, agent=identity.agent_id, driver=NAME
            ) from why

    # --- life ----------------------------------------------------------------------------------

    async def start(self, handle: AgentHandle) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            await self._pool.run(steps.start, identity)

    async def stop(self, handle: AgentHandle, grace_seconds: float) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            await self._pool.run_within(grace_seconds + STEP_DEADLINE_SECONDS, steps.stop, identity, grace_seconds)

    async def restart(self, handle: AgentHandle, grace_seconds: float) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            await self._pool.run_within(grace_seconds + STEP_DEADLINE_SECONDS, steps.restart, identity, grace_seconds)

    async def pause(self, handle: AgentHandle) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            await self._pool.run(steps.pause, identity)

    async def resume(self, handle: AgentHandle) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            await self._pool.run(steps.resume, identity)

    async def destroy(self, handle: AgentHandle) -> None:
        identity = self._identity(handle)
        await self.undo_create(identity.agent_id, identity.uid)

    async def undo_create(self, agent_id: AgentId, uid: AgentUid) -> None:
        async with self._lock(agent_id):
            await self._remove(Identity(self._hub.hub_id, agent_id, uid))

    async def _remove(self, identity: Identity) -> None:
        await self._pool.run_within(REMOVE_DEADLINE_SECONDS, steps.remove_agent, identity)
        self.compose.forget(identity.uid)
        await self._networks.remove_unused()
        await self._hub.withdraw_agent_socket(identity.agent_id, identity.uid)

    async def renew_token(self, handle: AgentHandle, join_token: str) -> None:
        identity = self._identity(handle)
        async with self._lock(identity.agent_id):
            check_token_place(await self._pool.run(steps.present, identity), identity)
            await self._pool.run(steps.put_token, identity, join_token)

    # --- looking -------------------------------------------------------------------------------

    async def inspect(self, handle: AgentHandle) -> Observation:
        identity = self._identity(handle)
        observation = observe(await self._pool.run(steps.present, identity))
        if observation is None:
            raise steps.gone(identity.agent_id)
        return observation

    async def list_agents(self) -> list[Observation]:
        """See the contract. Also makes sure that the hub listens where these agents look for it."""
        found: list[Observation] = []
        for container in await self._pool.run(_inspect_all, {OWNER: OWNER_NAME, HUB: self._hub.hub_id}):
            observation = observe(container)
            # One that a restore has set aside has the agent's labels, too, but not its name.
            if observation is not None and container.name == f"/{container_name(observation.agent_id)}":
                await self._networks.attach(observation.agent_id, observation.uid, container)
                found.append(observation)
        await self.compose.attend({observation.uid for observation in found})
        return sorted(found, key=lambda seen: seen.agent_id)

    async def watch(self) -> AsyncIterator[None]:
        async with aclosing(self._watch.changes()) as changes:
            async for _ in changes:
                yield

    async def logs(self, handle: AgentHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        identity = self._identity(handle)
        container = await self._pool.run(steps.present, identity)
        decoder = LogDecoder()
        try:
            stream = await self._streams.open(log_call(container.id, request))
        except EngineNotFound as exc:
            raise steps.gone(identity.agent_id) from exc
        except EngineRefused as exc:
            # Log drivers that pass everything on keep nothing to read.
            hint = f"clawtui logs {identity.agent_id} --source runtime shows what the agent sent itself."
            raise DriverFailed(
                exc.message, hint=hint, retryable=exc.retryable, agent=identity.agent_id, driver=NAME
            ) from exc
        try:
            while part := await stream.read():
                for line in decoder.feed(part):
                    yield line
            for line in decoder.finish():
                yield line
        finally:
            await stream.close()

    async def stop_driver(self) -> None:
        self._watch.stop()
        self._snapshots.close()
        await self.cells.close()
        await self.disk.close()
        await self._streams.close()
        await self._pool.close()

    def _lock(self, agent_id: AgentId) -> asyncio.Lock:
        """One operation at a time per name; the lock lives as long as somebody holds or awaits it."""
        return self._locks.setdefault(agent_id, asyncio.Lock())

    def _identity(self, handle: AgentHandle) -> Identity:
        return identity_in(handle, self._hub.hub_id)


def _inspect_all(engine: Engine, wanted: dict[str, str]) -> list[Container]:
    found = (steps.find_container(engine, entry.id) for entry in steps.containers(engine, wanted))
    return [container for container in found if container is not None]
