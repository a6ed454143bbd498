"""A hub that answers what it was told to: the Door and the Control behind the HTTP layer under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from hub.contract import (
    AdoptAnswer,
    AgentAct,
    AgentList,
    AgentQuery,
    AgentView,
    AttentionList,
    AttentionQuery,
    AttentionView,
    AuditList,
    BackupAnswer,
    BuildImage,
    BuildLogLine,
    BuildLogQuery,
    ConnectionList,
    ConnectionQuery,
    ConnectionView,
    CreateAgent,
    CreatedToken,
    CreateToken,
    DispatchRequest,
    DispatchView,
    Event,
    HubHealth,
    HubLoad,
    ImageList,
    ImageView,
    JobList,
    JobView,
    JournalEntry,
    JournalList,
    Lifecycle,
    LogEntry,
    LogQuery,
    OutputChunk,
    OutputQuery,
    PageQuery,
    PolicyList,
    ProfileCheck,
    ProfileList,
    ProfileQuery,
    ProfileText,
    ProfileView,
    RegisterAgent,
    RegisteredAgent,
    Severity,
    StatsPoint,
    StatsQuery,
    Submitted,
    SuggestedAct,
    TaskList,
    TaskQuery,
    TaskView,
    TokenList,
    TokenView,
    TransferImage,
    UndoAnswer,
)
from hub.control import Control, Principal
from hub.core.model import AgentStatus, Connection, Desired, Observed, Role, TaskState
from hub.errors import Unauthorized
from tests.hub.api.scripted_disk import ScriptedDisk, disk_answers
from tests.hub.api.scripted_gateways import ANSWER, ScriptedGateways, gateway_answers
from tests.hub.api.scripted_instances import ScriptedInstances, instance_answers
from tests.hub.api.scripted_networks import ScriptedNetworks, network_answers
from tests.hub.api.scripted_snapshots import ScriptedSnapshots, answers
from tests.hub.api.scripted_sync import ScriptedSync, sync_answers

ADMIN, OPERATOR, VIEWER = "ctu_admin", "ctu_operator", "ctu_viewer"
TOKENS: Final = {ADMIN: Role.ADMIN, OPERATOR: Role.OPERATOR, VIEWER: Role.VIEWER}
WHEN: Final = "2026-01-02T03:04:05.000Z"

AGENT: Final = AgentView(
    id="a-1",
    uid="u-1",
    status=AgentStatus.ONLINE,
    lifecycle=Lifecycle(desired=Desired.RUNNING, observed=Observed.RUNNING),
    connection=Connection.ONLINE,
)
TASK: Final = TaskView(
    id="t-1",
    agent_id="a-1",
    type="exec",
    status=TaskState.RUNNING,
    attempt=1,
    created_at=WHEN,
    spec={"type": "exec", "command": "true"},
)
JOB: Final = JobView(id="j-1", kind="create", state="running", started_at=WHEN)
PROFILE: Final = ProfileView(
    name="builder", source="built-in", valid=True, description="Builds", path="/p/builder.json", text="{}",
    image="openclaw-agent-builder:abc", built=True, dockerfile_text="FROM b\n",
)  # fmt: skip
IMAGE: Final = ImageView(
    name="openclaw-agent-builder", tag="abc", id="sha256:1", profile="builder", created_at=WHEN,
    size_bytes=300 << 20, latest=True,
)  # fmt: skip
DISPATCH: Final = DispatchView(dispatch_id="d-1", state="rolling", created_at=WHEN)
TOKEN: Final = TokenView(id="k-1", kind="user", created_at=WHEN)
ATTENTION: Final = AttentionView(
    id="tasks_failed:a-1",
    kind="tasks_failed",
    severity=Severity.WARNING,
    target_kind="agent",
    target="a-1",
    since=WHEN,
    text="2 tasks failed",
    title="Tasks failed",
    todo="Submit them again.",
    count=2,
    tasks=["t-2", "t-1"],
    acts=[SuggestedAct(act="task.retry", command="clawtui tasks retry t-2")],
)
CONNECTIONS: Final = ConnectionList(
    load=HubLoad(loop_lag_seconds=0.001, loop_lag_p99_seconds=0.002),
    connections=[
        ConnectionView(agent_id="a-1", connected=True, since=WHEN, remote="127.0.0.1:5", via="127.0.0.1:9090", queued=2)
    ],
    total=1,
)
STATS: Final = StatsPoint(at=WHEN, seconds=30.0, cpu=0.5, memory_bytes=1024)
ENTRY: Final = JournalEntry(
    seq=7,
    at=WHEN,
    who="user:ada",
    what="agent.stop",
    target="a-1",
    outcome="ok",
    detail="running -> stopped",
    command="clawtui stop a-1",
    undo="clawtui start a-1",
    undo_act="agent.start",
)
HEALTH: Final = HubHealth(
    status="ok", version="1.2.3", hub_id="hub-1", uptime_seconds=1.0, loop_lag_seconds=0.0, registry_writable=True
)


class Stream:
    """Items a test gives one by one; ends or fails when told. Knows whether somebody still reads."""

    def __init__(self, items: Iterable[Any] = (), *, ends: bool = False, error: Exception | None = None) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = asyncio.Event()
        for item in items:
            self.give(item)
        if error is not None:
            self.fail(error)
        elif ends:
            self.end()

    def give(self, item: Any) -> None:
        self._queue.put_nowait(("item", item))

    def end(self) -> None:
        self._queue.put_nowait(("end", None))

    def fail(self, error: Exception) -> None:
        self._queue.put_nowait(("error", error))

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            while True:
                kind, value = await self._queue.get()
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                yield value
        finally:
            self.closed.set()


class ScriptedShell:
    """A terminal that records what it gets and shows what `shown` is given."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.typed: asyncio.Queue[bytes] = asyncio.Queue()
        self.sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.shown = Stream()
        self.closed = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self.typed.put_nowait(data)

    async def resize(self, cols: int, rows: int) -> None:
        self.sizes.put_nowait((cols, rows))

    def output(self) -> AsyncIterator[bytes]:
        return aiter(self.shown)

    async def close(self) -> None:
        self.closed.set()


