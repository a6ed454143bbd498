"""What a decision asks the shell to do: frozen values, in the order in which they must happen.

The shell commits all `Save`, `Delete` and `Append` of a batch in one transaction first; only then
does it perform the rest, in order.
"""

from __future__ import annotations

import enum

import msgspec

from hub.core.model import AgentId, Record
from runtime.wire import Message


class Save(msgspec.Struct, frozen=True):
    """Insert or replace a record by its key. An `AuditEntry` is always appended.

    `overlay`: the record is in the state in which it was saved before, and only an overlay of that changed.
    """

    record: Record
    overlay: bool = False


class Delete(msgspec.Struct, frozen=True):
    """Remove a record by its key; removing what is not there is no error."""

    record: Record


class Send(msgspec.Struct, frozen=True):
    """One frame to the agent's connection `epoch`; void when that connection is gone.

    `payload` is a wire message or, for `kind` "task" and "message", the payload as JSON.
    """

    agent_id: AgentId
    epoch: int
    kind: str
    payload: Message | msgspec.Raw
    message_id: str | None = None
    sender: str = "hub"


class Close(msgspec.Struct, frozen=True):
    """End the agent's connection `epoch`. `code` is a WebSocket close code."""

    agent_id: AgentId
    epoch: int
    code: int
    reason: str


class Kind(enum.StrEnum):
    """What a feed event is about."""

    AGENT = "agent"
    TASK = "task"
    DISPATCH = "dispatch"
    JOB = "job"
    HEALTH = "health"
    ATTENTION = "attention"
    SNAPSHOT = "snapshot"
    GATEWAY = "gateway"
    SYNC = "sync"


class Publish(msgspec.Struct, frozen=True):
    """Tell observers that `id` changed; `gone` when it exists no more. `agent`: whose task it is."""

    kind: Kind
    id: str
    gone: bool = False
    agent: str = ""


Effect = Save | Delete | Send | Close | Publish
