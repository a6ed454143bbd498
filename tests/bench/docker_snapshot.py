"""A workspace saved and put back, against `docker commit` with `tar` of its volume in the same run."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.bench import engine, workspace
from tests.bench.docker_agents import PYTHON
from tests.bench.docker_hub import DockerFleet, container, docker_fleet
from tests.bench.engine import docker
from tests.bench.hubs import BenchError
from tests.bench.report import Row, with_ratios

MB = 1_000_000
COPIES = 6
"""Of the workspace on the disk at once, at most: itself, ours, the restored one, and the peer's three."""
PEER_IMAGE = "clawtui-bench-commit"
TAR_OUT = "tar --create --file=/out/workspace.tar --directory=/volume ."
TAR_IN = "tar --extract --file=/out/workspace.tar --directory=/volume"
CHECKED = (
    f"set -e; {TAR_OUT}; cd /out; sha256sum workspace.tar >sum; sync workspace.tar; sha256sum --check --quiet sum; "
    "tar --list --file=workspace.tar >list"
)
"""What a snapshot promises: written, on the disk, read back, and its content known."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one round, on a workspace of its own. `frozen`: how long the agent stood still for ours."""

    save: float
    frozen: float
    save_peer: float
    save_checked: float
    restore: float
    restore_peer: float


async def saved_and_restored(home: Path, size_mb: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Snapshot and restore of a workspace of `size_mb`, and the same by hand."""
    section = f"snapshot and restore of a workspace of {size_mb:,} MB"
    if reason := engine.missing() or _no_room(home.parent, size_mb):
        return [Row(section=section, name="snapshot and restore", unit="s", note=f"skipped: {reason}")]
    found: list[Round] = []
    async with docker_fleet(home) as fleet:
        for number in range(rounds):
            say(f"a workspace of {size_mb} MB, saved and restored ({number + 1} of {rounds})")
            found.append(await _round(fleet, home / "peer", size_mb))
    return snapshot_rows(section, size_mb, found)


def _no_room(folder: Path, size_mb: int) -> str:
    free = shutil.disk_usage(folder).free
    needed = COPIES * size_mb * MB
    return f"{needed / 1e9:.0f} GB are needed, {free / 1e9:.0f} GB are free" if free < needed else ""


async def _round(fleet: DockerFleet, folder: Path, size_mb: int) -> Round:
    name = fleet.new_name()
    await fleet.create(name)
    fill = Path(workspace.__file__).read_text()
    await docker("exec", container(name), PYTHON, "-c", fill, "/workspace", str(size_mb * MB))
    peer = Peer(fleet, name, folder)
    save_peer = await _timed(peer.save(TAR_OUT))
    begun = time.time()
    started = time.perf_counter()
    job = await fleet.job(await fleet.api.post(f"/agents/{name}/snapshots", {"name": "bench"}))
    save = time.perf_counter() - started
    frozen = await frozen_seconds(name, begun)
    save_checked = await _timed(peer.save(CHECKED))
    snapshot = job["result"]["snapshotId"]

    async def restore_ours() -> None:
        await fleet.job(await fleet.api.post(f"/snapshots/{snapshot}/restore", {}))

    restore = await _timed(restore_ours())
    restore_peer = await _timed(peer.restore())
    await peer.remove()
    await fleet.destroy_all()
    return Round(
        save=save, frozen=frozen, save_peer=save_peer, save_checked=save_checked, restore=restore,
        restore_peer=restore_peer,
    )  # fmt: skip


class Peer:
    """The same by hand, as root in a container of the same image."""

    def __init__(self, fleet: DockerFleet, agent: str, folder: Path) -> None:
        self._label = fleet.label
        self._container = container(agent)
        self._volume = container(agent)
        self._folder = folder
        self._image = f"{PEER_IMAGE}:{agent}"
        self._restored = f"{agent}-by-hand"
        folder.mkdir()

    async def save(self, script: str) -> None:
        """`docker commit` and the volume's archive; what an earlier call left is written again."""
        await docker("commit", "--change", f"LABEL {self._label}", self._container, self._image)
        await self._helper(self._volume, script)

    async def restore(self) -> None:
        """A new volume from the archive and a container from the image, which runs."""
        await docker("volume", "create", "--label", self._label, self._restored)
        await self._helper(self._restored, TAR_IN)
        await docker(
            "run", "--detach", "--label", self._label, "--name", self._restored, "--volume",
            f"{self._restored}:/workspace", "--entrypoint", "sleep", self._image, "infinity",
        )  # fmt: skip

    async def remove(self) -> None:
        await docker("rm", "--force", self._restored)
        await docker("volume", "rm", self._restored)
        await docker("image", "rm", self._image)
        await asyncio.to_thread(shutil.rmtree, self._folder)

    async def _helper(self, volume: str, script: str) -> None:
        await docker(
            "run", "--rm", "--label", self._label, "--network", "none", "--user", "0:0",
            "--volume", f"{volume}:/volume", "--volume", f"{self._folder}:/out",
            "--entrypoint", "sh", self._image, "-c", script,
        )  # fmt: skip


async def frozen_seconds(agent: str, since: float) -> float:
    """Return how long the engine kept the agent's container frozen since then."""
    told = await docker(
        "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}",
        "--filter", f"container={container(agent)}", "--filter", "event=pause", "--filter", "event=unpause",
        "--format", "{{.TimeNano}} {{.Action}}",
    )  # fmt: skip
    return between(told)


def between(told: str) -> float:
    """Return the seconds from the `pause` of the first line to the `unpause` of the last: `NANOSECONDS WORD` each."""
    lines = [line.split() for line in told.splitlines()]
    if not lines or lines[0][1] != "pause" or lines[-1][1] != "unpause":
        raise BenchError(f"the engine did not say how long the agent was frozen: {told[:200]!r}")
    return (int(lines[-1][0]) - int(lines[0][0])) / 1e9


def snapshot_rows(section: str, size_mb: int, rounds: list[Round]) -> list[Row]:
    def row(name: str, seconds: list[float], note: str = "") -> Row:
        return Row(section=section, name=name, unit="s", measured=statistics.median(seconds), runs=seconds, note=note)

    save_peer = row("docker commit + tar of the volume", [one.save_peer for one in rounds], "tar writes and ends")
    checked = row(
        "docker commit + tar, checked", [one.save_checked for one in rounds],
        "hashed, synced, hashed again, listed: what a snapshot promises",
    )  # fmt: skip
    restore_peer = row("docker volume create + tar + docker run", [one.restore_peer for one in rounds])
    save = [one.save for one in rounds]
    speed = f"{size_mb / statistics.median(save):.0f} MB/s"
    return [
        with_ratios(row("snapshot", save, speed), {"commit + tar": save_peer, "checked": checked}),
        row("the agent stands still for it", [one.frozen for one in rounds]),
        with_ratios(
            row("restore in place, until online", [one.restore for one in rounds]), {"tar + docker run": restore_peer}
        ),
        save_peer,
        checked,
        restore_peer,
    ]


async def _timed(call: Awaitable[object]) -> float:
    started = time.perf_counter()
    await call
    return time.perf_counter() - started
