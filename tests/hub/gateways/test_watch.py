"""The loop over all gateways: what changes is told, what lasts asks for a person, and nothing ends it."""

from __future__ import annotations

import asyncio
import contextlib

from hub.config import Timing
from hub.contract import AddGateway, AttentionQuery, AttentionView, Event, GatewayState, GatewayView
from hub.gateways.client import GatewayClient
from hub.gateways.looks import Seen
from hub.gateways.secret import Secret
from hub.gateways.watch import GatewayWatch
from tests.end_to_end.harness import eventually
from tests.hub.gateways.fake_gateway import Condition, FakeGateway
from tests.hub.running import RunningHub, running_hub

QUICK = Timing(drain_seconds=1.0, gateway_seconds=0.05)


async def seen_as(hub: RunningHub, state: GatewayState, name: str = "g") -> GatewayView:
    async def there() -> GatewayView | None:
        view = next(one for one in (await hub.control.gateways()).gateways if one.name == name)
        return view if view.state is state else None

    return await eventually(there, what=f"{name} is {state}")


async def attention(hub: RunningHub) -> list[AttentionView]:
    return (await hub.control.attention(AttentionQuery())).attention


async def test_a_gateway_that_goes_and_comes_back_is_told_each_time() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=QUICK) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        heard: list[str] = []
        hub.hub.gateways.watch.on_change(heard.append)

        gateway.condition = Condition.DRAINING
        draining = await seen_as(hub, GatewayState.NOT_READY)
        assert draining.version == "2026.9.6", "the last that was told"
        assert draining.ready_at is not None
        await gateway.stop()
        down = await seen_as(hub, GatewayState.DOWN)
        assert down.reason == "nobody answers there: Connection refused"
        gateway.condition = Condition.READY
        gateway.version = "2026.9.7"
        await gateway.start()
        assert (await seen_as(hub, GatewayState.READY)).version == "2026.9.7"

        assert set(heard) == {"g"}
        assert len(heard) == 3


async def test_looks_that_find_the_same_are_no_events() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=QUICK) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        looks = gateway.paths.count("/readyz")
        async with contextlib.aclosing(hub.control.events()) as events:  # pyright: ignore[reportArgumentType]

            async def looked() -> bool:
                return gateway.paths.count("/readyz") >= looks + 3

            await eventually(looked)
            gateway.roster.append("writer")
            told: Event = await anext(aiter(events))
            assert (told.kind, told.id) == ("gateway", "g")
            view = next(iter((await hub.control.gateways()).gateways))
            assert view.roster == ["engineer", "qa", "writer"]


async def test_what_is_wrong_for_long_asks_for_a_person() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=QUICK) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        assert await attention(hub) == []

        gateway.condition = Condition.PAGES
        await seen_as(hub, GatewayState.DOWN)
        assert await attention(hub) == []
        hub.move(31)
        (down,) = await attention(hub)
        assert (down.kind, down.target_kind, down.target) == ("gateway_down", "gateway", "g")
        assert "web interface of something" in down.text
        assert down.acts[0].command == "clawtui gateway show g"

        gateway.condition = Condition.PROXY
        await seen_as(hub, GatewayState.REFUSED)
        (refused,) = await attention(hub)
        assert refused.kind == "gateway_refused"

        gateway.condition = Condition.SIDECARS
        await seen_as(hub, GatewayState.NOT_READY)
        hub.move(170)
        assert await attention(hub) == []
        hub.move(15)
        wedged = await seen_as(hub, GatewayState.WEDGED)
        assert wedged.reason.startswith("it has lived for over 180 s without being ready: it is not ready (channels)")
        hub.move(31)
        assert [one.kind for one in await attention(hub)] == ["gateway_wedged"]

        gateway.condition = Condition.DRAINING
        await seen_as(hub, GatewayState.NOT_READY)
        hub.move(300)
        assert await attention(hub) == []
        hub.move(61)
        (draining,) = await attention(hub)
        assert draining.kind == "gateway_not_ready"

        gateway.condition = Condition.READY
        await seen_as(hub, GatewayState.READY)
        assert await attention(hub) == []
        assert (await hub.control.health()).status == "ok"


async def test_a_gateway_that_hangs_keeps_no_other_waiting() -> None:
    async with FakeGateway(token="").serving() as hangs, FakeGateway(token="").serving() as well:
        hangs.condition = Condition.HANGING
        async with running_hub(timing=QUICK) as hub:
            watch = hub.hub.gateways.watch
            await hub.control.add_gateway(AddGateway(name="well", url=well.url))
            before = len(well.paths)
            await hub.hub.gateways.book.add(AddGateway(name="hangs", url=hangs.url), "test")

            async def looked() -> bool:
                return len(hangs.paths) > 0 and len(well.paths) > before

            await eventually(looked)
            assert watch.sight("hangs").at_ms is None
            await hangs.stop()
            await seen_as(hub, GatewayState.DOWN, "hangs")


class HeldClient(GatewayClient):
    """Looks that go on until they are let go, each with a version of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.go_on = asyncio.Semaphore(0)

    async def probe(self, url: str, token: Secret, user: str = "") -> Seen:
        self.begun += 1
        number = self.begun
        await self.go_on.acquire()
        return Seen(state=GatewayState.READY, version=str(number))


async def test_many_who_ask_at_once_share_one_look_that_began_after_they_asked() -> None:
    async with running_hub() as hub, asyncio.TaskGroup() as group:
        held, book = HeldClient(), hub.hub.gateways.book
        gateway = await book.add(AddGateway(name="g", url="http://127.0.0.1:1"), "test")
        watch = GatewayWatch(hub.kernel, book, held)
        first = group.create_task(watch.look(gateway))
        await asyncio.sleep(0)
        later = [group.create_task(watch.look(gateway)) for _ in range(20)]
        await asyncio.sleep(0)
        held.go_on.release()
        assert (await first).version == "1"
        assert not any(task.done() for task in later)
        held.go_on.release()
        assert {(await task).version for task in later} == {"2"}
        assert held.begun == 2


class BrokenClient(GatewayClient):
    """A defect: a look that raises what none raises on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def probe(self, url: str, token: Secret, user: str = "") -> Seen:
        self.asked += 1
        raise ZeroDivisionError


async def test_a_defect_in_a_look_ends_neither_the_loop_nor_the_hub() -> None:
    async with running_hub(timing=QUICK) as hub, asyncio.TaskGroup() as group:
        broken = BrokenClient()
        await hub.hub.gateways.book.add(AddGateway(name="g", url="http://127.0.0.1:1"), "test")
        loop = group.create_task(GatewayWatch(hub.kernel, hub.hub.gateways.book, broken).run())

        async def asked_again() -> bool:
            return broken.asked >= 3

        await eventually(asked_again)
        loop.cancel()
        assert any("gateway g is not looked at" in problem for problem in (await hub.control.health()).problems)


async def test_metrics_name_gateways_while_they_are_there() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub() as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_gateway_up{gateway="g"} 1.0' in text
        assert 'clawtui_gateway_response_seconds{gateway="g"}' in text
        await gateway.stop()
        await hub.control.gateway("g")
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_gateway_up{gateway="g"} 0.0' in text
        assert 'clawtui_gateway_response_seconds{gateway="g"}' not in text
        await hub.control.remove_gateway("g")
        assert 'gateway="g"' not in hub.kernel.metrics.exposition().decode()
