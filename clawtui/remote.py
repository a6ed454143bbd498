"""`RemoteControl`: the hub's `Control` over HTTP and WebSocket, for front ends outside its process."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec

from clawtui.remote_calls import params as _params
from clawtui.remote_calls import path as _path
from clawtui.remote_calls import plain
from clawtui.remote_disk import DiskCalls
from clawtui.remote_gateways import GatewayCalls
from clawtui.remote_instances import InstanceCalls
from clawtui.remote_networks import NetworkCalls
from clawtui.remote_snapshots import SnapshotCalls
from clawtui.remote_sync import SyncCalls
from clawtui.settings import Settings
from clawtui.transport import Transport
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
    BackupRequest,
    BuildImage,
    BuildLogLine,
    BuildLogQuery,
    ConnectionList,
    ConnectionQuery,
    CreateAgent,
    CreatedToken,
    CreateToken,
    DispatchRequest,
    DispatchView,
    Event,
    HubHealth,
    ImageList,
    JobList,
    JobView,
    JournalList,
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
    SnoozeRequest,
    StatsPoint,
    StatsQuery,
    Submitted,
    TaskList,
    TaskQuery,
    TaskView,
    TokenList,
    TransferImage,
    UndoAnswer,
)
from hub.control import ShellSession

T = TypeVar("T")

LONGEST_POLL_SECONDS = 30.0
"""One long poll; a longer wait is several."""
ALL_LINES = 2**31 - 1
"""More than any log keeps, and what every part on the way takes for a number."""


class RemoteControl(SnapshotCalls, NetworkCalls, DiskCalls, GatewayCalls, InstanceCalls, SyncCalls):
    """Control over one hub's HTTP API. Use `open_remote`, which closes it."""

    # --- the hub

    async def health(self) -> HubHealth:
        return await self._get(HubHealth, "/health")

    async def connections(self, query: ConnectionQuery) -> ConnectionList:
        return await self._get(ConnectionList, "/connections", _params(query))

    async def attention(self, query: AttentionQuery) -> AttentionList:
        return await self._get(AttentionList, "/attention", _params(query))

    async def snooze(self, attention_id: str, seconds: int) -> AttentionView:
        path = _path("attention", attention_id, "snooze")
        return await self._post(AttentionView, path, SnoozeRequest(seconds=seconds))

    # --- agents

    async def agents(self, query: AgentQuery) -> AgentList:
        return await self._get(AgentList, "/agents", _params(query))

    async def agent(self, agent_id: str) -> AgentView:
        return await self._get(AgentView, _path("agents", agent_id))

    async def register(self, request: RegisterAgent) -> RegisteredAgent:
        return await self._post(RegisteredAgent, "/agents/register", request)

    async def create_agent(self, request: CreateAgent) -> JobView:
        return await self._post(JobView, "/agents", request)

    async def act(self, agent_id: str, act: AgentAct) -> JobView:
        return await self._post(JobView, _path("agents", agent_id, act.value))

    async def destroy(self, agent_id: str) -> JobView:
        return self._read(await self._http.call("DELETE", _path("agents", agent_id)), JobView)

    async def adopt(self) -> AdoptAnswer:
        return await self._post(AdoptAnswer, "/adopt")

    async def release(self, agent_id: str) -> AgentView:
        return await self._post(AgentView, _path("agents", agent_id, "release"))

    async def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncGenerator[LogEntry, None]:
        if query.lines is None:
            # A parameter that is left out means its default, which is not "all".
            query = msgspec.structs.replace(query, lines=ALL_LINES)
        async with contextlib.aclosing(self._http.lines(_path("agents", agent_id, "logs"), _params(query))) as lines:
            async for line in lines:
                yield self._read(line, LogEntry)

    async def agent_stats(self, agent_id: str, query: StatsQuery) -> AsyncGenerator[StatsPoint, None]:
        async with contextlib.aclosing(self._http.lines(_path("agents", agent_id, "stats"), _params(query))) as lines:
            async for line in lines:
                yield self._read(line, StatsPoint)

    async def open_shell(self, agent_id: str, cols: int, rows: int) -> ShellSession:
        from clawtui.live import open_shell

        await self._http.meet()
        return await open_shell(self._http.settings, _path("agents", agent_id, "shell"), cols, rows)

    # --- tasks

    async def submit(self, agent_id: str, task: dict[str, Any], idempotency_key: str | None = None) -> Submitted:
        # Always a key: a repeated submission after a lost answer must not become a second task.
        key = idempotency_key or str(uuid.uuid4())
        return await self._post(Submitted, _path("agents", agent_id, "task"), task, key)

    async def dispatch(self, request: DispatchRequest, idempotency_key: str | None = None) -> DispatchView:
        return await self._post(DispatchView, "/tasks", request, idempotency_key or str(uuid.uuid4()))

    async def dispatch_status(self, dispatch_id: str) -> DispatchView:
        return await self._get(DispatchView, _path("dispatches", dispatch_id))

    async def retry_dispatch(self, dispatch_id: str) -> DispatchView:
        return await self._post(DispatchView, _path("dispatches", dispatch_id, "retry"))

    async def tasks(self, query: TaskQuery) -> TaskList:
        return await self._get(TaskList, "/tasks", _params(query))

    async def get_task(self, task_id: str, wait_seconds: float = 0.0) -> TaskView:
        return await self._waited(TaskView, _path("tasks", task_id), wait_seconds, lambda task: task.terminal)

    async def task_output(self, task_id: str, query: OutputQuery) -> AsyncGenerator[OutputChunk, None]:
        async with contextlib.aclosing(self._http.lines(_path("tasks", task_id, "output"), _params(query))) as lines:
            async for line in lines:
                yield self._read(line, OutputChunk)

    async def cancel_task(self, task_id: str) -> TaskView:
        return await self._post(TaskView, _path("tasks", task_id, "cancel"))

    async def retry_task(self, task_id: str) -> Submitted:
        return await self._post(Submitted, _path("tasks", task_id, "retry"))

    # --- profiles and images

    async def profiles(self, query: ProfileQuery) -> ProfileList:
        return await self._get(ProfileList, "/profiles", _params(query))

    async def profile(self, name: str) -> ProfileView:
        return await self._get(ProfileView, _path("profiles", name))

    async def validate_profile(self, request: ProfileText) -> ProfileCheck:
        return await self._post(ProfileCheck, "/profiles/validate", request)

    async def save_profile(self, name: str, request: ProfileText) -> ProfileView:
        return self._read(await self._http.call("PUT", _path("profiles", name), body=plain(request)), ProfileView)

    async def delete_profile(self, name: str) -> None:
        await self._http.call("DELETE", _path("profiles", name))

    async def build_profile(self, name: str, request: BuildImage) -> JobView:
        return await self._post(JobView, _path("profiles", name, "build"), request)

    async def images(self) -> ImageList:
        return await self._get(ImageList, "/images")

    async def build_image(self, request: BuildImage) -> JobView:
        return await self._post(JobView, "/images/build", request)

    async def push_image(self, request: TransferImage) -> JobView:
        return await self._post(JobView, "/images/push", request)

    async def remove_image(self, name: str) -> None:
        await self._http.call("DELETE", _path("images", name))

    async def pull_image(self, request: TransferImage) -> JobView:
        return await self._post(JobView, "/images/pull", request)

    async def build_log(self, name: str, query: BuildLogQuery) -> AsyncGenerator[BuildLogLine, None]:
        async with contextlib.aclosing(self._http.lines(_path("images", name, "log"), _params(query))) as lines:
            async for line in lines:
                yield self._read(line, BuildLogLine)

    # --- jobs

    async def jobs(self, query: PageQuery) -> JobList:
        return await self._get(JobList, "/jobs", _params(query))

    async def job(self, job_id: str, wait_seconds: float = 0.0) -> JobView:
        return await self._waited(JobView, _path("jobs", job_id), wait_seconds, lambda job: job.finished_at is not None)

    async def cancel_job(self, job_id: str) -> JobView:
        return await self._post(JobView, _path("jobs", job_id, "cancel"))

    # --- administration

    async def create_token(self, request: CreateToken) -> CreatedToken:
        return await self._post(CreatedToken, "/tokens", request)

    async def tokens(self, query: PageQuery) -> TokenList:
        return await self._get(TokenList, "/tokens", _params(query))

    async def revoke_token(self, token_id: str) -> None:
        await self._http.call("DELETE", _path("tokens", token_id))

    async def policies(self) -> PolicyList:
        return await self._get(PolicyList, "/policies")

    async def allow(self, sender: str, receiver: str) -> None:
        await self._http.call("PUT", _path("policies", sender, receiver))

    async def disallow(self, sender: str, receiver: str) -> None:
        await self._http.call("DELETE", _path("policies", sender, receiver))

    async def audit(self, query: PageQuery) -> AuditList:
        return await self._get(AuditList, "/audit", _params(query))

    async def journal(self, query: PageQuery) -> JournalList:
        return await self._get(JournalList, "/journal", _params(query))

    async def undo(self, seq: int) -> UndoAnswer:
        return await self._post(UndoAnswer, _path("journal", str(seq), "undo"))

    async def backup(self, path: str) -> BackupAnswer:
        return await self._post(BackupAnswer, "/backup", BackupRequest(path=path))

    # --- changes

    async def events(self, since: int | None = None) -> AsyncGenerator[Event, None]:
        from clawtui.live import events

        await self._http.meet()
        async with contextlib.aclosing(events(self._http.settings, since)) as changes:
            async for change in changes:
                yield change

    async def _waited(self, kind: type[T], path: str, wait_seconds: float, ended: Callable[[T], bool]) -> T:
        """Long-poll in pieces, so that a connection that went silent is noticed."""
        deadline = time.monotonic() + wait_seconds
        while True:
            wait = min(max(deadline - time.monotonic(), 0.0), LONGEST_POLL_SECONDS)
            view = await self._get(kind, path, {"wait": wait} if wait > 0 else None, wait)
            if ended(view) or time.monotonic() >= deadline:
                return view


@contextlib.asynccontextmanager
async def open_remote(settings: Settings) -> AsyncIterator[RemoteControl]:
    """A RemoteControl that is closed at the end. Connects with the first call.

    Every call may raise OtherVersion: the hub there speaks another API.
    """
    transport = Transport(settings, asks_version=True)
    try:
        yield RemoteControl(transport)
    finally:
        await transport.close()
