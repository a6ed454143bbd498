"""Verbs that look at agents: list, status, logs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from clawtui.agent_log import follow_logs
from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, age_text, size_text
from clawtui.cli.world import Context, Ctx
from clawtui.follow import closed
from hub.contract import AgentAnswer, AgentList, AgentQuery, AgentView, LogEntry, LogQuery
from hub.control import Control
from hub.core.model import AgentStatus, CheckState

PAGE_AGENTS: Final = 500


def columns(context: Context) -> tuple[Column, ...]:
    return (
        Column("NAME", lambda agent: agent.id),
        Column("STATUS", _status),
        Column("TYPE", lambda agent: agent.type),
        Column("DRIVER", lambda agent: agent.driver),
        Column("CPU", _cpu, right=True),
        Column("MEMORY", lambda agent: _memory(agent), right=True),
        Column("QUEUED", lambda agent: agent.queued, right=True),
        Column("RUNNING", lambda agent: len(agent.running), right=True),
        Column("SEEN", lambda agent: _seen(context, agent), right=True),
        Column("REASON", lambda agent: agent.reason),
    )


PLAIN_COLUMNS: Final = (
    Column("name", lambda agent: agent.id),
    Column("status", lambda agent: agent.status.value),
    Column("type", lambda agent: agent.type),
    Column("driver", lambda agent: agent.driver),
    Column("queued", lambda agent: agent.queued),
    Column("running", lambda agent: len(agent.running)),
    Column("lastSeenAt", lambda agent: agent.last_seen_at),
    Column("reason", lambda agent: agent.reason),
)


def fields(context: Context) -> tuple[Column, ...]:
    """What `status` shows of one agent."""
    return (
        *columns(context)[:3],
        Column("REASON", lambda agent: agent.reason),
        Column("DISPLAY NAME", lambda agent: agent.display_name),
        Column("WANTED", lambda agent: agent.lifecycle.desired.value),
        Column("OBSERVED", lambda agent: f"{agent.lifecycle.observed.value} (says {agent.source})"),
        Column("HEALTH CHECK", _check),
        Column("CONNECTION", lambda agent: agent.connection.value),
        Column("SEEN", lambda agent: _seen(context, agent)),
        Column("DRIVER", lambda agent: agent.driver),
        Column("PROFILE", lambda agent: agent.profile),
        Column("CAPABILITIES", lambda agent: agent.capabilities),
        Column("LABELS", lambda agent: agent.labels),
        Column("CPU", lambda agent: _measured(agent, _cpu(agent))),
        Column("MEMORY", lambda agent: _measured(agent, _memory(agent))),
        Column("DISK", _disk),
        Column("QUEUED", lambda agent: agent.queued),
        Column("RUNNING", lambda agent: agent.running),
        Column("CONCURRENCY", lambda agent: agent.concurrency),
        Column("EXIT CODE", lambda agent: agent.exit_code),
        Column("VERSION", lambda agent: agent.version),
        Column("PLATFORM", lambda agent: agent.platform),
        Column("CREATED", lambda agent: agent.created_at),
        Column("UID", lambda agent: agent.uid),
    )


def _status(agent: AgentView) -> str:
    """The status, with what a glance at the fleet must not miss."""
    failing = agent.check is not None and agent.check.status is CheckState.UNHEALTHY
    return f"{agent.status.value}{' (basic)' if agent.basic else ''}{' (unhealthy)' if failing else ''}"


def _check(agent: AgentView) -> str | None:
    """What the platform's health check says, and what the hub did about it."""
    check = agent.check
    if check is None:
        return None
    restarted = f"; restarted {check.restarts} times" if check.restarts else ""
    given_up = ", given up" if check.given_up else ""
    # The runtime's own check begins with the same word.
    words = check.why.removeprefix(f"{check.status.value}:").strip()
    return f"{check.status.value}: {words or 'no words'}{restarted}{given_up}"


def _measured(agent: AgentView, text: str | None) -> str | None:
    """A value beside who measured it, when that was not the agent itself."""
    if text is None or agent.health_source in (None, "agent"):
        return text
    return f"{text} (measured by {agent.health_source})"


def _cpu(agent: AgentView) -> str | None:
    cpu = agent.health.cpu if agent.health else None
    if cpu is None:
        return None
    return f"{cpu.cores:.2f}" + (f"/{cpu.limit:g}" if cpu.limit else "")


def _memory(agent: AgentView) -> str | None:
    memory = agent.health.memory if agent.health else None
    if memory is None:
        return None
    return f"{size_text(memory.used)}" + (f"/{size_text(memory.limit)}" if memory.limit else "")


