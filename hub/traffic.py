"""How busy the hub is, and whose connection has most to wait for."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hub.connections.link import Link
from hub.contract import ConnectionList, ConnectionView, HubLoad
from hub.core.model import AgentId
from hub.core.view import rfc3339
from hub.kernel import Kernel


class _Line(NamedTuple):
    """An agent with a connection or with work; `queued` and `running` are tasks."""

    agent_id: AgentId
    link: Link | None
    queued: int
    running: int

    def weight(self) -> tuple[int, int, int, int, int]:
        """What waits: unwritten frames first, because a full outbox ends a connection."""
        link = self.link
        if link is None:
            return 0, 0, self.queued, 1, self.running
        return link.outbox.bytes, link.outbox.acks, self.queued, link.errors, self.running


class Traffic:
    """Reads, and decides nothing. A look costs a few microseconds per agent."""

    def __init__(self, kernel: Kernel, lag_seconds: Callable[[], float], streams: Callable[[], int]) -> None:
        """`lag_seconds`: how late the event loop is now; `streams`: answers that somebody follows."""
        self._kernel = kernel
        self._lag_seconds = lag_seconds
        self._streams = streams

    def read(self, limit: int) -> ConnectionList:
        """Return the hub's load, and at most `limit` agents, those with the most that waits first."""
        lines = list(self._lines())
        # Equal ones in the order of their names, so that a list that is read again and again stands still.
        lines.sort(key=lambda line: line.agent_id)
        shown = heapq.nlargest(limit, lines, key=_Line.weight)
        return ConnectionList(
            load=self._load(lines), connections=[self._view(line) for line in shown], total=len(lines)
        )

    def _lines(self) -> Iterator[_Line]:
        kernel = self._kernel
        links = {link.agent_id: link for link in kernel.links}
        for agent_id, slot in kernel.fleet.dispatcher.book.slots.items():
            link = links.get(agent_id)
            if link is not None or slot.open:
                yield _Line(agent_id, link, len(slot.open) - len(slot.held), len(slot.held))

    def _view(self, line: _Line) -> ConnectionView:
        agent, link = self._kernel.fleet.agents[line.agent_id], line.link
        if link is None:
            return ConnectionView(
                agent_id=line.agent_id, connected=False, version=agent.version, queued=line.queued, running=line.running
            )
        latency = link.latency_seconds
        return ConnectionView(
            agent_id=line.agent_id,
            connected=True,
            since=rfc3339(link.since_ms),
            heard_seconds=round(max(self._kernel.now().mono - link.heard_at, 0.0), 3),
            remote=link.remote,
            via=link.via,
            basic=link.basic,
            protocol=link.protocol,
            version=agent.version,
            latency_seconds=None if latency is None else round(latency, 6),
            queued=line.queued,
            running=line.running,
            outbox_frames=link.outbox.frames,
            outbox_bytes=link.outbox.bytes,
            acks=link.outbox.acks,
            errors=link.errors,
        )

    def _load(self, lines: list[_Line]) -> HubLoad:
        kernel, metrics = self._kernel, self._kernel.metrics
        outboxes = [line.link.outbox for line in lines if line.link is not None]
        registry_bytes, log_bytes = kernel.registry.sizes()
        return HubLoad(
            loop_lag_seconds=round(self._lag_seconds(), 6),
            loop_lag_p99_seconds=round(metrics.recent_lag.quantile(0.99), 6),
            commits=len(metrics.recent_commits),
            commit_seconds=round(metrics.recent_commits.quantile(0.5), 6),
            commit_p99_seconds=round(metrics.recent_commits.quantile(0.99), 6),
            batch_records=round(metrics.recent_batches.mean(), 1),
            batch_most=int(metrics.recent_batches.most()),
            registry_bytes=registry_bytes,
            registry_log_bytes=log_bytes,
            output_bytes=kernel.output.total_bytes(),
            output_files=kernel.output.open_files,
            output_readers=kernel.output.readers,
            observers=kernel.feed.subscribers,
            feed_behind=kernel.feed.deepest,
            gaps=metrics.gaps,
            waits=kernel.feed.waiting,
            streams=self._streams(),
            dropped_frames=metrics.dropped_frames,
            connections=len(outboxes),
            outbox_frames=sum(outbox.frames for outbox in outboxes),
            outbox_bytes=sum(outbox.bytes for outbox in outboxes),
            queued=sum(line.queued for line in lines),
        )
