"""Every method of `RemoteControl` against the real HTTP layer: what the hub gets, what the caller gets."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from clawtui.errors import ConnectionLost
from clawtui.remote import ALL_LINES, RemoteControl, open_remote
from clawtui.settings import Settings
from hub import contract
from hub.contract import (
    AddGateway,
    AgentAct,
    AgentQuery,
    AttentionQuery,
    AuditList,
    BackupAnswer,
    BuildImage,
    BuildLogLine,
    BuildLogQuery,
    ConnectionQuery,
    CreateAgent,
    CreateNetwork,
    CreateToken,
    DiffQuery,
    DiskQuery,
    DispatchRequest,
    ExportCompose,
    ForkRequest,
    LogEntry,
    LogQuery,
    MonitoringQuery,
    NetworkQuery,
    OutputChunk,
    OutputQuery,
    PageQuery,
    PolicyList,
    ProfileQuery,
    ProfileText,
    PruneExecute,
    PruneRequest,
    RegisterAgent,
    RepairRequest,
    ResolveSync,
    SendMessage,
    SnapshotQuery,
    SnapshotSchedule,
    StatsQuery,
    Submitted,
    SyncQuery,
    SyncRun,
    TakeSnapshot,
    TaskQuery,
    TransferImage,
)
from hub.core.model import AgentStatus, Role, TaskState
from hub.errors import Conflict, DriverFailed, Forbidden, NotAvailable, NotFound, QueueFull, Unauthorized
from tests.hub.api.conftest import Served, serving
from tests.hub.api.scripted import (
    ADMIN,
    AGENT,
    ATTENTION,
    DISPATCH,
    HEALTH,
    JOB,
    PROFILE,
    STATS,
    TASK,
    VIEWER,
    ScriptedControl,
    Stream,
)
from tests.hub.api.scripted_disk import DISK, PLAN, PRUNING, REPAIRING
from tests.hub.api.scripted_gateways import ANSWER, GATEWAY, SYNC
from tests.hub.api.scripted_networks import EXPORT, MONITORING, NETWORK
from tests.hub.api.scripted_snapshots import DIFF, PLACE, SNAPSHOT
from tests.hub.api.scripted_sync import DIFFERENCE, IN_STEP, REPORTS, STATUS


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because socket paths are limited."""
    with tempfile.TemporaryDirectory(prefix="cli-") as name:
        yield Path(name)


@pytest.fixture
async def served(folder: Path) -> AsyncIterator[Served]:
    async with serving(folder) as running:
        yield running


@pytest.fixture
def settings(served: Served) -> Settings:
    return Settings(hub=f"unix:{served.listeners.socket_path}", token=ADMIN, hub_return_seconds=0.0)


@pytest.fixture
async def remote(settings: Settings) -> AsyncIterator[RemoteControl]:
    async with open_remote(settings) as control:
        yield control


@pytest.fixture
def control(served: Served) -> ScriptedControl:
    return served.control


CREATE = CreateAgent(name="a-1", driver="process", capabilities=["x"], labels={"k": "v"})
DISPATCHED = DispatchRequest(task={"type": "ping"}, selector="type=x")

