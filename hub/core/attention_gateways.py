"""Rules of what needs a person at OpenClaw gateways: how they are, and whether their files are in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hub.contract import GatewayState, Severity
from hub.core.attention_facts import Facts, SyncFacts
from hub.core.attention_finding import Finding

DRAIN_MS: Final = 360_000
"""An OpenClaw gateway that stops lets turns go on for up to 315 s; what is not ready for longer will not be."""
SILENCE_MS: Final = 30_000
"""What was not reached for so long is not merely being started."""
SLUGS_NAMED: Final = 5
PENDING_MS: Final = 300_000
"""A gateway with hundreds of agents takes minutes to reload; what takes longer does not happen by itself."""


def gateways(state: GatewayState, patience_ms: int) -> Callable[[Facts], Iterator[Finding]]:
    def find(facts: Facts) -> Iterator[Finding]:
        given_up = {one.name for one in facts.given_up}
        for one in facts.gateways:
            # That a gateway was given up says more than how it is.
            if one.state is not state or facts.now_ms - one.since_ms < patience_ms or one.name in given_up:
                continue
            yield Finding(
                target_kind="gateway",
                target=one.name,
                text=one.reason or "nothing says why",
                severity=Severity.WARNING,
                since_ms=one.since_ms,
                acts=[("gateway.show", f"clawtui gateway show {one.name}")],
            )

    return find


def given_up(facts: Facts) -> Iterator[Finding]:
    for one in facts.given_up:
        yield Finding(
            target_kind="gateway", target=one.name, text=one.reason or "nothing says why", severity=Severity.CRITICAL,
            since_ms=one.since_ms,
            acts=[
                ("gateway.logs", f"clawtui gateway logs {one.name}"),
                ("gateway.start", f"clawtui gateway start {one.name}"),
            ],
        )  # fmt: skip


def ingress(*, away: bool) -> Callable[[Facts], Iterator[Finding]]:
    def find(facts: Facts) -> Iterator[Finding]:
        found = facts.ingress
        if found.problem and found.away is away:
            yield Finding(
                target_kind="hub", target="hub", text=found.problem,
                severity=Severity.CRITICAL if away else Severity.WARNING, since_ms=found.since_ms,
                acts=[("ingress.show", "clawtui gateway ingress show")],
            )  # fmt: skip

    return find


def not_through(facts: Facts) -> Iterator[Finding]:
    """Gateways that answer, but not under their names."""
    for name, reason, since_ms in facts.ingress.routes:
        if facts.now_ms - since_ms >= SILENCE_MS and not facts.ingress.problem:
            yield Finding(
                target_kind="gateway", target=name, text=reason or "nothing says why", severity=Severity.WARNING,
                since_ms=since_ms, acts=[("ingress.show", "clawtui gateway ingress show")],
            )  # fmt: skip


def sync_failed(facts: Facts) -> Iterator[Finding]:
    for one in facts.syncs:
        if not one.problem and not one.failed:
            continue
        first = one.failed[0] if one.failed else None
        text = one.problem or (f"{first[0]}: {first[1]}" if first is not None else "")
        more = f" ({len(one.failed)} personas)" if len(one.failed) > 1 else ""
        since = one.problem_ms if one.problem or first is None else first[2]
        yield _told(one, f"{text}{more}", since, ("sync.show", f"clawtui sync status {one.gateway}"))


def sync_waits(facts: Facts) -> Iterator[Finding]:
    for one in facts.syncs:
        if one.waiting:
            slug, reason, _ = one.waiting[0]
            named = ", ".join(slug for slug, _, _ in one.waiting[:SLUGS_NAMED])
            more = len(one.waiting) - SLUGS_NAMED
            text = f"{named}{f' and {more} more' if more > 0 else ''}: {reason}"
            act = ("sync.diff", f"clawtui sync diff {one.gateway}/{slug}")
            yield _told(one, text, min(since for _, _, since in one.waiting), act, len(one.waiting))


def sync_pending(facts: Facts) -> Iterator[Finding]:
    for one in facts.syncs:
        late = [(slug, why, since) for slug, why, since in one.pending if facts.now_ms - since >= PENDING_MS]
        if late:
            text = f"{len(late)} personas wait for it: {late[0][1]}" if len(late) > 1 else f"{late[0][0]}: {late[0][1]}"
            act = ("gateway.show", f"clawtui gateway show {one.gateway}")
            yield _told(one, text, min(since for _, _, since in late), act, len(late))


def _told(facts: SyncFacts, text: str, since_ms: int | None, act: tuple[str, str], count: int = 1) -> Finding:
    return Finding(
        target_kind="gateway", target=facts.gateway, text=text, severity=Severity.WARNING, since_ms=since_ms,
        count=count, acts=[act],
    )  # fmt: skip
