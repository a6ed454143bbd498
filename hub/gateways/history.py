"""Every look at every gateway, kept for two weeks: written behind the looks, read with what is not written yet.

As lossy as agents' history: a hub that is killed loses what it has not written, a few seconds of checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from hub.contract import GatewayFigures, GatewayHealth, GatewayHealthList, GatewayState
from hub.core.gateway_checks import Check, Deed
from hub.errors import HubError
from hub.gateways.book import Gateway, GatewayBook
from hub.gateways.figures import Standing, counts, figures, shown
from hub.gateways.watch import Sight
from hub.kernel import Kernel
from hub.metrics import Metrics
from hub.registry.checks_store import ChecksStore
from hub.surviving import surviving

KEEP_MS: Final = 14 * 24 * 3_600_000
SHOWN_MS: Final = 24 * 3_600_000
"""What the figures of a list and the metrics are of."""
FLUSH_SECONDS: Final = 2.0
"""Checks of a round come within seconds of each other: one transaction takes them all."""
PURGE_SECONDS: Final = 3_600.0
MOST_WAITING: Final = 20_000
"""Checks that wait for a disk that takes none; then the oldest go."""
MOST_REASON: Final = 300

log = structlog.get_logger("hub.gateways.history")


class Gathered(msgspec.Struct):
    """What one gateway's part of an answer is made of."""

    gateway: Gateway
    checks: list[Check]
    deeds: list[Deed]
    deploy_seconds: float | None