CALLS: list[tuple[str, tuple[Any, ...], Any]] = [
    ("health", (), HEALTH),
    ("connections", (ConnectionQuery(limit=7),), None),
    ("snapshots", (SnapshotQuery(agent="a-1", limit=3),), None),
    ("snapshot", ("a-1:before",), SNAPSHOT),
    ("estimate_snapshot", ("a-1",), None),
    ("take_snapshot", ("a-1", TakeSnapshot(name="n")), JOB),
    ("delete_snapshot", ("sn_1",), JOB),
    ("diff_snapshots", ("sn_1", DiffQuery(other="a-1:x", limit=5)), DIFF),
    ("restore", ("sn_1",), JOB),
    ("undo_restore", ("a-1",), JOB),
    ("fork", ("sn_1", ForkRequest(names=["b"])), JOB),
    ("snapshot_place", ("a-1",), PLACE),
    ("schedule_snapshots", ("a-1", SnapshotSchedule(interval_seconds=60)), PLACE),
    ("sync_status", (SyncQuery(gateway="prod"),), STATUS),
    ("sync_run", (SyncRun(gateway="prod", accept_empty=True),), REPORTS),
    ("sync_diff", ("prod", "ann"), DIFFERENCE),
    ("sync_resolve", ("prod", "ann", ResolveSync(decision="keep", path="SOUL.md")), IN_STEP),
    ("networks", (NetworkQuery(driver="docker"),), None),
    ("create_network", (CreateNetwork(name="team", subnet="10.20.0.0/24", internal=True, apart=False),), NETWORK),
    ("remove_network", ("team",), None),
    ("connect_network", ("team", "a-1"), NETWORK),
    ("disconnect_network", ("team", "a-1"), NETWORK),
    ("export_compose", (ExportCompose(agents=["a-1"], planned=[CreateAgent(name="b")]),), EXPORT),
    ("monitoring", (MonitoringQuery(target="https://hub:1", token=False),), MONITORING),
    ("disk", (DiskQuery(objects=True),), DISK),
    ("plan_prune", (PruneRequest(kinds=["images"], all=True),), PLAN),
    ("prune", ("prune_1", PruneExecute(data=True)), PRUNING),
    ("repair", ("a-1", RepairRequest(everything=True)), REPAIRING),
    ("gateways", (), None),
    ("gateway", ("main",), GATEWAY),
    ("add_gateway", (AddGateway(name="main", url="http://g:1", token_file="/t", sync=SYNC),), GATEWAY),
    ("remove_gateway", ("main",), None),
    ("set_gateway_sync", ("main", SYNC), GATEWAY),
    ("set_gateway_sync", ("main", None), GATEWAY),
    ("profiles", (ProfileQuery(all=True),), None),
    ("profile", ("builder",), PROFILE),
    ("validate_profile", (ProfileText(text="{}", name="x"),), None),
    ("save_profile", ("x", ProfileText(text="a: 1", format="yaml")), PROFILE),
    ("delete_profile", ("x",), None),
    ("remove_image", ("x",), None),
    ("build_profile", ("builder", BuildImage(rebuild=True, build_args={"A": "1"})), JOB),
    ("images", (), None),
    ("build_image", (BuildImage(platform="linux/arm64"),), JOB),
    ("push_image", (TransferImage(image="base", registry="localhost:5000"),), JOB),
    ("pull_image", (TransferImage(image="base", registry="localhost:5000"),), JOB),
    ("attention", (AttentionQuery(snoozed=True),), None),
    ("attention", (AttentionQuery(),), None),
    ("snooze", ("tasks_failed:a-1/b", 60), ATTENTION),
    ("journal", (PageQuery(limit=3, cursor="c"),), None),
    ("undo", (7,), None),
    ("agents", (AgentQuery(status=AgentStatus.ONLINE, type="b", label="k=v", limit=7, cursor="c"),), None),
    ("agents", (AgentQuery(),), None),
    ("agent", ("a-1",), AGENT),
    ("register", (RegisterAgent(agent_id="a-1"),), None),
    ("create_agent", (CREATE,), JOB),
    ("act", ("a-1", AgentAct.PAUSE), JOB),
    ("destroy", ("a-1",), JOB),
    ("adopt", (), None),
    ("release", ("a-1",), AGENT),
    ("submit", ("a-1", {"type": "ping", "priority": 3}, "key-1"), Submitted(task_id="t-1", status="queued")),
    ("dispatch", (DISPATCHED, "key-2"), DISPATCH),
    ("dispatch_status", ("d-1",), DISPATCH),
    ("retry_dispatch", ("d-1",), DISPATCH),
    ("tasks", (TaskQuery(agent="a", status="open", type="exec", label="l", dispatch="d", limit=3, cursor="c"),), None),
    ("get_task", ("t-1", 0.0), TASK),
    ("cancel_task", ("t-1",), TASK),
    ("retry_task", ("t-1",), Submitted(task_id="t-2", status="sent")),
    ("jobs", (PageQuery(limit=3, cursor="c"),), None),
    ("job", ("j-1", 0.0), JOB),
    ("cancel_job", ("j-1",), JOB),
    ("create_token", (CreateToken(name="n", role=Role.OPERATOR, expires_in_seconds=9),), None),
    ("tokens", (PageQuery(),), None),
    ("revoke_token", ("k/1",), None),
    ("policies", (), PolicyList(policies=[])),
    ("allow", ("a-1", "b-1"), None),
    ("disallow", ("a-1", "b-1"), None),
    ("audit", (PageQuery(),), AuditList(audit=[])),
    ("backup", ("/x.db",), BackupAnswer(path="/backup.db", size_bytes=1)),
    ("tiers", (), None),
    ("inspect_gateways", (), None),
    ("provision_gateway", (contract.ProvisionGateway(name="acme"),), None),
    ("act_on_gateway", ("acme", contract.GatewayAct.RESTART), JOB),
    ("plan_destroy_gateway", ("acme",), None),
    ("destroy_gateway", ("acme", contract.DestroyGateway(data=True)), JOB),
    ("gateway_health", (contract.GatewayHealthQuery(names="acme", now=True),), None),
    ("upgrade_gateway", ("acme", contract.UpgradeGateway(version="2026.9.6")), JOB),
    ("upgrade_gateways", (contract.UpgradeGateways(names=["acme"]),), JOB),
    ("roll_back_gateway", ("acme",), JOB),
    ("backup_gateway", ("acme", contract.BackupGateway()), JOB),
    ("gateway_backups", ("acme",), None),
    ("gateway_backups", ("",), None),
    ("delete_gateway_backup", ("b/1",), None),
    ("restore_gateway", (contract.RestoreGateway(backup="b-1", name="other"),), None),
    ("import_gateway", (contract.ImportGateway(name="acme", container="theirs"),), JOB),
    ("ingress", (), None),
    ("apply_ingress", (), None),
    ("gateway_images", (contract.GatewayImageQuery(),), None),
    ("build_gateway_image", (contract.BuildGatewayImage(version="2026.9.6"),), JOB),
    ("hosts", (), None),
    ("add_host", (contract.AddHost(name="far", url="ssh://me@far"),), None),
    ("remove_host", ("far",), None),
]


