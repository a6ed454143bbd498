"""What the screen knows of a hub: views kept up to date from its feed of changes, and how old they are.

The feed names what changed; the store reads it again, not more often than `pace_seconds` and never more
than a tenth of the time. The screen looks at `revision`: one number, no payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from clawtui.errors import OtherVersion
from clawtui.follow import closed
from hub.contract import AgentQuery, AgentView, AttentionQuery, AttentionView, Event, HubHealth, JobView, PageQuery
from hub.control import Control
from hub.core.model import AgentStatus
from hub.errors import Forbidden, HubError, NotAvailable, NotFound, Unauthorized

PACE_SECONDS: Final = 0.25
"""The store reads and the screen paints at most this often."""
HEALTH_SECONDS: Final = 2.0
"""How often the hub's own state is asked for: it also is the sign of life."""
SINGLE_READS: Final = 12
"""More changed agents than this are read as one list."""
LIST_SECONDS: Final = 1.0
"""The whole list is read at most this often."""
SHARE: Final = 10.0
"""After a read that took so long, the next one waits so many times longer."""
MOST_PAUSE_SECONDS: Final = 3.0
"""But no longer than this: on a machine that is kept busy by others every read takes long, and the screen would age."""
FIRST_DELAY_SECONDS: Final = 0.5
MOST_DELAY_SECONDS: Final = 8.0
PAGE_AGENTS: Final = 500
JOBS: Final = 50


