"""Verbs of the profile sync: status, run, diff, resolve."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, age_text, printable
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import (
    FileDifference,
    ResolveSync,
    SyncQuery,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncState,
    SyncStatus,
    SyncTarget,
)

sync = App(name="sync", help="Keep OpenClaw agents in step with their personas: status, run, differences, decisions.")

WAITS: Final = frozenset({"drift", "conflict"})
"""Actions of files that wait for a decision."""
NO_FILE: Final = "/dev/null"
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}

STEPS: Final = (
    Column("FILE", lambda step: f"{step.slug}/{step.path}"),
    Column("ACTION", lambda step: step.action),
    Column("WHY", lambda step: step.reason),
)


def _personas(context: Context) -> tuple[Column, ...]:
    return (
        Column("PERSONA", lambda one: f"{one.gateway}/{one.slug}"),
        Column("NAME", lambda one: one.name),
        Column("STATE", lambda one: one.state.value),
        Column("SINCE", lambda one: _age(context, one.at)),
        Column("HASH", lambda one: one.hash),
        Column("MODEL", lambda one: one.model),
        Column("FILES", lambda one: one.files),
        Column("REASON", lambda one: "; ".join([one.reason] if one.reason else one.notes)),
    )


def _targets(context: Context) -> tuple[Column, ...]:
    return (
        Column("GATEWAY", lambda one: one.gateway),
        Column("SOURCE", lambda one: one.source),
        Column("PERSONAS", lambda one: one.counts),
        Column("LAST RUN", lambda one: _age(context, one.last_run_at, " ago")),
        Column("NEXT RUN", lambda one: _ahead(context, one.next_run_at)),
        Column("PROVEN", lambda one: _age(context, one.verified_at, " ago")),
        Column("PROOF", lambda one: one.proof),
        Column("WORKSPACES", lambda one: one.workspace_root),
        Column("CONFIG", lambda one: one.config_path),
        Column("PROBLEM", lambda one: one.problem),
        Column("NOTE", lambda one: "; ".join(one.notes)),
    )


def _age(context: Context, at: str | None, end: str = "") -> str | None:
    """How long ago; programs get the time itself."""
    passed = None if context.out.mode is Mode.PLAIN else context.age(at)
    return at if passed is None else f"{age_text(passed)}{end}"


def _ahead(context: Context, at: str | None) -> str | None:
    passed = None if context.out.mode is Mode.PLAIN else context.age(at)
    return at if passed is None else f"in {age_text(-passed)}"


@sync.command
async def status(gateway: str = "", /, *, gateways: bool = False, context: Ctx) -> int:
    """Show every persona and whether its gateway has it as its source says.

    Args:
        gateway: Only this gateway's.
        gateways: The gateways instead: when each was synced, what proves it, and what is wrong.
    """
    async with context.control() as control:
        found = await control.sync_status(SyncQuery(gateway=gateway))
    if gateways:
        context.out.listing(found, _targets(context), found.targets, _nothing(found))
        return exits.DONE
    context.out.listing(found, _personas(context), found.personas, _nothing(found))
    if context.out.mode is Mode.TABLE:
        _tell(context, found)
    return exits.DONE


def _nothing(found: SyncStatus) -> str:
    if found.targets:
        return "no personas yet"
    return "no gateway is kept in step; clawtui gateway sync NAME begins that"


def _tell(context: Context, found: SyncStatus) -> None:
    if not found.enabled:
        context.out.say("the sync is switched off by the hub's settings: OPENCLAW_PROFILE_SYNC=false")
    for target in found.targets:
        context.out.say(f"{target.gateway}: {_summary(target)}")
        if target.hint:
            context.out.say(f"    {target.hint}")
    waiting = [one for one in found.personas if one.files]
    if waiting:
        context.out.say(f"clawtui sync diff {waiting[0].gateway}/{waiting[0].slug} shows what was changed there")


def _summary(target: SyncTarget) -> str:
    if target.problem:
        return target.problem
    counts = ", ".join(f"{count} {state}" for state, count in target.counts.items()) or "no personas"
    return f"{counts}; {target.proof}" if target.proof else counts


@sync.command
async def run(gateway: str = "", /, *, dry_run: bool = False, accept_empty: bool = False, context: Ctx) -> int:
    """Sync now; ends with 1 when something could not be done.

    Args:
        gateway: Only this gateway; without it all.
        dry_run: Only say what would be done.
        accept_empty: The source has no persona any more, or the workspace root nothing, and that is meant.
    """
    request = SyncRun(gateway=gateway, dry_run=dry_run, accept_empty=accept_empty)
    async with context.control() as control:
        done = await control.sync_run(request)
    return _report(context, done)


def _report(context: Context, done: SyncReports) -> int:
    steps = [step for report in done.reports for step in report.steps]
    context.out.listing(done, STEPS, steps, _no_steps(done))
    if context.out.mode is Mode.TABLE:
        for report in done.reports:
            context.out.say(f"{report.gateway}: {_done(report)}")
            for note in report.notes if report.dry_run else ():
                context.out.say(f"    {note}")
    return exits.FAILED if any(report.problem for report in done.reports) else exits.DONE


def _no_steps(done: SyncReports) -> str:
    if not done.reports:
        return "nothing to sync"
    # What could not be looked at may be otherwise.
    return "no file was changed" if any(report.problem for report in done.reports) else "every file is as it shall be"


def _done(report: SyncReport) -> str:
    would = "would be " if report.dry_run else ""
    facts = [f"{would}archived: {', '.join(report.archived)}"] if report.archived else []
    if report.config_changed:
        facts.append(f"the config {'would change' if report.dry_run else 'changed'}")
    if report.restarted:
        facts.append("the gateway was restarted")
    if report.problem:
        facts.append(report.problem)
    return "; ".join([*facts, f"{report.seconds:.1f} s"])


@sync.command
async def diff(persona: str, /, *, path: str = "", context: Ctx) -> int:
    """Show the files of a persona that are not as its source says; + is what `resolve apply` would bring.

    Args:
        persona: GATEWAY/SLUG.
        path: Only this file.
    """
    gateway, slug = address(persona)
    async with context.control() as control:
        found = await control.sync_diff(gateway, slug)
    files = [file for file in found.files if path in ("", file.path)]
    if path and not files:
        raise UsageError(
            f"{path} of {persona} is as the source says, or is none of its files",
            field="path",
            hint=f"clawtui sync diff {persona}",
        )
    if context.out.mode is Mode.JSON:
        context.out.body(found)
        return exits.DONE
    if not files:
        context.out.say(f"{persona}: every file is as the source says")
    for file in files:
        _show(context, file)
    if context.out.mode is Mode.TABLE and any(file.action in WAITS for file in files):
        context.out.say(f"clawtui sync resolve {persona} keep|apply|adopt decides")
    return exits.DONE


def _show(context: Context, file: FileDifference) -> None:
    for line in unified(file):
        text = printable(line)
        if not context.out.colour:
            context.out.line(text)
            continue
        from rich.text import Text

        context.out.console().print(Text(text, style=_COLOURS.get(text[:1], "")), soft_wrap=True)
    if context.out.mode is Mode.TABLE:
        context.out.say(f"{file.path}: {file.action}{f': {file.reason}' if file.reason else ''}")
        if file.why_not:
            context.out.say(f"    cannot be adopted: {file.why_not}")


def unified(file: FileDifference) -> Iterator[str]:
    """The difference from what is on disk to what the source says, as `diff -u` writes it."""
    if file.binary:
        yield f"Binary files disk/{file.path} and source/{file.path} differ"
        return
    old = f"disk/{file.path}" if file.on_disk is not None else NO_FILE
    new = f"source/{file.path}" if file.wanted is not None else NO_FILE
    lines = list(difflib.unified_diff(_lines(file.on_disk), _lines(file.wanted), old, new, lineterm=""))
    yield from lines or (f"--- {old}", f"+++ {new}")
    for name, text, other in ((old, file.on_disk, file.wanted), (new, file.wanted, file.on_disk)):
        if _open_end(text) and not _open_end(other):
            yield f"\\ No newline at end of {name}"


def _lines(text: str | None) -> list[str]:
    """Lines as they are shown: a carriage return, which may be all that differs, is seen."""
    lines = (text or "").replace("\r", "␍").split("\n")
    return lines if lines[-1] else lines[:-1]


def _open_end(text: str | None) -> bool:
    return bool(text) and not str(text).endswith("\n")


@sync.command
async def resolve(
    persona: str,
    decision: Literal["keep", "apply", "adopt"],
    /,
    *,
    path: str = "",
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    context: Ctx,
) -> int:
    """Decide what becomes of files that somebody changed in a persona's workspace; ends with 1 where they still wait.

    Args:
        persona: GATEWAY/SLUG.
        decision: keep the files, apply the source's (theirs are archived), or adopt them into the source.
        path: Only this file; without it all that wait.
        yes: Do not ask before several files are replaced.
    """
    gateway, slug = address(persona)
    async with context.control() as control:
        if decision == "apply" and not path and not yes:
            found = await control.sync_diff(gateway, slug)
            waiting = [file.path for file in found.files if file.action in WAITS]
            question = f"Replace {', '.join(waiting)}? What is there now is archived."
            if len(waiting) > 1 and not context.confirm(question, f"clawtui sync resolve {persona} apply --yes"):
                context.out.say("nothing was changed")
                return exits.FAILED
        now = await control.sync_resolve(gateway, slug, ResolveSync(decision=decision, path=path))
    context.out.record(now, _personas(context), now)
    undone = now.state is SyncState.FAILED or (path in now.files if path else now.files)
    return exits.FAILED if undone else exits.DONE


def address(persona: str) -> tuple[str, str]:
    """Gateway and slug. Raises UsageError."""
    gateway, slash, slug = persona.partition("/")
    if not slash or not gateway or not slug or "/" in slug:
        raise UsageError(
            f"{persona!r} is no persona", field="persona", hint="GATEWAY/SLUG, as clawtui sync status shows them"
        )
    return gateway, slug
