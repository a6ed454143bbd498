"""The route table: every path of the HTTP API, once. Router, access rules and OpenAPI come from it."""

from __future__ import annotations

from typing import Any, Final

from hub import contract
from hub.api import handlers as do
from hub.api.answers import JSON
from hub.api.disk_routes import DISK
from hub.api.gateway_routes import GATEWAYS
from hub.api.instance_routes import GATEWAY_IMAGES, HOSTS, INGRESS, INSTANCES
from hub.api.network_routes import NETWORKS
from hub.api.queries import EventsQuery, ShellQuery, WaitQuery
from hub.api.route import DRIVES, SAVES, Later, Route, Streaming
from hub.api.snapshot_routes import SNAPSHOTS
from hub.api.sync_routes import SYNC
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, NotAvailable, NotFound, QueueFull, StorageFull
from hub.metrics import CONTENT_TYPE
from runtime.wire import MAX_SUBMISSION_BYTES

_VIEWER, _OPERATOR, _ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
_SUBMITS: Final = (Conflict, QueueFull, StorageFull)

HUB: Final = (
    Route(
        method="GET", path="/health", role=_VIEWER, tag="hub", handler=do.health, open_on_loopback=True,
        response=contract.HubHealth, summary="How the hub is: registry, event loop, drivers, counts",
    ),
    Route(
        method="GET", path="/connections", role=_VIEWER, tag="hub", handler=do.connections,
        query=contract.ConnectionQuery, response=contract.ConnectionList,
        summary="How busy the hub is, and agents' connections and queues, what waits most first",
    ),
    Route(
        method="GET", path="/metrics", role=_VIEWER, tag="hub", handler=do.metrics, open_on_loopback=True,
        media=CONTENT_TYPE, summary="Metrics in the format that Prometheus reads",
    ),
    Route(
        method="GET", path="/openapi.json", role=_VIEWER, tag="hub", handler=do.document, open_on_loopback=True,
        media=JSON, summary="This API as an OpenAPI 3.1 document",
    ),
    Route(
        method="GET", path="/docs", role=_VIEWER, tag="hub", handler=do.page, open_on_loopback=True,
        media="text/html; charset=utf-8", summary="This API as a page to read",
    ),
    Route(
        method="GET", path="/events", role=_VIEWER, tag="hub", handler=do.events, streaming=Streaming.EVENTS,
        query=EventsQuery, response=contract.Event,
        summary="Feed of changes over a WebSocket; dropped events are announced by one of kind `gap`",
    ),
    Route(
        method="GET", path="/audit", role=_ADMIN, tag="hub", handler=do.audit, query=contract.PageQuery,
        response=contract.AuditList, summary="Who did what, newest first",
    ),
    Route(
        method="GET", path="/attention", role=_VIEWER, tag="hub", handler=do.attention, query=contract.AttentionQuery,
        response=contract.AttentionList, summary="What needs a person, most urgent first",
    ),
    Route(
        method="POST", path="/attention/{attention_id}/snooze", role=_OPERATOR, tag="hub", handler=do.snooze,
        request=contract.SnoozeRequest, body_optional=True, response=contract.AttentionView, errors=SAVES,
        summary="Hear no more of it for a while; `seconds` 0 ends a snooze",
    ),
    Route(
        method="GET", path="/journal", role=_ADMIN, tag="hub", handler=do.journal, query=contract.PageQuery,
        response=contract.JournalList, summary="The audit with each act as a command, and what takes it back",
    ),
    Route(
        method="POST", path="/journal/{seq}/undo", role=_ADMIN, tag="hub", handler=do.undo,
        response=contract.UndoAnswer, errors=DRIVES, summary="Take an act back, where that is possible",
    ),
    Route(
        method="POST", path="/backup", role=_ADMIN, tag="hub", handler=do.backup, request=contract.BackupRequest,
        body_optional=True, response=contract.BackupAnswer, errors=(Conflict, StorageFull),
        summary="Write a consistent copy of the registry to a new file on the hub's machine",
    ),
)  # fmt: skip

