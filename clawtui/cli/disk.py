"""Verbs for disks and workspaces: disk, prune, repair."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.lifecycle import NoWait
from clawtui.cli.output import Column, Mode, size_text
from clawtui.cli.progress import finish_job
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import DiskAgent, DiskObject, DiskQuery, DiskRow, PruneExecute, PrunePlan, PruneRequest, RepairRequest

UNKNOWN: Final = "not known"
WORDS: Final = "remove data"
"""What is typed before something goes that nobody can make again."""


def _size(context: Context, size_bytes: int | None) -> object:
    if context.out.mode is Mode.PLAIN:
        return size_bytes
    return UNKNOWN if size_bytes is None else size_text(size_bytes)


def row_columns(context: Context) -> tuple[Column, ...]:
    def unused(row: DiskRow) -> object:
        return _size(context, row.unused_bytes) if row.unused_count else 0 if context.out.mode is Mode.PLAIN else "-"

    return (
        Column("WHAT", lambda row: row.kind),
        Column("WHERE", lambda row: row.place),
        Column("COUNT", lambda row: row.count, right=True),
        Column("SIZE", lambda row: _size(context, row.size_bytes), right=True),
        Column("UNUSED", lambda row: row.unused_count, right=True),
        Column("FREES", unused, right=True),
        Column("NOTE", lambda row: row.note),
    )


def agent_columns(context: Context) -> tuple[Column, ...]:
    def parts(agent: DiskAgent) -> str:
        return ", ".join(f"{kind} {size_text(size)}" for kind, size in sorted(agent.parts.items()))

    return (
        Column("AGENT", lambda agent: agent.agent_id),
        Column("SIZE", lambda agent: _size(context, agent.size_bytes), right=True),
        Column("OF", parts),
    )


def object_columns(context: Context) -> tuple[Column, ...]:
    def needed(one: DiskObject) -> str:
        return f"unused: {one.unused}" if one.unused else one.used_by

    return (
        Column("WHAT", lambda one: one.kind),
        Column("WHERE", lambda one: one.place),
        Column("NAME", lambda one: one.name),
        Column("SIZE", lambda one: _size(context, one.size_bytes), right=True),
        Column("FREES", lambda one: _size(context, one.frees_bytes) if one.unused else "", right=True),
        Column("AGENT", lambda one: one.agent_id),
        Column("WHY", needed),
    )


async def disk(*, agents: bool = False, objects: bool = False, context: Ctx) -> int:
    """Show what clawtui takes of disks, and what of it nobody needs.

    Args:
        agents: What each agent takes.
        objects: Every single object, with what it is needed for.
    """
    if agents and objects:
        raise UsageError("--agents and --objects exclude each other")
    async with context.control() as control:
        view = await control.disk(DiskQuery(objects=objects))
    if agents:
        context.out.listing(view, agent_columns(context), view.agents, "no agents")
        return exits.DONE
    if objects:
        context.out.listing(view, object_columns(context), view.objects, "nothing is there")
        return exits.DONE
    context.out.listing(view, row_columns(context), view.rows, "nothing is there")
    if context.out.mode is Mode.TABLE:
        used, total = view.disk_used_bytes, view.disk_total_bytes
        if used is not None and total:
            free = size_text(total - used)
            context.out.say(f"the state folder's disk: {used / total:.0%} of {size_text(total)} used, {free} free")
        if any(row.unused_count for row in view.rows):
            context.out.say("clawtui prune --dry-run shows what could go")
    return exits.DONE


async def prune(
    *kinds: str,
    dry_run: bool = False,
    all: bool = False,
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    data: bool = False,
    no_wait: NoWait = False,
    context: Ctx,
) -> int:
    """Remove what nobody needs: first the plan, then, after a yes, exactly that.

    Args:
        kinds: Only these: containers, images, cache, volumes, folders, snapshots, logs.
        dry_run: Only show the plan.
        all: Also the newest images that nobody uses; the next agent has to build them again.
        yes: Do not ask.
        data: With --yes: also what agents have made and nobody can make again.
    """
    async with context.control() as control:
        plan = await control.plan_prune(PruneRequest(kinds=list(kinds), all=all))
        if dry_run or not plan.objects:
            context.out.listing(plan, object_columns(context), plan.objects, "nothing is unused")
            _tell(context, plan)
            return exits.DONE
        if context.out.mode is not Mode.JSON:
            context.out.listing(plan, object_columns(context), plan.objects)
        _tell(context, plan)
        if not _agreed(context, plan, yes=yes, data=data):
            context.out.say("nothing was removed")
            return exits.FAILED
        job = await control.prune(plan.id, PruneExecute(data=plan.data))
        if not await finish_job(context, control, job, no_wait=no_wait):
            return exits.DONE
        result = (await control.job(job.id)).result or {}
    skipped: dict[str, str] = result.get("skipped", {})
    context.out.say(
        f"removed {len(result.get('removed', []))}, {size_text(result.get('freedBytes', 0))} are free again"
    )
    for name, why in skipped.items():
        context.out.say(f"left {name}: {why}")
    return exits.FAILED if skipped else exits.DONE


def _tell(context: Context, plan: PrunePlan) -> None:
    if context.out.mode is not Mode.TABLE:
        return
    if plan.objects:
        # What several of them share alone is freed with the last of them, and counted for none.
        context.out.say(f"{len(plan.objects)} objects, at least {size_text(plan.frees_bytes)} would be free again")
    for note in plan.notes:
        context.out.say(f"not known: {note}")


def _agreed(context: Context, plan: PrunePlan, *, yes: bool, data: bool) -> bool:
    """Whether the plan may be carried out; data takes typed words, or both options."""
    if yes:
        if plan.data and not data:
            raise UsageError(
                "the plan removes what agents have made, which nobody can make again",
                hint="add --data, or name other kinds: clawtui prune images cache logs",
            )
        return True
    if not plan.data:
        return context.confirm("Remove them?", "clawtui prune --yes")
    if not context.interactive:
        raise UsageError("Nobody is here to answer", hint="clawtui prune --yes --data")
    context.world.stderr.write(f"This removes what agents have made. Type {WORDS!r} to go on: ")
    context.world.stderr.flush()
    return context.world.stdin.readline().strip() == WORDS


async def repair(name: str, /, *, everything: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Give files in a workspace that belong to root back to the agent.

    Args:
        name: The agent.
        everything: Files of every other user too.
    """
    async with context.control() as control:
        job = await control.repair(name, RepairRequest(everything=everything))
        if await finish_job(context, control, job, no_wait=no_wait):
            result = (await control.job(job.id)).result or {}
            context.out.say(f"{result.get('changed', 0)} of {result.get('files', 0)} files were given back")
    return exits.DONE
