"""Agents' use of their machines over time: what is kept, and a sample per second while somebody watches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import structlog

from hub.contract import StatsPoint
from hub.core.model import Agent, AgentId, AgentUid
from hub.core.stats import (
    COARSE_MS,
    COARSE_SECONDS,
    FINE_MS,
    FINE_SECONDS,
    LIVE_SAMPLES,
    Sample,
    Track,
    merged,
    point,
)
from hub.errors import HubError
from hub.kernel import Kernel
from hub.registry.checks_store import ChecksStore
from hub.registry.metrics_store import MetricsStore, Piece
from hub.surviving import surviving
from runtime.wire import Health, Watch

WATCH_SECONDS: Final = 5.0
"""How often a watched agent is told to go on; its own patience is three times as long."""
WATCH: Final = Watch(interval_seconds=1.0, ttl_seconds=15.0)
FLUSH_SECONDS: Final = 300.0
"""So much of the history a killed hub may lose."""
AGENTS_AT_ONCE: Final = 64
FLUSH_PAUSE_SECONDS: Final = 0.05
"""Between so many agents and the next, so that the thread that writes does not hold the interpreter for long."""
PURGE_SECONDS: Final = 3_600.0
FOLLOWER_SAMPLES: Final = 120
"""Samples kept for a follower that is behind; it misses the oldest, each sample stands for itself."""

log = structlog.get_logger("hub.history")


class Follower:
    """One who watches an agent."""

    def __init__(self) -> None:
        self.closed = False
        self._waiting: deque[Sample] = deque(maxlen=FOLLOWER_SAMPLES)
        self._wake = asyncio.Event()

    def offer(self, sample: Sample) -> None:
        self._waiting.append(sample)
        self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def samples(self) -> AsyncIterator[Sample]:
        """Yield what comes, until the agent or the hub is gone."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self.closed:
                return
            self._wake.clear()
            await self._wake.wait()


