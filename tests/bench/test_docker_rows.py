"""The Docker rows' own parts: what they read, reckon and remove. The engine itself is only needed for the last."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import msgspec
import pytest

from tests.bench import docker_agents, docker_snapshot, workspace
from tests.bench.docker_agents import IDLE_PYTHON, PYTHON, at_once_rows, create_rows, resident
from tests.bench.docker_snapshot import Round, between, snapshot_rows
from tests.bench.engine import Traces, together
from tests.bench.hubs import BenchError
from tests.bench.report import Verdict
from tests.bench.sliced_hub import SlicedPolicy, Slices

TOLD = f"""process /sbin/docker-init -- x
Rss:                1000 kB
Pss:                 900 kB
process {PYTHON} -P -m runtime{" "}
Rss:               30000 kB
Pss:               20000 kB
process sh -c look for -m runtime
Rss:                   4 kB
Pss:                   4 kB
"""


def test_the_memory_is_that_of_the_one_process_that_is_meant() -> None:
    assert resident(TOLD, "-m runtime") == {"Rss": 30_000 * 1024, "Pss": 20_000 * 1024}


@pytest.mark.parametrize("told", ["", TOLD * 2, TOLD.replace("Pss", "Xss")])
def test_memory_that_cannot_be_read_is_an_error(told: str) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        resident(told, "-m runtime")


def test_beyond_docker_run_is_reckoned_round_by_round() -> None:
    online, beyond, plain = create_rows("s", [0.8, 1.5, 0.9], [0.3, 0.4, 0.2])
    assert (online.measured, plain.measured) == (0.9, 0.3)
    assert online.ratios == {"docker run": 0.33}
    assert beyond.runs == pytest.approx([0.5, 1.1, 0.7])
    assert (beyond.measured, beyond.verdict) == (pytest.approx(0.7), Verdict.OK)


def test_what_many_at_once_take_beyond_docker_run_is_shared_among_them() -> None:
    _, beyond, _ = at_once_rows("s", 30, [12.0], [6.0])
    assert beyond.measured == pytest.approx(0.2)


def test_snapshots_are_compared_with_the_peers_of_the_same_kind() -> None:
    one = Round(save=4.0, frozen=1.0, save_peer=2.0, save_checked=6.0, restore=3.0, restore_peer=6.0)
    saved, frozen, restored, *peers = snapshot_rows("s", 1_000, [one, one, one])
    assert saved.ratios == {"commit + tar": 0.5, "checked": 1.5}
    assert (frozen.measured, saved.note) == (1.0, "250 MB/s")
    assert restored.ratios == {"tar + docker run": 2.0}
    assert [row.measured for row in peers] == [2.0, 6.0, 6.0]


def test_how_long_an_agent_was_frozen_is_read_from_the_engines_events() -> None:
    assert between("1700000000000000000 pause\n1700000002500000000 unpause\n") == 2.5


@pytest.mark.parametrize("told", ["", "1 pause\n", "1 unpause\n2 pause\n"])
def test_events_that_do_not_say_it_are_an_error(told: str) -> None:
    with pytest.raises(BenchError, match="did not say"):
        between(told)


@pytest.mark.parametrize("total", [1, 1_000_003])
def test_the_workspace_has_exactly_the_bytes_that_were_asked_for(tmp_path: Path, total: int) -> None:
    count = workspace.fill(str(tmp_path), total)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (len(files), sum(path.stat().st_size for path in files)) == (count, total)


def test_half_of_the_workspace_is_noise_and_half_is_text(tmp_path: Path) -> None:
    workspace.fill(str(tmp_path), 2_000_000)
    shares = [
        len(zlib.compress(content)) / len(content)
        for content in (path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        if len(content) > 1_000
    ]
    assert {share > 0.95 or share < 0.2 for share in shares} == {True}
    assert 0.3 < sum(share > 0.95 for share in shares) / len(shares) < 0.7


async def test_without_docker_every_row_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    rows = [
        *await docker_agents.one_agent(tmp_path / "one", 1, said.append),
        *await docker_agents.at_once(tmp_path / "many", 2, 1, said.append),
        *await docker_snapshot.saved_and_restored(tmp_path / "saved", 1, 1, said.append),
    ]
    assert {row.verdict for row in rows} == {Verdict.SKIPPED}
    assert {row.note for row in rows} == {"skipped: no docker command here"}
    assert len({row.section for row in rows}) == 4
    assert list(tmp_path.iterdir()) == []


async def test_of_several_calls_the_first_error_comes_alone() -> None:
    async def works() -> int:
        return 1

    async def fails() -> int:
        raise BenchError("this one")

    assert await together([works(), works()]) == [1, 1]
    with pytest.raises(BenchError, match="this one"):
        await together([works(), fails()])


def test_the_hubs_loop_tells_what_it_counted_and_begins_anew(tmp_path: Path) -> None:
    policy = SlicedPolicy(tmp_path / "slices.json")
    loop = policy.new_event_loop()
    try:
        loop.call_soon(sum, range(200_000))
        loop.call_soon(loop.stop)
        loop.run_forever()
    finally:
        loop.close()
    policy.tell()
    first = msgspec.json.decode((tmp_path / "slices.json").read_bytes(), type=Slices)
    assert 0 < first.longest_cpu_seconds <= first.cpu_seconds
    assert 0 < first.longest_seconds <= first.busy_seconds
    policy.tell()
    assert msgspec.json.decode((tmp_path / "slices.json").read_bytes(), type=Slices) == Slices(0.0, 0.0, 0.0, 0.0)


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.mark.docker
def test_what_a_run_left_is_removed_and_nothing_else() -> None:
    made, other = Traces(), Traces()
    try:
        for traces in (made, other):
            traces.hub_id = f"hub-{traces.label.partition('=')[2]}"
            for label in (traces.label, f"clawtui.hub-id={traces.hub_id}"):
                volume = _docker("volume", "create", "--label", label)
                _docker("create", "--label", label, "--volume", f"{volume}:/v", "debian:bookworm-slim", "true")
        made.sweep()
        assert _left(made) == []
        assert len(_left(other)) == 4
    finally:
        made.sweep()
        other.sweep()
    assert _left(other) == []


def _left(traces: Traces) -> list[str]:
    labels = (traces.label, f"clawtui.hub-id={traces.hub_id}")
    found = [
        _docker(*listed, "--quiet", "--filter", f"label={label}")
        for label in labels
        for listed in (("ps", "--all"), ("volume", "ls"))
    ]
    return [line for lines in found for line in lines.split()]


def test_the_floor_of_the_memory_imports_what_the_runtime_does() -> None:
    runtime = Path(__file__).parents[2] / "runtime"
    imported = "\n".join(path.read_text() for path in runtime.rglob("*.py"))
    for library in docker_agents.LIBRARIES.split(", "):
        assert library.partition(".")[0] in imported
    assert docker_agents.LIBRARIES in IDLE_PYTHON
