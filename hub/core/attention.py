"""What needs a person: one table of rules over the facts of a moment, ranked, the same for every front end.

A feature that can fail adds a `Rule` to `RULES` and, where it has facts of its own, a field to `Facts`.
A finding's id is its kind and its target, so it stays the same while it lasts. A snooze hides a state
until it expires; of things that happen (failed tasks and jobs) it hides those that had happened when it
was made. What a kind is called for people stands in `attention_words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from hub.contract import AttentionList, AttentionQuery, AttentionView, GatewayState, Severity, SuggestedAct
from hub.core.attention_facts import FAILURES_MS, AgentFacts, Facts, Failure, JobFailure
from hub.core.attention_finding import Finding
from hub.core.attention_gateways import (
    DRAIN_MS,
    gateways,
    given_up,
    ingress,
    not_through,
    sync_failed,
    sync_pending,
    sync_waits,
)
from hub.core.attention_words import WORDS
from hub.core.model import (
    Agent,
    AgentStatus,
    CheckState,
    Desired,
    Observed,
    Snooze,
    TaskState,
)
from hub.core.view import rfc3339
from runtime.wire import Disk

SILENCE_MS: Final = 30_000
"""An agent may be away for so long before a person is called: a restart takes less."""
DISK_LOW: Final = 0.90
DISK_VERY_LOW: Final = 0.97
"""Used shares of a disk; the last per cents are needed to clean up."""
DISK_ENOUGH_BYTES: Final = 50 * 1024**3
"""With so much free space a disk is not low, whatever its share."""
TASKS_NAMED: Final = 20
STARTING: Final = frozenset({"create", "start"})
"""Kinds of jobs that are made up for by an agent that is online."""

_C, _W, _N = Severity.CRITICAL, Severity.WARNING, Severity.NOTICE
_URGENCY: Final = {_C: 0, _W: 1, _N: 2}
HUB: Final = "hub"


# --- findings ----------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One kind of thing that needs a person. Of equal severity, rules that stand first come first."""

    kind: str
    find: Callable[[Facts], Iterator[Finding]]


def _agent(facts: AgentFacts, severity: Severity, text: str, acts: Sequence[str], since_ms: int | None) -> Finding:
    name = facts.agent.id
    return Finding(
        target_kind="agent",
        target=name,
        text=text,
        severity=severity,
        since_ms=since_ms,
        acts=[(f"agent.{act}", f"clawtui {act} {name}") for act in acts],
    )


def _read_only(facts: Facts) -> Iterator[Finding]:
    if facts.hub.trouble:
        yield _hub(facts.hub.trouble, _C)


def _hub(text: str, severity: Severity) -> Finding:
    acts = [("hub.doctor", "clawtui doctor")]
    return Finding(target_kind=HUB, target=HUB, text=text, severity=severity, acts=acts)


def _problem(facts: Facts) -> Iterator[Finding]:
    if facts.hub.problems:
        yield _hub("; ".join(facts.hub.problems), _W)


def _drivers(facts: Facts) -> Iterator[Finding]:
    for name, why in facts.hub.drivers.items():
        text = f"driver {name} does not answer, its agents are shown as last seen: {why}"
        yield Finding(
            target_kind="driver", target=name, text=text, severity=_C, acts=[("hub.doctor", "clawtui doctor")]
        )


def _quarantined(facts: Facts) -> Iterator[Finding]:
    for one in facts.agents:
        if one.status is AgentStatus.QUARANTINED:
            text = f"shut out: {one.agent.fault or 'its identity is in doubt'}"
            yield _agent(one, _C, text, ("release", "logs"), one.last_seen_ms)


def _crashed(looping: bool) -> Callable[[Facts], Iterator[Finding]]:
    def find(facts: Facts) -> Iterator[Finding]:
        for one in facts.agents:
            if one.status is not AgentStatus.CRASHED or one.looping is not looping or _finished(one.agent):
                continue
            why = one.agent.reason or "it does not run"
            acts = ("logs", "destroy") if one.agent.observed is Observed.ABSENT else ("logs", "start")
            if looping:
                yield _agent(one, _C, f"crash loop, {why}", acts, one.last_seen_ms)
            elif one.restarting:
                yield _agent(one, _N, f"crashed and is being restarted: {why}", acts, one.last_seen_ms)
            else:
                yield _agent(one, _W, f"crashed: {why}", acts, one.last_seen_ms)

    return find


