"""What the monitor needs of the gateways that the hub runs, and what it does to them through the engine."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from hub.contract import InstancePhase
from hub.core.instances import StoredInstance, Wanted
from hub.drivers.cells import CellSeen, CellState
from hub.errors import Conflict
from hub.gateways.instances.room import InstanceRoom, ended
from hub.gateways.monitor.policy import Life

BY: Final = "hub"
"""Who acts, in the audit."""
_LIVES: Final = {
    CellState.RUNNING: Life.RUNNING,
    CellState.RESTARTING: Life.RUNNING,
    CellState.PAUSED: Life.FROZEN,
}


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that the hub runs. `held`: why nothing is done to it now, empty where something may be. `at_rest`: it
    is not expected to answer. `given_up`: as the registry has it, where whoever acts on it takes it back; `reason`:
    why."""

    name: str
    uid: str
    held: str = ""
    at_rest: bool = False
    given_up: bool = False
    reason: str = ""
    deploy_seconds: float | None = None


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """Its container. `started_ms`: ms since the epoch. `ended`: how it ended, in words."""

    life: Life
    started_ms: int | None = None
    engine_restarts: int | None = None
    ended: str = ""


class Hands(Protocol):
    """All raise HubError; `restart` and `stop` raise Conflict where somebody else has begun to act on it."""

    def charge(self, name: str) -> Charge | None:
        """None: the hub does not run it."""
        ...

    def charges(self) -> list[Charge]: ...

    async def vitals(self, charge: Charge) -> Vitals: ...

    async def restart(self, charge: Charge, grace_seconds: float, reason: str) -> None: ...

    async def give_up(self, charge: Charge, reason: str, *, stop: bool, grace_seconds: float) -> None:
        """Note it where people see it; `stop`: its container too, so that the engine does not start it again."""
        ...

    async def recovered(self, charge: Charge) -> None:
        """It is well again though it was given up."""
        ...


class EngineHands:
    """`Hands` on the engine of each instance's host."""

    def __init__(self, room: InstanceRoom) -> None:
        self._room = room

    def charge(self, name: str) -> Charge | None:
        instance = self._room.book.find(name)
        return None if instance is None else self._charge(instance)

    def charges(self) -> list[Charge]:
        return [self._charge(instance) for instance in self._room.book.all()]

    def _charge(self, instance: StoredInstance) -> Charge:
        held = ""
        if instance.phase is not InstancePhase.RUNNING:
            held = f"it is {instance.phase.value}"
        elif instance.wanted is Wanted.STOPPED:
            held = "it shall be stopped"
        elif self._room.locks.is_held(instance.name):
            held = "somebody acts on it"
        expected = instance.phase in (InstancePhase.RUNNING, InstancePhase.FAILED)
        return Charge(
            name=instance.name,
            uid=instance.uid,
            held=held,
            at_rest=not expected or instance.wanted is Wanted.STOPPED,
            given_up=instance.given_up,
            reason=instance.reason,
            deploy_seconds=instance.deploy_seconds,
        )

    async def vitals(self, charge: Charge) -> Vitals:
        instance = self._room.book.present(charge.name, charge.uid)
        seen = await self._room.look(instance)
        return Vitals(life=Life.GONE) if seen is None else _vitals(instance, seen)

    async def restart(self, charge: Charge, grace_seconds: float, reason: str) -> None:
        room = self._room
        async with room.hold(charge.name):
            instance = self._free(charge)
            cells, handle = room.cells(instance), room.handle(instance)
            audit = room.kernel.audited(BY, "gateway.restart", charge.name, detail=reason[:300])
            await room.book.save(replace(instance, restarts=instance.restarts + 1), audit)
            await cells.stop(handle, grace_seconds)
            await cells.start(handle)

    async def give_up(self, charge: Charge, reason: str, *, stop: bool, grace_seconds: float) -> None:
        room = self._room
        async with room.hold(charge.name):
            instance = self._free(charge)
            if stop:
                await room.cells(instance).stop(room.handle(instance), grace_seconds)
            audit = room.kernel.audited(BY, "gateway.give-up", charge.name, detail=reason[:300])
            await room.book.save(replace(instance, given_up=True, reason=reason), audit)

    async def recovered(self, charge: Charge) -> None:
        room = self._room
        async with room.hold(charge.name):
            instance = self._free(charge)
            await room.book.save(replace(instance, given_up=False, reason=""))

    def _free(self, charge: Charge) -> StoredInstance:
        """Return the instance as it is now that nobody else holds it. Raises Conflict."""
        instance = self._room.book.present(charge.name, charge.uid)
        if instance.phase is not InstancePhase.RUNNING or instance.wanted is Wanted.STOPPED:
            raise Conflict(f"the gateway {charge.name} is {instance.phase.value} now", code="instance_busy")
        return instance


def _vitals(instance: StoredInstance, seen: CellSeen) -> Vitals:
    return Vitals(
        life=_LIVES.get(seen.state, Life.ENDED),
        started_ms=seen.started_at if seen.runs else None,
        engine_restarts=seen.restarts,
        ended=ended(instance, seen) if seen.exit_code is not None else "",
    )
