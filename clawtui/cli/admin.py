"""Verbs for whoever runs the hub: jobs, policy, token, audit."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.output import Column
from clawtui.cli.progress import JOB_COLUMNS, finish_job, job_fields, show_jobs
from clawtui.cli.world import Ctx
from hub.contract import CreateToken, PageQuery
from hub.core.model import Role

jobs = App(name="jobs", help="List, show and cancel the hub's own long work.")
policy = App(name="policy", help="Which agents may send messages to which.")
token = App(name="token", help="Create, list and revoke tokens.")

Limit = Annotated[int, Parameter(alias="-n", help="How many.")]
Cursor = Annotated[str | None, Parameter(help="Where the page before ended.")]

TOKEN_COLUMNS: Final = (
    Column("ID", lambda token: token.id),
    Column("KIND", lambda token: token.kind),
    Column("ROLE", lambda token: token.role.value if token.role else None),
    Column("NAME", lambda token: token.name),
    Column("AGENT", lambda token: token.agent_id),
    Column("CREATED", lambda token: token.created_at),
    Column("EXPIRES", lambda token: token.expires_at),
    Column("REVOKED", lambda token: token.revoked_at),
    Column("USED", lambda token: token.used),
)
POLICY_COLUMNS: Final = (
    Column("FROM", lambda policy: policy.sender),
    Column("TO", lambda policy: policy.receiver),
)
ENTRY_COLUMNS: Final = (
    Column("SEQ", lambda entry: entry.seq, right=True),
    Column("AT", lambda entry: entry.at),
    Column("WHO", lambda entry: entry.who),
    Column("WHAT", lambda entry: entry.what),
    Column("TARGET", lambda entry: entry.target),
    Column("OUTCOME", lambda entry: entry.outcome),
)
"""Who did what, in the audit as in the journal."""
AUDIT_COLUMNS: Final = (*ENTRY_COLUMNS, Column("DETAIL", lambda entry: entry.detail))


@jobs.command(name="list")
async def list_jobs(*, limit: Limit = 100, cursor: Cursor = None, context: Ctx) -> int:
    """List jobs, newest first."""
    async with context.control() as control:
        show_jobs(context, await control.jobs(PageQuery(limit=limit, cursor=cursor)))
    return exits.DONE


@jobs.command(name="show")
async def show_job(job_id: str, /, *, wait: bool = False, context: Ctx) -> int:
    """Show a job.

    Args:
        job_id: The job.
        wait: Wait for its end first; a job that failed is an error.
    """
    async with context.control() as control:
        job = await control.job(job_id)
        if not wait or await finish_job(context, control, job, no_wait=False):
            shown = await control.job(job_id)
            context.out.record(shown, job_fields(shown), shown)
    return exits.DONE


@jobs.command(name="cancel")
async def cancel_job(job_id: str, /, *, context: Ctx) -> int:
    """Cancel a job."""
    async with context.control() as control:
        job = await control.cancel_job(job_id)
    context.out.record(job, JOB_COLUMNS, job)
    return exits.DONE


@policy.command(name="list")
async def list_policies(*, context: Ctx) -> int:
    """List who may send messages to whom."""
    async with context.control() as control:
        answer = await control.policies()
    context.out.listing(answer, POLICY_COLUMNS, answer.policies, "no agent may send messages to another")
    return exits.DONE


@policy.command
async def allow(sender: str, receiver: str, /, *, context: Ctx) -> int:
    """Let one agent send messages to another."""
    async with context.control() as control:
        await control.allow(sender, receiver)
    context.out.say(f"{sender} may send messages to {receiver}")
    return exits.DONE


@policy.command
async def disallow(sender: str, receiver: str, /, *, context: Ctx) -> int:
    """Stop one agent's messages to another."""
    async with context.control() as control:
        await control.disallow(sender, receiver)
    context.out.say(f"{sender} may not send messages to {receiver}")
    return exits.DONE


@token.command(name="list")
async def list_tokens(*, limit: Limit = 100, cursor: Cursor = None, context: Ctx) -> int:
    """List tokens, without their secrets."""
    async with context.control() as control:
        page = await control.tokens(PageQuery(limit=limit, cursor=cursor))
    context.out.listing(page, TOKEN_COLUMNS, page.tokens, "no tokens")
    return exits.DONE


@token.command(name="create")
async def create_token(
    name: str = "",
    /,
    *,
    role: Role = Role.VIEWER,
    join: str | None = None,
    expires: int | None = None,
    context: Ctx,
) -> int:
    """Make a token; its secret is printed once.

    Args:
        name: What it is for.
        role: viewer, operator or admin.
        join: Make a one-time join token for this agent instead.
        expires: Life in seconds.
    """
    request = CreateToken(name=name, role=role, kind="join" if join else "user", agent=join, expires_in_seconds=expires)
    async with context.control() as control:
        created = await control.create_token(request)
    fields = (
        Column("SECRET", lambda it: it.secret),
        *(Column(column.title, lambda it, value=column.value: value(it.token)) for column in TOKEN_COLUMNS[:7]),
    )
    context.out.record(created, fields, created)
    return exits.DONE


@token.command(name="revoke")
async def revoke_token(token_id: str, /, *, context: Ctx) -> int:
    """Revoke a token.

    Args:
        token_id: Its id, not its secret.
    """
    async with context.control() as control:
        await control.revoke_token(token_id)
    context.out.say(f"token {token_id} is revoked")
    return exits.DONE


async def audit(*, limit: Limit = 100, cursor: Cursor = None, context: Ctx) -> int:
    """Who did what, newest first."""
    async with context.control() as control:
        page = await control.audit(PageQuery(limit=limit, cursor=cursor))
    context.out.listing(page, AUDIT_COLUMNS, page.audit, "nothing in the audit")
    return exits.DONE
