"""Looks at every gateway again and again, and says when one is otherwise than before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from hub.contract import GatewayFigures, GatewayState, GatewayView
from hub.core.attention_facts import GatewayFacts
from hub.core.effects import Kind, Publish
from hub.core.view import rfc3339
from hub.errors import BadRequest
from hub.gateways import looks
from hub.gateways.book import Gateway, GatewayBook
from hub.gateways.client import GatewayClient
from hub.gateways.looks import Seen
from hub.gateways.secret import exposed
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.metrics import Metrics
from hub.surviving import surviving

AT_ONCE: Final = 32
"""Gateways that are looked at at the same time; a round over those that hang takes five seconds for as many."""

SHORTEST_SECONDS: Final = 0.01
"""Between two rounds in any case: everything else of the hub runs in the same loop."""

log = structlog.get_logger("hub.gateways")


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one gateway. Times are ms since the epoch: of the last look, of the first look that found this
    state, of the last look that found it ready, and since when it has lived without being ready. `version`,
    `shape_version`: the last that was told, also while it is away."""

    seen: Seen = Seen()
    at_ms: int | None = None
    since_ms: int | None = None
    ready_ms: int | None = None
    unready_ms: int | None = None
    version: str = ""
    shape_version: str | None = None


class GatewayWatch:
    """Knows how each gateway of the book is."""

    def __init__(self, kernel: Kernel, book: GatewayBook, client: GatewayClient) -> None:
        self._kernel = kernel
        self._book = book
        self._client = client
        self._sights: dict[str, Sight] = {}
        self._looking = KeyLocks()
        self._order = itertools.count(1)
        self._began: dict[str, int] = {}
        """By gateway, the place in the order of its last look's beginning."""
        self._wake = asyncio.Event()
        self._observers: list[Callable[[str], None]] = []
        self._takers: list[Callable[[Gateway, Sight], None]] = []
        self.figures: Callable[[str], GatewayFigures | None] = lambda name: None
        """What checks of the last day come to; set by who counts them."""
        self.expected: Callable[[str], bool] = lambda name: True
        """Whether a gateway should answer: one that was stopped needs nobody. Set by who knows."""
        self.away: Callable[[str], str] = lambda name: ""
        """Why nobody can ask a gateway now, empty where one can: then nothing is known of it. Set by who knows."""
        book.on_change(self._forget)

    def sight(self, name: str) -> Sight:
        """What is known now; nothing is asked."""
        return self._sights.get(name, Sight())

    def on_change(self, observer: Callable[[str], None]) -> None:
        """`observer` is called with the name of a gateway that is otherwise than before; it must not block."""
        self._observers.append(observer)

    def on_look(self, taker: Callable[[Gateway, Sight], None]) -> None:
        """`taker` is called with what every look found, whether or not it is as before; it must not block."""
        self._takers.append(taker)

    def view(self, gateway: Gateway) -> GatewayView:
        """Return a gateway as front ends show it."""
        sight = self.sight(gateway.name)
        seen = sight.seen
        return GatewayView(
            name=gateway.name,
            url=gateway.url,
            state=seen.state,
            reason=seen.reason,
            version=sight.version or ("before 2026.8" if sight.shape_version else ""),
            response_ms=seen.response_ms,
            checked_at=rfc3339(sight.at_ms),
            ready_at=rfc3339(sight.ready_ms),
            roster=list(seen.roster) if seen.roster is not None else None,
            token_file=gateway.token_file,
            origin=gateway.origin,
            sync=gateway.sync,
            figures=self.figures(gateway.name),
        )

    async def look(self, gateway: Gateway) -> Sight:
        """Ask the gateway now, however it answers; one look at a time. Whoever waits for one that goes on shares the
        next with all who wait: it began after they asked."""
        asked = next(self._order)
        async with self._looking.hold(gateway.name):
            if self._began.get(gateway.name, 0) < asked or self._book.find(gateway.name) is not gateway:
                began = next(self._order)
                await self._look(gateway)
                self._began[gateway.name] = began
            return self.sight(gateway.name)

    async def _look(self, gateway: Gateway) -> None:
        seen = await self._see(gateway)
        if self._book.find(gateway.name) is not gateway:
            # Changed or removed meanwhile: what was seen is of another one.
            return
        before, now_ms = self.sight(gateway.name), self._kernel.now().wall_ms
        unready_ms = (before.unready_ms or now_ms) if looks.unready(seen) else None
        seen = looks.too_long(seen, unready_ms or now_ms, now_ms)
        same_state = before.at_ms is not None and before.seen.state is seen.state
        sight = Sight(
            seen=seen,
            at_ms=now_ms,
            since_ms=before.since_ms if same_state else now_ms,
            ready_ms=now_ms if seen.ready else before.ready_ms,
            unready_ms=unready_ms,
            version=seen.version if seen.ready else before.version,
            shape_version=seen.shape_version if seen.ready else before.shape_version,
        )
        self._sights[gateway.name] = sight
        for taker in self._takers:
            taker(gateway, sight)
        if _told(before) != _told(sight):
            log.info("gateway", name=gateway.name, state=seen.state.value, reason=seen.reason)
            self._kernel.push([Publish(Kind.GATEWAY, gateway.name)])
            for observer in self._observers:
                observer(gateway.name)

    async def run(self) -> None:
        """Look again and again until cancelled; a round that takes its time does not put off the next."""
        while True:
            self._wake.clear()
            began = self._kernel.now().mono
            await self.look_at_all()
            spent = self._kernel.now().mono - began
            try:
                async with asyncio.timeout(max(self._kernel.config.timing.gateway_seconds - spent, SHORTEST_SECONDS)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look_at_all(self) -> None:
        """Look at every gateway once, some at a time."""
        await self.look_at(self._book.all())

    async def look_at(self, gateways: Sequence[Gateway]) -> None:
        """Look at these gateways once, some at a time."""
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                group.create_task(self._look_in_turn(gateway, turns), name=f"gateway {gateway.name}")

    def facts(self) -> list[GatewayFacts]:
        """What the rules of attention need."""
        found: list[GatewayFacts] = []
        for gateway in self._book.all():
            sight = self.sight(gateway.name)
            if gateway.url and sight.since_ms is not None and self.expected(gateway.name):
                found.append(
                    GatewayFacts(
                        name=gateway.name, state=sight.seen.state, reason=sight.seen.reason, since_ms=sight.since_ms
                    )
                )
        return found

    def measure(self, metrics: Metrics) -> None:
        """Set the gauges when somebody reads them."""
        called = [(gateway.name, self.sight(gateway.name).seen) for gateway in self._book.all() if gateway.url]
        metrics.set_gateways({name: (seen.ready, seen.response_ms) for name, seen in called})

    async def _look_in_turn(self, gateway: Gateway, turns: asyncio.Semaphore) -> None:
        async with turns:
            with surviving(
                self._kernel.notices, self._kernel.now, "gateway_broken", f"gateway {gateway.name} is not looked at"
            ):
                await self.look(gateway)

    async def _see(self, gateway: Gateway) -> Seen:
        if not gateway.url:
            return Seen(reason="it has no address: only its files are kept in step")
        if why := self.away(gateway.name):
            return Seen(reason=why)
        try:
            token = await gateway.read_token()
        except BadRequest as exc:
            return Seen(state=GatewayState.REFUSED, reason=exc.message)
        seen = await self._client.probe(gateway.url, token, gateway.user)
        warning = await asyncio.to_thread(exposed, gateway.token_file) if gateway.token_file else ""
        return msgspec.structs.replace(seen, reason=warning) if seen.ready and warning and not seen.reason else seen

    def _forget(self, name: str) -> None:
        gateway = self._book.find(name)
        if gateway is None:
            self._sights.pop(name, None)
            self._began.pop(name, None)
        self._wake.set()


def _told(sight: Sight) -> tuple[object, ...]:
    """What makes two sights different for people: not the time of an answer."""
    return sight.seen.state, sight.seen.reason, sight.version, sight.shape_version, sight.seen.roster
