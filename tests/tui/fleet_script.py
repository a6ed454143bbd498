"""A fleet as one meets it: 24 agents of several types in every state, their tasks, logs and history; `hub()` has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hub.contract import (
    AgentView,
    AttentionList,
    AuditList,
    DispatchMember,
    DispatchView,
    DriverHealth,
    HubHealth,
    JobList,
    JournalList,
    Lifecycle,
    LogEntry,
    RolloutRequest,
    TaskView,
    TokenList,
)
from hub.core.model import AgentStatus, Connection, Desired, Observed, TaskState
from runtime.wire import Cpu, Disk, Gpu, Health, Memory, Network, TaskError
from tests.tui import made_script, office_script, snapshot_script, stats_script, sync_script
from tests.tui.office_script import NOW, ROLLOUT, ago
from tests.tui.scripted import ScriptedHub

GIB: Final = 1024**3
_S = AgentStatus
_LIVES: Final = {
    _S.CREATING: (Desired.RUNNING, Observed.CREATING, Connection.OFFLINE),
    _S.ONLINE: (Desired.RUNNING, Observed.RUNNING, Connection.ONLINE),
    _S.STALE: (Desired.RUNNING, Observed.RUNNING, Connection.STALE),
    _S.UNREACHABLE: (Desired.RUNNING, Observed.UNKNOWN, Connection.UNREACHABLE),
    _S.OFFLINE: (Desired.RUNNING, Observed.UNMANAGED, Connection.OFFLINE),
    _S.STOPPED: (Desired.STOPPED, Observed.EXITED, Connection.OFFLINE),
    _S.PAUSED: (Desired.PAUSED, Observed.PAUSED, Connection.OFFLINE),
    _S.CRASHED: (Desired.RUNNING, Observed.EXITED, Connection.OFFLINE),
    _S.QUARANTINED: (Desired.RUNNING, Observed.RUNNING, Connection.OFFLINE),
    _S.DESTROYING: (Desired.ABSENT, Observed.RUNNING, Connection.OFFLINE),
}
_Line = tuple[str, str, str, AgentStatus, float, float, int, int, int, str]
# Name, type, driver, state, busy cores, memory in GiB, running, queued, seconds since it was seen, why.
_FLEET: Final[tuple[_Line, ...]] = (
    ("builder-1", "builder", "docker", _S.ONLINE, 1.86, 3.1, 2, 4, 3, ""),
    ("builder-2", "builder", "docker", _S.ONLINE, 1.12, 2.4, 1, 0, 11, ""),
    ("builder-3", "builder", "docker", _S.ONLINE, 0.03, 0.6, 0, 0, 8, ""),
    ("builder-4", "builder", "docker", _S.CRASHED, 0.0, 0.0, 0, 3, 190, "exit 137: out of memory (limit 4.0G)"),
    ("crawler-eu", "crawler", "process", _S.ONLINE, 0.41, 0.9, 1, 12, 2, ""),
    ("crawler-us", "crawler", "process", _S.ONLINE, 0.37, 0.8, 1, 9, 5, ""),
    ("crawler-asia", "crawler", "process", _S.STALE, 0.44, 0.9, 1, 31, 74, "no report for 74 s"),
    ("deploy", "deployer", "docker", _S.PAUSED, 0.0, 0.3, 0, 1, 3_700, "paused by ada"),
    ("docs", "writer", "process", _S.ONLINE, 0.0, 0.1, 0, 0, 14, ""),
    ("gpu-trainer-1", "trainer", "docker", _S.ONLINE, 3.9, 14.6, 1, 2, 4, ""),
    ("gpu-trainer-2", "trainer", "docker", _S.CREATING, 0.0, 0.0, 0, 0, 0, "pulling the image, 43 %"),
    ("laptop-ada", "personal", "", _S.OFFLINE, 0.0, 0.0, 0, 0, 46_800, ""),
    ("migrator", "database", "docker", _S.ONLINE, 0.22, 0.5, 1, 0, 1, ""),
    ("nightly-lint", "tester", "docker", _S.STOPPED, 0.0, 0.0, 0, 0, 30_100, ""),
    ("reviewer-1", "reviewer", "process", _S.ONLINE, 0.64, 1.1, 1, 1, 6, ""),
    ("reviewer-2", "reviewer", "process", _S.ONLINE, 0.58, 1.0, 1, 0, 9, ""),
    ("reviewer-3", "reviewer", "process", _S.QUARANTINED, 0.0, 0.0, 0, 2, 610, "two machines used its token"),
    ("scratch", "sandbox", "process", _S.DESTROYING, 0.0, 0.2, 0, 0, 12, ""),
    ("tester-arm", "tester", "vm", _S.UNREACHABLE, 0.0, 0.0, 1, 5, 340, "the driver does not answer"),
    ("tester-linux-1", "tester", "docker", _S.ONLINE, 0.98, 1.9, 2, 6, 2, ""),
    ("tester-linux-2", "tester", "docker", _S.ONLINE, 0.91, 3.7, 2, 6, 7, ""),
    ("tester-mac", "tester", "", _S.ONLINE, 0.12, 0.7, 0, 0, 16, ""),
    ("translator", "writer", "process", _S.ONLINE, 0.05, 0.2, 0, 0, 13, ""),
    ("warehouse-exporter", "database", "docker", _S.STOPPED, 0.0, 0.0, 0, 0, 86_500, ""),
)
NAMES: Final = {"builder-1": "Main builder", "crawler-asia": "Crawler Tōkyō", "docs": "Doku für Ärzte"}


def _agent(place: int, row: _Line, name: str = "") -> AgentView:
    own_name, kind, driver, status, cores, memory, running, queued, seen, reason = row
    name = name or own_name
    desired, observed, connection = _LIVES[status]
    health = None
    if memory:
        gpus = [Gpu(name="A100 80GB", utilisation=0.87, memory_used=61 * GIB, memory_total=80 * GIB)]
        health = Health(
            cpu=Cpu(cores=cores, limit=2.0 if driver == "docker" and kind != "trainer" else None),
            memory=Memory(used=int(memory * GIB), limit=4 * GIB if driver == "docker" and memory < 4 else None),
            disk=Disk(used=int(37.5 * GIB), total=100 * GIB),
            network=Network(rx=812_000_000, tx=94_000_000),
            gpu=gpus if kind == "trainer" else None,
        )
    profile = kind if kind in made_script.PROFILES else ""
    return AgentView(
        id=name, uid=f"01J{place:05d}", status=status, lifecycle=Lifecycle(desired=desired, observed=observed),
        connection=connection, display_name=NAMES.get(name, ""), type=kind, driver=driver, profile=profile,
        capabilities=["exec", "files", "git"], labels={"team": "web" if place % 2 else "data", "stage": "test"},
        concurrency=2, created_at=ago(200_000 + place * 60), last_seen_at=ago(seen) if seen else None, health=health,
        health_at=ago(seen) if health else None, queued=queued, running=[f"t-{place}{n}" for n in range(running)],
        epoch=1, version="0.2.0", platform="linux/amd64", reason=reason or None,
        exit_code=137 if status is _S.CRASHED else None, source="driver" if status is _S.CRASHED else "hub",
    )  # fmt: skip


def fleet() -> list[AgentView]:
    return [_agent(place, row) for place, row in enumerate(_FLEET)]


def many(count: int) -> list[AgentView]:
    """The same fleet again and again with numbers behind the names."""
    rows = [_FLEET[place % len(_FLEET)] for place in range(count)]
    return [_agent(place, row, f"{row[0]}-{place:04d}") for place, row in enumerate(rows)]


# --- tasks

_T = TaskState
# Agent, type, fields, state, seconds since it was submitted, seconds it took, exit code, why it failed.
_TASKS: Final[tuple[tuple[str, str, dict[str, Any], TaskState, float, float, int | None, str], ...]] = (
    ("builder-1", "exec", {"command": "make -j2 release"}, _T.RUNNING, 94, 90, None, ""),
    ("builder-1", "exec", {"command": "docker build -t web:4121 ."}, _T.RUNNING, 31, 30, None, ""),
    ("tester-linux-1", "exec", {"command": "pytest -q tests/api --maxfail 5"}, _T.RUNNING, 48, 47, None, ""),
    ("reviewer-1", "script", {"script": "set -e\ngit fetch\n./review.sh 4121"}, _T.RUNNING, 12, 11, None, ""),
    ("builder-1", "exec", {"command": "make package"}, _T.QUEUED, 70, 0, None, ""),
    ("crawler-eu", "exec", {"command": "python crawl.py --site news.example --depth 3"}, _T.QUEUED, 66, 0, None, ""),
    ("tester-linux-2", "exec", {"command": "pytest -q tests/web"}, _T.FAILED, 210, 63.2, 1, "exit code 1"),
    ("tester-arm", "exec", {"command": "pytest -q tests/web"}, _T.LOST, 420, 80, None, "the agent did not come back"),
    ("builder-2", "git_clone", {"repo": "https://git.example/web.git", "targetPath": "web"}, _T.SUCCEEDED, 260, 4.7,
     0, ""),
    ("builder-4", "exec", {"command": "make -j8 release"}, _T.FAILED, 500, 310, 137, "killed: out of memory"),
    ("migrator", "exec", {"command": "psql -f 0042_orders.sql"}, _T.SUCCEEDED, 610, 1.3, 0, ""),
    ("docs", "write_file", {"filePath": "docs/api.md"}, _T.SUCCEEDED, 900, 0.1, 0, ""),
    ("crawler-us", "exec", {"command": "python crawl.py --site shop.example"}, _T.TIMED_OUT, 4_000, 3_600, None,
     "longer than 3600 s"),
    ("reviewer-2", "exec", {"command": "./review.sh 4119"}, _T.CANCELLED, 5_200, 18, None, ""),
    ("builder-3", "exec", {"command": "make test"}, _T.SUCCEEDED, 7_900, 431, 0, ""),
    ("tester-mac", "exec", {"command": "xcodebuild test"}, _T.EXPIRED, 90_000, 0, None, "nobody took it in an hour"),
)  # fmt: skip
ENDED: Final = frozenset({_T.SUCCEEDED, _T.FAILED, _T.LOST, _T.TIMED_OUT, _T.CANCELLED, _T.EXPIRED, _T.REJECTED})


def tasks() -> list[TaskView]:
    """Newest first, as the hub gives them; those of the rollout are among them."""
    found: list[TaskView] = []
    for place, (agent, kind, fields, state, age, took, code, why) in enumerate(_TASKS):
        ended = state in ENDED
        found.append(TaskView(
            id=f"t-{place}0", agent_id=agent, type=kind, status=state, attempt=1, created_at=ago(age),
            spec={"type": kind, **fields}, exit_code=code, terminal=ended, by="ada",
            started_at=ago(age - 1) if took else None, finished_at=ago(age - 1 - took) if ended else None,
            error=TaskError(code=state.value, message=why) if why else None,
            dispatch_id=ROLLOUT if fields.get("command") == "pytest -q tests/web" else None,
        ))  # fmt: skip
    return sorted(found, key=lambda task: task.created_at, reverse=True)


def rollout() -> DispatchView:
    states = [_T.SUCCEEDED, _T.SUCCEEDED, _T.FAILED, _T.RUNNING, _T.RUNNING, _T.QUEUED, _T.QUEUED, _T.LOST]
    agents = ["tester-mac", "tester-linux-1", "tester-linux-2", "builder-1", "builder-2", "builder-3", "reviewer-1",
              "tester-arm"]  # fmt: skip
    members = [
        DispatchMember(agent_id=agent, task_id=f"t-{place}r", status=state, held=agent == "reviewer-1")
        for place, (agent, state) in enumerate(zip(agents, states, strict=True))
    ]
    counts = {state.value: states.count(state) for state in dict.fromkeys(states)}
    rules = RolloutRequest(canary=2, concurrency=3, stop_on_failures=2)
    return DispatchView(
        dispatch_id=ROLLOUT, state="rolling", created_at=ago(210), selector="stage=test", rollout=rules,
        tasks=members, counts=counts,
    )  # fmt: skip


# --- logs

_WORDS: Final = (
    ("info", "task t-00 started: make -j2 release"),
    ("info", "cc -O2 -c src/parser.c -o build/parser.o"),
    ("info", "cc -O2 -c src/planner.c -o build/planner.o"),
    ("warning", "src/planner.c:214: unused variable 'cost' [-Wunused-variable]"),
    ("info", "cache: 412 hits, 17 misses"),
    ("error", "connection to the package mirror timed out after 30 s; next try in 2 s"),
    ("info", "fetched 23 packages, 41.7 MiB"),
    ("debug", "report sent: cpu 1.86 memory 3.1G running 2"),
)


def log(agent: str, lines: int = 40) -> list[LogEntry]:
    """The last `lines` lines of an agent, two seconds apart."""
    first = sum(agent.encode()) % len(_WORDS)
    return [
        LogEntry(text=text, source="runtime", at=ago(2.0 * (lines - number) + len(agent) / 40), level=level)
        for number in range(lines)
        for level, text in (_WORDS[(first + number) % len(_WORDS)],)
    ]


OUTPUT: Final = "".join(
    f"tests/api/test_{name}.py {'.' * count} [{share:>3}%]\n"
    for name, count, share in (("agents", 31, 18), ("tasks", 40, 41), ("tokens", 12, 48), ("logs", 22, 61))
)


# --- the hub itself


def hub_health(agents: list[AgentView]) -> HubHealth:
    states = {one.value: count for one in AgentStatus if (count := sum(a.status is one for a in agents))}
    unusable = DriverHealth(
        name="vm", usable=False, reason="the host hypervisor-2 does not answer", hint="clawtui doctor names the cause"
    )
    return HubHealth(
        status="ok", version="0.2.0", hub_id="hub-01JQ", uptime_seconds=12 * 86_400 + 4_000, loop_lag_seconds=0.0021,
        registry_writable=True, agents=states, tasks={"running": 17, "queued": 82},
        drivers=[DriverHealth(name="docker", usable=True, version="27.5"),
                 DriverHealth(name="process", usable=True, version="0.2.0"), unusable],
        addresses={"agents": "wss://hub.example:9090", "api": "https://hub.example:8080",
                   "local": "/var/lib/clawtui/hub.sock"},
    )  # fmt: skip


# --- the hub


def hub(agents: Iterable[AgentView] | None = None) -> ScriptedHub:
    """A scripted hub with all of this; `agents`: others than those of `fleet`."""
    known = list(agents) if agents is not None else fleet()
    found = ScriptedHub(*known, tasks=tasks())
    found.now, found.output = NOW, OUTPUT
    found.log_of = log

    found.answers |= {
        "health": hub_health(known),
        "dispatch_status": rollout(),
        "dispatch": rollout(),
        "audit": AuditList(audit=office_script.audit()),
        "journal": JournalList(journal=office_script.journal()),
        "attention": AttentionList(attention=office_script.attention()),
        "tokens": TokenList(tokens=office_script.tokens()),
        "jobs": JobList(jobs=office_script.jobs()),
        "connections": office_script.connections(),
        **made_script.answers(),
        **sync_script.gateway_answers(),
        "agent": lambda name: made_script.made(found._agent(name)),
        "agent_stats": lambda name, query: stats_script.stats(found._agent(name), query, found.now),
    }
    return snapshot_script.answer(found)