def _disk(agent: AgentView) -> str | None:
    disk = agent.health.disk if agent.health else None
    return None if disk is None else f"{size_text(disk.used)}/{size_text(disk.total)}"


def _seen(context: Context, agent: AgentView) -> str | None:
    age = context.age(agent.last_seen_at)
    return None if age is None else age_text(age)


async def list_agents(
    *,
    status: AgentStatus | None = None,
    type: str | None = None,
    label: str | None = None,
    context: Ctx,
) -> int:
    """List the agents.

    Args:
        status: Only agents with this status.
        type: Only agents of this type.
        label: Only agents with this label: KEY or KEY=VALUE.
    """
    query = AgentQuery(status=status, type=type, label=label, limit=PAGE_AGENTS)
    async with context.control() as control:
        agents = [agent async for agent in every_agent(control, query)]
    shown = PLAIN_COLUMNS if context.out.mode is Mode.PLAIN else columns(context)
    context.out.listing(AgentList(agents=agents), shown, agents, "no agents; make one: clawtui create NAME")
    return exits.DONE


async def every_agent(control: Control, query: AgentQuery) -> AsyncIterator[AgentView]:
    """All pages of a query."""
    while True:
        page = await control.agents(query)
        for agent in page.agents:
            yield agent
        if page.next is None:
            return
        query = msgspec.structs.replace(query, cursor=page.next)


async def status(name: str, /, *, watch: Annotated[bool, Parameter(alias="-w")] = False, context: Ctx) -> int:
    """Show one agent; its health is what it reported last.

    Args:
        name: The agent.
        watch: Show it again whenever it changes, until Ctrl-C.
    """
    async with context.control() as control:
        if watch:
            return await _watch(control, name, context)
        show_agent(context, await control.agent(name))
    return exits.DONE


def show_agent(context: Context, agent: AgentView) -> None:
    context.out.record(AgentAnswer(agent=agent), fields(context), agent)


async def _watch(control: Control, name: str, context: Context) -> int:
    """One full picture per change. On a terminal the picture replaces the one before."""
    # Subscribed first, then read: a change in between is seen twice rather than never.
    with _until_interrupted(expected=True):
        async with closed(control.events()) as feed:
            _draw(context, await control.agent(name))
            async for event in feed:
                if event.kind != "gap" and (event.id != name or event.kind not in {"agent", "health"}):
                    continue
                if event.gone:
                    context.out.say(f"{name} is gone")
                    break
                _draw(context, await control.agent(name))
    return exits.DONE


def _draw(context: Context, agent: AgentView) -> None:
    if context.out.mode is Mode.TABLE and context.out.stdout.isatty():
        # Home and clear: the picture has always the same place.
        context.out.stdout.write("\x1b[H\x1b[2J")
    show_agent(context, agent)
    if context.out.mode is not Mode.JSON and not context.out.stdout.isatty():
        context.out.line("")


async def logs(
    name: str,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    lines: Annotated[int, Parameter(alias="-n")] = 200,
    since: str | None = None,
    source: str = "",
    context: Ctx,
) -> int:
    """Print an agent's own log.

    Args:
        name: The agent.
        follow: Go on with new lines, until Ctrl-C.
        lines: How many of the last lines; 0 = all that are kept.
        since: Only lines since a time (RFC 3339) or an age such as 10m.
        source: runtime (what the agent sent) or the driver's name; empty = whichever there is.
    """
    query = LogQuery(source=source, since=since, lines=lines or None, follow=follow)
    write: Callable[[Any], None] = context.out.body
    if context.out.mode is not Mode.JSON:
        write = _write_entry(context)
    async with context.control() as control:
        source_of = _followed(context, control, name, query) if follow else control.agent_logs(name, query)
        with _until_interrupted(follow):
            async with closed(source_of) as entries:
                async for entry in entries:
                    write(entry)
    return exits.DONE


def _followed(context: Context, control: Control, name: str, query: LogQuery) -> AsyncIterator[LogEntry]:
    patience_seconds = context.settings.hub_return_seconds
    return follow_logs(control, name, query, patience_seconds=patience_seconds, say=context.out.say)


def _write_entry(context: Context) -> Callable[[Any], None]:
    def write(entry: Any) -> None:
        if context.out.mode is Mode.PLAIN:
            context.out.line(f"{entry.at or ''}\t{entry.text}")
        else:
            context.out.line(f"{entry.at} {entry.text}" if entry.at else entry.text)

    return write


@contextlib.contextmanager
def _until_interrupted(expected: bool) -> Iterator[None]:
    """Ctrl-C is the ordinary end of what goes on for ever."""
    try:
        yield
    except asyncio.CancelledError:
        if not expected:
            raise