AGENTS: Final = (
    Route(
        method="POST", path="/agents/register", role=_OPERATOR, tag="agents", handler=do.register,
        request=contract.RegisterAgent, response=contract.RegisteredAgent, errors=(Conflict, StorageFull),
        summary="Make an agent that no driver runs, or give it a new token; the token is shown once",
    ),
    Route(
        method="GET", path="/agents", role=_VIEWER, tag="agents", handler=do.agents, query=contract.AgentQuery,
        response=contract.AgentList, summary="List agents",
    ),
    Route(
        method="POST", path="/agents", role=_OPERATOR, tag="agents", handler=do.create_agent, status=202,
        request=contract.CreateAgent, response=contract.JobView, errors=DRIVES,
        summary="Create an agent through a driver; answers the job that does it",
    ),
    Route(
        method="GET", path="/agents/{agent_id}", role=_VIEWER, tag="agents", handler=do.agent,
        response=contract.AgentView, summary="Show an agent",
    ),
    Route(
        method="DELETE", path="/agents/{agent_id}", role=_OPERATOR, tag="agents", handler=do.destroy, status=202,
        response=contract.JobView, errors=DRIVES,
        summary="Destroy an agent and what belongs to it; its open tasks are cancelled",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/status", role=_VIEWER, tag="agents", handler=do.agent_status,
        response=contract.AgentAnswer, summary="The same, wrapped in `agent`",
    ),
    *(
        Route(
            method="POST", path=f"/agents/{{agent_id}}/{what.value}", role=_OPERATOR, tag="agents",
            handler=do.act(what), status=202, response=contract.JobView, errors=DRIVES,
            summary=f"{what.value.capitalize()} an agent; answers the job that does it",
        )
        for what in contract.AgentAct
        if what is not contract.AgentAct.UPGRADE
    ),
    Route(
        method="POST", path="/agents/{agent_id}/release", role=_OPERATOR, tag="agents", handler=do.release,
        response=contract.AgentView, errors=DRIVES,
        summary="Lift an agent's quarantine and give it a new join token",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/logs", role=_VIEWER, tag="agents", handler=do.agent_logs,
        query=contract.LogQuery, response=contract.LogEntry, streaming=Streaming.NDJSON,
        errors=(NotAvailable, DriverFailed), summary="An agent's log, one entry per line; with `follow` it goes on",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/stats", role=_VIEWER, tag="agents", handler=do.agent_stats,
        query=contract.StatsQuery, response=contract.StatsPoint, streaming=Streaming.NDJSON,
        summary="An agent's CPU, memory, disk and network over time; with `follow` a point per second",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/shell", role=_OPERATOR, tag="agents", handler=do.shell,
        query=ShellQuery, streaming=Streaming.SHELL, errors=(Conflict, NotAvailable),
        summary="A terminal over a WebSocket: bytes in binary frames, `resize` and `exit` in JSON text frames",
    ),
    Route(
        method="POST", path="/adopt", role=_ADMIN, tag="agents", handler=do.adopt, response=contract.AdoptAnswer,
        errors=(DriverFailed, StorageFull), summary="Take back agents that a lost registry left on the platforms",
    ),
)  # fmt: skip

