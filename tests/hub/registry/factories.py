"""Records for tests: everything has a value, so that a field that is not kept is noticed."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from hub.core.effects import Delete, Save
from hub.core.model import (
    Agent,
    AgentId,
    AgentUid,
    AuditEntry,
    Dispatch,
    DispatchId,
    IdempotencyKey,
    Job,
    JobId,
    Policy,
    Record,
    RetryOn,
    Rollout,
    Snooze,
    StoredMessage,
    Task,
    TaskId,
    TaskState,
    Token,
    TokenId,
    TokenKind,
)
from runtime.wire import TaskError

RAW = msgspec.Raw(b'{"type":"exec","command":"true"}')


def task(number: int, **changes: Any) -> Task:
    made = Task(
        id=TaskId(f"t_{number:06d}"),
        agent_id=AgentId("worker"),
        agent_uid=AgentUid("u-worker"),
        type="exec",
        spec=RAW,
        created_at=1_000 + number,
        seq=number,
        retry_on=frozenset({RetryOn.LOST}),
        error=TaskError("exit_code", "ended with 1"),
        stdout="näive\x00\n",
    )
    return replace(made, **changes)


def ended(number: int, at: int = 2_000, **changes: Any) -> Task:
    return task(number, **{"state": TaskState.SUCCEEDED, "finished_at": at, **changes})


def agent(name: str = "worker", **changes: Any) -> Agent:
    return replace(Agent(id=AgentId(name), uid=AgentUid(f"u-{name}"), created_at=1, labels={"a": "b"}), **changes)


def dispatch(number: int, tasks: list[Task], **changes: Any) -> Dispatch:
    made = Dispatch(
        id=DispatchId(f"d_{number}"),
        created_at=number,
        spec=RAW,
        rollout=Rollout(canary=1),
        tasks=tuple(member.id for member in tasks),
    )
    return replace(made, **changes)


def job(number: int, **changes: Any) -> Job:
    return replace(Job(id=JobId(f"j_{number}"), kind="create", started_at=number), **changes)


def token(number: int) -> Token:
    return Token(id=TokenId(f"k_{number}"), kind=TokenKind.USER, sha256=f"{number:064x}", created_at=number)


def policy(sender: str, receiver: str) -> Policy:
    return Policy(sender=AgentId(sender), receiver=AgentId(receiver))


def message(number: int) -> StoredMessage:
    return StoredMessage(
        id=f"m_{number}",
        sender=AgentId("a"),
        receiver=AgentId("b"),
        receiver_uid=AgentUid("u-b"),
        seq=number,
        payload=msgspec.Raw(b"[1]"),
        created_at=number,
    )


def key(name: str, at: int = 1, who: str = "me") -> IdempotencyKey:
    return IdempotencyKey(who=who, key=name, digest="d", answer=msgspec.Raw(b"{}"), created_at=at)


def snooze(name: str, at: int = 1, until: int = 10) -> Snooze:
    return Snooze(id=name, at=at, until=until, by="me")


def audit(at: int, what: str = "task.submit") -> AuditEntry:
    return AuditEntry(at=at, who="me", what=what, target="worker", outcome="ok", detail="{}")


def saves(*records: Record) -> list[Save | Delete]:
    return [Save(record) for record in records]
