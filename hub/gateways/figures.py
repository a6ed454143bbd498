"""What checks say over a time: pass rate, response times, restarts. Pure.

A check *passes* when the gateway was ready. It *counts* unless nobody could expect that it passes:

| seen                                                                  | counts |
|-----------------------------------------------------------------------|--------|
| it passes                                                             | yes    |
| the hub has stopped it, or makes, upgrades, saves, restores or        | no     |
| destroys it                                                           |        |
| it is within the grace of its start, and was not ready since          | no     |
| it stops and lets turns end, within the time that OpenClaw takes      | no     |
| anything else, refusals of our token and what only looks like a       | yes    |
| gateway included                                                      |        |

The pass rate is what passes of what counts. Response times are those of checks that passed: how long something wrong
took to be wrong says nothing. Percentiles are values that were measured (nearest rank).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

import msgspec

from hub.contract import GatewayCheck, GatewayFigures, GatewayState
from hub.core.gateway_checks import Check, Deed
from hub.core.view import rfc3339
from hub.gateways.looks import Seen

START_GRACE_MS: Final = 120_000
"""OpenClaw starts in 7 to 15 s on two idle cores; many at once, or a migration of old state, take longer."""
DRAIN_MS: Final = 360_000
"""A drain takes up to 315 s."""


class Standing(msgspec.Struct, frozen=True):
    """What the hub does with a gateway. `at_rest`: it is not expected to answer. `started_ms`: when it was started
    last (ms since the epoch), None where nobody knows."""

    at_rest: bool = False
    started_ms: int | None = None


def counts(seen: Seen, standing: Standing, unready_ms: int | None, now_ms: int, ready_ms: int | None = None) -> bool:
    """Tell whether a look is part of the pass rate. `unready_ms`: since when it has lived without being ready;
    `ready_ms`: when it was ready last."""
    if standing.at_rest:
        return False
    if seen.ready:
        return True
    if seen.draining and unready_ms is not None:
        return now_ms - unready_ms >= DRAIN_MS
    begun_ms = standing.started_ms
    if begun_ms is None and seen.state is GatewayState.STARTING:
        begun_ms = unready_ms
    if begun_ms is None or not 0 <= now_ms - begun_ms < START_GRACE_MS:
        return True
    return ready_ms is not None and ready_ms > begun_ms


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that `share` (0..1) of the ordered values do not exceed; None of none."""
    return ordered[max(ceil(share * len(ordered)), 1) - 1] if ordered else None


def figures(checks: Iterable[Check], deeds: Sequence[Deed] = (), deploys: Sequence[float] = ()) -> GatewayFigures:
    """Return what checks of one gateway, or of many, say. `deploys`: seconds that deployments took. Checks through a
    proxy are no part of it."""
    direct = [check for check in checks if check.via == "direct"]
    counted = [check for check in direct if check.counts]
    passed = [check for check in counted if check.healthy]
    times = sorted(check.response_ms for check in passed if check.response_ms is not None)
    return GatewayFigures(
        checks=len(counted),
        since=rfc3339(min((check.at_ms for check in direct), default=None)),
        pass_rate=_share(len(passed), len(counted)),
        response_ms=round(sum(times) / len(times), 1) if times else None,
        response_p50_ms=percentile(times, 0.5),
        response_p95_ms=percentile(times, 0.95),
        deploy_seconds=round(sum(deploys) / len(deploys), 1) if deploys else None,
        restarts=len(deeds),
        restart_success_rate=_share(sum(deed.worked for deed in deeds), len(deeds)),
    )


def shown(check: Check) -> GatewayCheck:
    """Return a check as front ends show it."""
    return GatewayCheck(
        at=rfc3339(check.at_ms) or "",
        state=GatewayState(check.state),
        healthy=check.healthy,
        response_ms=check.response_ms,
        reason=check.reason,
        via=check.via,
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
