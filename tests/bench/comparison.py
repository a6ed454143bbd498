"""Runs the peers, each in a process of its own, at most once, and turns what they print into rows."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.report import Row
from tests.bench.timing import Samples

PEER_SECONDS = 900.0


class Peers:
    """What others need for the same, in this run, on this machine."""

    def __init__(self, folder: Path, *, latencies: int, tasks: int, execs: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._latencies = latencies
        self._tasks = tasks
        self._execs = execs
        self._say = say
        self._found: dict[str, dict[str, Any]] = {}

    def celery_latency(self, section: str, task: str) -> Row:
        """`task` is `noop` or `exec`."""
        found = self._celery()
        name = f"Celery {found.get('celery', '')} + Redis {found.get('redis', '')}, p50"
        if reason := found.get("missing"):
            return Row(section=section, name="Celery + Redis, p50", unit="ms", note=f"skipped: {reason}")
        note = "one worker, acks_late, Redis syncs every write"
        return Row(section=section, name=name, unit="ms", measured=Samples(found[task]["latencies"]).p50_ms, note=note)

    def celery_throughput(self, section: str, task: str, name: str) -> Row:
        found = self._celery()
        if reason := found.get("missing"):
            return Row(section=section, name=f"Celery + Redis, {name}", unit="/s", note=f"skipped: {reason}")
        runs: list[float] = found[task]["perSecond"]
        return Row(
            section=section,
            name=f"Celery + Redis, {name}",
            unit="/s",
            measured=statistics.median(runs),
            higher_is_better=True,
            runs=runs,
            note="one worker with a process per core, acks_late, Redis syncs every write",
        )

    def docker_exec(self, section: str) -> tuple[Row, Row]:
        """`docker exec` by the command, and through docker-py."""
        found = self._docker()
        names = {"command": "docker exec CONTAINER true (command), p50", "library": "the same through docker-py, p50"}
        rows = [self._docker_row(section, name, found, key) for key, name in names.items()]
        return rows[0], rows[1]

    def _docker_row(self, section: str, name: str, found: dict[str, Any], key: str) -> Row:
        if reason := found.get("missing"):
            return Row(section=section, name=name, unit="ms", note=f"skipped: {reason}")
        note = f"Docker {found['docker']}"
        return Row(section=section, name=name, unit="ms", measured=Samples(found[key]).p50_ms, note=note)

    def _celery(self) -> dict[str, Any]:
        return self._run("celery_peer", str(self._folder), str(self._latencies), str(self._tasks))

    def _docker(self) -> dict[str, Any]:
        return self._run("docker_peer", str(self._execs))

    def _run(self, module: str, *arguments: str) -> dict[str, Any]:
        if module not in self._found:
            self._say(f"measuring {module.removesuffix('_peer')}")
            self._found[module] = self._measured(module, arguments)
        return self._found[module]

    def _measured(self, module: str, arguments: tuple[str, ...]) -> dict[str, Any]:
        command = [sys.executable, "-m", f"tests.bench.peers.{module}", *arguments]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PEER_SECONDS, check=True
            )
            return msgspec.json.decode(done.stdout)
        except subprocess.TimeoutExpired:
            return {"missing": f"not done within {PEER_SECONDS:.0f} s"}
        except subprocess.CalledProcessError as error:
            last = error.stderr.strip().splitlines()[-1:]
            return {"missing": f"failed: {' '.join(last)[:200]}"}