@pytest.mark.parametrize(("method", "given", "answer"), CALLS, ids=[call[0] for call in CALLS])
async def test_a_call_reaches_the_hub_as_it_was_made(
    remote: RemoteControl, control: ScriptedControl, method: str, given: tuple[Any, ...], answer: Any
) -> None:
    got = await getattr(remote, method)(*given)
    assert control.last == (method, given)
    assert got == control.answers[method]
    assert answer is None or got == answer


def test_every_method_of_control_is_tested_here() -> None:
    streams = {
        "agent_logs",
        "agent_stats",
        "build_log",
        "task_output",
        "events",
        "message",
        "open_shell",
        "gateway_logs",
    }
    methods = {name for name in dir(RemoteControl) if not name.startswith("_")}
    assert methods == {call[0] for call in CALLS} | streams


async def test_a_submission_always_has_a_key(remote: RemoteControl, control: ScriptedControl) -> None:
    await remote.submit("a-1", {"type": "ping"})
    await remote.submit("a-1", {"type": "ping"})
    keys = [given[2] for method, given in control.calls if method == "submit"]
    assert all(keys)
    assert len(set(keys)) == 2


async def test_waiting_for_an_end_is_asked_of_the_hub(remote: RemoteControl, control: ScriptedControl) -> None:
    from msgspec.structs import replace

    control.answers["get_task"] = replace(TASK, terminal=True, status=TaskState.SUCCEEDED)
    assert (await remote.get_task("t-1", 20.0)).terminal
    (method, (_, wait)) = control.last
    assert method == "get_task"
    assert 19 < wait <= 20


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no agent a-1", hint="clawtui list"),
        Conflict("no", code="exists"),
        NotAvailable("not here"),
        QueueFull("full", retry_after_seconds=7.0),
    ],
)
async def test_the_hubs_errors_come_back_as_they_were(
    remote: RemoteControl, control: ScriptedControl, error: Any
) -> None:
    control.answers["agent"] = error
    with pytest.raises(type(error)) as raised:
        await remote.agent("a-1")
    got = raised.value
    assert (got.message, got.code, got.hint, got.retryable) == (error.message, error.code, error.hint, error.retryable)
    assert got.retry_after_seconds == error.retry_after_seconds


async def test_a_token_that_the_hub_does_not_know_is_unauthorized_and_a_weak_one_forbidden(served: Served) -> None:
    for token, kind in (("ctu_wrong", Unauthorized), ("", Unauthorized), (VIEWER, Forbidden)):
        settings = Settings(hub=f"unix:{served.listeners.socket_path}", token=token)
        async with open_remote(settings) as control:
            with pytest.raises(kind):
                await control.tokens(PageQuery())


async def test_over_tcp_it_is_the_same(served: Served) -> None:
    assert served.listeners.api_url is not None
    async with open_remote(Settings(hub=served.listeners.api_url, token=ADMIN)) as control:
        assert await control.agent("a-1") == AGENT
        assert [event.id async for event in _until_closed(control.events(0))] == ["a-1"]


