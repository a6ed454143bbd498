"""Operations on agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from hub.adoption import Adoption
from hub.connections.link import Link
from hub.contract import (
    AdoptAnswer,
    AgentAct,
    AgentList,
    AgentQuery,
    AgentView,
    CreateAgent,
    JobList,
    JobView,
    LogEntry,
    LogQuery,
    PageQuery,
    RegisterAgent,
    RegisteredAgent,
    StatsPoint,
    StatsQuery,
)
from hub.control import ShellSession
from hub.core.model import Agent, AgentUid, TokenKind
from hub.core.names import check_agent_id
from hub.core.view import job_view, rfc3339
from hub.drivers.base import AgentHandle, LogRequest
from hub.errors import BadRequest, Conflict
from hub.operations.base import Operations, check_limit, check_wait, parse_since
from hub.operations.logpages import lines_until
from hub.planning import made_with
from hub.submission import check_labels
from hub.tokens import agent_token

MAX_TERMINAL: Final = 1_000
RUNTIME_SOURCE: Final = "runtime"
MAX_TIME_MS: Final = 2**53
"""After every time."""


class AgentOperations(Operations):
    """See `hub.control.Control`."""

    # --- reading

    async def agents(self, query: AgentQuery) -> AgentList:
        limit = check_limit(query.limit)
        fleet = self._kernel.fleet
        page: list[AgentView] = []
        for agent_id in sorted(fleet.agents):
            if query.cursor is not None and agent_id <= query.cursor:
                continue
            # A view costs far more than a look at the record, and most agents of a filtered list need none.
            if query.status is not None and fleet.status(agent_id) != query.status:
                continue
            if not _fits(fleet.agents[agent_id], query):
                continue
            if len(page) == limit:
                return AgentList(agents=page, next=page[-1].id)
            page.append(fleet.view(agent_id))
        return AgentList(agents=page)

    async def agent(self, agent_id: str) -> AgentView:
        agent = self._kernel.fleet.agent(agent_id)
        return replace(self._kernel.fleet.view(agent.id), machine=made_with(agent))

    # --- coming and going

    async def register(self, request: RegisterAgent) -> RegisteredAgent:
        """Register an agent that somebody runs by hand; a repeated call gives a new token."""
        kernel = self._kernel
        agent_id = check_agent_id(request.agent_id, "agentId")
        check_labels(request.metadata.labels)
        kernel.check_writable()
        present = kernel.fleet.agents.get(agent_id)
        if present is not None and present.driver:
            raise Conflict(
                f"agent {agent_id} was made by driver {present.driver}; it has its own token",
                code="driver_agent",
                agent=agent_id,
            )
        if present is None:
            agent = Agent(
                id=agent_id,
                uid=AgentUid(kernel.clock.new_id("u")),
                created_at=kernel.now().wall_ms,
                type=request.metadata.type[:200],
                display_name=request.metadata.display_name[:200],
                capabilities=tuple(request.metadata.capabilities[:64]),
                labels=request.metadata.labels,
            )
            effects = kernel.fleet.add_agent(agent, kernel.now())
        else:
            agent = present
            effects = kernel.fleet.revoke_credentials(agent_id, kernel.now())
        token, secret = agent_token(kernel.clock, agent, TokenKind.AGENT, None)
        effects += kernel.fleet.identity.add(token)
        # After the commit the agent may be gone again.
        view, url = kernel.fleet.view(agent_id), self._inside.health.agents_url()
        await kernel.commit([*effects, kernel.audited(self._who, "agent.register", agent_id)])
        return RegisteredAgent(agent=view, token=secret, ws_url=f"{url}/agent/{agent_id}/{secret}")

    async def create_agent(self, request: CreateAgent) -> JobView:
        self._kernel.check_writable()
        return job_view(await self._inside.acts.create(request, self._who))

    async def act(self, agent_id: str, act: AgentAct) -> JobView:
        self._kernel.check_writable()
        return job_view(await self._inside.acts.act(agent_id, act, self._who))

    async def destroy(self, agent_id: str) -> JobView:
        self._kernel.check_writable()
        return job_view(await self._inside.acts.destroy(agent_id, self._who))

    async def adopt(self) -> AdoptAnswer:
        self._kernel.check_writable()
        inside = self._inside
        adopted, skipped = await Adoption(inside.kernel, inside.drivers, inside.acts).adopt(self._who)
        return AdoptAnswer(adopted=adopted, skipped=skipped)

    async def release(self, agent_id: str) -> AgentView:
        self._kernel.check_writable()
        await self._inside.acts.release(agent_id, self._who)
        return await self.agent(agent_id)

    # --- logs and shell

    async def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        agent = self._kernel.fleet.agent(agent_id)
        now_ms = self._kernel.now().wall_ms
        since_ms, until_ms = parse_since(query.since, now_ms), parse_since(query.until, now_ms, "until")
        if until_ms is not None and query.follow:
            raise BadRequest("a log up to a time cannot be followed", field="until")
        if query.lines is not None and query.lines < 0:
            raise BadRequest("lines must not be negative", field="lines")
        if query.source not in ("", RUNTIME_SOURCE, agent.driver):
            raise BadRequest(
                f"agent {agent_id} has no log source {query.source[:40]!r}",
                field="source",
                hint=f"sources: {RUNTIME_SOURCE}" + (f", {agent.driver}" if agent.driver else ""),
            )
        if agent.driver and agent.handle is not None and query.source != RUNTIME_SOURCE:
            driver, handle = self._inside.drivers.get(agent.driver), AgentHandle(agent.driver, agent.handle)
            if until_ms is None:
                request = LogRequest(lines=query.lines, since_ms=since_ms, follow=query.follow)
                lines = driver.logs(handle, request)
            else:
                lines = lines_until(
                    lambda since: driver.logs(handle, LogRequest(since_ms=since)), until_ms, since_ms, query.lines
                )
            async for line in lines:
                yield LogEntry(text=line.text, at=rfc3339(line.at), stream=line.stream, source=agent.driver)
            return
        async for entry in self._runtime_logs(agent, query, since_ms, until_ms):
            yield entry

    async def _runtime_logs(
        self, agent: Agent, query: LogQuery, since_ms: int | None, until_ms: int | None
    ) -> AsyncIterator[LogEntry]:
        """What the runtime sent itself; read once, so `follow` is refused rather than faked."""
        if query.follow:
            raise BadRequest(f"the {RUNTIME_SOURCE} log of agent {agent.id} cannot be followed", field="follow")
        first, last = since_ms or 0, MAX_TIME_MS if until_ms is None else until_ms
        lines = [line for line in self._inside.logs.read(agent.id) if first <= line.at <= last]
        kept = lines if query.lines is None else lines[len(lines) - min(query.lines, len(lines)) :]
        for line in kept:
            yield LogEntry(
                text=line.text,
                at=rfc3339(line.at),
                level=line.level,
                stream="agent",
                source=RUNTIME_SOURCE,
            )

    async def agent_stats(self, agent_id: str, query: StatsQuery) -> AsyncIterator[StatsPoint]:
        agent = self._kernel.fleet.agent(agent_id)
        now_ms = self._kernel.now().wall_ms
        since_ms = parse_since(query.since, now_ms)
        points = self._inside.stats.points(agent, since_ms or 0, now_ms, follow=query.follow)
        # Closed with its reader and not at random: an agent that nobody watches need not report every second.
        async with aclosing(points):
            async for point in points:
                yield point

    async def open_shell(self, agent_id: str, cols: int, rows: int) -> ShellSession:
        if not (1 <= cols <= MAX_TERMINAL and 1 <= rows <= MAX_TERMINAL):
            raise BadRequest(f"a terminal has 1 to {MAX_TERMINAL} columns and rows", field="cols")
        kernel, shells = self._kernel, self._inside.shells
        agent = kernel.fleet.agent(agent_id)
        shells.check(self._link(agent), agent.id)
        # The audit first: nobody gets a shell that leaves no trace.
        await kernel.commit([kernel.audited(self._who, "agent.shell", agent.id)])
        return shells.open(self._link(agent), agent.id, kernel.clock.new_id("sh"), cols, rows)

    def _link(self, agent: Agent) -> Link | None:
        """The agent's present connection."""
        present = self._kernel.fleet.agents.get(agent.id)
        if present is None or present.uid != agent.uid:
            return None
        presence = self._kernel.fleet.presence(agent.id)
        return self._kernel.links.get(agent.id, presence.epoch) if presence.open else None

    # --- jobs

    async def jobs(self, query: PageQuery) -> JobList:
        jobs, following = await self._kernel.registry.jobs(check_limit(query.limit), query.cursor)
        current = [self._inside.jobs.running(job.id) or job for job in jobs]
        return JobList(jobs=[job_view(job) for job in current], next=following)

    async def job(self, job_id: str, wait_seconds: float = 0.0) -> JobView:
        if wait_seconds:
            await self._inside.jobs.wait_ended(job_id, check_wait(wait_seconds))
        return job_view(await self._inside.jobs.read(job_id))

    async def cancel_job(self, job_id: str) -> JobView:
        await self._inside.jobs.read(job_id)
        self._inside.jobs.check_cancel(job_id)
        await self._kernel.commit([self._kernel.audited(self._who, "job.cancel", job_id)])
        self._inside.jobs.cancel(job_id)
        await self._inside.jobs.wait_ended(job_id, 10.0)
        return await self.job(job_id)


def _fits(agent: Agent, query: AgentQuery) -> bool:
    if query.type is not None and agent.type != query.type:
        return False
    if query.label is None:
        return True
    name, given, value = query.label.partition("=")
    return name in agent.labels and (not given or agent.labels[name] == value)
