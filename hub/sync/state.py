"""What is known of one gateway's sync, and how front ends are shown it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from hub.contract import FileDifference, PersonaSync, SyncReport, SyncState, SyncStep, SyncTarget
from hub.core.attention_facts import SyncFacts
from hub.core.view import rfc3339
from profiles.sync.plan import CHANGES, WAITING, Step
from profiles.sync.report import FileDifference as Difference
from profiles.sync.report import PersonaReport, PersonaState, Report

HASH_DIGITS: Final = 12
PROVEN: Final = "the gateway shows the roster that was written"


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """One persona now. `since_ms`: since when it is in this state (ms since the epoch). `proven`: the hash that the
    gateway was last seen to have taken."""

    view: PersonaSync
    since_ms: int
    hash: str = ""
    proven: str = ""
    hint: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All of one gateway. Times are ms since the epoch. `proof`: how it is known that the gateway took it, or why not.

    `problem_ms`: since when there is one. `seconds`: how long the last run took.
    """

    gateway: str
    source: str
    workspace_root: str
    config_path: str
    running: bool = False
    last_run_ms: int | None = None
    last_ok_ms: int | None = None
    next_run_ms: int | None = None
    verified_ms: int | None = None
    proof: str = ""
    problem: str = ""
    hint: str = ""
    problem_ms: int | None = None
    archived: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    personas: Mapping[str, Persona] = {}
    seconds: float = 0.0

    def target(self) -> SyncTarget:
        return SyncTarget(
            gateway=self.gateway,
            source=self.source,
            workspace_root=self.workspace_root,
            config_path=self.config_path,
            running=self.running,
            last_run_at=rfc3339(self.last_run_ms),
            last_ok_at=rfc3339(self.last_ok_ms),
            next_run_at=rfc3339(self.next_run_ms),
            verified_at=rfc3339(self.verified_ms),
            proof=self.proof,
            problem=self.problem,
            hint=self.hint,
            archived=list(self.archived),
            counts=self.counts(),
            notes=list(self.notes),
        )

    def counts(self) -> dict[str, int]:
        found = Counter(one.view.state.value for one in self.personas.values())
        return {state.value: found[state.value] for state in SyncState if found[state.value]}

    def views(self) -> list[PersonaSync]:
        return [self.personas[slug].view for slug in sorted(self.personas)]

    def facts(self) -> SyncFacts:
        """What the rules of attention need."""

        def of(*states: SyncState) -> tuple[tuple[str, str, int], ...]:
            found = ((slug, one) for slug, one in sorted(self.personas.items()) if one.view.state in states)
            return tuple((slug, one.view.reason, one.since_ms) for slug, one in found)

        return SyncFacts(
            gateway=self.gateway,
            problem=self.problem,
            problem_ms=self.problem_ms,
            failed=of(SyncState.FAILED),
            waiting=of(SyncState.DRIFTED, SyncState.CONFLICT),
            pending=of(SyncState.PENDING),
        )