def _unhealthy(given_up: bool) -> Callable[[Facts], Iterator[Finding]]:
    def find(facts: Facts) -> Iterator[Finding]:
        for one in facts.agents:
            report = one.wellness
            running = one.agent.observed is Observed.RUNNING and one.agent.desired is Desired.RUNNING
            if report is None or report.check is not CheckState.UNHEALTHY or report.given_up is not given_up:
                continue
            if not running or one.agent.quarantined:
                continue
            why = f"its health check fails: {report.why or 'it says nothing'}"
            times = f"{report.restarts} restart{'s' * (report.restarts != 1)}"
            if given_up:
                yield _agent(one, _C, f"{times} did not help, {why}", ("logs", "restart"), report.since_ms)
            else:
                then = "it is restarted when its tasks have ended" if report.waiting else "it is restarted soon"
                done = f" ({times} so far)" if report.restarts else ""
                yield _agent(one, _W, f"{then}{done}: {why}", ("logs", "restart"), report.since_ms)

    return find


def _out_of_memory(facts: Facts) -> Iterator[Finding]:
    for one in facts.agents:
        report = one.wellness
        at_ms = report.out_of_memory_ms if report is not None else None
        if report is None or at_ms is None or one.agent.desired is Desired.ABSENT:
            continue
        if facts.now_ms - at_ms >= FAILURES_MS:
            continue
        times = f", {report.out_of_memory} times" if report.out_of_memory > 1 else ""
        text = f"the platform ended it for want of memory{times}; give it more, or less to do at once"
        found = _agent(one, _W, text, ("logs", "status"), at_ms)
        yield msgspec.structs.replace(found, newest_ms=at_ms, count=report.out_of_memory)


def _finished(agent: Agent) -> bool:
    """It ended by itself and well, and nobody asked for it to be started again."""
    return agent.observed is Observed.EXITED and agent.exit_code == 0 and agent.restart in ("no", "on-failure")


def _unsupported(facts: Facts) -> Iterator[Finding]:
    for one in facts.agents:
        # The fault of a quarantined agent is another one, and has a rule of its own.
        if one.agent.fault and not one.agent.quarantined and one.agent.desired is not Desired.ABSENT:
            yield _agent(one, _W, one.agent.fault, ("logs", "destroy"), one.last_seen_ms)


def _silent(facts: Facts) -> Iterator[Finding]:
    away = {
        AgentStatus.STALE: "has not reported for a while",
        AgentStatus.UNREACHABLE: "lost its connection without a word",
        AgentStatus.OFFLINE: "runs and does not connect",
    }
    for one in facts.agents:
        text = away.get(one.status)
        if text is None or one.agent.desired is not Desired.RUNNING or one.agent.fault:
            continue
        # An agent that somebody runs by hand and that said goodbye does as it was told.
        if one.status is AgentStatus.OFFLINE and one.agent.observed is not Observed.RUNNING:
            continue
        heard_ms = max(one.last_seen_ms or 0, one.agent.created_at)
        if facts.now_ms - max(heard_ms, facts.hub.started_ms) >= SILENCE_MS:
            acts = ("logs", "restart") if one.agent.driver else ("status",)
            yield _agent(one, _W, text, acts, heard_ms)


def _disk_severity(disk: Disk | None) -> Severity | None:
    if disk is None or disk.total <= 0 or disk.total - disk.used >= DISK_ENOUGH_BYTES:
        return None
    share = disk.used / disk.total
    if share >= DISK_VERY_LOW:
        return _C
    return _W if share >= DISK_LOW else None


def _disk_text(disk: Disk) -> str:
    return f"{disk.used / disk.total:.0%} of the disk is used, {(disk.total - disk.used) / 1024**3:.1f} GiB are free"


def _hub_disk(facts: Facts) -> Iterator[Finding]:
    disk = facts.hub.disk
    severity = _disk_severity(disk)
    if disk is not None and severity is not None:
        yield _hub(f"the hub's machine: {_disk_text(disk)}", severity)


