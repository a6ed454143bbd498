"""What of ours is needed on an engine, and what is not: judged from lists, without an engine."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.model import AgentId, AgentUid
from hub.drivers.docker import labels
from hub.drivers.docker.disk_judge import (
    HELPER_AGE_SECONDS,
    YOUNG_SECONDS,
    ContainerLine,
    ImageLine,
    Listing,
    Measured,
    MountEntry,
    VolumeLine,
    VolumeUse,
    judge,
)
from hub.drivers.docker.usage import CpuStats, CpuTime, MemoryStats, NetworkStats, PidsStats, Reading, Stats, health_of
from hub.drivers.upkeep import DiskKind, Holding

HUB = "hub-1"
NOW = 1_000_000


class Known:
    """Agents `a` with uid `u-a`, and snapshot `sn_kept`."""

    def agent(self, agent_id: AgentId, uid: AgentUid) -> bool:
        return (agent_id, uid) == ("a", "u-a")

    def snapshot(self, snapshot_id: str) -> bool:
        return snapshot_id == "sn_kept"


def owned(agent: str = "a", hub: str = HUB) -> dict[str, str]:
    return labels.Identity(hub, AgentId(agent), AgentUid(f"u-{agent}")).labels()


def image(number: int, *tags: str, parent: Any = 0, **more: Any) -> ImageLine:
    below = f"sha256:{parent}" if parent else ""
    return ImageLine(
        id=f"sha256:{number}", parent_id=below, repo_tags=list(tags) or ["<none>:<none>"],
        labels=labels.SHARED | more, size=100, created=number,
    )  # fmt: skip


def container(name: str, *, image: Any = 0, state: str = "exited", created: Any = 0, **found: Any) -> ContainerLine:
    return ContainerLine(
        id=f"c-{name}", names=[f"/{name}"], image_id=f"sha256:{image}", labels=found, state=state, created=created
    )


def judged(
    containers: list[ContainerLine] | None = None,
    images: list[ImageLine] | None = None,
    volumes: list[VolumeLine] | None = None,
    measured: Measured | None = None,
) -> dict[str, Holding]:
    listing = Listing(containers or [], images or [], volumes or [], NOW)
    return {one.name: one for one in judge(listing, Known(), HUB, measured)}


def test_volumes_of_living_agents_are_needed_and_of_gone_ones_are_not() -> None:
    volumes = [
        VolumeLine("openclaw-agent-a", owned(), "2026-01-01T00:00:00Z"),
        VolumeLine("openclaw-agent-b", owned("b"), "2026-01-01T00:00:00Z"),
        VolumeLine("openclaw-agent-c", owned("c"), "2026-01-01T00:00:00Z"),
        VolumeLine("foreign", {}, ""),
        VolumeLine("of-another-hub", owned("a", "hub-2"), ""),
        VolumeLine("openclaw-agent-looks-like-ours", None, ""),
    ]
    mounted = ContainerLine(id="x", names=["/foreign"], mounts=[MountEntry("openclaw-agent-c")])
    found = judged([mounted], volumes=volumes)
    assert {name: (bool(one.unused), one.used_by) for name, one in found.items()} == {
        "openclaw-agent-a": (False, "agent a"),
        "openclaw-agent-b": (True, ""),
        "openclaw-agent-c": (False, "container foreign"),
    }


def test_a_volume_made_anew_under_its_name_is_another_one() -> None:
    ids = {
        judged(volumes=[VolumeLine("openclaw-agent-b", owned("b"), at)])["openclaw-agent-b"].id
        for at in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    }
    assert len(ids) == 2


def test_containers_are_unused_when_no_agent_has_them_and_they_do_not_run() -> None:
    helper = labels.SHARED | {labels.HUB: HUB, labels.HELPER: "run/archive"}
    found = judged(
        [
            container("mine", **owned()),
            container("gone", **owned("b")),
            container("gone-and-runs", state="running", **owned("c")),
            container("foreign"),
            container("others", **owned("a", "hub-2")),
            container("helper", created=NOW - 5, **helper),
            container("helper-left", created=NOW - HELPER_AGE_SECONDS, **helper),
            container("helper-runs", state="running", created=0, **helper),
        ]
    )
    assert {name for name, one in found.items() if one.unused} == {"gone", "helper-left"}
    assert set(found) == {"mine", "gone", "gone-and-runs", "helper", "helper-left", "helper-runs"}
    assert all(bool(one.unused) != bool(one.used_by) for one in found.values())


def test_images_are_needed_by_containers_and_by_what_is_built_on_them() -> None:
    images = [
        image(1, "openclaw-agent-base:old"),
        image(2, "openclaw-agent-base:new", "openclaw-agent-base:latest"),
        image(3, "openclaw-agent-web:1", parent=1),
        image(4, "openclaw-agent-nobody:1", "openclaw-agent-nobody:latest"),
        image(5, "openclaw-agent-nobody:0"),
        image(6),
        ImageLine(id="sha256:7", repo_tags=["debian:bookworm-slim"], labels=None, size=70, created=7),
    ]
    found = judged([container("x", image=3, **owned())], images)
    assert {name for name, one in found.items() if one.unused} == {
        "openclaw-agent-base:new", "openclaw-agent-nobody:1", "openclaw-agent-nobody:0", "6",
    }  # fmt: skip
    assert found["openclaw-agent-base:old"].used_by == "what is built on it: container x"
    assert {name for name, one in found.items() if one.newest} == {"openclaw-agent-base:new", "openclaw-agent-nobody:1"}
    assert (found["6"].kind, found["openclaw-agent-nobody:0"].kind) == (DiskKind.CACHE, DiskKind.IMAGES)


def test_what_is_built_on_others_comes_first() -> None:
    images = [image(1, "openclaw-agent-base:0"), image(2, "openclaw-agent-web:0", parent=1)]
    assert [name for name, one in judged(images=images).items() if one.unused] == [
        "openclaw-agent-web:0",
        "openclaw-agent-base:0",
    ]


def test_somebodys_own_image_or_tag_keeps_ours() -> None:
    theirs = ImageLine(id="sha256:9", parent_id="sha256:1", repo_tags=["theirs:1"], labels=labels.SHARED, created=9)
    found = judged(images=[image(1, "openclaw-agent-base:0"), theirs])
    assert found["openclaw-agent-base:0"].used_by == "what is built on it: somebody's tag theirs:1"
    assert not found["theirs:1"].unused


def test_images_of_snapshots_go_with_their_snapshot_only() -> None:
    images = [
        image(1, "openclaw-agent-snapshot:sn_kept", **{labels.SNAPSHOT: "sn_kept", labels.HUB: HUB}),
        image(2, "openclaw-agent-snapshot:sn_gone", **{labels.SNAPSHOT: "sn_gone", labels.HUB: HUB}),
        image(3, "openclaw-agent-snapshot:sn_else", **{labels.SNAPSHOT: "sn_else", labels.HUB: "hub-2"}),
    ]
    found = judged(images=images)
    assert {name: bool(one.unused) for name, one in found.items()} == {
        "openclaw-agent-snapshot:sn_kept": False,
        "openclaw-agent-snapshot:sn_gone": True,
    }
    assert found["openclaw-agent-snapshot:sn_gone"].snapshot_id == "sn_gone"


def test_steps_between_a_base_and_an_image_are_no_objects() -> None:
    found = judged(
        images=[image(1, "openclaw-agent-base:0"), image(2, parent=1), image(3, "openclaw-agent-web:0", parent=2)]
    )
    assert set(found) == {"openclaw-agent-base:0", "openclaw-agent-web:0"}


def test_sizes_are_those_that_were_measured_and_else_not_known() -> None:
    volumes = [VolumeLine("openclaw-agent-a", owned(), "")]
    images = [image(1, "openclaw-agent-base:0")]
    containers = [container("mine", **owned())]
    unmeasured = judged(containers, images, volumes)
    assert [one.size_bytes for one in unmeasured.values()] == [None, None, 100]
    assert unmeasured["openclaw-agent-base:0"].frees_bytes is None
    measured = Measured(
        images=[ImageLine(id="sha256:1", shared_size=60)],
        containers=[ContainerLine(id="c-mine", size_rw=5)],
        volumes=[VolumeLine("openclaw-agent-a", usage_data=VolumeUse(7))],
    )
    found = judged(containers, images, volumes, measured)
    assert [one.size_bytes for one in found.values()] == [5, 7, 100]
    assert found["openclaw-agent-base:0"].frees_bytes == 40


# --- measuring from outside ------------------------------------------------------------------------


def reading(seconds: float, used_ns: int = 0, *, run: str = "c start", **memory: Any) -> Reading:
    cpu = CpuStats(CpuTime(used_ns))
    at = f"2026-01-01T00:00:{seconds:06.3f}Z"
    return Reading(run, 2.0, Stats(at, cpu, MemoryStats(**memory), {"eth0": NetworkStats(3, 4)}, PidsStats(9)))


def test_one_busy_core_is_one_whatever_the_machine_has() -> None:
    health = health_of(reading(12, 5_000_000_000), reading(10, 3_000_000_000))
    assert health.cpu is not None
    assert (health.cpu.cores, health.cpu.limit) == (1.0, 2.0)
    assert (health.processes, health.network and (health.network.rx, health.network.tx)) == (9, (3, 4))


@pytest.mark.parametrize("before", [None, reading(10, run="c other start"), reading(12, 1), reading(10, 10**12)])
def test_without_an_earlier_reading_of_the_same_run_the_cpu_is_not_known(before: Reading | None) -> None:
    assert health_of(reading(12, 5_000_000_000), before).cpu is None


def test_memory_is_without_what_is_given_back_when_needed() -> None:
    old = Reading("c", None, Stats(memory_stats=MemoryStats(100, 1000, {"total_inactive_file": 30})))
    new = Reading("c", None, Stats(memory_stats=MemoryStats(100, 2**63 - 4096, {"inactive_file": 200})))
    none = Reading("c", None, Stats())
    memories = [health_of(one, None).memory for one in (old, new, none)]
    assert [(one.used, one.limit) if one else None for one in memories] == [(70, 1000), (0, None), None]


def test_an_image_made_a_moment_ago_may_be_work_that_goes_on() -> None:
    old, young = NOW - YOUNG_SECONDS, NOW - YOUNG_SECONDS + 1
    found = judged(images=[image(old, "openclaw-agent-a:0"), image(young, "openclaw-agent-b:0"), image(young + 1)])
    assert [name for name, one in found.items() if one.unused] == ["openclaw-agent-a:0"]