class Stats:
    """Takes agents' reports, keeps their means, and lets many watch one agent."""

    def __init__(self, kernel: Kernel, path: Path) -> None:
        self._kernel = kernel
        self._path = path
        self._store: MetricsStore | None = None
        self._tracks: dict[AgentUid, Track] = {}
        self._followers: dict[AgentId, set[Follower]] = {}
        self.problem = ""
        """Why history is not kept now, or empty."""

    async def open(self) -> None:
        """Open the history; without it the hub works and keeps none."""
        try:
            self._store = await MetricsStore.open(self._path)
        except (HubError, OSError) as exc:
            self.problem = f"agents' history is not kept: {exc}"
            log.warning("history_not_kept", error=str(exc))

    @property
    def checks(self) -> ChecksStore | None:
        """Where looks at gateways are kept, in the same file; None where it could not be opened."""
        return self._store.checks if self._store is not None else None

    async def close(self) -> None:
        """Write what is there, and end every stream."""
        for followers in list(self._followers.values()):
            for follower in followers:
                follower.close()
        await self.flush()
        if self._store is not None:
            await self._store.close()

    # --- reports

    def report(self, agent_id: AgentId, health: Health) -> None:
        """Take an agent's report."""
        agent = self._kernel.fleet.agents.get(agent_id)
        if agent is None:
            return
        sample = self._track(agent.uid).report(health, self._kernel.now().wall_ms)
        for follower in self._followers.get(agent_id, ()):
            follower.offer(sample)

    async def remove(self, agent: Agent) -> None:
        """The agent is destroyed: its history goes with it."""
        self._tracks.pop(agent.uid, None)
        for follower in self._followers.pop(agent.id, set()):
            follower.close()
        if self._store is not None:
            try:
                await self._store.remove(agent.uid)
            except HubError as exc:
                # The next purge finds that its agent is gone.
                log.warning("history_not_removed", agent=agent.id, error=exc.message)

    # --- reading

    async def points(
        self, agent: Agent, since_ms: int, now_ms: int, *, follow: bool
    ) -> AsyncGenerator[StatsPoint, None]:
        """Yield the history since a moment (ms since the epoch), then, with `follow`, what comes."""
        if not follow:
            for sample in await self._history(agent.uid, since_ms, now_ms):
                yield point(sample)
            return
        with self._watching(agent) as follower:
            last = 0
            for sample in await self._history(agent.uid, since_ms, now_ms):
                last = sample.at_ms
                yield point(sample)
            async for sample in follower.samples():
                if sample.at_ms > last:
                    yield point(sample)

    async def _history(self, uid: AgentUid, since_ms: int, now_ms: int) -> list[Sample]:
        coarse: list[Sample] = []
        fine: list[Sample] = []
        # The finer line begins where one of the coarser periods ends, so that there is no gap between them.
        fine_ms = (now_ms - FINE_MS) // (COARSE_SECONDS * 1000) * COARSE_SECONDS * 1000
        if self._store is not None:
            fine = await self._store.read(uid, FINE_SECONDS, max(since_ms, fine_ms))
            if since_ms < fine_ms:
                coarse = await self._store.read(uid, COARSE_SECONDS, max(since_ms, now_ms - COARSE_MS))
        track = self._tracks.get(uid)
        if track is None:
            return merged(coarse, fine, (), since_ms)
        present = track.now(now_ms)
        fine += [*track.fine, *([present] if present is not None and not track.live else [])]
        return merged([*coarse, *track.coarse], fine, track.live or (), since_ms)

    @contextmanager
    def _watching(self, agent: Agent) -> Iterator[Follower]:
        follower = Follower()
        self._followers.setdefault(agent.id, set()).add(follower)
        track = self._track(agent.uid)
        if track.live is None:
            track.live = deque(maxlen=LIVE_SAMPLES)
        self._ask(agent.id)
        try:
            yield follower
        finally:
            left = self._followers.get(agent.id, set())
            left.discard(follower)
            if not left:
                self._followers.pop(agent.id, None)
                track.live = None

    # --- loops

    def is_watched(self, agent_id: AgentId) -> bool:
        return agent_id in self._followers

    @property
    def watched(self) -> int:
        return len(self._followers)

    async def run(self) -> None:
        """Keep watched agents reporting and write the history, until cancelled."""
        now = self._kernel.now().mono
        flush_at, purge_at = now + FLUSH_SECONDS, now
        while True:
            with self._surviving("watching_broken", "watched agents are not asked to report every second"):
                for agent_id in list(self._followers):
                    self._ask(agent_id)
            now = self._kernel.now().mono
            if now >= flush_at:
                flush_at = now + FLUSH_SECONDS
                with self._surviving("history_flush_broken", "agents' history is not written"):
                    await self.flush(FLUSH_PAUSE_SECONDS)
            if now >= purge_at:
                purge_at = now + PURGE_SECONDS
                with self._surviving("history_purge_broken", "old history of agents is not removed"):
                    await self.purge()
            await asyncio.sleep(WATCH_SECONDS)

    def _surviving(self, event: str, harm: str) -> AbstractContextManager[None]:
        return surviving(self._kernel.notices, self._kernel.now, event, harm)

    async def flush(self, pause_seconds: float = 0.0) -> None:
        """Write the samples of periods that have ended, a few agents at a time."""
        uids = list(self._tracks)
        for start in range(0, len(uids), AGENTS_AT_ONCE):
            pieces = self._ended(uids[start : start + AGENTS_AT_ONCE])
            if self._store is None or not pieces:
                continue
            try:
                await self._store.append(pieces)
            except HubError as exc:
                # What was not written stays in memory, a bounded time, and is tried again with the next flush.
                self.problem = f"agents' history is not kept: {exc.message}"
                log.warning("history_not_kept", error=exc.message)
                return
            self._written(pieces)
            self.problem = ""
            await asyncio.sleep(pause_seconds)

    async def purge(self) -> None:
        """Forget what is too old, and agents that are gone."""
        agents = self._kernel.fleet.agents.values()
        living = {agent.uid for agent in agents}
        for uid in self._tracks.keys() - living:
            del self._tracks[uid]
        if self._store is None:
            return
        now_ms = self._kernel.now().wall_ms
        try:
            await self._store.purge({FINE_SECONDS: now_ms - FINE_MS, COARSE_SECONDS: now_ms - COARSE_MS}, living)
        except HubError as exc:
            log.warning("history_not_purged", error=exc.message)

    # --- inside

    def _track(self, uid: AgentUid) -> Track:
        return self._tracks.setdefault(uid, Track())

    def _ended(self, uids: Sequence[AgentUid]) -> list[Piece]:
        """Return copies of what waits: what comes while it is written is no part of it."""
        now_ms = self._kernel.now().wall_ms
        pieces: list[Piece] = []
        for uid in uids:
            track = self._tracks.get(uid)
            if track is None:
                continue
            track.close(now_ms)
            pieces += [Piece(uid, FINE_SECONDS, list(track.fine)), Piece(uid, COARSE_SECONDS, list(track.coarse))]
            self._kernel.metrics.history_lost(track.lost)
            track.lost = 0
        return [piece for piece in pieces if piece.samples]

    def _written(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            track = self._tracks.get(AgentUid(piece.uid))
            if track is None:
                continue
            kept = track.fine if piece.seconds == FINE_SECONDS else track.coarse
            if piece.samples[-1] in kept:
                del kept[: kept.index(piece.samples[-1]) + 1]

    def _ask(self, agent_id: AgentId) -> None:
        """Have a watched agent report every second; a basic agent reports nothing."""
        fleet, links = self._kernel.fleet, self._kernel.links
        if agent_id not in fleet.agents:
            return
        presence = fleet.presence(agent_id)
        link = links.get(agent_id, presence.epoch) if presence.open else None
        if link is not None and not presence.basic:
            links.put(link, WATCH)
