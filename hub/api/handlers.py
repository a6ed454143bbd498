"""What each route does: one call of the Control, and nothing that another front end would need too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from hub.api.answers import JSON
from hub.api.route import Call, Plain
from hub.contract import (
    AdoptAnswer,
    AgentAct,
    AgentAnswer,
    AgentList,
    AgentView,
    AttentionList,
    AttentionView,
    AuditList,
    BackupAnswer,
    BuildLogLine,
    ConnectionList,
    CreatedToken,
    DispatchView,
    Event,
    HubHealth,
    ImageList,
    JobList,
    JobView,
    JournalList,
    LogEntry,
    OutputChunk,
    PolicyList,
    ProfileCheck,
    ProfileList,
    ProfileView,
    RegisteredAgent,
    StatsPoint,
    Submitted,
    TaskList,
    TaskView,
    TokenList,
    UndoAnswer,
)
from hub.control import Control, ShellSession
from hub.errors import NotFound, TooLarge
from hub.metrics import CONTENT_TYPE
from runtime.wire import MAX_SUBMISSION_BYTES

MAX_SEQ_DIGITS: Final = 18
"""More than any journal has."""

# --- the hub -----------------------------------------------------------------------------------


async def health(control: Control, call: Call) -> HubHealth:
    return await control.health()


async def connections(control: Control, call: Call) -> ConnectionList:
    return await control.connections(call.query)


async def metrics(control: Control, call: Call) -> Plain:
    return Plain(call.site.metrics.exposition(), CONTENT_TYPE)


async def document(control: Control, call: Call) -> Plain:
    return Plain(call.site.document, JSON)


async def page(control: Control, call: Call) -> Plain:
    """The page runs no script and loads nothing, and the policy lets nobody change that."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Plain(
        call.site.page,
        "text/html; charset=utf-8",
        {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
    )


async def events(control: Control, call: Call) -> AsyncIterator[Event]:
    return control.events(call.query.since)


async def backup(control: Control, call: Call) -> BackupAnswer:
    return await control.backup(call.body.path)


async def audit(control: Control, call: Call) -> AuditList:
    return await control.audit(call.query)


async def attention(control: Control, call: Call) -> AttentionList:
    return await control.attention(call.query)


async def snooze(control: Control, call: Call) -> AttentionView:
    return await control.snooze(call.path["attention_id"], call.body.seconds)


async def journal(control: Control, call: Call) -> JournalList:
    return await control.journal(call.query)


async def undo(control: Control, call: Call) -> UndoAnswer:
    seq = call.path["seq"]
    if not (seq.isascii() and seq.isdecimal() and len(seq) <= MAX_SEQ_DIGITS):
        raise NotFound(f"the journal has no entry {seq[:40]!r}", hint="clawtui journal lists them")
    return await control.undo(int(seq))


# --- agents ------------------------------------------------------------------------------------


async def register(control: Control, call: Call) -> RegisteredAgent:
    return await control.register(call.body)


async def agents(control: Control, call: Call) -> AgentList:
    return await control.agents(call.query)


async def agent(control: Control, call: Call) -> AgentView:
    return await control.agent(call.path["agent_id"])


async def agent_status(control: Control, call: Call) -> AgentAnswer:
    return AgentAnswer(agent=await control.agent(call.path["agent_id"]))


async def create_agent(control: Control, call: Call) -> JobView:
    return await control.create_agent(call.body)


def act(what: AgentAct) -> Callable[[Control, Call], Awaitable[JobView]]:
    async def perform(control: Control, call: Call) -> JobView:
        return await control.act(call.path["agent_id"], what)

    return perform


async def destroy(control: Control, call: Call) -> JobView:
    return await control.destroy(call.path["agent_id"])


async def adopt(control: Control, call: Call) -> AdoptAnswer:
    return await control.adopt()


async def release(control: Control, call: Call) -> AgentView:
    return await control.release(call.path["agent_id"])


async def agent_logs(control: Control, call: Call) -> AsyncIterator[LogEntry]:
    # A stream's status is sent before its first item, so what is not there is found out first.
    await control.agent(call.path["agent_id"])
    return control.agent_logs(call.path["agent_id"], call.query)


