"""Restarts gateways that the hub runs when checks say that they are not well; `policy` decides."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import structlog

from hub.core.attention_facts import GivenUpFacts
from hub.core.gateway_checks import Deed
from hub.errors import Conflict, HubError
from hub.gateways.book import GatewayBook
from hub.gateways.figures import Standing
from hub.gateways.history import History
from hub.gateways.looks import Seen
from hub.gateways.monitor.hands import Charge, Hands, Vitals
from hub.gateways.monitor.policy import Kept, Life, Look, Rules, Step, Verdict, Ward, kept, taken_up
from hub.gateways.watch import GatewayWatch, Sight
from hub.kernel import Kernel
from hub.metrics import Metrics
from hub.registry.checks_store import ChecksStore
from hub.surviving import surviving

POLL_SECONDS: Final = 2.0
"""How often a gateway that was restarted is asked whether it is ready."""
MONITOR, ENGINE = "monitor", "engine"

log = structlog.get_logger("hub.gateways.monitor")


class Fall(msgspec.Struct, frozen=True):
    """The engine has started it again, `times` since it was ready last; first seen at `at_ms`, since the epoch."""

    at_ms: int
    times: int
    why: str = ""


class Monitor:
    """Fed by every look; acts in tasks of its own, one per gateway."""

    def __init__(
        self, kernel: Kernel, book: GatewayBook, watch: GatewayWatch, history: History, hands: Hands,
        rules: Rules | None = None, poll_seconds: float = POLL_SECONDS,
    ) -> None:  # fmt: skip
        self._kernel = kernel
        self._book = book
        self._watch = watch
        self._history = history
        self._hands = hands
        self.ward = Ward(rules or Rules(check_seconds=kernel.config.timing.gateway_seconds))
        self._poll_seconds = poll_seconds
        self._store: ChecksStore | None = None
        self._kept: dict[str, Kept] = {}
        self._vitals: dict[str, Vitals] = {}
        self._given_up_ms: dict[str, int] = {}
        self._falls: dict[str, Fall] = {}
        self._looked: set[str] = set()
        self._at_work: set[str] = set()
        self._wake = asyncio.Event()
        watch.on_look(self._looked_at)
        watch.expected = lambda name: not self.standing(name).at_rest
        history.standing = self.standing
        history.deploy_seconds = self._deploy_seconds

    async def open(self, store: ChecksStore | None) -> None:
        """Go on where the hub before this one ended."""
        self._store = store
        if store is None:
            return
        now = self._kernel.now()
        try:
            for name, body in (await store.patience()).items():
                self._take_up(name, body)
        except HubError as exc:
            log.warning("patience_not_known", error=exc.message)
        for name, old in self._kept.items():
            charge = self._hands.charge(name)
            if charge is not None and charge.uid == old.uid:
                self.ward.put(name, taken_up(old, now))

    def _take_up(self, name: str, body: bytes) -> None:
        try:
            self._kept[name] = msgspec.json.decode(body, type=Kept)
        except msgspec.MsgspecError as exc:
            log.warning("patience_not_known", gateway=name, error=str(exc))

    # --- what others ask

    def standing(self, name: str) -> Standing:
        """What the hub does with a gateway now."""
        charge = self._hands.charge(name)
        if charge is None:
            return Standing()
        vitals = self._vitals.get(name)
        return Standing(charge.at_rest or bool(charge.held and self._is_held(charge)), vitals and vitals.started_ms)

    def facts(self) -> list[GivenUpFacts]:
        """What the rule of attention needs."""
        found: list[GivenUpFacts] = []
        for charge in self._hands.charges():
            if charge.given_up:
                reason = charge.reason or self.ward.record(charge.name).given_up
                found.append(GivenUpFacts(charge.name, reason, self._given_up_ms.get(charge.name)))
        return found

    def measure(self, metrics: Metrics) -> None:
        """Set the gauges when somebody reads them."""
        metrics.set_gateways_given_up({charge.name: charge.given_up for charge in self._hands.charges()})

    def _is_held(self, charge: Charge) -> bool:
        """Held by others: our own restart is an end of it that nobody wished for."""
        return not self.ward.is_restarting(charge.name)

    def _deploy_seconds(self, name: str) -> float | None:
        charge = self._hands.charge(name)
        return charge.deploy_seconds if charge is not None else None

    # --- the loop

    def _looked_at(self, gateway: object, sight: Sight) -> None:
        name = str(getattr(gateway, "name", ""))
        if self._hands.charge(name) is not None:
            self._looked.add(name)
            self._wake.set()

    async def run(self) -> None:
        """Attend to what was looked at, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                looked, self._looked = self._looked, set()
                for name in self.ward.in_turn(looked - self._at_work):
                    self._at_work.add(name)
                    group.create_task(self._attend(name), name=f"monitor {name}")
                await self._wake.wait()

    async def _attend(self, name: str) -> None:
        try:
            with surviving(
                self._kernel.notices, self._kernel.now, "monitor_broken", f"gateway {name} is not kept alive"
            ):
                await self._attended(name)
        finally:
            self._at_work.discard(name)

    async def _attended(self, name: str) -> None:
        charge = self._hands.charge(name)
        if charge is None:
            return
        self._heed(charge)
        vitals = await self._vitals_of(charge)
        # What others did while the engine was asked counts.
        charge = self._hands.charge(name) or charge
        sight = self._watch.sight(name)
        look = self._look(charge, vitals, sight)
        self._fell(charge, look, vitals)
        before = self.ward.record(name)
        verdict = self.ward.see(name, look, self._kernel.now().mono)
        await self._act(charge, verdict, recovered=bool(charge.given_up and look.ready and not look.held))
        after = self.ward.record(name)
        if (after.restarts, after.given_up) != (before.restarts, before.given_up):
            await self._keep(charge)

    def _heed(self, charge: Charge) -> None:
        """An operator who acts on a gateway takes back that it was given up, and a new one of that name is another."""
        old, record = self._kept.get(charge.name), self.ward.record(charge.name)
        if (old is not None and old.uid != charge.uid) or (record.given_up and not charge.given_up):
            self.ward.forget(charge.name)
            self._kept.pop(charge.name, None)
            self._given_up_ms.pop(charge.name, None)
        elif charge.given_up and not record.given_up:
            # What was written down beside the registry is lossy.
            self.ward.put(charge.name, msgspec.structs.replace(record, given_up=charge.reason or "it was given up"))

    async def _vitals_of(self, charge: Charge) -> Vitals:
        try:
            vitals = await self._hands.vitals(charge)
        except HubError as exc:
            log.info("engine_does_not_tell", gateway=charge.name, error=exc.message)
            return Vitals(life=Life.UNKNOWN)
        self._vitals[charge.name] = vitals
        return vitals

    def _look(self, charge: Charge, vitals: Vitals, sight: Sight) -> Look:
        now_ms, seen = self._kernel.now().wall_ms, sight.seen
        return Look(
            state=seen.state,
            answers=seen.answers,
            draining=seen.draining,
            unready_for=0.0 if sight.unready_ms is None else (now_ms - sight.unready_ms) / 1000,
            held=charge.held,
            life=vitals.life,
            started_for=None if vitals.started_ms is None else (now_ms - vitals.started_ms) / 1000,
            engine_restarts=vitals.engine_restarts,
            ended=vitals.ended,
            reason=_why(seen, vitals),
        )

    # --- acting

    async def _act(self, charge: Charge, verdict: Verdict, *, recovered: bool) -> None:
        try:
            if recovered:
                await self._hands.recovered(charge)
                self._given_up_ms.pop(charge.name, None)
            elif verdict.step is Step.RESTART:
                await self._restart(charge, verdict)
            elif verdict.step in (Step.GIVE_UP, Step.STOP):
                await self._give_up(charge, verdict)
        except Conflict as exc:
            # Somebody else began to act on it: the next look sees what came of that.
            log.info("gateway_left_alone", gateway=charge.name, error=exc.message)
        except HubError as exc:
            log.warning("gateway_not_helped", gateway=charge.name, step=verdict.step.value, error=exc.message)

    async def _give_up(self, charge: Charge, verdict: Verdict) -> None:
        log.error("gateway_given_up", gateway=charge.name, reason=verdict.reason)
        self._given_up_ms[charge.name] = self._kernel.now().wall_ms
        try:
            await self._hands.give_up(
                charge, verdict.reason, stop=verdict.step is Step.STOP, grace_seconds=verdict.grace_seconds
            )
        except HubError:
            # Not written down, so not true: it is judged anew at the next look.
            self.ward.put(charge.name, msgspec.structs.replace(self.ward.record(charge.name), given_up=""))
            raise

    async def _restart(self, charge: Charge, verdict: Verdict) -> None:
        name, began = charge.name, self._kernel.now()
        log.warning("gateway_restarted", gateway=name, reason=verdict.reason, grace_seconds=verdict.grace_seconds)
        self.ward.begin(name, began.mono)
        self._falls.pop(name, None)
        worked, why = False, verdict.reason
        try:
            await self._keep(charge)
            await self._hands.restart(charge, verdict.grace_seconds, verdict.reason)
            worked = await self._came_back(charge)
        except HubError as exc:
            why = f"{verdict.reason}; the restart failed: {exc.message}"
            raise
        finally:
            now = self._kernel.now()
            self._looked.update(self.ward.end(name, now.mono))
            self._wake.set()
            seconds = round(now.mono - began.mono, 1) if worked else None
            self._history.did(Deed(name, began.wall_ms, MONITOR, worked, seconds, why))
            log.info("gateway_came_back" if worked else "gateway_did_not_come_back", gateway=name, seconds=seconds)

    async def _came_back(self, charge: Charge) -> bool:
        """Wait until it is ready, as long as a start may take."""
        until = self._kernel.now().mono + self.ward.rules.start_seconds
        await self._vitals_of(charge)
        while (gateway := self._book.find(charge.name)) is not None:
            if (await self._watch.look(gateway)).seen.ready:
                return True
            if self._kernel.now().mono >= until:
                return False
            await asyncio.sleep(self._poll_seconds)
        return False

    # --- restarts by the engine

    def _fell(self, charge: Charge, look: Look, vitals: Vitals) -> None:
        """Note restarts that the engine made, and what became of them."""
        name, now_ms = charge.name, self._kernel.now().wall_ms
        known = self.ward.record(name).engine_restarts
        if known is not None and vitals.engine_restarts is not None and vitals.engine_restarts > known:
            fall = self._falls.get(name, Fall(now_ms, 0))
            times = fall.times + vitals.engine_restarts - known
            self._falls[name] = Fall(fall.at_ms, times, vitals.ended or look.reason)
        fall = self._falls.get(name)
        if fall is None:
            return
        late = now_ms - fall.at_ms >= self.ward.rules.start_seconds * 1000
        if not look.ready and not late and not look.held:
            return
        del self._falls[name]
        for time in range(fall.times):
            worked = look.ready and time == fall.times - 1
            seconds = max(now_ms - vitals.started_ms, 0) / 1000 if worked and vitals.started_ms else None
            self._history.did(Deed(name, fall.at_ms, ENGINE, worked, seconds, fall.why))

    # --- what outlives the hub

    async def _keep(self, charge: Charge) -> None:
        record = self.ward.record(charge.name)
        self._kept[charge.name] = kept(record, charge.uid, self._kernel.now())
        if self._store is None:
            return
        try:
            await self._store.keep_patience(charge.name, msgspec.json.encode(self._kept[charge.name]))
        except HubError as exc:
            log.warning("patience_not_kept", gateway=charge.name, error=exc.message)


def _why(seen: Seen, vitals: Vitals) -> str:
    """How it is, and how its container ended where it did."""
    told = seen.reason or seen.state.value
    return f"{vitals.ended} ({told})" if vitals.life is Life.ENDED and vitals.ended else told
