"""Which file is created, written, kept or deleted: from what is wanted, what we wrote last and what is on disk. Pure.

A file that a human changed is never overwritten and never deleted without a decision.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from profiles.sync.files import Workspace
from profiles.sync.manifest import Manifest, Mark
from profiles.sync.scan import Seen, SeenWorkspace


class Action(enum.StrEnum):
    """`DRIFT`: only the disk changed since the last sync. `CONFLICT`: disk and source changed, or a file that we never
    wrote stands where a different one is wanted. Both wait for a decision."""

    CREATE = "create"
    WRITE = "write"
    KEEP = "keep"
    DELETE = "delete"
    CONFLICT = "conflict"
    DRIFT = "drift"


CHANGES: Final = frozenset({Action.CREATE, Action.WRITE, Action.DELETE})
"""Actions that change the disk."""
WAITING: Final = frozenset({Action.CONFLICT, Action.DRIFT})
"""Actions that wait for a person."""


class Decision(enum.StrEnum):
    """What a person wants of a file that was changed. `KEEP`: the file stays, quietly, until disk or source change
    again. `APPLY`: the source's text is written; the other one is archived beside it. `ADOPT`: the caller has put the
    text into the source; what is on disk counts as written."""

    KEEP = "keep"
    APPLY = "apply"
    ADOPT = "adopt"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `wanted` and `seen`: SHA-256 of what shall be and of what is, None = no file.

    `rescue`: what is on disk is a human's and is archived before it goes. `release`: it is no longer ours to know.
    `settle`: that disk and source differ is as it shall be from now on. `own`: the persona's own file, none of ours.
    """

    slug: str
    path: str
    action: Action
    reason: str = ""
    wanted: str | None = None
    seen: str | None = None
    rescue: bool = False
    release: bool = False
    settle: bool = False
    own: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of one file, and why. `settle`: from now on the difference between disk and source is known."""

    action: Action
    reason: str = ""
    rescue: bool = False
    release: bool = False
    settle: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`archive`: slugs that the source no longer has."""

    steps: tuple[Step, ...]
    archive: tuple[str, ...] = ()


Decisions = Mapping[tuple[str, str], Decision]


def make_plan(
    wanted: Sequence[Workspace],
    manifest: Manifest,
    seen: Seen,
    decisions: Decisions,
    held: Collection[str] = (),
) -> Plan:
    """Return what is to be done.

    `held`: slugs that are not wanted at the moment and not gone either. A workspace that cannot be read (its `problem`
    in `seen`) has no steps.
    """
    steps: list[Step] = []
    for workspace in wanted:
        there = seen.get(workspace.slug, SeenWorkspace())
        if not there.problem:
            steps += _steps(workspace, manifest.workspaces.get(workspace.slug, {}), there, decisions)
    gone = manifest.workspaces.keys() - {each.slug for each in wanted} - set(held)
    return Plan(tuple(steps), tuple(sorted(gone)))


def _steps(
    workspace: Workspace, marks: Mapping[str, Mark], there: SeenWorkspace, decisions: Decisions
) -> Iterator[Step]:
    slug = workspace.slug
    for file in workspace.files:
        seen = there.files.get(file.path)
        if file.once:
            verdict = Verdict(Action.CREATE) if seen is None else Verdict(Action.KEEP, "the persona's own")
            yield _step(slug, file.path, verdict, file.sha256, seen, own=True)
            continue
        decision = decisions.get((slug, file.path))
        yield _step(slug, file.path, judge(file.sha256, seen, marks.get(file.path), decision), file.sha256, seen)
    wanted = {file.path for file in workspace.files}
    for path in sorted(marks.keys() - wanted):
        seen = there.files.get(path)
        yield _step(slug, path, judge_unwanted(seen, marks[path], decisions.get((slug, path))), None, seen)


