from __future__ import annotations

import asyncio
import random
import subprocess
from pathlib import Path

import pytest

from runtime.health import CgroupV1, CgroupV2, HealthReporter, ProcessTree, Sampler, choose_source, owns_container
from runtime.wire import AttemptId, Health, Watch


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


V2 = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 1",
    "cpu.max": "150000 100000",
    "memory.current": "300000",
    "memory.stat": "anon 1\ninactive_file 100000",
    "memory.max": "1000000",
    "pids.current": "7",
}
V1 = {
    "cpuacct/cpuacct.usage": "2500000000",
    "cpu/cpu.cfs_quota_us": "150000",
    "cpu/cpu.cfs_period_us": "100000",
    "memory/memory.usage_in_bytes": "300000",
    "memory/memory.stat": "total_inactive_file 100000",
    "memory/memory.limit_in_bytes": "1000000",
    "pids/pids.current": "7",
}


@pytest.mark.parametrize("source", ["v2", "v1"])
def test_cgroup_numbers(tmp_path: Path, source: str) -> None:
    group = CgroupV2(files(tmp_path, V2)) if source == "v2" else CgroupV1(files(tmp_path, V1))
    assert group.cpu_seconds() == 2.5
    assert group.cpu_limit() == 1.5
    assert group.memory() == (200_000, 1_000_000)
    assert group.processes() == 7


def test_no_limits(tmp_path: Path) -> None:
    two = CgroupV2(files(tmp_path / "2", V2 | {"cpu.max": "max 100000", "memory.max": "max"}))
    one = CgroupV1(
        files(tmp_path / "1", V1 | {"cpu/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": str(2**63 - 4096)})
    )
    for group in (two, one):
        assert (group.cpu_limit(), group.memory()[1]) == (None, None)


def test_the_source_is_the_container_if_there_is_one(tmp_path: Path) -> None:
    two, one = files(tmp_path / "2", V2), files(tmp_path / "1", V1)
    assert isinstance(choose_source(two, in_container=False), ProcessTree)
    assert isinstance(choose_source(two, in_container=True), CgroupV2)
    assert isinstance(choose_source(one, in_container=True), CgroupV1)
    assert isinstance(choose_source(tmp_path / "none", in_container=True), ProcessTree)


def test_a_container_is_the_agents_own_only_for_its_first_session(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    assert not owns_container((sign,), session=1)
    sign.touch()
    assert owns_container((sign,), session=1)
    assert not owns_container((sign,), session=4711)


def test_the_process_tree_counts_children_and_never_goes_back() -> None:
    tree = ProcessTree()
    child = subprocess.Popen(["/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read x"], stdin=-1)
    try:
        before = tree.processes()
        first = tree.cpu_seconds()
        assert before >= 2
        assert tree.memory()[0] > 1_000_000
    finally:
        child.communicate(b"\n")
    assert tree.cpu_seconds() >= first
    assert tree.processes() < before


def test_a_sample_has_all_numbers(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path, CgroupV2(files(tmp_path / "c", V2)))
    sampler.sample([])
    (tmp_path / "c/cpu.stat").write_text("usage_usec 9000000\n")
    sample = sampler.sample([AttemptId("t:1")])
    assert sample.cpu is not None
    assert sample.cpu.cores > 0
    assert sample.cpu.limit == 1.5
    assert sample.disk is not None
    assert 0 < sample.disk.used <= sample.disk.total
    assert sample.running == ["t:1"]
    assert sample.uptime_seconds is not None
    assert sample.load is not None


def test_a_missing_workspace_is_no_disk(tmp_path: Path) -> None:
    assert Sampler(tmp_path / "gone").sample([]).disk is None


class FixedSampler(Sampler):
    """Samples without looking."""

    def sample(self, running: list[AttemptId]) -> Health:
        return Health(running=running)


def reporter(folder: Path, sent: list[Health], now: list[float]) -> HealthReporter:
    return HealthReporter(FixedSampler(folder), sent.append, list, random.Random(1), lambda: now[0])


async def test_pauses_are_spread_and_shorter_while_somebody_looks(tmp_path: Path) -> None:
    now = [0.0]
    report = reporter(tmp_path, [], now)
    report.welcomed(30)
    pauses = [report.next_pause() for _ in range(200)]
    assert 27 <= min(pauses) < 28
    assert 32 < max(pauses) <= 33
    report.watched(Watch(interval_seconds=1, ttl_seconds=15))
    assert report.next_pause() == 1
    now[0] = 15.0
    assert report.next_pause() >= 27


async def test_a_watch_cannot_be_a_flood(tmp_path: Path) -> None:
    report = reporter(tmp_path, [], [0.0])
    report.watched(Watch(interval_seconds=0, ttl_seconds=10))
    assert report.next_pause() == 0.2


async def test_nothing_is_reported_before_the_welcome(tmp_path: Path) -> None:
    sent: list[Health] = []
    report = reporter(tmp_path, sent, [0.0])
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(report.run())
        await asyncio.sleep(0)
        assert sent == []
        report.welcomed(30)
        while not sent:
            await asyncio.sleep(0.001)
        running.cancel()
    assert len(sent) == 1
