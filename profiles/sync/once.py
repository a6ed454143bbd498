"""One sync of one gateway: personas become workspaces and the gateway's configuration.

The order keeps every state in between right: what the run will write is noted first, then workspaces are written, then
the configuration names them; who left the configuration is archived last. A run that is killed anywhere is finished by
the next one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from datetime import datetime

from profiles.persona import Persona
from profiles.sync.beneath import Hook, Tree, hint_for, no_hook, open_folder
from profiles.sync.config_file import ConfigFile
from profiles.sync.errors import SyncError, WorkspaceProblem
from profiles.sync.locking import WAIT_SECONDS, locked
from profiles.sync.mounts import check_mounts
from profiles.sync.plan import CHANGES, WAITING, Action, Decision, Decisions, Plan, Step, make_plan
from profiles.sync.report import FileDifference, PersonaReport, PersonaState, Report, Target, Validate
from profiles.sync.run import Run, load_manifest
from profiles.sync.scan import scan
from profiles.sync.sources.base import SourceProblem
from profiles.sync.wishes import Wish, Wishes, wishes_of

__all__ = [
    "Action", "Decision", "Decisions", "FileDifference", "PersonaReport", "PersonaState", "Plan", "Report", "Step",
    "Target", "Validate", "difference", "restore_last_good", "sync_once",
]  # fmt: skip


def sync_once(
    target: Target,
    personas: Sequence[Persona],
    *,
    version: str | None,
    dry_run: bool = False,
    decisions: Decisions | None = None,
    validate: Validate | None = None,
    now: datetime,
    problems: Sequence[SourceProblem] = (),
    hook: Hook = no_hook,
    wait_seconds: float = WAIT_SECONDS,
    keep_last_good: bool = True,
) -> Report:
    """Bring the personas into the gateway's files. Blocking.

    `version`: the gateway's, None = not known. `problems`: of the source; what they are about stays as it was. `hook`
    is called before every single change of the disk. `wait_seconds`: for another sync of the same root.
    `keep_last_good`: the configuration that is there is one to go back to; false where nobody knows whether the
    gateway takes it, so that the one before it stays that.

    Raises SyncError when nothing could be done; what is wrong with one persona is in its report.
    """
    begun = time.monotonic()
    wishes = wishes_of(target, personas, problems)
    root = _root(target, make=not dry_run)
    try:
        with contextlib.ExitStack() as stack:
            if root is not None and not dry_run:
                stack.enter_context(locked(root, target.root, wait_seconds))
            run = Run(
                target, wishes, root, version=version, decisions=decisions or {}, hook=hook,
                keep_last_good=keep_last_good,
            )  # fmt: skip
            if dry_run:
                run.pretend()
            else:
                run.do(validate, now)
    except OSError as exc:
        raise SyncError(f"{target.root} cannot be synced: {exc.strerror}", hint_for(exc)) from exc
    finally:
        if root is not None:
            os.close(root)
    notes = (*run.notes, *check_mounts(target.root, target.config, target.mounts))
    return _report_of(run, wishes, notes, time.monotonic() - begun)


def restore_last_good(target: Target) -> bool:
    """Put the configuration back as it was before the last change; false when there is no other one.

    Raises SyncError.
    """
    root = open_folder(target.root)
    try:
        with locked(root, target.root):
            return ConfigFile(target.config, target.stamp).restore()
    finally:
        os.close(root)


def difference(target: Target, personas: Sequence[Persona], slug: str) -> tuple[FileDifference, ...]:
    """Return every file of a persona that is not as the source says, with both texts. Raises SyncError."""
    wish = wishes_of(target, [each for each in personas if each.slug == slug], ()).wishes.get(slug)
    if wish is None:
        raise SyncError(f"the source has no persona {slug}, or it is not in use", "clawtui sync status")
    root = _root(target, make=False)
    if root is None:
        return ()
    try:
        return _differences(target, root, wish)
    except OSError as exc:
        raise SyncError(f"{target.root / slug} cannot be read: {exc.strerror}", hint_for(exc)) from exc
    finally:
        os.close(root)


def _differences(target: Target, root: int, wish: Wish) -> tuple[FileDifference, ...]:
    slug = wish.persona.slug
    manifest = load_manifest(root, target.root)
    seen = scan(root, target.root, [wish.workspace], manifest)
    if seen[slug].problem:
        raise WorkspaceProblem(seen[slug].problem, seen[slug].hint)
    contents = {file.path: file.content for file in wish.workspace.files}
    with Tree(root, target.root, slug) as tree:
        return tuple(
            _differs(step, tree.content(step.path), contents.get(step.path))
            for step in make_plan([wish.workspace], manifest, seen, {}).steps
            if step.action is not Action.KEEP or (step.wanted != step.seen and not step.own)
        )


def _differs(step: Step, before: bytes | None, after: bytes | None) -> FileDifference:
    try:
        texts = [None if content is None else content.decode() for content in (before, after)]
    except UnicodeDecodeError:
        return FileDifference(path=step.path, action=step.action.value, reason=step.reason, binary=True)
    return FileDifference(path=step.path, action=step.action.value, reason=step.reason, before=texts[0], after=texts[1])


def _root(target: Target, *, make: bool) -> int | None:
    """A descriptor of the workspace root. It is made where only it is missing; a missing folder around it is a mount
    that is not there."""
    if not os.path.lexists(target.root):
        if not target.root.parent.is_dir():
            hint = f"Is the volume mounted? Else make it: mkdir -p {target.root}"
            raise SyncError(f"the folder {target.root.parent} of the workspaces does not exist", hint)
        if not make:
            return None
        try:
            target.root.mkdir(mode=target.folder_mode)
        except OSError as exc:
            raise SyncError(f"{target.root} cannot be made: {exc.strerror}", hint_for(exc)) from exc
    return open_folder(target.root)


# --- the report --------------------------------------------------------------------------------------


def _report_of(run: Run, wishes: Wishes, notes: tuple[str, ...], seconds: float) -> Report:
    return Report(
        personas=_reports(run, wishes),
        roster=tuple(sorted(run.roster)),
        config_changed=run.config_changed,
        config_problem=run.config_problem,
        config_hint=run.config_hint,
        archived=tuple(run.archived),
        notes=notes,
        written=run.written,
        seconds=seconds,
    )


def _reports(run: Run, wishes: Wishes) -> tuple[PersonaReport, ...]:
    steps: dict[str, list[Step]] = {}
    for step in run.plan.steps:
        steps.setdefault(step.slug, []).append(step)
    reports = [_persona(run, wish, tuple(steps.get(slug, ()))) for slug, wish in wishes.wishes.items()]
    for slug, problem in wishes.wrong.items():
        reports.append(_failed(slug, str(problem), problem.hint or "Until then it stays as it is."))
    for slug in run.failed.keys() - wishes.wishes.keys():
        reports.append(_failed(slug, run.failed[slug].message, run.failed[slug].hint))
    return tuple(sorted(reports, key=lambda report: report.slug))


def _failed(slug: str, reason: str, hint: str) -> PersonaReport:
    return PersonaReport(slug=slug, name=slug, state=PersonaState.FAILED, reason=reason, hint=hint)


def _persona(run: Run, wish: Wish, steps: tuple[Step, ...]) -> PersonaReport:
    slug = wish.persona.slug
    state, reason, hint = _state(run, wish, steps)
    kept = [step.path for step in steps if not step.own and step.action is Action.KEEP and step.wanted != step.seen]
    notes = (*wish.notes, *([f"kept as somebody changed it: {', '.join(kept)}"] if kept else []))
    return PersonaReport(
        slug=slug, name=wish.persona.name, state=state, reason=reason, hint=hint, hash=wish.sha256, steps=steps,
        notes=notes, model=wish.entry.model or "", workspace=wish.entry.workspace,
    )  # fmt: skip


def _state(run: Run, wish: Wish, steps: tuple[Step, ...]) -> tuple[PersonaState, str, str]:
    slug = wish.persona.slug
    if slug in run.failed:
        return PersonaState.FAILED, run.failed[slug].message, run.failed[slug].hint
    waiting = [step for step in steps if step.action in WAITING]
    if waiting:
        conflict = any(step.action is Action.CONFLICT for step in waiting)
        reason = "; ".join(f"{step.path}: {step.reason}" for step in waiting)
        return (PersonaState.CONFLICT if conflict else PersonaState.DRIFTED), reason, "Keep it, apply or adopt."
    if run.config_problem:
        return PersonaState.PENDING, f"the configuration was not changed: {run.config_problem}", run.config_hint
    if changed := [step.path for step in steps if step.action in CHANGES]:
        return PersonaState.PENDING, f"written: {', '.join(changed)}", ""
    if run.manifest.roster.get(slug) != wish.entry_hash:
        return PersonaState.PENDING, "its entry in the configuration changed", ""
    return PersonaState.IN_STEP, "", ""
