"""Absences of a hub: said once each, waited for with growing pauses, and given up in the end."""

from __future__ import annotations

import pytest

from clawtui.errors import NoHub
from clawtui.outage import FIRST_DELAY_SECONDS, MOST_DELAY_SECONDS, STOOD_SECONDS, Outage

AWAY = NoHub("away")


class Scene:
    """An outage with a clock that its pauses move."""

    def __init__(self, patience_seconds: float = 10.0) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.pauses: list[float] = []
        self.outage = Outage(patience_seconds, "", say=self.said.append, pause=self._pause, clock=lambda: self.now)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def fail(self, after_seconds: float = 0.0) -> None:
        self.outage.trying()
        self.now += after_seconds
        await self.outage.wait(AWAY)


async def test_pauses_grow_and_patience_ends() -> None:
    scene = Scene()
    while scene.now < 10.0:
        await scene.fail()
    with pytest.raises(NoHub):
        await scene.fail()
    assert scene.pauses[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert max(scene.pauses) == MOST_DELAY_SECONDS
    assert 10.0 <= scene.now <= 10.0 + MOST_DELAY_SECONDS
    assert scene.said == ["the hub is away; waiting for it"]
    assert scene.outage.lasts


async def test_a_word_of_the_hub_ends_it() -> None:
    scene = Scene()
    for _ in range(3):
        await scene.fail()
        scene.now += 9.0
        scene.outage.over()
        assert not scene.outage.lasts
    scene.outage.over()
    assert scene.said == ["the hub is away; waiting for it", "the hub is back"] * 3
    assert scene.pauses == [FIRST_DELAY_SECONDS] * 3


async def test_a_quiet_connection_that_stood_is_the_end_of_one_absence() -> None:
    """Nothing was said over it for an hour; its end is not the end of patience."""
    scene = Scene()
    await scene.fail()
    await scene.fail(after_seconds=STOOD_SECONDS + 3_600)
    assert scene.said == ["the hub is away; waiting for it", "the hub is back", "the hub is away; waiting for it"]


async def test_a_slow_dial_is_no_connection() -> None:
    scene = Scene()
    await scene.fail()
    with pytest.raises(NoHub):
        await scene.fail(after_seconds=STOOD_SECONDS - 1)