TASKS: Final = (
    Route(
        method="POST", path="/agents/{agent_id}/task", role=_OPERATOR, tag="tasks", handler=do.submit, status=202,
        request=dict[str, Any], max_body_bytes=MAX_SUBMISSION_BYTES, response=contract.Submitted, errors=_SUBMITS,
        idempotent=True, summary="Give an agent a task; answered when it is safely stored",
    ),
    Route(
        method="POST", path="/tasks", role=_OPERATOR, tag="tasks", handler=do.dispatch, status=202,
        request=contract.DispatchRequest, response=contract.DispatchView, errors=(*_SUBMITS, NotFound), idempotent=True,
        summary="Give a task to many agents, by selector or by name, all at once or as a rollout",
    ),
    Route(
        method="GET", path="/dispatches/{dispatch_id}", role=_VIEWER, tag="tasks", handler=do.dispatch_status,
        response=contract.DispatchView, summary="Show a dispatch and its tasks",
    ),
    Route(
        method="POST", path="/dispatches/{dispatch_id}/retry", role=_OPERATOR, tag="tasks",
        handler=do.retry_dispatch, status=202, response=contract.DispatchView, errors=_SUBMITS,
        summary="Send a dispatch again to the agents where it did not succeed",
    ),
    Route(
        method="GET", path="/tasks", role=_VIEWER, tag="tasks", handler=do.tasks, query=contract.TaskQuery,
        response=contract.TaskList, summary="List tasks, newest first",
    ),
    Route(
        method="GET", path="/tasks/{task_id}", role=_VIEWER, tag="tasks", handler=do.task, query=WaitQuery,
        response=contract.TaskView, summary="Show a task; with `wait` after its end or that many seconds",
    ),
    Route(
        method="GET", path="/tasks/{task_id}/output", role=_VIEWER, tag="tasks", handler=do.task_output,
        query=contract.OutputQuery, response=contract.OutputChunk, streaming=Streaming.NDJSON,
        summary="A task's output from `offset` on, one chunk per line; with `follow` until the task's end",
    ),
    Route(
        method="POST", path="/tasks/{task_id}/cancel", role=_OPERATOR, tag="tasks", handler=do.cancel_task,
        response=contract.TaskView, errors=(Conflict, StorageFull), summary="Cancel a task",
    ),
    Route(
        method="POST", path="/tasks/{task_id}/retry", role=_OPERATOR, tag="tasks", handler=do.retry_task, status=202,
        response=contract.Submitted, errors=_SUBMITS, summary="Submit an ended task again, as a new one",
    ),
)  # fmt: skip

IMAGES: Final = (
    Route(
        method="GET", path="/profiles", role=_VIEWER, tag="profiles", handler=do.profiles,
        query=contract.ProfileQuery, response=contract.ProfileList, summary="List profiles, right and wrong ones",
    ),
    Route(
        method="POST", path="/profiles/validate", role=_OPERATOR, tag="profiles", handler=do.validate_profile,
        request=contract.ProfileText, response=contract.ProfileCheck,
        summary="Say everything that is wrong with a profile's text; nothing is changed",
    ),
    Route(
        method="GET", path="/profiles/{name}", role=_VIEWER, tag="profiles", handler=do.profile,
        response=contract.ProfileView, summary="Show a profile and everything it means",
    ),
    Route(
        method="PUT", path="/profiles/{name}", role=_OPERATOR, tag="profiles", handler=do.save_profile,
        request=contract.ProfileText, response=contract.ProfileView, errors=SAVES,
        summary="Write a profile into the user's folder; a wrong one changes nothing",
    ),
    Route(
        method="DELETE", path="/profiles/{name}", role=_OPERATOR, tag="profiles", handler=do.delete_profile,
        status=204, errors=(Conflict, StorageFull), summary="Remove a profile from the user's folder",
    ),
    Route(
        method="POST", path="/profiles/{name}/build", role=_OPERATOR, tag="profiles", handler=do.build_profile,
        status=202, request=contract.BuildImage, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Build a profile's image where it is missing; answers the job that does it",
    ),
    Route(
        method="GET", path="/images", role=_VIEWER, tag="images", handler=do.images, response=contract.ImageList,
        errors=(NotAvailable, DriverFailed), summary="List the images of ours, newest first",
    ),
    Route(
        method="POST", path="/images/build", role=_OPERATOR, tag="images", handler=do.build_image, status=202,
        request=contract.BuildImage, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Build the base image where it is missing; answers the job that does it",
    ),
    Route(
        method="POST", path="/images/push", role=_OPERATOR, tag="images", handler=do.push_image, status=202,
        request=contract.TransferImage, response=contract.JobView, errors=(*DRIVES, NotFound),
        summary="Put an image into a registry; answers the job that does it",
    ),
    Route(
        method="POST", path="/images/pull", role=_OPERATOR, tag="images", handler=do.pull_image, status=202,
        request=contract.TransferImage, response=contract.JobView, errors=(*DRIVES, NotFound),
        summary="Get an image from a registry; answers the job that does it",
    ),
    Route(
        method="DELETE", path="/images/{name}", role=_OPERATOR, tag="images", handler=do.remove_image, status=204,
        errors=DRIVES, summary="Remove every tag of a profile's image; 409 where an agent or a snapshot needs one",
    ),
    Route(
        method="GET", path="/images/{name}/log", role=_VIEWER, tag="images", handler=do.build_log,
        query=contract.BuildLogQuery, response=contract.BuildLogLine, streaming=Streaming.NDJSON,
        errors=(NotAvailable,), summary="The output of the newest build of a profile's image, or of `base`",
    ),
)  # fmt: skip

