"""Agents that a Compose file makes: the file itself, and what must be ready when it is started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

import msgspec
import structlog

from hub.core.model import AgentId, AgentUid
from hub.drivers.base import AgentHandle, AgentPlan
from hub.drivers.compose import ComposeFile, ImageNeed
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Container, System
from hub.drivers.docker.checks import host_of
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.network import Networks
from hub.drivers.docker.observe import handle_of
from hub.drivers.docker.plan import NO_NETWORK, TOKEN_FILE, WORKSPACE, Volume, plan_container
from hub.drivers.docker.plan_checks import check_plan
from hub.drivers.docker.pool import Pool
from hub.drivers.docker.render_compose import TOKEN_VARIABLE, ComposeAgent, render_compose
from hub.drivers.images import ImageOrder
from hub.errors import Conflict, HubError

COMPOSE_PROJECT: Final = "com.docker.compose.project"
"""On containers that a Compose has made: the volumes are its own, too."""

_log = structlog.get_logger(__name__)


class DockerComposer:
    """See `hub.drivers.compose.Composer`.

    Args:
        look: asks the engine what it has.
        command: what agents run instead of the runtime; for tests.
    """

    def __init__(
        self,
        pool: Pool,
        networks: Networks,
        images: DockerImages,
        hub_id: str,
        look: Callable[[], Awaitable[System]],
        command: tuple[str, ...],
    ) -> None:
        self._pool = pool
        self._networks = networks
        self._images = images
        self._hub_id = hub_id
        self._look = look
        self._command = command
        self._expected: dict[AgentUid, AgentPlan] = {}

    def expect(self, plan: AgentPlan) -> None:
        self._networks.hold(plan)
        self._expected[plan.uid] = plan

    def forget(self, uid: AgentUid) -> None:
        self._networks.let_go(uid)
        self._expected.pop(uid, None)

    def handle(self, agent_id: AgentId, uid: AgentUid) -> AgentHandle:
        return handle_of(agent_id, uid)

    async def attend(self, present: Collection[AgentUid]) -> None:
        """Get ready for those who are expected and not there: at every look, because another hub of the engine may
        have removed a network that no container used."""
        missing = [plan for uid, plan in self._expected.items() if uid not in present]
        # One per network; of those without a network each has a way of its own.
        ways = {plan.uid if plan.network == NO_NETWORK else plan.network: plan for plan in missing}
        if not ways:
            return
        system = await self._look()
        for plan in ways.values():
            try:
                async with self._networks.prepared(plan, system):
                    continue
            except HubError as exc:
                _log.warning("not_ready_for_compose", agent=plan.agent_id, error=exc.message, hint=exc.hint)

    async def export(self, plans: Sequence[AgentPlan]) -> ComposeFile:
        system = await self._look()
        built = {f"{one.name}:{one.tag}" for one in await self._images.entries()}
        agents: list[ComposeAgent] = []
        notes: list[str] = []
        fresh = [plan.uid for plan in plans if not self._networks.holds(plan.uid)]
        try:
            for plan in plans:
                agent, said = await self._agent(plan, system)
                agents.append(agent)
                notes += [f"{plan.agent_id}: {note}" for note in said]
        except BaseException:
            for uid in fresh:
                self.forget(uid)
            raise
        return ComposeFile(
            document=render_compose(agents),
            token_files={one.agent_id: one.token_file for one in agents},
            images={one.agent_id: ImageNeed(one.plan.image, one.exists or one.plan.image in built) for one in agents},
            notes=tuple(notes),
        )

    async def _agent(self, plan: AgentPlan, system: System) -> tuple[ComposeAgent, list[str]]:
        check_plan(plan)
        identity = Identity(self._hub_id, plan.agent_id, plan.uid)
        found = await self._pool.run(steps.known, identity)
        order = ImageOrder(recipe=plan.recipe, sudo=plan.sudo)
        image = found.config.image if found is not None else await self._images.wanted(order)
        # Held before it is looked for, so that nobody removes it in between.
        self._networks.hold(plan)
        async with self._networks.prepared(plan, system) as way:
            container, notes = plan_container(plan, identity, image, host_of(system), way, self._command)
        agent = ComposeAgent(
            agent_id=plan.agent_id, identity=identity, plan=container, token_file=f"tokens/{plan.agent_id}"
        )
        return (as_it_is(agent, found) if found is not None else agent), notes


def as_it_is(agent: ComposeAgent, found: Container) -> ComposeAgent:
    """Return the agent with what its container has got since it was made: another workspace, more networks."""
    workspace = next((mount.name for mount in found.mounts or [] if mount.destination == WORKSPACE), "")
    plan = msgspec.structs.replace(
        agent.plan,
        labels=_ours(found.config.labels or {}),
        volumes=tuple(_moved(volume, workspace) for volume in agent.plan.volumes),
    )
    more = sorted(found.networks() - {agent.plan.network})
    by_compose = COMPOSE_PROJECT in (found.config.labels or {})
    return msgspec.structs.replace(
        agent, plan=plan, exists=True, keeps_volumes=not by_compose, more_networks=tuple(more)
    )


def _moved(volume: Volume, workspace: str) -> Volume:
    is_it = bool(workspace) and volume.target == WORKSPACE
    return msgspec.structs.replace(volume, source=workspace) if is_it else volume


def _ours(labels: dict[str, str]) -> dict[str, str]:
    """Without those of the image and of a Compose that made the container."""
    return {name: value for name, value in labels.items() if name.startswith("clawtui.")}


def check_token_place(container: Container, identity: Identity) -> None:
    """Raises Conflict for an agent that looks for its join token where the driver cannot put one."""
    variables = dict(entry.split("=", 1) for entry in container.config.env or [] if "=" in entry)
    if variables.get(TOKEN_VARIABLE, TOKEN_FILE) == TOKEN_FILE:
        return
    raise Conflict(
        f"{identity.agent_id} has its join token from the folder of its Compose file",
        hint=f"clawtui compose {identity.agent_id} --out FOLDER, with that folder, writes a new one there.",
        agent=identity.agent_id,
        driver=NAME,
    )