async def _until_closed(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for event in events:
            yield event
    except ConnectionLost:
        return


# --- streams


async def test_logs_come_line_by_line(remote: RemoteControl, control: ScriptedControl) -> None:
    # Characters at which text is split elsewhere must not split lines of JSON.
    entries = [LogEntry(text="one\u2028two\x85", source="runtime"), LogEntry(text="{}", source="docker", at="x")]
    control.answers["agent_logs"] = Stream(entries, ends=True)
    query = LogQuery(source="runtime", since="10m", lines=7, follow=True)
    assert [entry async for entry in remote.agent_logs("a-1", query)] == entries
    assert control.last == ("agent_logs", ("a-1", query))


async def test_history_comes_point_by_point(remote: RemoteControl, control: ScriptedControl) -> None:
    stream = control.answers["agent_stats"] = Stream([STATS])
    query = StatsQuery(since="10m", follow=True)
    points = aiter(remote.agent_stats("a-1", query))
    assert await anext(points) == STATS
    stream.end()
    assert [point async for point in points] == []
    assert control.last == ("agent_stats", ("a-1", query))


async def test_all_lines_of_a_log_are_more_than_the_default(remote: RemoteControl, control: ScriptedControl) -> None:
    assert [entry.text async for entry in remote.agent_logs("a-1", LogQuery(lines=None))] == ["hello"]
    assert control.last == ("agent_logs", ("a-1", LogQuery(lines=ALL_LINES)))


async def test_output_comes_as_it_is_written(remote: RemoteControl, control: ScriptedControl) -> None:
    stream = control.answers["task_output"] = Stream()
    query = OutputQuery(offset=3, follow=True)
    output = aiter(remote.task_output("t-1", query))
    stream.give(OutputChunk(offset=3, data="a"))
    assert await anext(output) == OutputChunk(offset=3, data="a")
    stream.give(OutputChunk(offset=4, data="b", end=True))
    stream.end()
    assert [chunk async for chunk in output] == [OutputChunk(offset=4, data="b", end=True)]
    assert control.last == ("task_output", ("t-1", query))


async def test_an_error_inside_a_stream_is_raised(remote: RemoteControl, control: ScriptedControl) -> None:
    error = NotFound("its output is gone", hint="it was kept 7 days")
    control.answers["task_output"] = Stream([OutputChunk(offset=0, data="a")], error=error)
    output = aiter(remote.task_output("t-1", OutputQuery()))
    await anext(output)
    with pytest.raises(NotFound, match="its output is gone") as raised:
        await anext(output)
    assert raised.value.hint == error.hint


async def test_a_hub_that_stops_in_mid_stream_is_a_connection_lost(
    remote: RemoteControl, control: ScriptedControl, served: Served
) -> None:
    control.answers["task_output"] = Stream([OutputChunk(offset=0, data="a")])
    output = aiter(remote.task_output("t-1", OutputQuery(follow=True)))
    await anext(output)
    await served.listeners.stop()
    with pytest.raises(ConnectionLost):
        await anext(output)


async def test_a_reader_that_leaves_ends_the_stream_at_the_hub(remote: RemoteControl, control: ScriptedControl) -> None:
    stream = control.answers["task_output"] = Stream([OutputChunk(offset=0, data="a")])
    async for _ in remote.task_output("t-1", OutputQuery(follow=True)):
        break
    await stream.closed.wait()


async def test_a_builds_log_comes_line_by_line(remote: RemoteControl, control: ScriptedControl) -> None:
    lines = [line async for line in remote.build_log("builder", BuildLogQuery(tag="abc", lines=5, follow=True))]
    assert lines == [BuildLogLine(text="Step 1/4 : FROM b")]
    assert control.last == ("build_log", ("builder", BuildLogQuery(tag="abc", lines=5, follow=True)))


async def test_a_personas_answer_comes_piece_by_piece(remote: RemoteControl, control: ScriptedControl) -> None:
    stream = control.answers["message"] = Stream(ANSWER[:2])
    request = SendMessage(to="main/qa", text="hi \u2028", session="task:1", timeout_seconds=60)
    chunks = aiter(remote.message(request))
    assert [await anext(chunks), await anext(chunks)] == ANSWER[:2]
    assert control.last == ("message", (request,))
    stream.give(ANSWER[-1])
    stream.end()
    assert [chunk async for chunk in chunks] == [ANSWER[-1]]


async def test_a_message_that_fails_at_once_has_its_own_error(remote: RemoteControl, control: ScriptedControl) -> None:
    control.answers["message"] = Stream(error=DriverFailed("no", code="provider_refused", hint="mend the key"))
    with pytest.raises(DriverFailed) as raised:
        await anext(aiter(remote.message(SendMessage(to="main/qa", text="hi"))))
    assert (raised.value.code, raised.value.hint) == ("provider_refused", "mend the key")


async def test_whoever_stops_listening_ends_the_answer_at_the_hub(
    remote: RemoteControl, control: ScriptedControl
) -> None:
    stream = control.answers["message"] = Stream(ANSWER[:2])
    async for _ in remote.message(SendMessage(to="main/qa", text="hi")):
        break
    await stream.closed.wait()


async def test_whoever_leaves_before_the_first_word_ends_it_too(
    remote: RemoteControl, control: ScriptedControl
) -> None:
    stream = control.answers["message"] = Stream()

    async def listen() -> None:
        async for _ in remote.message(SendMessage(to="main/qa", text="hi")):
            pass

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        async with asyncio.timeout(10):
            while not control.calls:
                await asyncio.sleep(0.01)
        listening.cancel()
        await stream.closed.wait()
