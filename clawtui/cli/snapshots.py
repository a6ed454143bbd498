"""Verbs that save agents and make them again: snapshot, snapshots, restore, fork."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.admin import Cursor, Limit
from clawtui.cli.agents import show_agent
from clawtui.cli.lifecycle import NoWait
from clawtui.cli.output import Column, Mode, size_text
from clawtui.cli.progress import finish_job
from clawtui.cli.values import seconds, words
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import (
    DiffEntry,
    DiffQuery,
    ForkRequest,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
    TakeSnapshot,
)
from hub.core.model import Consistency

snapshots = App(name="snapshots", help="List, show, compare, schedule and delete snapshots.")

ID_MARK: Final = "_"
"""Every id has one, and no name."""


def columns(context: Context) -> tuple[Column, ...]:
    plain = context.out.mode is Mode.PLAIN

    def size(size_bytes: int | None) -> object:
        return size_bytes if plain else size_text(size_bytes)

    return (
        Column("SNAPSHOT", lambda view: f"{view.agent_id}:{view.name}"),
        Column("ID", lambda view: view.id),
        Column("CREATED", lambda view: view.created_at),
        Column("SIZE", lambda view: size(view.size_bytes), right=True),
        Column("CONSISTENCY", lambda view: view.consistency.value),
        Column("STATE", lambda view: view.state.value),
        Column("PARENT", lambda view: view.parent),
        Column("NOTE", note),
    )


def note(view: SnapshotView) -> str:
    """What is special about it, in words."""
    said = [word for word, is_so in (("current", view.current), ("scheduled", view.scheduled)) if is_so]
    return "; ".join([*said, *([view.reason] if view.reason else []), *view.notes])


def reference(name: str, snap: str) -> str:
    """Return the hub's reference for a snapshot that was named beside its agent."""
    return snap if ":" in snap or ID_MARK in snap else f"{name}:{snap}"


