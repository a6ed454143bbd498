"""`python -m tests.bench`: measures, prints a table, writes JSON; see `--help` and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from tests.bench import (
    docker_agents,
    docker_snapshot,
    fleet,
    latency,
    listing,
    personas,
    raw,
    throughput,
    tui,
    tui_idle,
)
from tests.bench.comparison import Peers
from tests.bench.hubs import BenchError
from tests.bench.report import Row, Verdict, print_table, with_ratios, write_json

RESULTS = Path("bench-results") / "bench.json"
NOOP_SECTION = "durable no-op task, submission to committed result, one agent"
EXEC_SECTION = "durable `exec true`, submission to committed result, one agent"
EXEC_RATIO_BUDGET = 12.0


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything; `--quick` is for trying out, its numbers say less."""

    raw: int = 1_000
    noop: int = 2_000
    exec: int = 1_000
    throughput_noop: int = 10_000
    throughput_exec: int = 3_000
    docker: int = 60
    celery_latency: int = 500
    celery_tasks: int = 2_000
    agents: int = 5_000
    agents_seconds: float = 90.0
    dropped: int = 1_000
    list: int = 15
    personas: int = 500
    persona_rounds: int = 3
    paints: int = 7
    docker_creates: int = 7
    docker_agents: int = 30
    docker_rounds: int = 3
    snapshot_mb: int = 1_000


QUICK = Sizes(
    raw=200, noop=300, exec=200, throughput_noop=3_000, throughput_exec=1_000, docker=15, celery_latency=100,
    celery_tasks=300, agents=1_000, agents_seconds=15.0, dropped=300, list=5, personas=50, persona_rounds=1,
    paints=3, docker_creates=3, docker_agents=6, docker_rounds=1, snapshot_mb=50,
)  # fmt: skip


class Bench:
    """One run: a folder on the disk that is measured, the peers, and how much of everything."""

    def __init__(self, folder: Path, sizes: Sizes, console: Console) -> None:
        self._folder = folder
        self._sizes = sizes
        self._console = console
        peers_folder = folder / "peers"
        peers_folder.mkdir()
        self._peers = Peers(
            peers_folder,
            latencies=sizes.celery_latency,
            tasks=sizes.celery_tasks,
            execs=sizes.docker,
            say=self.say,
        )

    def say(self, text: str) -> None:
        self._console.print(f"bench: {text}", style="dim", highlight=False)

    async def raw(self) -> list[Row]:
        return await asyncio.to_thread(raw.raw_costs, self._folder, self._sizes.raw)

    async def noop(self) -> list[Row]:
        tasks = {"noop": (latency.NOOP, self._sizes.noop)}
        self.say("no-op tasks in process")
        inside = (await latency.time_in_process(self._folder / "noop", tasks))["noop"]
        self.say("no-op tasks over HTTP")
        outside = (await latency.time_over_http(self._folder / "noop-http", tasks))["noop"]
        celery = self._peers.celery_latency(NOOP_SECTION, "noop")
        return [
            *self._compared(latency.rows(NOOP_SECTION, "in process (Control)", inside, 2.0, 8.0), {"Celery": celery}),
            *self._compared(latency.rows(NOOP_SECTION, "HTTP, Unix socket", outside, None, None), {"Celery": celery}),
            celery,
        ]

    async def exec(self) -> list[Row]:
        tasks = {"exec": (latency.EXEC_TRUE, self._sizes.exec)}
        self.say("exec true in process")
        inside = (await latency.time_in_process(self._folder / "exec", tasks))["exec"]
        self.say("exec true over HTTP")
        outside = (await latency.time_over_http(self._folder / "exec-http", tasks))["exec"]
        command, library = self._peers.docker_exec(EXEC_SECTION)
        celery = self._peers.celery_latency(EXEC_SECTION, "exec")
        peers = {"docker exec": command, "docker-py": library, "Celery": celery}
        ours = self._compared(latency.rows(EXEC_SECTION, "in process (Control)", inside, 4.0, None), peers)
        return [
            *ours,
            *self._compared(latency.rows(EXEC_SECTION, "HTTP, Unix socket", outside, None, None), peers),
            _exec_ratio(ours[0], command),
            command,
            library,
            celery,
        ]

    async def throughput(self) -> list[Row]:
        sizes = self._sizes
        ours = await throughput.throughput(
            self._folder / "throughput", sizes.throughput_noop, sizes.throughput_exec, self.say
        )
        theirs = [
            self._peers.celery_throughput(throughput.SECTION, task, row.name)
            for task, row in zip(("noop", "exec"), ours, strict=True)
        ]
        compared = [with_ratios(row, {"Celery": peer}) for row, peer in zip(ours, theirs, strict=True)]
        return [*compared, *theirs]

    async def fleet(self) -> list[Row]:
        sizes = self._sizes
        return await fleet.reporting(self._folder / "fleet", sizes.agents, sizes.agents_seconds, self.say)

    async def reconnect(self) -> list[Row]:
        return await fleet.reconnect(self._folder / "reconnect", self._sizes.dropped, self.say)

    async def list(self) -> list[Row]:
        return await listing.listing(self._folder / "list", self._sizes.list)

    async def personas(self) -> list[Row]:
        sizes = self._sizes
        return await asyncio.to_thread(
            personas.personas, self._folder / "personas", sizes.personas, sizes.persona_rounds, self.say
        )

    async def tui(self) -> list[Row]:
        return await asyncio.to_thread(tui.screen, self._folder / "tui", self._sizes.paints, self.say)

    async def tui_idle(self) -> list[Row]:
        return await tui_idle.idle(self._folder / "tui-idle", self.say)

    async def docker(self) -> list[Row]:
        return await docker_agents.one_agent(self._folder / "docker", self._sizes.docker_creates, self.say)

    async def docker_start(self) -> list[Row]:
        sizes = self._sizes
        return await docker_agents.at_once(
            self._folder / "docker-start", sizes.docker_agents, sizes.docker_rounds, self.say
        )

    async def docker_snapshot(self) -> list[Row]:
        sizes = self._sizes
        return await docker_snapshot.saved_and_restored(
            self._folder / "docker-snapshot", sizes.snapshot_mb, sizes.docker_rounds, self.say
        )

    @staticmethod
    def _compared(rows: list[Row], peers: dict[str, Row]) -> list[Row]:
        """Only medians are compared with medians."""
        return [with_ratios(rows[0], peers), *rows[1:]]


