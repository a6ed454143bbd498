"""What the hub does again and again goes on after a defect in it, and says that there is one."""

from __future__ import annotations

from typing import Any

import pytest

from hub.config import Timing
from hub.core.effects import Save
from hub.core.model import Job, JobId
from hub.drivers.fake import Script, Step
from hub.image_jobs import BUILD_BASE
from hub.kernel import MAX_PAUSE_SECONDS, _longer
from tests.hub.running import RunningHub, running_hub, short_folder
from tests.hub.test_jobs import made

TIMING = Timing(retention_seconds=0.02, snapshots_seconds=0.02, drain_seconds=1.0)
SOON_SECONDS = 0.02
PAUSES = (
    "hub.upkeep.PEER_SECONDS", "hub.upkeep.PROBE_SECONDS", "hub.sampling.LOOK_SECONDS", "hub.stats.WATCH_SECONDS",
    "hub.stats.FLUSH_SECONDS", "hub.stats.PURGE_SECONDS", "hub.attention.LOOK_SECONDS",
    "hub.attention.LOOK_ANYWAY_SECONDS",
)  # fmt: skip


class Defect:
    """Raises what nothing of ours raises on purpose, and counts how often it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.count += 1
        raise KeyError("a defect")


def said(hub: RunningHub, words: str) -> bool:
    return any("internal error" in text and words in text for text in hub.kernel.notices.current(hub.kernel.now()))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("hub.connections.table.LinkTable.check_alive", "dead connections"),
        ("hub.driverset.DriverSet.probe", "platforms are not asked"),
        ("hub.upkeep.Upkeep._purge", "old tasks and output"),
        ("hub.sampling.Sampler.look", "are not measured"),
        ("hub.stats.Stats.flush", "history is not written"),
        ("hub.stats.Stats.purge", "old history"),
        ("hub.attention.resolve", "what needs a person"),
        ("hub.snapshots.keeping.Keeping.tick", "schedules and clean-up"),
    ],
)
async def test_a_loop_goes_on_after_a_defect(place: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in PAUSES:
        monkeypatch.setattr(pause, SOON_SECONDS)
    async with running_hub(timing=TIMING) as hub:
        with monkeypatch.context() as broken:
            broken.setattr(place, defect := Defect())
            await hub.until(lambda: defect.count > 1, "it is done once more after it broke")
        assert said(hub, words)
        assert any(words in problem for problem in (await hub.control.health()).problems)


async def test_an_agent_that_cannot_be_measured_costs_no_other_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.sampling.LOOK_SECONDS", SOON_SECONDS)
    measured: set[str] = set()

    async def measure(step: Step, agent: str) -> None:
        if step is not Step.MEASURE:
            return
        measured.add(agent)
        if agent == "a":
            raise KeyError("a defect")

    async with running_hub(timing=TIMING, script=Script(before=measure)) as hub:
        await made(hub, "a")
        await made(hub, "b")
        hub.move(3_600)
        await hub.until(lambda: measured == {"a", "b"}, "both are measured")
        await hub.until(lambda: hub.kernel.fleet.presence(hub.kernel.fleet.agent("b").id).health is not None)
        assert said(hub, "cannot be measured")


async def test_a_watched_agent_that_cannot_be_asked_ends_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.stats.WATCH_SECONDS", SOON_SECONDS)
    async with running_hub() as hub, hub.playing():
        with monkeypatch.context() as broken:
            broken.setattr(hub.hub._stats, "_ask", defect := Defect())
            broken.setattr(hub.hub._stats, "_followers", {hub.kernel.fleet.agent("a").id: set()})
            await hub.until(lambda: defect.count > 1, "it is asked once more")
        assert said(hub, "watched agents")


async def test_a_rebuild_that_breaks_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.kernel.PROBE_SECONDS", SOON_SECONDS)
    async with running_hub() as hub:
        with monkeypatch.context() as broken:
            broken.setattr("hub.kernel._stored", defect := Defect())
            hub.kernel._broke(KeyError("a decision"))
            await hub.until(lambda: defect.count > 1, "the rebuild is tried again")
            assert not hub.kernel.writable
        await hub.until(lambda: hub.kernel.writable, "it is rebuilt")
        assert said(hub, "cannot rebuild")
        await hub.register("a")


def test_what_breaks_every_time_is_tried_ever_more_rarely_and_for_ever() -> None:
    pauses = [_longer(broken) for broken in (0, 1, 2, 5_000)]
    assert pauses == [1.0, 2.0, 4.0, MAX_PAUSE_SECONDS]


async def test_a_job_whose_row_cannot_be_read_fails_and_the_hub_starts() -> None:
    with short_folder() as folder:
        async with running_hub(folder / "s") as hub:
            job = Job(
                id=JobId("j_odd"), kind=BUILD_BASE, started_at=hub.kernel.now().wall_ms, request="{odd", by="user:x"
            )
            await hub.kernel.commit([Save(job)])
        async with running_hub(folder / "s") as hub:
            assert (await hub.job("j_odd")).state == "failed"
