"""What an agent's hello says of itself, as far as it is kept."""

from __future__ import annotations

from msgspec.structs import replace

from hub.core.model import Agent, Now
from runtime.wire import Hello

MAX_WORD = 64
"""Characters kept of each word with which an agent describes itself; it is stored at every hello."""
MAX_WORDS = 64
"""Capabilities kept of a hello."""


def instance_of(hello: Hello | None) -> str:
    """The process that says hello; a basic agent says nothing."""
    return hello.instance[:MAX_WORD] if hello is not None else ""


def greeted(agent: Agent, hello: Hello | None, epoch: int, now: Now) -> Agent:
    """Return the agent's record with the connection `epoch`; `hello` is None for a basic agent."""
    known = replace(agent, epoch=epoch, last_seen_at=now.wall_ms, basic=hello is None, fault="")
    if hello is None:
        return replace(known, concurrency=1, instance="")
    return replace(
        known,
        instance=instance_of(hello),
        version=hello.version[:MAX_WORD],
        platform=hello.platform[:MAX_WORD],
        concurrency=max(1, hello.concurrency),
        capabilities=tuple(name[:MAX_WORD] for name in hello.capabilities[:MAX_WORDS]) or agent.capabilities,
    )