class History:
    """Takes looks and restarts, keeps them, and says what they come to."""

    def __init__(self, kernel: Kernel, book: GatewayBook) -> None:
        self._kernel = kernel
        self._book = book
        self._store: ChecksStore | None = None
        self._checks: list[Check] = []
        self._deeds: list[Deed] = []
        self._gone: set[str] = set()
        self._changed: set[str] = set()
        self._figures: dict[str, GatewayFigures] = {}
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self.standing: Callable[[str], Standing] = lambda name: Standing()
        self.deploy_seconds: Callable[[str], float | None] = lambda name: None
        book.on_change(self._book_changed)

    def open(self, store: ChecksStore | None) -> None:
        """None: nothing is kept beyond what fits into memory."""
        self._store = store
        self._changed |= {gateway.name for gateway in self._book.all()}
        self._wake.set()

    # --- taking

    def take(self, gateway: Gateway, sight: Sight) -> None:
        """Keep what a look found; a gateway that is never called has none."""
        if not gateway.url or sight.at_ms is None:
            return
        seen, standing = sight.seen, self.standing(gateway.name)
        check = Check(
            gateway=gateway.name,
            at_ms=sight.at_ms,
            state=seen.state.value,
            healthy=seen.ready,
            counts=counts(seen, standing, sight.unready_ms, sight.at_ms, sight.ready_ms),
            response_ms=seen.response_ms,
            reason=seen.reason[:MOST_REASON],
        )
        self.add(check)

    def add(self, check: Check) -> None:
        """Keep a check, also one that was made in another way."""
        self._checks.append(check)
        if len(self._checks) > MOST_WAITING:
            del self._checks[: len(self._checks) - MOST_WAITING]
        if check.via == "direct":
            self._kernel.metrics.gateway_checked(check.gateway, check.healthy, check.counts)
        self._mark(check.gateway)

    def did(self, deed: Deed) -> None:
        """Keep a restart whose outcome is known."""
        self._deeds.append(deed)
        del self._deeds[:-MOST_WAITING]
        self._kernel.metrics.gateway_restarted(deed.gateway, deed.by, deed.worked)
        self._mark(deed.gateway)

    # --- reading

    def figures(self, name: str) -> GatewayFigures | None:
        """Return the figures of the last day as they were computed last, which is seconds ago; nothing is read."""
        return self._figures.get(name)

    async def health(
        self, states: Sequence[tuple[Gateway, GatewayState]], since_ms: int, checks: int
    ) -> GatewayHealthList:
        """Return the figures of gateways since a moment, their last `checks`, and the same of all of them together.
        Raises HubError."""
        all_of = [await self._gather(gateway, since_ms) for gateway, _ in states]
        parts = [
            GatewayHealth(
                name=one.gateway.name,
                state=state,
                figures=_figures([one]),
                checks=[shown(check) for check in one.checks[len(one.checks) - checks :]] if checks else [],
            )
            for one, (_, state) in zip(all_of, states, strict=True)
        ]
        return GatewayHealthList(gateways=parts, fleet=_figures(all_of))

    def measure(self, metrics: Metrics) -> None:
        """Set the gauges when somebody reads them."""
        metrics.set_gateway_figures(self._figures)

    # --- the loop

    async def run(self) -> None:
        """Write and compute until cancelled."""
        purge_at = self._kernel.now().mono
        while True:
            with surviving(
                self._kernel.notices, self._kernel.now, "checks_broken", "checks of gateways are not written"
            ):
                await self.flush()
                await self._compute()
                if (now := self._kernel.now().mono) >= purge_at:
                    purge_at = now + PURGE_SECONDS
                    await self._purge()
            self._wake.clear()
            await asyncio.sleep(FLUSH_SECONDS)
            await self._wake.wait()

    async def flush(self) -> None:
        """Write what waits; what cannot be written waits on, a bounded number of checks. Never raises."""
        store = self._store
        if store is None:
            return
        async with self._writing:
            checks, deeds, gone = self._checks, self._deeds, list(self._gone)
            self._checks, self._deeds = [], []
            try:
                for name in gone:
                    await store.remove(name)
                if checks or deeds:
                    await store.append(checks, deeds)
            except HubError as exc:
                log.warning("checks_not_kept", error=exc.message)
                self._checks = [*checks, *self._checks][-MOST_WAITING:]
                self._deeds = [*deeds, *self._deeds][-MOST_WAITING:]
                return
            self._gone -= set(gone)

    # --- inside

    async def _gather(self, gateway: Gateway, since_ms: int) -> Gathered:
        await self.flush()
        name = gateway.name
        kept: list[Check] = []
        done: list[Deed] = []
        if self._store is not None:
            kept, done = await self._store.checks(name, since_ms), await self._store.deeds(name, since_ms)
        kept += [check for check in self._checks if check.gateway == name and check.at_ms >= since_ms]
        done += [deed for deed in self._deeds if deed.gateway == name and deed.at_ms >= since_ms]
        return Gathered(gateway, kept, done, self.deploy_seconds(name))

    async def _compute(self) -> None:
        changed, self._changed = self._changed, set()
        since_ms = self._kernel.now().wall_ms - SHOWN_MS
        for name in sorted(changed):
            gateway = self._book.find(name)
            if gateway is None:
                self._figures.pop(name, None)
                continue
            try:
                self._figures[name] = _figures([await self._gather(gateway, since_ms)])
            except HubError as exc:
                log.warning("figures_not_known", gateway=name, error=exc.message)

    async def _purge(self) -> None:
        if self._store is None:
            return
        living = {gateway.name for gateway in self._book.all()}
        try:
            await self._store.purge(self._kernel.now().wall_ms - KEEP_MS, living)
        except HubError as exc:
            log.warning("checks_not_purged", error=exc.message)

    def _mark(self, name: str) -> None:
        self._changed.add(name)
        self._wake.set()

    def _book_changed(self, name: str) -> None:
        """A gateway that is forgotten is forgotten wholly: another one of its name is another one."""
        if self._book.find(name) is None:
            self._checks = [check for check in self._checks if check.gateway != name]
            self._deeds = [deed for deed in self._deeds if deed.gateway != name]
            self._gone.add(name)
            self._figures.pop(name, None)
            self._kernel.metrics.gateway_gone(name)
        self._mark(name)


def _figures(gathered: Sequence[Gathered]) -> GatewayFigures:
    return figures(
        [check for one in gathered for check in one.checks],
        [deed for one in gathered for deed in one.deeds],
        [one.deploy_seconds for one in gathered if one.deploy_seconds is not None],
    )