SECTIONS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "raw": Bench.raw,
    "noop": Bench.noop,
    "exec": Bench.exec,
    "throughput": Bench.throughput,
    "fleet": Bench.fleet,
    "reconnect": Bench.reconnect,
    "list": Bench.list,
    "personas": Bench.personas,
    "tui": Bench.tui,
    "tui-idle": Bench.tui_idle,
    "docker": Bench.docker,
    "docker-start": Bench.docker_start,
    "docker-snapshot": Bench.docker_snapshot,
}


def _exec_ratio(ours: Row, docker: Row) -> Row:
    measured = docker.measured / ours.measured if docker.measured and ours.measured else None
    return Row(
        section=EXEC_SECTION,
        name="how many times faster than docker exec",
        unit="x",
        measured=measured,
        budget=EXEC_RATIO_BUDGET,
        higher_is_better=True,
        note="" if measured else docker.note,
    )


def _machine(started: float) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "loadAverageAtStart": os.getloadavg(),
        "startedAt": started,
    }


async def _run(arguments: argparse.Namespace, console: Console) -> list[Row]:
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="clawtui-bench-", dir=arguments.folder))
    try:
        bench = Bench(folder, QUICK if arguments.quick else Sizes(), console)
        for name in arguments.only or SECTIONS:
            bench.say(f"--- {name} (load average {os.getloadavg()[0]:.1f})")
            try:
                rows += await SECTIONS[name](bench)
            except BenchError as error:
                rows.append(Row(section=name, name="not measured", unit="", failed=True, note=str(error)))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return rows


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure clawtui and its peers.")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="only this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small numbers, in about two minutes")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a budget is missed")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"where the JSON goes ({RESULTS})")
    parser.add_argument("--folder", type=Path, help="where to measure: the disk counts (the temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep the hubs' folders, for their logs")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    arguments = _parse(words)
    console = Console(stderr=True)
    machine = _machine(time.time())
    # Thousands of sockets here and in the hub, which inherits the limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Ended by a supervisor it removes what it made as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    rows = asyncio.run(_run(arguments, console))
    write_json(arguments.json, machine, rows)
    # Piped into a file the table is as wide as it needs to be.
    print_table(Console(width=None if sys.stdout.isatty() else 200), rows)
    print(f"\nwritten to {arguments.json}")
    verdicts = {row.verdict for row in rows}
    return int(Verdict.FAILED in verdicts or (arguments.check and Verdict.OVER in verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