class ScriptedControl(
    ScriptedSnapshots, ScriptedNetworks, ScriptedDisk, ScriptedGateways, ScriptedInstances, ScriptedSync
):
    """Answers every call with `answers[method]`, raises it when it is an exception, and records the call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.waiting: set[str] = set()
        self.go_on = asyncio.Event()
        self.answers: dict[str, Any] = {
            **answers(JOB),
            **network_answers(),
            **disk_answers(),
            **sync_answers(),
            **gateway_answers(Stream(ANSWER, ends=True)),
            **instance_answers(JOB, Stream([LogEntry(text="ready", source="docker")], ends=True)),
            "health": HEALTH,
            "connections": CONNECTIONS,
            "attention": AttentionList(attention=[ATTENTION], snoozed=1),
            "snooze": ATTENTION,
            "agent_stats": Stream([STATS], ends=True),
            "journal": JournalList(journal=[ENTRY]),
            "undo": UndoAnswer(undone="clawtui start a-1", job=JOB),
            "agents": AgentList(agents=[AGENT]),
            "agent": AGENT,
            "register": RegisteredAgent(agent=AGENT, token="cta_secret", ws_url="ws://127.0.0.1:9090/agent/a-1"),
            "create_agent": JOB,
            "act": JOB,
            "destroy": JOB,
            "adopt": AdoptAnswer(adopted=["a-1"]),
            "release": AGENT,
            "agent_logs": Stream([LogEntry(text="hello", source="runtime")], ends=True),
            "open_shell": ScriptedShell(),
            "submit": Submitted(task_id="t-1", status="queued"),
            "dispatch": DISPATCH,
            "dispatch_status": DISPATCH,
            "retry_dispatch": DISPATCH,
            "tasks": TaskList(tasks=[TASK]),
            "get_task": TASK,
            "task_output": Stream([OutputChunk(offset=0, data="hi\n"), OutputChunk(offset=3, end=True)], ends=True),
            "cancel_task": TASK,
            "retry_task": Submitted(task_id="t-2", status="sent"),
            "profiles": ProfileList(profiles=[PROFILE]),
            "profile": PROFILE,
            "validate_profile": ProfileCheck(valid=True),
            "save_profile": PROFILE,
            "delete_profile": None,
            "remove_image": None,
            "build_profile": JOB,
            "images": ImageList(images=[IMAGE]),
            "build_image": JOB,
            "push_image": JOB,
            "pull_image": JOB,
            "build_log": Stream([BuildLogLine(text="Step 1/4 : FROM b")], ends=True),
            "jobs": JobList(jobs=[JOB]),
            "job": JOB,
            "cancel_job": JOB,
            "create_token": CreatedToken(token=TOKEN, secret="ctu_new"),
            "tokens": TokenList(tokens=[TOKEN]),
            "revoke_token": None,
            "policies": PolicyList(policies=[]),
            "allow": None,
            "disallow": None,
            "audit": AuditList(audit=[]),
            "backup": BackupAnswer(path="/backup.db", size_bytes=1),
            "events": Stream([Event(seq=1, run="r", kind="agent", id="a-1")], ends=True),
        }

    @property
    def last(self) -> tuple[str, tuple[Any, ...]]:
        return self.calls[-1]

    def _note(self, method: str, *given: Any) -> Any:
        self.calls.append((method, given))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def health(self) -> HubHealth:
        if "health" in self.waiting:
            await self.go_on.wait()
        return self._note("health")

    async def connections(self, query: ConnectionQuery) -> ConnectionList:
        return self._note("connections", query)

    async def attention(self, query: AttentionQuery) -> AttentionList:
        return self._note("attention", query)

    async def snooze(self, attention_id: str, seconds: int) -> AttentionView:
        return self._note("snooze", attention_id, seconds)

    def agent_stats(self, agent_id: str, query: StatsQuery) -> AsyncIterator[StatsPoint]:
        return aiter(self._note("agent_stats", agent_id, query))

    async def journal(self, query: PageQuery) -> JournalList:
        return self._note("journal", query)

    async def undo(self, seq: int) -> UndoAnswer:
        return self._note("undo", seq)

    async def agents(self, query: AgentQuery) -> AgentList:
        return self._note("agents", query)

    async def agent(self, agent_id: str) -> AgentView:
        return self._note("agent", agent_id)

    async def register(self, request: RegisterAgent) -> RegisteredAgent:
        return self._note("register", request)

    async def create_agent(self, request: CreateAgent) -> JobView:
        return self._note("create_agent", request)

    async def act(self, agent_id: str, act: AgentAct) -> JobView:
        return self._note("act", agent_id, act)

    async def destroy(self, agent_id: str) -> JobView:
        return self._note("destroy", agent_id)

    async def adopt(self) -> AdoptAnswer:
        return self._note("adopt")

    async def release(self, agent_id: str) -> AgentView:
        return self._note("release", agent_id)

    def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        return aiter(self._note("agent_logs", agent_id, query))

    async def open_shell(self, agent_id: str, cols: int, rows: int) -> ScriptedShell:
        return self._note("open_shell", agent_id, cols, rows)

    async def submit(self, agent_id: str, task: dict[str, Any], idempotency_key: str | None = None) -> Submitted:
        return self._note("submit", agent_id, task, idempotency_key)

    async def dispatch(self, request: DispatchRequest, idempotency_key: str | None = None) -> DispatchView:
        return self._note("dispatch", request, idempotency_key)

    async def dispatch_status(self, dispatch_id: str) -> DispatchView:
        return self._note("dispatch_status", dispatch_id)

    async def retry_dispatch(self, dispatch_id: str) -> DispatchView:
        return self._note("retry_dispatch", dispatch_id)

    async def tasks(self, query: TaskQuery) -> TaskList:
        return self._note("tasks", query)

    async def get_task(self, task_id: str, wait_seconds: float = 0.0) -> TaskView:
        return self._note("get_task", task_id, wait_seconds)

    def task_output(self, task_id: str, query: OutputQuery) -> AsyncIterator[OutputChunk]:
        return aiter(self._note("task_output", task_id, query))

    async def cancel_task(self, task_id: str) -> TaskView:
        return self._note("cancel_task", task_id)

    async def retry_task(self, task_id: str) -> Submitted:
        return self._note("retry_task", task_id)

    async def profiles(self, query: ProfileQuery) -> ProfileList:
        return self._note("profiles", query)

    async def profile(self, name: str) -> ProfileView:
        return self._note("profile", name)

    async def validate_profile(self, request: ProfileText) -> ProfileCheck:
        return self._note("validate_profile", request)

    async def save_profile(self, name: str, request: ProfileText) -> ProfileView:
        return self._note("save_profile", name, request)

    async def remove_image(self, name: str) -> None:
        return self._note("remove_image", name)

    async def delete_profile(self, name: str) -> None:
        return self._note("delete_profile", name)

    async def build_profile(self, name: str, request: BuildImage) -> JobView:
        return self._note("build_profile", name, request)

    async def images(self) -> ImageList:
        return self._note("images")

    async def build_image(self, request: BuildImage) -> JobView:
        return self._note("build_image", request)

    async def push_image(self, request: TransferImage) -> JobView:
        return self._note("push_image", request)

    async def pull_image(self, request: TransferImage) -> JobView:
        return self._note("pull_image", request)

    def build_log(self, name: str, query: BuildLogQuery) -> AsyncIterator[BuildLogLine]:
        return aiter(self._note("build_log", name, query))

    async def jobs(self, query: PageQuery) -> JobList:
        return self._note("jobs", query)

    async def job(self, job_id: str, wait_seconds: float = 0.0) -> JobView:
        return self._note("job", job_id, wait_seconds)

    async def cancel_job(self, job_id: str) -> JobView:
        return self._note("cancel_job", job_id)

    async def create_token(self, request: CreateToken) -> CreatedToken:
        return self._note("create_token", request)

    async def tokens(self, query: PageQuery) -> TokenList:
        return self._note("tokens", query)

    async def revoke_token(self, token_id: str) -> None:
        return self._note("revoke_token", token_id)

    async def policies(self) -> PolicyList:
        return self._note("policies")

    async def allow(self, sender: str, receiver: str) -> None:
        return self._note("allow", sender, receiver)

    async def disallow(self, sender: str, receiver: str) -> None:
        return self._note("disallow", sender, receiver)

    async def audit(self, query: PageQuery) -> AuditList:
        return self._note("audit", query)

    async def backup(self, path: str) -> BackupAnswer:
        return self._note("backup", path)

    def events(self, since: int | None = None) -> AsyncIterator[Event]:
        return aiter(self._note("events", since))


class ScriptedDoor:
    """Knows the three tokens of `TOKENS`, one per role, and records refusals."""

    def __init__(self) -> None:
        self.scripted = ScriptedControl()
        self.refusals: list[tuple[str, str, str, str]] = []
        self.principals: list[Principal] = []

    def admit(self, secret: str | None) -> Principal:
        if secret not in TOKENS:
            raise Unauthorized("the token is not known" if secret else "a token is needed")
        return Principal(name=f"{TOKENS[secret].value}-person", role=TOKENS[secret], token_id="k-1")

    async def refused(self, who: str, what: str, target: str, reason: str) -> None:
        self.refusals.append((who, what, target, reason))

    def control(self, principal: Principal) -> Control:
        self.principals.append(principal)
        return self.scripted
