"""Keeps the proxy in step with the gateways that the hub runs, looks through it, and says how it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from hub.contract import GatewayState, IngressRoute, IngressView
from hub.core.attention_facts import IngressFacts
from hub.core.gateway_checks import Check
from hub.core.instances import StoredInstance
from hub.core.view import rfc3339
from hub.errors import BadRequest, Conflict, NotAvailable
from hub.gateways.ingress.applying import Applier
from hub.gateways.ingress.caddy import sites_text
from hub.gateways.ingress.layout import Layout, layout
from hub.gateways.ingress.probing import IngressClient
from hub.gateways.ingress.program import Caddy, Missing, Refused
from hub.gateways.ingress.sites import Site, Sites, plan_sites
from hub.gateways.looks import Seen
from hub.gateways.service import Gateways
from hub.kernel import Kernel
from hub.metrics import Metrics
from hub.surviving import surviving

DEBOUNCE_SECONDS: Final = 0.5
"""Many instances that come at once are one configuration."""
CHECK_SECONDS: Final = 5.0
"""How often it is asked whether the proxy is there."""
AGAIN_SECONDS: Final = 30.0
"""What was refused is tried again then, or at once when something changes."""
AT_ONCE: Final = 16
NAME: Final = "ingress"

log = structlog.get_logger("hub.ingress")


class Problem(msgspec.Struct, frozen=True):
    """Why what is wanted is not in force. `away`: the proxy cannot be asked at all. `since_ms`: since the epoch."""

    text: str
    hint: str
    since_ms: int
    away: bool = False


class Through(msgspec.Struct, frozen=True):
    """What a look through the proxy found. Times are ms since the epoch: of the look, and since when it is so."""

    seen: Seen
    at_ms: int
    since_ms: int


class IngressDesk:
    """Raises StartFailed when made: a setting that cannot be."""

    def __init__(self, kernel: Kernel, gateways: Gateways, instances: Callable[[], list[StoredInstance]]) -> None:
        self._kernel = kernel
        self._gateways = gateways
        self._instances = instances
        self.layout: Layout = layout(kernel.config.ingress, kernel.config.state_folder)
        self._caddy = Caddy(self.layout)
        self._applier = Applier(self.layout, self._caddy)
        self._client = IngressClient(self.layout)
        self._in_force: Sites | None = None
        """As this hub has put it there; None: nobody knows what is."""
        self._applied_ms: int | None = None
        self._tried: tuple[Sites, float] | None = None
        """What was refused last, and when (seconds, monotonic)."""
        self._problem: Problem | None = None
        self._through: dict[str, Through] = {}
        self._looked_at = 0.0
        self._wake = asyncio.Event()
        gateways.book.on_change(self.changed)

    @property
    def on(self) -> bool:
        return self.layout.settings.kind != "off"

    def changed(self, name: str) -> None:
        """An instance or its gateway is otherwise than before."""
        self._wake.set()

    # --- what is wanted, and what is

    def sites(self) -> Sites:
        """Return what the proxy is to serve now."""
        found: list[tuple[StoredInstance, str]] = []
        for instance in self._instances():
            gateway = self._gateways.book.find(instance.name)
            found.append((instance, gateway.url if gateway is not None else ""))
        return plan_sites(found, self.layout.settings.domain)

    def view(self) -> IngressView:
        if not self.on:
            return IngressView(hint="set ingress = caddy; see docs/ingress.md")
        sites, problem = self.sites(), self._problem
        return IngressView(
            kind=self.layout.settings.kind,
            config_path=str(self.layout.sites),
            applied_at=rfc3339(self._applied_ms),
            problem=problem.text if problem is not None else "",
            hint=problem.hint if problem is not None else "",
            routes=self._routes(sites),
            text=sites_text(sites.served, self.layout),
        )

    def _routes(self, sites: Sites) -> list[IngressRoute]:
        served = [self._route(site) for site in sites.served]
        left = [
            IngressRoute(gateway=one.site.gateway, domain=one.site.domain, upstream=one.site.upstream, problem=one.why)
            for one in sites.left_out
        ]
        return sorted([*served, *left], key=lambda one: one.gateway)

    def _route(self, site: Site) -> IngressRoute:
        through = self._through.get(site.gateway)
        return IngressRoute(
            gateway=site.gateway,
            domain=site.domain,
            upstream=site.upstream,
            state=through.seen.state if through is not None else GatewayState.UNKNOWN,
            problem=through.seen.reason if through is not None and not through.seen.ready else "",
        )

    def facts(self) -> IngressFacts:
        """What the rules of attention need: of routes those whose gateway is well by itself."""
        problem = self._problem
        sights = {name: self._gateways.watch.sight(name) for name in self._through}
        return IngressFacts(
            problem=problem.text if problem is not None else "",
            away=problem is not None and problem.away,
            since_ms=problem.since_ms if problem is not None else 0,
            routes=[
                (name, one.seen.reason, one.since_ms)
                for name, one in sorted(self._through.items())
                if not one.seen.ready and sights[name].seen.ready
            ],
        )

    def measure(self, metrics: Metrics) -> None:
        """Set the gauges when somebody reads them."""
        if self.on:
            through = {name: one.seen.ready for name, one in self._through.items()}
            metrics.set_ingress(self._problem is None and self._in_force is not None, through)

    # --- doing

    async def apply(self) -> IngressView:
        """Put what is wanted in force now, and look through the proxy.

        Raises:
            NotAvailable: no proxy is set up.
            Conflict: it refuses the configuration, or is away; the old one stays.
        """
        if not self.on:
            raise NotAvailable(
                "no reverse proxy is set up", code="no_ingress", hint="set ingress = caddy; see docs/ingress.md"
            )
        await self._apply(self.sites())
        if (problem := self._problem) is not None:
            raise Conflict(problem.text, code="ingress_refused", hint=problem.hint)
        await self.look()
        return self.view()

    async def run(self) -> None:
        """Keep the proxy in step until cancelled. Where none is wanted, one that an earlier hub has started ends."""
        if not self.on:
            await self._end()
            return
        while True:
            self._wake.clear()
            with surviving(
                self._kernel.notices, self._kernel.now, "ingress_broken", "the reverse proxy is not kept in step"
            ):
                await self.round()
            await self._pause()

    async def round(self) -> None:
        """Do once what `run` does again and again."""
        sites, now = self.sites(), self._kernel.now().mono
        if sites != self._in_force or self._problem is not None:
            if self._tried is None or self._tried[0] != sites or now - self._tried[1] >= AGAIN_SECONDS:
                await self._apply(sites)
        else:
            await self._ensure()
        if now - self._looked_at >= self._kernel.config.timing.gateway_seconds:
            await self.look()

    async def look(self) -> None:
        """Look at every gateway that has a name through the proxy, and keep what was seen."""
        self._looked_at = self._kernel.now().mono
        served = self.sites().served
        names = {site.gateway for site in served}
        self._through = {name: one for name, one in self._through.items() if name in names}
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for site in served:
                group.create_task(self._look(site, turns), name=f"ingress {site.domain}")

    # --- inside

    async def _apply(self, sites: Sites) -> None:
        kernel = self._kernel
        try:
            await self._applier.apply(sites)
        except (Refused, OSError) as exc:
            self._tried = sites, kernel.now().mono
            kernel.metrics.ingress_applied(False)
            await self._failed(exc)
            return
        if sites != self._in_force or self._problem is not None:
            log.info("ingress_applied", names=len(sites.served))
        self._in_force, self._tried, self._problem = sites, None, None
        self._applied_ms = kernel.now().wall_ms
        kernel.metrics.ingress_applied(True)
        # New names are looked at at once.
        self._looked_at = 0.0

    async def _ensure(self) -> None:
        """Look whether the proxy is there; one of ours is started again."""
        try:
            if await self._applier.ensure():
                log.warning("ingress_started_again")
                self._looked_at = 0.0
            elif not self.layout.own and not await self._caddy.answers():
                await self._failed(Refused(f"nobody answers at {self.layout.admin}"))
        except Refused as exc:
            self._tried = self.sites(), self._kernel.now().mono
            await self._failed(exc)

    async def _failed(self, error: Refused | OSError) -> None:
        away = not await self._caddy.answers()
        if isinstance(error, OSError):
            text = f"the proxy's files cannot be written: {error.strerror}: {error.filename}"
            hint = "make room, or let the hub write there; it tries again by itself"
        elif isinstance(error, Missing):
            text, hint = str(error), "install Caddy (Debian: the package caddy), or name it: ingress_caddy"
        elif away and not self.layout.own:
            text = f"no Caddy takes configurations at {self.layout.admin}: {error}"
            hint = "start it, or name its admin address: ingress_admin"
        else:
            text = f"Caddy refuses the configuration: {error}" if not away else f"Caddy does not start: {error}"
            hint = f"what was in force stays; {self.layout.log} has its log" if self.layout.own else ""
        before = self._problem
        if before is None or before.text != text:
            log.warning("ingress_refused", error=text)
        same = before is not None and before.away == away
        since_ms = before.since_ms if before is not None and same else self._kernel.now().wall_ms
        self._problem = Problem(text, hint or "what was in force stays; see its log", since_ms, away)

    async def _look(self, site: Site, turns: asyncio.Semaphore) -> None:
        async with turns:
            gateway = self._gateways.book.find(site.gateway)
            if gateway is None:
                return
            try:
                token = await gateway.read_token()
                seen = await self._client.probe(site, token, gateway.user)
            except BadRequest as exc:
                seen = Seen(state=GatewayState.REFUSED, reason=exc.message)
        now_ms, before = self._kernel.now().wall_ms, self._through.get(site.gateway)
        same = before is not None and before.seen.ready == seen.ready
        since_ms = before.since_ms if before is not None and same else now_ms
        self._through[site.gateway] = Through(seen, now_ms, since_ms)
        self._gateways.history.add(
            Check(
                gateway=site.gateway, at_ms=now_ms, state=seen.state.value, healthy=seen.ready, counts=False,
                response_ms=seen.response_ms, reason=seen.reason, via=NAME,
            )
        )  # fmt: skip

    async def _pause(self) -> None:
        seconds = min(CHECK_SECONDS, self._kernel.config.timing.gateway_seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(DEBOUNCE_SECONDS, seconds))

    async def _end(self) -> None:
        try:
            await self._applier.end()
        except Refused as exc:
            log.warning("ingress_not_stopped", error=str(exc))
