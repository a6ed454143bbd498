"""The monitor on real looks at stand-in gateways: what is ill comes back, what is not its business is left alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.contract import AddGateway, AttentionQuery, GatewayHealthQuery, GatewayState, InstancePhase
from hub.core.instances import StoredInstance, Wanted
from hub.drivers.base import Driver, RestartPolicy
from hub.drivers.cells import CellId, CellPlan, CellState
from hub.drivers.fake import FakeDriver, FakePlatform
from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.cells_engine import FakeEngine
from hub.errors import Conflict, DriverFailed
from hub.gateways.monitor.hands import EngineHands
from hub.gateways.monitor.policy import Life
from tests.end_to_end.harness import eventually
from tests.hub.gateways.flapping import FlappingGateway, Ills, Manner
from tests.hub.gateways.monitoring import RULES, TIMING, PlayedHands, monitored
from tests.hub.running import RunningHub, running_hub


async def state(hub: RunningHub, name: str, wanted: GatewayState) -> None:
    watch = hub.hub.gateways.watch
    await hub.until(lambda: watch.sight(name).seen.state is wanted, f"{name} is {wanted}")


async def test_what_dies_or_never_gets_ready_is_restarted_and_the_figures_show_it() -> None:
    hands = PlayedHands()
    dies, stuck = FlappingGateway(Ills(Manner.DIES)), FlappingGateway(Ills(Manner.STUCK))
    async with monitored(hands, dies=dies, stuck=stuck) as (hub, _):
        await state(hub, "dies", GatewayState.READY)
        await state(hub, "stuck", GatewayState.READY)

        async def deeds() -> list[int]:
            found = await hub.control.gateway_health(GatewayHealthQuery())
            return [one.figures.restarts for one in found.gateways]

        async def both() -> bool:
            return await deeds() == [1, 1]

        await eventually(both, what="both came back")
        found = await hub.control.gateway_health(GatewayHealthQuery(names="dies"))
        assert found.fleet.restart_success_rate == 1.0
        assert found.fleet.pass_rate is not None
        assert 0 < found.fleet.pass_rate < 1
        graces = {name: grace for name, grace, _ in hands.restarted}
        assert graces == {"dies": RULES.hung_seconds, "stuck": RULES.stop_seconds}
        assert (dies.starts, stuck.starts) == (2, 2)
        shown = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_gateway_restarts_total{by="monitor",gateway="dies",outcome="ok"} 1.0' in shown


async def test_what_no_restart_helps_is_given_up_and_a_person_is_asked() -> None:
    hands = PlayedHands()
    lies = FlappingGateway(Ills(Manner.LIES))
    rules = msgspec.structs.replace(RULES, start_seconds=0.3)
    async with monitored(hands, rules=rules, lies=lies) as (hub, monitor):
        await hub.until(lambda: hands.told, "given up")
        assert len(hands.restarted) == rules.limit
        (name, reason, stop), restarts = hands.told[0], lies.starts
        assert (name, stop) == ("lies", False)
        assert reason.startswith("2 restarts did not help: /readyz answers with a page")
        assert [one.reason for one in monitor.facts()] == [reason]
        found = await hub.control.gateway_health(GatewayHealthQuery())
        assert (found.fleet.restarts, found.fleet.restart_success_rate) == (2, 0.0)
        asked = lies.asked
        await hub.until(lambda: lies.asked > asked + 5, "looks go on")
        assert lies.starts == restarts

        # Somebody starts it: the count begins anew, and it is well now.
        lies.ills = Ills(Manner.WELL)
        hands.change("lies", given_up=False)
        await state(hub, "lies", GatewayState.READY)
        await hub.until(lambda: monitor.ward.record("lies").restarts == 0, "forgotten")
        assert monitor.facts() == []


async def test_what_becomes_well_by_itself_is_given_up_no_more() -> None:
    hands = PlayedHands()
    lies = FlappingGateway(Ills(Manner.LIES))
    async with monitored(hands, rules=msgspec.structs.replace(RULES, limit=0), lies=lies) as (hub, _):
        await hub.until(lambda: hands.told, "given up")
        lies.ills = Ills(Manner.WELL)
        await hub.until(lambda: not hands.known["lies"].given_up, "well again")
        assert hands.restarted == []


@pytest.mark.parametrize("held", ["it is upgrading", "it is backing-up", "it shall be stopped"])
async def test_what_somebody_works_on_is_left_alone(held: str) -> None:
    hands = PlayedHands()
    dies = FlappingGateway(Ills(Manner.LIES))
    async with monitored(hands, dies=dies) as (hub, monitor):
        hands.change("dies", held=held, at_rest=True)
        asked = dies.asked
        await hub.until(lambda: dies.asked > asked + 10, "looks go on")
        assert hands.restarted == []
        found = await hub.control.gateway_health(GatewayHealthQuery(checks=1))
        assert not found.gateways[0].checks[0].healthy
        hub.move(3_600)
        assert monitor.standing("dies").at_rest


async def test_an_engine_that_does_not_tell_is_no_reason_to_restart() -> None:
    hands = PlayedHands()
    hands.mute = DriverFailed("the engine is away")
    dies = FlappingGateway(Ills(Manner.LIES))
    async with monitored(hands, dies=dies) as (hub, _):
        asked = dies.asked
        await hub.until(lambda: dies.asked > asked + 10, "looks go on")
        assert hands.restarted == []
        hands.mute = None
        await hub.until(lambda: hands.restarted, "restarted when it tells")


async def test_a_restart_that_fails_counts_and_is_tried_again() -> None:
    hands = PlayedHands()
    hands.fails = DriverFailed("no room")
    lies = FlappingGateway(Ills(Manner.LIES))
    rules = msgspec.structs.replace(RULES, start_seconds=0.2)
    async with monitored(hands, rules=rules, lies=lies) as (hub, monitor):
        await hub.until(lambda: len(hands.restarted) == rules.limit, "tried")
        found = await hub.control.gateway_health(GatewayHealthQuery())
        assert found.fleet.restart_success_rate == 0.0
        # What cannot be written down is not true.
        assert not hands.known["lies"].given_up
        hands.fails = None
        await hub.until(lambda: hands.known["lies"].given_up, "given up")
        assert monitor.ward.record("lies").given_up


async def test_patience_outlives_the_hub(tmp_path: Path) -> None:
    hands = PlayedHands()
    lies = FlappingGateway(Ills(Manner.LIES))
    rules = msgspec.structs.replace(RULES, first_seconds=3_600.0, most_seconds=3_600.0)
    async with monitored(hands, tmp_path / "s", rules, lies=lies) as (hub, monitor):
        await hub.until(lambda: monitor.ward.record("lies").restarts == 1, "restarted")
        await hub.until(lambda: not monitor.ward.is_restarting("lies"), "over")
    again = FlappingGateway(Ills(Manner.LIES))
    again.port = lies.port
    async with monitored(hands, tmp_path / "s", rules, lies=again) as (hub, monitor):
        assert monitor.ward.record("lies").restarts == 1
        asked = again.asked
        await hub.until(lambda: again.asked > asked + 10, "looks go on")
        assert len(hands.restarted) == 1, "the wait goes on"
    # Another one of that name is another one.
    hands.change("lies", uid="uid-2")
    another = FlappingGateway(Ills(Manner.LIES))
    another.port = lies.port
    async with monitored(hands, tmp_path / "s", rules) as (_, monitor):
        assert monitor.ward.record("lies").restarts == 0


async def test_restarts_by_the_engine_are_counted_and_a_loop_of_them_ends() -> None:
    hands = PlayedHands()
    well = FlappingGateway(Ills())
    async with monitored(hands, well=well) as (hub, monitor):
        await hub.until(lambda: monitor.ward.record("well").engine_restarts == 0, "looked at")
        hands.engine_restarts["well"] = 2

        async def counted() -> bool:
            return (await hub.control.gateway_health(GatewayHealthQuery())).fleet.restarts == 2

        await eventually(counted, what="restarts are counted")
        assert (await hub.control.gateway_health(GatewayHealthQuery())).fleet.restart_success_rate == 0.5
        hands.engine_restarts["well"] = 9
        await hub.until(lambda: hands.told, "given up")
        assert hands.told == [("well", "it ended 9 times in a row, last with exit code 78", True)]


# --- on an engine ---------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def engine_hub() -> AsyncIterator[RunningHub]:
    """A hub with an engine in memory."""
    engine = FakeEngine()
    engine.offer("image:1", local=True)

    def drivers(reach: Any) -> list[Driver]:
        return [FakeDriver(reach.hub_id, FakePlatform(), cells=FakeCells(reach.hub_id, engine))]

    async with running_hub(timing=TIMING, drivers=drivers) as hub:
        yield hub


@contextlib.asynccontextmanager
async def instance(hub: RunningHub, gateway: FlappingGateway, **fields: object) -> AsyncIterator[StoredInstance]:
    """An instance whose container is one of the engine in memory, and whose gateway is served here."""
    room = hub.hub.running.instances.room
    made = StoredInstance(
        name="g", uid="u1", tier="pro", image_kind="npm", image="image:1", port=gateway.port,
        phase=InstancePhase.RUNNING, deploy_seconds=42.0,
    )  # fmt: skip
    cells = room.cells(made)
    plan = CellPlan(cell=CellId("g", "u1"), name="openclaw-cell-g", image="image:1", restart=RestartPolicy.NO)
    handle = (await cells.create(plan, lambda fraction, line: None)).handle
    await cells.start(handle)
    await room.book.save(msgspec.structs.replace(made, container=handle.container, **fields))
    await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
    yield room.book.get("g")


async def test_hands_restart_through_the_engine_and_leave_a_trace() -> None:
    async with FlappingGateway(Ills()).serving() as gateway, engine_hub() as hub:
        async with instance(hub, gateway):
            room, hands = hub.hub.running.instances.room, EngineHands(hub.hub.running.instances.room)
            charge = hands.charge("g")
            assert charge is not None
            assert (charge.held, charge.at_rest, charge.deploy_seconds) == ("", False, 42.0)
            assert (await hands.vitals(charge)).life is Life.RUNNING
            await hands.restart(charge, 10.0, "it hangs")
            assert room.book.get("g").restarts == 1
            assert await hub.audited("gateway.restart") == [("g", "ok")]

            await hands.give_up(charge, "5 restarts did not help", stop=True, grace_seconds=10.0)
            seen = await room.look(room.book.get("g"))
            assert seen is not None
            assert seen.state is CellState.EXITED
            assert (await hands.vitals(charge)).life is Life.ENDED
            assert room.book.get("g").given_up
            (found,) = [one for one in (await hub.control.attention(AttentionQuery())).attention if one.target == "g"]
            assert (found.kind, found.text) == ("gateway_given_up", "5 restarts did not help")
            await hands.recovered(charge)
            assert not room.book.get("g").given_up


@pytest.mark.parametrize(
    ("fields", "held", "at_rest"),
    [
        ({"phase": InstancePhase.UPGRADING}, "it is upgrading", True),
        ({"phase": InstancePhase.STOPPED}, "it is stopped", True),
        ({"phase": InstancePhase.FAILED}, "it is failed", False),
        ({"wanted": Wanted.STOPPED}, "it shall be stopped", True),
    ],
)
async def test_hands_keep_off_what_is_not_running_by_wish(fields: dict[str, object], held: str, at_rest: bool) -> None:
    async with FlappingGateway(Ills()).serving() as gateway, engine_hub() as hub:
        async with instance(hub, gateway, **fields):
            hands = EngineHands(hub.hub.running.instances.room)
            charge = hands.charge("g")
            assert charge is not None
            assert (charge.held, charge.at_rest) == (held, at_rest)
            with pytest.raises(Conflict):
                await hands.restart(charge, 10.0, "it hangs")
            assert hub.hub.running.instances.room.book.get("g").restarts == 0
            if at_rest:
                await gateway.stop()
                await state(hub, "g", GatewayState.DOWN)
                hub.move(120)
                assert (await hub.control.attention(AttentionQuery())).attention == []


async def test_what_somebody_holds_is_held() -> None:
    async with FlappingGateway(Ills()).serving() as gateway, engine_hub() as hub:
        async with instance(hub, gateway):
            room = hub.hub.running.instances.room
            async with room.hold("g"):
                charge = EngineHands(room).charge("g")
                assert charge is not None
                assert charge.held == "somebody acts on it"
            assert EngineHands(room).charge("nobody") is None