async def snapshot(name: str, snap: str = "", /, *, clean: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Save an agent: its workspace, and everything else that it has changed in its container.

    Args:
        name: The agent.
        snap: A name for the snapshot: small letters, digits, dashes and dots; without one it is made of the time.
        clean: Stop the agent meanwhile; otherwise it is frozen, as a power cut would leave it.
    """
    consistency = Consistency.CLEAN if clean else Consistency.CRASH
    async with context.control() as control:
        job = await control.take_snapshot(name, TakeSnapshot(name=snap, consistency=consistency))
        if await finish_job(context, control, job, no_wait=no_wait):
            result = (await control.job(job.id)).result or {}
            view = await control.snapshot(result.get("snapshotId", ""))
            context.out.record(view, columns(context), view)
    return exits.DONE


@snapshots.command(name="list")
async def list_snapshots(name: str | None = None, /, *, limit: Limit = 100, cursor: Cursor = None, context: Ctx) -> int:
    """List snapshots, newest first.

    Args:
        name: Only those of agents of this name, living or destroyed.
    """
    async with context.control() as control:
        page = await control.snapshots(SnapshotQuery(agent=name, limit=limit, cursor=cursor))
    empty = "no snapshots; clawtui snapshot NAME takes one"
    context.out.listing(page, columns(context), page.snapshots, empty)
    return exits.DONE


@snapshots.command
async def show(snap: str, /, *, context: Ctx) -> int:
    """Show a snapshot.

    Args:
        snap: Its id, or AGENT:NAME.
    """
    async with context.control() as control:
        view = await control.snapshot(snap)
    context.out.record(view, columns(context), view)
    return exits.DONE


@snapshots.command
async def estimate(name: str, /, *, context: Ctx) -> int:
    """Show what a snapshot of an agent would take now.

    Args:
        name: The agent.
    """
    async with context.control() as control:
        found = await control.estimate_snapshot(name)
    fields = (
        Column("AGENT", lambda it: it.agent_id),
        Column("WORKSPACE", lambda it: size_text(it.volume_bytes)),
        Column("IMAGE", lambda it: size_text(it.image_bytes)),
        Column("FREE", lambda it: size_text(it.free_bytes)),
    )
    context.out.record(found, fields, found)
    return exits.DONE


@snapshots.command
async def diff(before: str, after: str, /, *, limit: Annotated[int, Parameter(alias="-n")] = 1000, context: Ctx) -> int:
    """Show which files are different in the second snapshot, by content.

    Args:
        before: A snapshot: its id, or AGENT:NAME.
        after: Another one.
        limit: How many files, at most 10000.
    """
    async with context.control() as control:
        found = await control.diff_snapshots(before, DiffQuery(other=after, limit=limit))
    context.out.listing(found, diff_columns(context), found.entries, "no file is different")
    if context.out.mode is Mode.TABLE:
        counted = ", ".join(f"{count} {change}" for change, count in found.counts.items())
        grown, shrunk = size_text(found.bytes_added), size_text(found.bytes_removed)
        context.out.say(f"{counted}; {grown} more, {shrunk} less")
        if found.truncated:
            context.out.say(f"only the first {len(found.entries)} are shown: --limit")
        if found.base_image_changed:
            context.out.say("the two are of different images: what those differ in is not shown")
    return exits.DONE


def diff_columns(context: Context) -> tuple[Column, ...]:
    plain = context.out.mode is Mode.PLAIN

    def size(size_bytes: int | None) -> object:
        return size_bytes if plain else size_text(size_bytes)

    def change(entry: DiffEntry) -> str:
        return f"{entry.change} {entry.what}".strip()

    return (
        Column("CHANGE", change),
        Column("BEFORE", lambda entry: size(entry.before_bytes), right=True),
        Column("AFTER", lambda entry: size(entry.after_bytes), right=True),
        Column("PATH", lambda entry: entry.path),
    )


@snapshots.command
async def delete(snap: str, /, *, force: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Delete a snapshot. Refused while something is built on its image.

    Args:
        snap: Its id, or AGENT:NAME.
        force: Do not ask.
    """
    async with context.control() as control:
        view = await control.snapshot(snap)
        what = f"{view.agent_id}:{view.name} ({size_text(view.size_bytes)})"
        if not force and not context.confirm(f"Delete {what} for good?", f"clawtui snapshots delete {snap} --force"):
            context.out.say("nothing was changed")
            return exits.FAILED
        job = await control.delete_snapshot(view.id)
        if await finish_job(context, control, job, no_wait=no_wait):
            context.out.say(f"{view.agent_id}:{view.name} is deleted")
    return exits.DONE


@snapshots.command
async def schedule(
    name: str, /, *, every: str = "", keep_last: int = 0, keep_days: float = 0.0, clean: bool = False,
    off: bool = False, context: Ctx,
) -> int:  # fmt: skip
    """Show or set when snapshots of an agent are taken by themselves.

    Args:
        name: The agent.
        every: The time from one to the next, e.g. 6h; at least 60s.
        keep_last: Of the scheduled ones keep so many; 0 = all.
        keep_days: Keep scheduled ones so many days; 0 = for ever. The newest always stays.
        clean: Stop the agent meanwhile.
        off: Take no more.
    """
    if off and every:
        raise UsageError("--off and --every exclude each other", field="off")
    consistency = Consistency.CLEAN if clean else Consistency.CRASH
    async with context.control() as control:
        if off or every:
            interval = 0 if off else seconds(every, "--every")
            wanted = SnapshotSchedule(
                interval_seconds=interval, keep_last=keep_last, keep_days=keep_days, consistency=consistency
            )
            place = await control.schedule_snapshots(name, wanted)
        else:
            place = await control.snapshot_place(name)
    fields = (
        Column("AGENT", lambda it: it.agent_id),
        Column("EVERY", lambda it: f"{it.schedule.interval_seconds} s" if it.schedule.interval_seconds else "off"),
        Column("NEXT", lambda it: it.next_at),
        Column("KEEP LAST", lambda it: it.schedule.keep_last or None),
        Column("KEEP DAYS", lambda it: it.schedule.keep_days or None),
        Column("STANDS AT", lambda it: it.parent),
        Column("RESTORE CAN BE UNDONE UNTIL", lambda it: it.undo_until),
    )
    context.out.record(place, fields, place)
    return exits.DONE


async def restore(name: str, snap: str = "", /, *, undo: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Put an agent back to a snapshot, in place; one that was destroyed is made again.

    Args:
        name: The agent.
        snap: The snapshot's name or id.
        undo: Go back to what the last restore replaced; that is kept for 24 hours.
    """
    if undo == bool(snap):
        raise UsageError(
            "restore takes either a snapshot or --undo", field="snap", hint=f"clawtui snapshots list {name}"
        )
    async with context.control() as control:
        if undo:
            job = await control.undo_restore(name)
        else:
            view = await control.snapshot(reference(name, snap))
            if view.agent_id != name:
                raise UsageError(
                    f"{snap} is a snapshot of {view.agent_id}, not of {name}",
                    field="snap",
                    hint=f"clawtui fork {snap} makes another agent from it",
                )
            job = await control.restore(view.id)
        if await finish_job(context, control, job, no_wait=no_wait):
            show_agent(context, await control.agent(name))
    return exits.DONE


async def fork(snap: str, /, *, count: int = 0, names: str = "", no_wait: NoWait = False, context: Ctx) -> int:
    """Make new agents from a snapshot, each with an identity, a credential and a workspace of its own.

    Args:
        snap: The snapshot: its id, or AGENT:NAME.
        count: How many; one without it.
        names: Their names, with commas between them; otherwise made of the agent's.
    """
    async with context.control() as control:
        job = await control.fork(snap, ForkRequest(count=count, names=words(names)))
        if not await finish_job(context, control, job, no_wait=no_wait):
            return exits.DONE
        result = (await control.job(job.id)).result or {}
    fields = (
        Column("NAME", lambda one: one["agentId"]),
        Column("STATE", lambda one: one["state"]),
        Column("ERROR", lambda one: one.get("error")),
    )
    context.out.listing(result, fields, result.get("forks", []))
    return exits.FAILED if result.get("failed") else exits.DONE
