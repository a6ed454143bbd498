"""Twenty stand-in gateways under the real periods: restarts as the policy says, no storm, figures that are right.

An hour; CLAWTUI_SOAK_SECONDS shortens it (600 at least, so that what hangs is restarted).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time

import pytest

from hub.config import Timing
from hub.contract import GatewayFigures, GatewayHealthQuery
from hub.gateways.monitor.policy import Rules
from tests.hub.gateways.flapping import FlappingGateway, Ills, Manner
from tests.hub.gateways.monitoring import PlayedHands, monitored

SECONDS = max(int(os.environ.get("CLAWTUI_SOAK_SECONDS", "3600")), 600)
RULES = Rules()
START = 5.0


def twenty() -> dict[str, FlappingGateway]:
    made = {f"well-{n}": Ills() for n in range(4)}
    made |= {f"slow-{n}": Ills(Manner.SLOW, delay=1.0) for n in range(2)}
    made |= {f"flaps-{n}": Ills(Manner.FLAPS, period=1.5 * RULES.check_seconds) for n in range(4)}
    made |= {f"hangs-{n}": Ills(Manner.HANGS, after=60.0 + 20 * n, start=START) for n in range(4)}
    made |= {f"dies-{n}": Ills(Manner.DIES, after=150.0, start=START) for n in range(2)}
    made |= {f"lies-{n}": Ills(Manner.LIES) for n in range(2)}
    made |= {f"covered-{n}": Ills(Manner.COVERED) for n in range(2)}
    return {name: FlappingGateway(ills) for name, ills in made.items()}


class Recorder(PlayedHands):
    """Says when each restart began, and how many there were at the same time, the start included."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[float, str]] = []

    async def restart(self, charge, grace_seconds: float, reason: str) -> None:  # pyright: ignore[reportMissingParameterType]
        self.at.append((time.monotonic(), charge.name))
        await super().restart(charge, grace_seconds, reason)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
async def test_twenty_gateways_for_real() -> None:
    hands, gateways = Recorder(), twenty()
    timing = Timing(drain_seconds=1.0, gateway_seconds=RULES.check_seconds)
    async with monitored(hands, rules=RULES, timing=timing, gateways=gateways) as (hub, _):
        await asyncio.sleep(SECONDS)
        told = await hub.control.gateway_health(GatewayHealthQuery(since="2h"))
    found = {one.name: one.figures for one in told.gateways}

    assert {name for _, name in hands.at} == {
        name for name in gateways if name.split("-")[0] in ("hangs", "dies", "lies", "covered")
    }
    _check_restarts(hands)
    _check_figures(found, told.fleet)


def _check_restarts(hands: Recorder) -> None:
    times = {name: [at for at, who in hands.at if who == name] for _, name in hands.at}
    for name, at in times.items():
        if name.split("-")[0] in ("hangs", "dies"):
            assert len(at) == 1, f"{name} was restarted {len(at)} times"
        else:
            assert len(at) <= RULES.limit
            waits = [later - sooner for sooner, later in itertools.pairwise(at)]
            least = [RULES.start_seconds + RULES.first_seconds * 2**n for n in range(len(waits))]
            assert all(wait >= low for wait, low in zip(waits, least, strict=True)), (name, waits)
    if SECONDS >= 3_600:
        assert {name for name, _, _ in hands.told} == {"lies-0", "lies-1", "covered-0", "covered-1"}
    # No storm: no minute has more than two restarts at a time could make.
    begun = sorted(at for at, _ in hands.at)
    assert max(sum(0 <= other - at < 60 for other in begun) for at in begun) <= 10


def _check_figures(found: dict[str, GatewayFigures], fleet: GatewayFigures) -> None:
    checks = SECONDS / RULES.check_seconds
    for name, figures in found.items():
        rate, manner = figures.pass_rate, name.split("-")[0]
        assert rate is not None
        if manner in ("well", "slow"):
            assert (rate, figures.restarts) == (1.0, 0), name
            assert figures.checks >= checks - 2
        elif manner == "flaps":
            # Checks every 30 s meet two of three, or one of three, of its turns of 45 s.
            assert 1 / 3 - 0.08 <= rate <= 2 / 3 + 0.08, name
        elif manner in ("hangs", "dies"):
            # Three checks that fail, and perhaps one that came in between.
            assert 1 - 5.5 / (checks - 5) <= rate < 1, name
            assert (figures.restarts, figures.restart_success_rate) == (1, 1.0), name
        else:
            assert rate == 0.0, name
            assert figures.restart_success_rate == 0.0, name
    assert (found["slow-0"].response_p50_ms or 0) >= 1_000 > (found["well-0"].response_p95_ms or 0)
    assert fleet.checks == sum(figures.checks for figures in found.values())