async def agent_stats(control: Control, call: Call) -> AsyncIterator[StatsPoint]:
    await control.agent(call.path["agent_id"])
    return control.agent_stats(call.path["agent_id"], call.query)


async def shell(control: Control, call: Call) -> ShellSession:
    return await control.open_shell(call.path["agent_id"], call.query.cols, call.query.rows)


# --- tasks -------------------------------------------------------------------------------------


async def submit(control: Control, call: Call) -> Submitted:
    return await control.submit(call.path["agent_id"], call.body, call.idempotency_key)


async def dispatch(control: Control, call: Call) -> DispatchView:
    size_bytes = len(msgspec.json.encode(call.body.task))
    if size_bytes > MAX_SUBMISSION_BYTES:
        raise TooLarge(f"the task has {size_bytes} bytes; the limit is {MAX_SUBMISSION_BYTES}", field="task")
    return await control.dispatch(call.body, call.idempotency_key)


async def dispatch_status(control: Control, call: Call) -> DispatchView:
    return await control.dispatch_status(call.path["dispatch_id"])


async def retry_dispatch(control: Control, call: Call) -> DispatchView:
    return await control.retry_dispatch(call.path["dispatch_id"])


async def tasks(control: Control, call: Call) -> TaskList:
    return await control.tasks(call.query)


async def task(control: Control, call: Call) -> TaskView:
    return await control.get_task(call.path["task_id"], call.query.wait)


async def task_output(control: Control, call: Call) -> AsyncIterator[OutputChunk]:
    await control.get_task(call.path["task_id"])
    return control.task_output(call.path["task_id"], call.query)


async def cancel_task(control: Control, call: Call) -> TaskView:
    return await control.cancel_task(call.path["task_id"])


async def retry_task(control: Control, call: Call) -> Submitted:
    return await control.retry_task(call.path["task_id"])


# --- profiles and images -----------------------------------------------------------------------


async def profiles(control: Control, call: Call) -> ProfileList:
    return await control.profiles(call.query)


async def profile(control: Control, call: Call) -> ProfileView:
    return await control.profile(call.path["name"])


async def validate_profile(control: Control, call: Call) -> ProfileCheck:
    return await control.validate_profile(call.body)


async def save_profile(control: Control, call: Call) -> ProfileView:
    return await control.save_profile(call.path["name"], call.body)


async def delete_profile(control: Control, call: Call) -> None:
    await control.delete_profile(call.path["name"])


async def build_profile(control: Control, call: Call) -> JobView:
    return await control.build_profile(call.path["name"], call.body)


async def images(control: Control, call: Call) -> ImageList:
    return await control.images()


async def build_image(control: Control, call: Call) -> JobView:
    return await control.build_image(call.body)


async def push_image(control: Control, call: Call) -> JobView:
    return await control.push_image(call.body)


async def remove_image(control: Control, call: Call) -> None:
    await control.remove_image(call.path["name"])


async def pull_image(control: Control, call: Call) -> JobView:
    return await control.pull_image(call.body)


async def build_log(control: Control, call: Call) -> AsyncIterator[BuildLogLine]:
    return control.build_log(call.path["name"], call.query)


# --- jobs --------------------------------------------------------------------------------------


async def jobs(control: Control, call: Call) -> JobList:
    return await control.jobs(call.query)


async def job(control: Control, call: Call) -> JobView:
    return await control.job(call.path["job_id"], call.query.wait)


async def cancel_job(control: Control, call: Call) -> JobView:
    return await control.cancel_job(call.path["job_id"])


# --- tokens and policies -------------------------------------------------------------------------


async def create_token(control: Control, call: Call) -> CreatedToken:
    return await control.create_token(call.body)


async def tokens(control: Control, call: Call) -> TokenList:
    return await control.tokens(call.query)


async def revoke_token(control: Control, call: Call) -> None:
    await control.revoke_token(call.path["token_id"])


async def policies(control: Control, call: Call) -> PolicyList:
    return await control.policies()


async def allow(control: Control, call: Call) -> None:
    await control.allow(call.path["sender"], call.path["receiver"])


async def disallow(control: Control, call: Call) -> None:
    await control.disallow(call.path["sender"], call.path["receiver"])