def _agent_disk(facts: Facts) -> Iterator[Finding]:
    hub_total = facts.hub.disk.total if facts.hub.disk is not None else None
    for one in facts.agents:
        severity = _disk_severity(one.disk)
        # Agents on the hub's own disk have nothing to add to what is said of the hub.
        if one.disk is None or severity is None or one.disk.total == hub_total:
            continue
        if one.status in (AgentStatus.ONLINE, AgentStatus.STALE):
            yield _agent(one, severity, _disk_text(one.disk), ("shell", "status"), None)


def _failures(lost: bool) -> Callable[[Facts], Iterator[Finding]]:
    def find(facts: Facts) -> Iterator[Finding]:
        groups: dict[tuple[str, str], list[Failure]] = {}
        for failure in facts.failures:
            if (failure.state is TaskState.LOST) is lost and facts.now_ms - failure.ended_at < FAILURES_MS:
                by = ("dispatch", failure.dispatch_id) if failure.dispatch_id else ("agent", failure.agent_id)
                groups.setdefault(by, []).append(failure)
        for (target_kind, target), failed in groups.items():
            yield _group(target_kind, target, failed)

    return find


def _group(target_kind: str, target: str, failed: list[Failure]) -> Finding:
    failed.sort(key=lambda failure: (-failure.ended_at, failure.task_id))
    newest = failed[0]
    if target_kind == "dispatch":
        acts = [("dispatch.retry", f"clawtui tasks retry --dispatch {target}")]
        acts.append(("dispatch.show", f"clawtui tasks show --dispatch {target}"))
    else:
        acts = [("task.show", f"clawtui tasks show {newest.task_id}")]
        acts.append(("task.retry", f"clawtui tasks retry {newest.task_id}"))
    return Finding(
        target_kind=target_kind,
        target=target,
        text=_told(failed),
        severity=_W,
        since_ms=failed[-1].ended_at,
        newest_ms=newest.ended_at,
        count=len(failed),
        tasks=[failure.task_id for failure in failed[:TASKS_NAMED]],
        acts=acts,
    )


def _told(failed: list[Failure]) -> str:
    newest, states = failed[0], sorted({failure.state.value.replace("_", " ") for failure in failed})
    where = f" on {newest.agent_id}" if newest.dispatch_id else ""
    # Who was interrupted has an exit code too; that it was interrupted says more.
    why = newest.message or newest.code or (f"exit code {newest.exit_code}" if newest.exit_code else "")
    last = f"{newest.type}{where}" + (f" ({why[:120]})" if why else "")
    if len(failed) == 1:
        return f"a task {states[0] if states[0] in ('failed', 'timed out') else 'was ' + states[0]}: {last}"
    return f"{len(failed)} tasks {' or '.join(states)}, last {last}"


def _jobs(facts: Facts) -> Iterator[Finding]:
    """One finding per target. An agent that is online was made and started, whatever its job says."""
    online = {one.agent.id for one in facts.agents if one.status is AgentStatus.ONLINE}
    groups: dict[str, list[JobFailure]] = {}
    for job in facts.jobs:
        moot = job.kind in STARTING and job.agent_id in online
        if not moot and facts.now_ms - job.ended_at < FAILURES_MS:
            groups.setdefault(job.agent_id or HUB, []).append(job)
    for target, failed in groups.items():
        failed.sort(key=lambda job: (-job.ended_at, job.job_id))
        newest = failed[0]
        yield Finding(
            target_kind=HUB if newest.agent_id is None else "agent",
            target=target,
            text=_jobs_told(failed),
            severity=_W,
            since_ms=failed[-1].ended_at,
            newest_ms=newest.ended_at,
            count=len(failed),
            jobs=[job.job_id for job in failed[:TASKS_NAMED]],
            acts=[("job.show", f"clawtui jobs show {newest.job_id}")],
        )


def _jobs_told(failed: list[JobFailure]) -> str:
    newest = failed[0]
    what = f"{newest.kind} {newest.about}".rstrip()
    last = f"{what} failed" + (f": {newest.message[:200]}" if newest.message else "")
    return last if len(failed) == 1 else f"{len(failed)} jobs failed, last {last}"