ADMINISTRATION: Final = (
    Route(
        method="GET", path="/jobs", role=_VIEWER, tag="jobs", handler=do.jobs, query=contract.PageQuery,
        response=contract.JobList, summary="List the hub's own long work, newest first",
    ),
    Route(
        method="GET", path="/jobs/{job_id}", role=_VIEWER, tag="jobs", handler=do.job, query=WaitQuery,
        response=contract.JobView, summary="Show a job; with `wait` after its end or that many seconds",
    ),
    Route(
        method="POST", path="/jobs/{job_id}/cancel", role=_OPERATOR, tag="jobs", handler=do.cancel_job,
        response=contract.JobView, errors=(Conflict, StorageFull), summary="Cancel a job",
    ),
    Route(
        method="GET", path="/tokens", role=_ADMIN, tag="tokens", handler=do.tokens, query=contract.PageQuery,
        response=contract.TokenList, summary="List tokens, without their secrets",
    ),
    Route(
        method="POST", path="/tokens", role=_ADMIN, tag="tokens", handler=do.create_token, status=201,
        request=contract.CreateToken, body_optional=True, response=contract.CreatedToken,
        errors=(Conflict, StorageFull), summary="Make a token; the secret is shown once",
    ),
    Route(
        method="DELETE", path="/tokens/{token_id}", role=_ADMIN, tag="tokens", handler=do.revoke_token, status=204,
        errors=(Conflict, StorageFull), summary="Revoke a token",
    ),
    Route(
        method="GET", path="/policies", role=_VIEWER, tag="policies", handler=do.policies,
        response=contract.PolicyList, summary="List which agent may send messages to which",
    ),
    Route(
        method="PUT", path="/policies/{sender}/{receiver}", role=_ADMIN, tag="policies", handler=do.allow,
        status=204, errors=SAVES, summary="Let one agent send messages to another",
    ),
    Route(
        method="DELETE", path="/policies/{sender}/{receiver}", role=_ADMIN, tag="policies", handler=do.disallow,
        status=204, errors=SAVES, summary="Stop one agent's messages to another",
    ),
)  # fmt: skip

ROUTES: Final[tuple[Route, ...]] = (
    *HUB, *AGENTS, *TASKS, *IMAGES, *NETWORKS, *SNAPSHOTS, *DISK, *GATEWAYS, *INSTANCES, *GATEWAY_IMAGES, *INGRESS,
    *HOSTS, *SYNC, *ADMINISTRATION,
)  # fmt: skip

LATER: Final[tuple[Later, ...]] = (Later("/agents/{agent_id}/upgrade", "upgrading agents"),)
"""Documented paths that answer 501, with all methods, to whoever may view."""
