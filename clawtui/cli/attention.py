"""Verbs for whoever answers for the fleet: connections, attention, journal."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.admin import ENTRY_COLUMNS, Cursor, Limit
from clawtui.cli.output import Column, Mode, age_text, size_text
from clawtui.cli.progress import finish_job
from clawtui.cli.values import seconds
from clawtui.cli.world import Context, Ctx
from hub.contract import AttentionQuery, AttentionView, ConnectionQuery, HubLoad, PageQuery

attention = App(name="attention", help="Show and snooze what needs a person.")
journal = App(name="journal", help="Show and undo operator acts.")

JOURNAL_COLUMNS: Final = (
    *ENTRY_COLUMNS,
    Column("COMMAND", lambda entry: entry.command),
    Column("UNDO", lambda entry: entry.undo),
)

CONNECTION_COLUMNS: Final = (
    Column("AGENT", lambda view: view.agent_id),
    Column("SINCE", lambda view: view.since),
    Column("FROM", lambda view: view.remote if view.connected else "not connected"),
    Column("TO", lambda view: view.via),
    Column("PROTOCOL", lambda view: "basic" if view.basic else view.protocol),
    Column("RUNTIME", lambda view: view.version),
    Column("PING MS", lambda view: None if view.latency_seconds is None else f"{view.latency_seconds * 1000:.1f}"),
    Column("QUEUED", lambda view: view.queued, right=True),
    Column("RUNNING", lambda view: view.running, right=True),
    Column("UNSENT", lambda view: size_text(view.outbox_bytes), right=True),
    Column("ERRORS", lambda view: view.errors, right=True),
)


async def connections(*, limit: Limit = 100, context: Ctx) -> int:
    """Show agents' connections and queues, what waits most first, and how busy the hub is."""
    async with context.control() as control:
        answer = await control.connections(ConnectionQuery(limit=limit))
    context.out.listing(answer, CONNECTION_COLUMNS, answer.connections, "no agent is connected, and no task waits")
    if context.out.mode is Mode.TABLE:
        context.out.say(_busy(answer.load))
        if len(answer.connections) < answer.total:
            context.out.say(f"{len(answer.connections)} of {answer.total}: clawtui connections -n {answer.total}")
    return exits.DONE


def _busy(load: HubLoad) -> str:
    """The hub's load in one line, times in ms."""
    lag = f"loop lag {load.loop_lag_seconds * 1000:.1f} ms (p99 {load.loop_lag_p99_seconds * 1000:.1f})"
    commit = f"commit {load.commit_seconds * 1000:.1f} ms (p99 {load.commit_p99_seconds * 1000:.1f})"
    return f"{lag}, {commit}, registry {size_text(load.registry_bytes)}, {load.queued} tasks wait"


def columns(context: Context) -> tuple[Column, ...]:
    plain = context.out.mode is Mode.PLAIN

    def since(view: AttentionView) -> str:
        return view.since if plain else age_text(context.age(view.since) or 0.0)

    def what(view: AttentionView) -> str:
        # An older hub has no title; scripts get the text alone, as ever.
        return view.text if plain or not view.title else f"{view.title}: {view.text}"

    return (
        Column("ID", lambda view: view.id),
        Column("SEVERITY", lambda view: view.severity.value),
        Column("SINCE", since, right=True),
        Column("WHAT", what),
        Column("TRY", lambda view: view.acts[0].command if view.acts else None),
        Column("TO DO", lambda view: view.todo),
        Column("SNOOZED UNTIL", lambda view: view.snoozed_until),
    )


@attention.default
async def show_attention(*, snoozed: bool = False, context: Ctx) -> int:
    """Show what needs a person, most urgent first.

    Args:
        snoozed: Also what is snoozed.
    """
    async with context.control() as control:
        answer = await control.attention(AttentionQuery(snoozed=snoozed))
    context.out.listing(answer, columns(context)[: 7 if snoozed else 6], answer.attention, "nothing needs you")
    if answer.snoozed and not snoozed and context.out.mode is Mode.TABLE:
        context.out.say(f"{answer.snoozed} snoozed: clawtui attention --snoozed")
    return exits.DONE


@attention.command
async def snooze(attention_id: str, /, *, for_: Annotated[str, Parameter(name="--for")] = "1h", context: Ctx) -> int:
    """Hear no more of it for a while; of failed tasks, until the next one fails.

    Args:
        attention_id: Its id, as `clawtui attention` shows it.
        for_: How long, e.g. 30m, 4h, 2d; 0 ends a snooze.
    """
    wanted = seconds(for_, "--for")
    async with context.control() as control:
        view = await control.snooze(attention_id, wanted)
    context.out.record(view, columns(context), view)
    return exits.DONE


@journal.default
async def show_journal(*, limit: Limit = 100, cursor: Cursor = None, context: Ctx) -> int:
    """Show who did what as commands, newest first, and what would take it back."""
    async with context.control() as control:
        page = await control.journal(PageQuery(limit=limit, cursor=cursor))
    context.out.listing(page, JOURNAL_COLUMNS, page.journal, "nothing in the journal")
    return exits.DONE


@journal.command
async def undo(seq: int, /, *, no_wait: bool = False, context: Ctx) -> int:
    """Take an act back: start, stop, pause, resume, changes of policies, snoozes.

    Args:
        seq: The entry's number.
        no_wait: Do not wait for the end; print the job.
    """
    async with context.control() as control:
        answer = await control.undo(seq)
        context.out.say(answer.undone)
        if answer.job is not None:
            await finish_job(context, control, answer.job, no_wait=no_wait)
    return exits.DONE
