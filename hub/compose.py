"""Agents as a Compose file: those that there are, and planned ones, whose record waits for the file to be started.

A planned agent is a record with a handle and nothing on the platform; it is shown as `creating` until it is seen, and
again when it is taken down. Destroying it removes the record and whatever Compose has made of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog
from msgspec.structs import replace

from hub.acts import Acts
from hub.contract import ComposeExport, ComposeImage, CreateAgent, ExportCompose
from hub.core.effects import Effect
from hub.core.model import Agent, AgentUid, Desired, TokenKind
from hub.core.selector import parse_selector, selects
from hub.drivers.base import AgentPlan, Driver
from hub.drivers.compose import ComposeFile, Composer
from hub.driverset import DriverSet
from hub.errors import BadRequest, Conflict, HubError, NotAvailable
from hub.kernel import Kernel
from hub.planning import WAITS, is_composed, machine_of, make_plan, new_agent, spoken
from hub.profiles import ProfileBook
from hub.tokens import agent_token

log = structlog.get_logger("hub.compose")


class Chosen(msgspec.Struct, frozen=True):
    """One agent of a file. `request`: how a planned one was asked for, None for one that there is."""

    agent: Agent
    plan: AgentPlan
    request: CreateAgent | None = None


class Composing:
    """Makes Compose files of agents, and keeps ready for those that come from one."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, acts: Acts, profiles: ProfileBook) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._acts = acts
        self._profiles = profiles

    def expect_all(self) -> None:
        """After a start: tell the drivers of the agents that Compose files make."""
        for agent in self._kernel.fleet.agents.values():
            try:
                if agent.desired is Desired.ABSENT or not is_composed(agent):
                    continue
                composer = self._drivers.get(agent.driver).compose
                if composer is not None:
                    composer.expect(make_plan(agent, self._kernel.feed.hub_id, ""))
            except HubError as exc:
                # Its driver may be switched off now; that is no reason for the hub not to start.
                log.warning("composed_agent_not_expected", agent=agent.id, error=exc.message)

    async def export(self, request: ExportCompose, by: str) -> ComposeExport:
        """Return the file's data; planned agents are in the registry afterwards, or none of them.

        Raises:
            BadRequest: nothing was chosen, or an agent that no Compose file can make.
            Conflict: a name is taken.
        """
        driver, composer = self._composer(request.planned)
        notes: list[str] = []
        chosen = [await self._present(agent, notes) for agent in self._chosen(request, driver, notes)]
        for number, one in enumerate(request.planned):
            chosen.append(await self._planned(one, number, driver, composer))
        if not chosen:
            raise BadRequest("no agent was chosen", hint="Name agents, or say which ones are planned.", field="agents")
        self._check_names(one.agent for one in chosen if one.request is not None)
        file = await composer.export([one.plan for one in chosen])
        try:
            tokens = await self._commit(chosen, file, request.token_seconds, by)
        except BaseException:
            for one in chosen:
                if one.request is not None:
                    composer.forget(one.agent.uid)
            raise
        for one in chosen:
            if one.request is not None:
                composer.expect(one.plan)
        return ComposeExport(
            document=file.document,
            tokens=tokens,
            agents=[one.agent.id for one in chosen],
            images=_images(chosen, file),
            notes=[*notes, *file.notes],
        )

    async def _commit(self, chosen: list[Chosen], file: ComposeFile, token_seconds: int, by: str) -> dict[str, str]:
        """Keep planned agents and everybody's token; return the secrets by file."""
        kernel = self._kernel
        # Somebody may have taken a name while the platform was asked. Nothing is awaited from here to the commit.
        self._check_names(one.agent for one in chosen if one.request is not None)
        effects: list[Effect] = []
        tokens: dict[str, str] = {}
        for one in chosen:
            agent = one.agent
            if one.request is not None:
                effects += kernel.fleet.add_agent(agent, kernel.now())
                effects.append(kernel.audited(by, "agent.plan", agent.id, detail=spoken(one.request)))
            elif (present := kernel.fleet.agents.get(agent.id)) is None or present.uid != agent.uid:
                raise Conflict(f"agent {agent.id} was destroyed meanwhile", code="agent_gone", agent=agent.id)
            token, secret = agent_token(kernel.clock, agent, TokenKind.JOIN, token_seconds)
            effects += kernel.fleet.identity.add(token)
            tokens[file.token_files[agent.id]] = secret
        names = " ".join(one.agent.id for one in chosen)
        await kernel.commit([*effects, kernel.audited(by, "compose.export", names[:200])])
        return tokens

    # --- choosing

    def _composer(self, planned: list[CreateAgent]) -> tuple[Driver, Composer]:
        """Return the driver that planned agents name, else the first one that knows Compose."""
        named = {one.driver for one in planned if one.driver}
        for driver in [self._drivers.get(name) for name in sorted(named)] or list(self._drivers):
            if driver.compose is not None:
                return driver, driver.compose
        who = f"agents of driver {', '.join(sorted(named))}" if named else "the agents of this hub's drivers"
        raise NotAvailable(
            f"no Compose file can make {who}", code="no_compose", hint="Start the hub with the docker driver."
        )

    def _chosen(self, request: ExportCompose, driver: Driver, notes: list[str]) -> list[Agent]:
        """Return the agents that there are, each once; those of a selector that do not fit are a note."""
        fleet = self._kernel.fleet
        found = {name: fleet.agent(name) for name in request.agents}
        for agent in found.values():
            if why := _unfit(agent, driver.name):
                raise BadRequest(f"agent {agent.id} {why}", field="agents", agent=agent.id)
        terms = parse_selector(request.selector) if request.selector else None
        for agent_id, agent in sorted(fleet.agents.items()):
            if terms is None or agent_id in found or not selects(terms, fleet.view(agent_id)):
                continue
            if why := _unfit(agent, driver.name):
                notes.append(f"{agent_id} is left out: it {why}")
            else:
                found[agent_id] = agent
        return list(found.values())

    async def _present(self, agent: Agent, notes: list[str]) -> Chosen:
        plan = make_plan(agent, self._kernel.feed.hub_id, "")
        if agent.profile:
            try:
                plan = replace(plan, recipe=(await self._profiles.usable(agent.profile)).recipe())
            except HubError as exc:
                if is_composed(agent):
                    raise
                # Its container has its image; only when that is gone, too, would it be made from the base image.
                notes.append(f"{agent.id}: {exc.message}; its image is the one that it runs from")
        if agent.spec is None:
            notes.append(f"{agent.id} was adopted: of its limits and options nothing is known, the file has defaults")
        return Chosen(agent, plan)

    async def _planned(self, request: CreateAgent, number: int, driver: Driver, composer: Composer) -> Chosen:
        kernel = self._kernel
        try:
            if request.driver not in ("", driver.name):
                raise BadRequest(f"all agents of a file are of one driver, here {driver.name}", field="driver")
            profile = await self._profiles.usable(request.profile) if request.profile else None
            machine = machine_of(request, profile.valid().machine if profile else None)
            uid = AgentUid(kernel.clock.new_id("u"))
            agent = new_agent(request, uid, driver.name, driver.features, kernel.now(), machine, composed=True)
        except HubError as exc:
            exc.field = f"planned[{number}]" + (f".{exc.field}" if exc.field else "")
            raise
        agent = replace(agent, handle=composer.handle(agent.id, uid).ref, reason=WAITS)
        plan = make_plan(agent, kernel.feed.hub_id, "")
        return Chosen(agent, replace(plan, recipe=profile.recipe() if profile else None), request)

    def _check_names(self, planned: Iterable[Agent]) -> None:
        """Raises Conflict for a planned agent's name that is taken, before any of them is made."""
        seen: set[str] = set()
        for agent in planned:
            if agent.id in seen or agent.id in self._kernel.fleet.agents:
                raise Conflict(
                    f"there is an agent {agent.id} already",
                    code="agent_exists",
                    hint=f"Choose another name, or export the one that there is: clawtui compose {agent.id}",
                    agent=agent.id,
                )
            seen.add(agent.id)


def _unfit(agent: Agent, driver: str) -> str:
    """Why an agent cannot be in a file of this driver, "" when it can."""
    if agent.driver != driver:
        return f"is of driver {agent.driver}" if agent.driver else "was registered by hand"
    if agent.desired is Desired.ABSENT:
        return "is being destroyed"
    return "" if agent.handle is not None else "is still being made"


def _images(chosen: list[Chosen], file: ComposeFile) -> list[ComposeImage]:
    found: dict[str, ComposeImage] = {}
    for one in chosen:
        need = file.images[one.agent.id]
        profile, sudo = one.agent.profile, one.plan.sudo
        found[need.image] = ComposeImage(image=need.image, profile=profile, sudo=sudo, built=need.built)
    return list(found.values())