RULES: Final[tuple[Rule, ...]] = (
    Rule("registry_read_only", _read_only),
    Rule("hub_disk", _hub_disk),
    Rule("driver_gone", _drivers),
    Rule("quarantined", _quarantined),
    Rule("crash_loop", _crashed(looping=True)),
    Rule("given_up", _unhealthy(given_up=True)),
    Rule("unhealthy", _unhealthy(given_up=False)),
    Rule("out_of_memory", _out_of_memory),
    Rule("agent_crashed", _crashed(looping=False)),
    Rule("unsupported_protocol", _unsupported),
    Rule("agent_silent", _silent),
    Rule("agent_disk", _agent_disk),
    Rule("gateway_given_up", given_up),
    Rule("gateway_refused", gateways(GatewayState.REFUSED, 0)),
    Rule("gateway_down", gateways(GatewayState.DOWN, SILENCE_MS)),
    Rule("gateway_wedged", gateways(GatewayState.WEDGED, SILENCE_MS)),
    Rule("gateway_not_ready", gateways(GatewayState.NOT_READY, DRAIN_MS)),
    Rule("ingress_away", ingress(away=True)),
    Rule("ingress_refused", ingress(away=False)),
    Rule("ingress_route", not_through),
    Rule("sync_failed", sync_failed),
    Rule("sync_waits", sync_waits),
    Rule("sync_pending", sync_pending),
    Rule("job_failed", _jobs),
    Rule("tasks_lost", _failures(lost=True)),
    Rule("tasks_failed", _failures(lost=False)),
    Rule("hub_problem", _problem),
)
"""Every kind, in the order in which they come when equally urgent."""


# --- the answer --------------------------------------------------------------------------------


def resolve(facts: Facts, snoozes: Sequence[Snooze] = (), known: Mapping[str, int] | None = None) -> AttentionList:
    """Return all that needs a person, most urgent first, what is snoozed last.

    `known`: since when an id has been seen (ms since the epoch), for what does not know it itself.
    """
    by_id = {snooze.id: snooze for snooze in snoozes}
    ranked: list[tuple[tuple[bool, int, int, int, str], AttentionView]] = []
    for place, rule in enumerate(RULES):
        for finding in rule.find(facts):
            name = f"{rule.kind}:{finding.target}"
            since = finding.since_ms if finding.since_ms is not None else (known or {}).get(name, facts.now_ms)
            snooze = by_id.get(name)
            hidden = snooze if snooze is not None and _covers(snooze, finding, facts.now_ms) else None
            rank = (hidden is not None, _URGENCY[finding.severity], place, since, finding.target)
            ranked.append((rank, _view(name, rule.kind, finding, since, hidden)))
    ranked.sort(key=lambda entry: entry[0])
    snoozed = sum(rank[0] for rank, _ in ranked)
    return AttentionList(attention=[view for _, view in ranked], total=len(ranked) - snoozed, snoozed=snoozed)


def shown(everything: AttentionList, query: AttentionQuery) -> AttentionList:
    """Return what a front end asked for of what `resolve` said."""
    wanted = everything.attention if query.snoozed else everything.attention[: everything.total]
    return AttentionList(attention=wanted[: query.limit], total=everything.total, snoozed=everything.snoozed)


def _covers(snooze: Snooze, finding: Finding, now_ms: int) -> bool:
    if now_ms >= snooze.until:
        return False
    return finding.newest_ms is None or finding.newest_ms <= snooze.at


def _view(name: str, kind: str, finding: Finding, since_ms: int, snooze: Snooze | None) -> AttentionView:
    words = WORDS[kind]
    return AttentionView(
        id=name,
        kind=kind,
        severity=finding.severity,
        target_kind=finding.target_kind,
        target=finding.target,
        since=rfc3339(since_ms) or "",
        text=finding.text,
        count=finding.count,
        title=words.title,
        todo=words.todo,
        tasks=list(finding.tasks),
        jobs=list(finding.jobs),
        acts=[SuggestedAct(act=act, command=command) for act, command in finding.acts],
        snoozed_until=rfc3339(snooze.until) if snooze is not None else None,
    )