class SourceState(enum.StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    REFUSED = "refused"


class Source(msgspec.Struct, frozen=True):
    """Where the values come from. `since`: monotonic seconds of the last change; `retry_at`: of the next try."""

    state: SourceState = SourceState.CONNECTING
    since: float = 0.0
    retry_at: float = 0.0
    error: str = ""
    hint: str = ""


class FleetStore:
    """Belongs to one event loop. `run` reads until it is cancelled and never raises a HubError."""

    def __init__(self, control: Control, mono: Callable[[], float] = time.monotonic) -> None:
        self.control = control
        self.mono = mono
        self.agents: dict[str, AgentView] = {}
        self.jobs: list[JobView] = []
        self.attention: list[AttentionView] = []
        """What needs a person, most urgent first."""
        self.health: HubHealth | None = None
        self.source = Source(since=mono())
        self.revision = 0
        self.kinds: Counter[str] = Counter()
        """Counts changes by kind (task, dispatch, audit …): a pane reads again when its count moved."""
        self._dirty: set[str] = set()
        self._all_dirty = True
        self._jobs_dirty = True
        self._attention_seen = -1
        self._listed_at = float("-inf")
        self._asked_at = float("-inf")
        self._moved = asyncio.Event()

    @property
    def live(self) -> bool:
        return self.source.state is SourceState.LIVE

    @property
    def old_seconds(self) -> float | None:
        """How long the hub has been away, so how old all values are at least; None while it is there."""
        return None if self.live else max(self.mono() - self.source.since, 0.0)

    @property
    def loaded(self) -> bool:
        return self.health is not None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def counts(self) -> dict[AgentStatus, int]:
        found = Counter(agent.status for agent in self.agents.values())
        return {status: found[status] for status in AgentStatus if found[status]}

    def retry_seconds(self) -> float:
        return max(self.source.retry_at - self.mono(), 0.0)

    def touch(self, *kinds: str) -> None:
        """The screen did something itself: read these kinds again soon."""
        for kind in kinds:
            self._note(Event(seq=0, run="", kind=kind))

    # --- reading

    async def run(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                await self._observe()
            except* Exception as group:  # noqa: BLE001 - an answer nobody can read is shown as a loss, it ends no screen
                error = _first(group)
            else:
                error = HubError("the hub closed the feed of changes")
            if self.live:
                delay = FIRST_DELAY_SECONDS
            self._lose(error, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MOST_DELAY_SECONDS)

    async def _observe(self) -> None:
        """Subscribe first, then read everything, so that no change falls between."""
        self._all_dirty = self._jobs_dirty = True
        self._asked_at = self._listed_at = float("-inf")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read())
            await self._listen()
            reading.cancel()

    async def _listen(self) -> None:
        async with closed(self.control.events()) as events:
            async for event in events:
                self._note(event)

    def _note(self, event: Event) -> None:
        if event.kind == "gap":
            self._all_dirty = self._jobs_dirty = True
            self.kinds.update(("task", "dispatch", "audit", "job", "attention", "snapshot", "gateway", "sync"))
        elif event.kind in ("agent", "health"):
            if event.id:
                self._dirty.add(event.id)
            else:
                self._all_dirty = True
        else:
            self._jobs_dirty |= event.kind == "job"
            if event.agent:  # of a task: what the agent runs and what waits for it changed with it
                self._dirty.add(event.agent)
            self.kinds[event.kind] += 1
            self.revision += 1
        self._moved.set()

    async def _read(self) -> None:
        while True:
            started = self.mono()
            await self._read_hub()
            await self._read_agents()
            await self._read_jobs()
            await self._read_attention()
            if not self.live:
                self.source = Source(SourceState.LIVE, self.mono())
                self.kinds.update(("task", "dispatch", "audit", "job", "attention"))
                self.revision += 1
            pause = min((self.mono() - started) * SHARE, MOST_PAUSE_SECONDS)
            await asyncio.sleep(max(PACE_SECONDS, pause))
            if not (self._dirty or self._all_dirty or self._jobs_dirty):
                await self._idle()

    async def _idle(self) -> None:
        """Wait for a change, at longest until the hub's own state is due."""
        self._moved.clear()
        try:
            async with asyncio.timeout(max(HEALTH_SECONDS - (self.mono() - self._asked_at), 0.0)):
                await self._moved.wait()
        except TimeoutError:
            return

    async def _read_hub(self) -> None:
        if self.mono() - self._asked_at < HEALTH_SECONDS:
            return
        self.health = await self.control.health()
        self._asked_at = self.mono()
        self.revision += 1

    async def _read_agents(self) -> None:
        if len(self._dirty) > SINGLE_READS:
            self._all_dirty = True
        if self._all_dirty:
            if self.mono() - self._listed_at >= LIST_SECONDS:
                await self._read_list()
            return
        dirty, self._dirty = self._dirty, set()
        for agent_id in dirty:
            try:
                self.agents[agent_id] = await self.control.agent(agent_id)
            except NotFound:
                self.agents.pop(agent_id, None)
            self.revision += 1

    async def _read_list(self) -> None:
        self._all_dirty = False
        self._dirty.clear()
        found: dict[str, AgentView] = {}
        query = AgentQuery(limit=PAGE_AGENTS)
        while True:
            page = await self.control.agents(query)
            # An equal view stays the same object: the table repaints what is another one.
            for agent in page.agents:
                known = self.agents.get(agent.id)
                found[agent.id] = known if known is not None and known == agent else agent
            if page.next is None:
                break
            query = msgspec.structs.replace(query, cursor=page.next)
            await asyncio.sleep(0)  # a page at a time: the hub shares this loop
        self.agents = found
        self._listed_at = self.mono()
        self.revision += 1

    async def _read_jobs(self) -> None:
        if self._jobs_dirty:
            self._jobs_dirty = False
            self.jobs = (await self.control.jobs(PageQuery(limit=JOBS))).jobs
            self.revision += 1

    async def _read_attention(self) -> None:
        if self._attention_seen == self.kinds["attention"]:
            return
        self._attention_seen = self.kinds["attention"]
        with contextlib.suppress(NotFound, NotAvailable):  # an older hub does not tell
            found = (await self.control.attention(AttentionQuery())).attention
            if found != self.attention:
                self.attention = found
                self.revision += 1

    def _lose(self, error: HubError, delay: float) -> None:
        refused = isinstance(error, (Unauthorized, Forbidden, OtherVersion))
        state = SourceState.REFUSED if refused else SourceState.LOST
        since = self.source.since if self.source.state is state else self.mono()
        self.source = Source(state, since, self.mono() + delay, error.message, error.hint)
        self.revision += 1


def _first(group: ExceptionGroup[Exception]) -> HubError:
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    if isinstance(found, HubError):
        return found
    return HubError(f"an answer of the hub cannot be read: {found!r}", code="defect")