def with_problem(state: State, problem: str, hint: str, now_ms: int) -> State:
    """Return the state with this problem, empty = none; one that stays keeps its time."""
    same = bool(problem) and bool(state.problem)
    since = None if not problem else state.problem_ms if same else now_ms
    return msgspec.structs.replace(state, problem=problem, hint=hint if problem else "", problem_ms=since)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the gateway after a look. `pending`: why the config is not known to be taken, empty = it is.
    `shown`: slugs that the gateway has now, None where it does not tell or nothing is asked of it."""

    pending: str = ""
    shown: frozenset[str] | None = None


def with_report(state: State, report: Report, proof: Proof, now_ms: int) -> State:
    """Return the state after a run."""
    personas: dict[str, Persona] = {}
    for one in report.personas:
        before = state.personas.get(one.slug)
        personas[one.slug] = _persona(state.gateway, one, before, proof, now_ms)
    return msgspec.structs.replace(state, personas=personas, notes=report.notes)


def with_proof(state: State, proof: Proof, now_ms: int) -> State:
    """Return the state after a look at the gateway; what waits for a person or failed is as before."""
    settled = {
        slug: _proven(one, proof, now_ms)
        for slug, one in state.personas.items()
        if one.view.state in (SyncState.IN_STEP, SyncState.PENDING)
    }
    return msgspec.structs.replace(state, personas={**state.personas, **settled})


def _proven(one: Persona, proof: Proof, now_ms: int) -> Persona:
    if not proof.pending:
        return _changed(one, SyncState.IN_STEP, "", now_ms, proven=one.hash)
    if one.proven == one.hash and proof.shown is not None and one.view.slug in proof.shown:
        # The others are on their way; this one the gateway had already.
        return _changed(one, SyncState.IN_STEP, "", now_ms, proven=one.proven)
    return _changed(one, SyncState.PENDING, proof.pending, now_ms, proven=one.proven)


def _changed(one: Persona, state: SyncState, reason: str, now_ms: int, *, proven: str) -> Persona:
    same = one.view.state is state
    since = one.since_ms if same else now_ms
    view = msgspec.structs.replace(one.view, state=state, reason=reason, at=rfc3339(since) or "")
    return msgspec.structs.replace(one, view=view, since_ms=since, proven=proven)


def _persona(
    gateway: str,
    report: PersonaReport,
    before: Persona | None,
    proof: Proof,
    now_ms: int,
) -> Persona:
    state = SyncState(report.state.value)
    since = before.since_ms if before is not None and before.view.state is state else now_ms
    view = PersonaSync(
        gateway=gateway,
        slug=report.slug,
        name=report.name,
        state=state,
        reason=report.reason,
        hash=report.hash[:HASH_DIGITS],
        at=rfc3339(since) or "",
        model=report.model,
        workspace=report.workspace,
        files=[step.path for step in report.steps if step.action in WAITING],
        notes=list(report.notes),
    )
    made = Persona(
        view=view, since_ms=since, hash=report.hash, proven=before.proven if before is not None else "",
        hint=report.hint,
    )  # fmt: skip
    if report.state not in (PersonaState.IN_STEP, PersonaState.PENDING):
        return made
    if before is not None:
        # What is pending or in step is for the gateway to say; a run that wrote something is no news by itself.
        made = msgspec.structs.replace(made, view=msgspec.structs.replace(made.view, state=before.view.state))
        made = msgspec.structs.replace(made, since_ms=before.since_ms)
    return _proven(made, proof, now_ms)


# --- answers ------------------------------------------------------------------------------------------------


def report_view(gateway: str, report: Report, *, dry_run: bool, restarted: bool, problem: str) -> SyncReport:
    """Return a run as front ends show it."""
    steps = [step_view(step) for one in report.personas for step in one.steps if step.action in CHANGES | WAITING]
    failed = [f"{one.slug}: {one.reason}" for one in report.personas if one.state is PersonaState.FAILED]
    return SyncReport(
        gateway=gateway,
        dry_run=dry_run,
        steps=steps,
        archived=list(report.archived),
        config_changed=report.config_changed,
        restarted=restarted,
        problem=problem or report.config_problem or "; ".join(failed),
        seconds=round(report.seconds, 3),
        notes=[*report.notes, *(f"{one.slug}: {note}" for one in report.personas for note in one.notes)],
    )


def step_view(step: Step) -> SyncStep:
    return SyncStep(slug=step.slug, path=step.path, action=step.action.value, reason=step.reason)


def difference_view(found: Difference, why_not: str) -> FileDifference:
    """`why_not`: why the source cannot take the text on disk."""
    if not why_not and found.before is None:
        why_not = "it is not text" if found.binary else "there is no file on disk"
    return FileDifference(
        path=found.path,
        action=found.action,
        reason=found.reason,
        on_disk=found.before,
        wanted=found.after,
        binary=found.binary,
        can_adopt=not why_not,
        why_not=why_not,
    )