def _step(slug: str, path: str, verdict: Verdict, wanted: str | None, seen: str | None, *, own: bool = False) -> Step:
    return Step(
        slug=slug, path=path, action=verdict.action, reason=verdict.reason, wanted=wanted, seen=seen,
        rescue=verdict.rescue, release=verdict.release, settle=verdict.settle, own=own,
    )  # fmt: skip


def judge(wanted: str, seen: str | None, mark: Mark | None, decision: Decision | None = None) -> Verdict:
    """Return what becomes of a file that is wanted."""
    if seen is None:
        return Verdict(Action.CREATE, "it was removed" if mark else "")
    if seen == wanted:
        return Verdict(Action.KEEP)
    if mark is not None and (settled := _settled(wanted, seen, mark)) is not None:
        if settled.action is not Action.KEEP or decision is not Decision.APPLY:
            return settled
        # Whoever kept a file may think better of it.
        return Verdict(Action.WRITE, "decided: apply", rescue=True)
    if decision is Decision.KEEP:
        return Verdict(Action.KEEP, "kept as somebody changed it", settle=True)
    unchanged = mark is not None and wanted == mark.source
    if decision is Decision.APPLY or (decision is Decision.ADOPT and not unchanged):
        # An adopted text may come back a little different (its last line break); what stood there is never lost.
        return Verdict(Action.WRITE, f"decided: {decision.value}", rescue=True)
    if mark is None:
        return Verdict(Action.CONFLICT, "a file that was not written by clawtui stands there")
    if unchanged:
        return Verdict(Action.DRIFT, "somebody changed it")
    return Verdict(Action.CONFLICT, "somebody changed it, and the source changed too")


def marks_after(steps: Iterable[Step], marks: Mapping[str, Mark]) -> dict[str, Mark]:
    """Return the marks of a workspace once its steps are done."""
    after: dict[str, Mark] = {}
    for step in steps:
        if step.own or step.release or step.action is Action.DELETE:
            continue
        if step.action in CHANGES or (step.wanted is not None and step.wanted == step.seen):
            after[step.path] = Mark(step.wanted or "", step.wanted or "")
        elif step.settle:
            after[step.path] = Mark(step.wanted or "", step.seen or "")
        elif (mark := marks.get(step.path)) is not None and mark.source:
            after[step.path] = Mark(mark.source, mark.disk)
    return after


def marks_before(steps: Iterable[Step], marks: Mapping[str, Mark]) -> dict[str, Mark]:
    """Return the marks that explain every state in which a run of these steps may end early."""
    before = dict(marks)
    for step in steps:
        if step.action in CHANGES and not step.own and step.wanted is not None:
            mark = marks.get(step.path, Mark("", ""))
            before[step.path] = Mark(mark.source, mark.disk, step.wanted)
    return before


def _settled(wanted: str, seen: str, mark: Mark) -> Verdict | None:
    """Of a file on which nobody has worked since we did; None where somebody has."""
    if seen == mark.intent:
        return Verdict(Action.WRITE, "the source changed")
    if seen != mark.disk:
        return None
    if mark.ours:
        return Verdict(Action.WRITE, "the source changed")
    return Verdict(Action.KEEP, "kept as somebody changed it") if wanted == mark.source else None


def judge_unwanted(seen: str | None, mark: Mark, decision: Decision | None = None) -> Verdict:
    """Return what becomes of a file that we know and that is not wanted any more."""
    if seen is None:
        return Verdict(Action.KEEP, "it is gone already", release=True)
    if seen == mark.intent or (seen == mark.disk and mark.ours):
        return Verdict(Action.DELETE, "the source no longer has it")
    if decision is Decision.KEEP:
        return Verdict(Action.KEEP, "kept as somebody changed it", release=True)
    if decision is Decision.APPLY:
        return Verdict(Action.DELETE, "decided: apply", rescue=True)
    return Verdict(Action.DRIFT, "somebody changed it, and the source no longer has it")
