"""Every look is kept, through restarts of the hub, and comes back as checks and figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config import Timing
from hub.contract import AddGateway, GatewayHealth, GatewayHealthQuery
from hub.errors import BadRequest, NotFound
from tests.hub.gateways.fake_gateway import Condition, FakeGateway
from tests.hub.running import RunningHub, running_hub

RARELY = Timing(drain_seconds=1.0, gateway_seconds=3_600.0)
"""Only looks that a test asks for."""


async def health(hub: RunningHub, **query: object) -> GatewayHealth:
    (one,) = (await hub.control.gateway_health(GatewayHealthQuery(**query))).gateways  # pyright: ignore[reportArgumentType]
    return one


async def test_checks_and_figures_survive_a_restart_of_the_hub(tmp_path: Path) -> None:
    async with FakeGateway(token="").serving() as gateway:
        async with running_hub(tmp_path / "s", timing=RARELY) as hub:
            await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
            before = (await health(hub)).figures.checks
            gateway.condition = Condition.SIDECARS
            told = await health(hub, now=True, checks=2)
            assert (len(told.checks), told.checks[-1].healthy) == (2, False)
            assert told.checks[-1].reason == "it is not ready (channels)"
            assert told.state == "not-ready"
            assert told.figures.checks > before
        async with running_hub(tmp_path / "s", timing=RARELY) as hub:
            again = await health(hub, checks=1_000)

    assert again.figures.checks >= told.figures.checks
    assert again.figures.pass_rate is not None
    assert 0 < again.figures.pass_rate < 1
    assert again.figures.response_p50_ms is not None
    assert [one.at for one in again.checks] == sorted(one.at for one in again.checks)


async def test_figures_of_a_list_are_those_of_the_last_day_and_of_the_metrics() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=RARELY) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        watch = hub.hub.gateways.watch

        def known() -> bool:
            found = watch.figures("g")
            return found is not None and found.checks > 0

        await hub.until(known, "figures")
        (view,) = (await hub.control.gateways()).gateways
        assert view.figures is not None
        assert view.figures.pass_rate == 1.0
        shown = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_gateway_pass_rate{gateway="g"} 1.0' in shown
        assert 'clawtui_gateway_checks_total{gateway="g",result="pass"}' in shown
        assert 'clawtui_gateway_answer_seconds{figure="p95",gateway="g"}' in shown


async def test_names_choose_and_the_fleet_is_all_that_were_chosen() -> None:
    async with FakeGateway(token="").serving() as well, FakeGateway(token="").serving() as ill:
        ill.condition = Condition.PAGES
        async with running_hub(timing=RARELY) as hub:
            for name, gateway in (("a", well), ("b", ill), ("c", well)):
                await hub.control.add_gateway(AddGateway(name=name, url=gateway.url))
            everything = await hub.control.gateway_health(GatewayHealthQuery())
            two = await hub.control.gateway_health(GatewayHealthQuery(names="b, a,b"))

            assert [one.name for one in everything.gateways] == ["a", "b", "c"]
            assert [one.name for one in two.gateways] == ["b", "a"]
            assert [one.figures.pass_rate for one in two.gateways] == [0.0, 1.0]
            assert two.fleet.checks == sum(one.figures.checks for one in two.gateways)
            assert two.gateways[0].checks == []
            with pytest.raises(NotFound):
                await hub.control.gateway_health(GatewayHealthQuery(names="nobody"))
            with pytest.raises(BadRequest) as caught:
                await hub.control.gateway_health(GatewayHealthQuery(since="soon"))
            assert caught.value.field == "since"


async def test_what_is_older_than_asked_for_is_no_part_of_it() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=RARELY) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        hub.move(7_200)
        assert (await health(hub, since="1h")).figures.checks == 0
        assert (await health(hub, since="3h")).figures.checks > 0


async def test_a_gateway_that_comes_back_under_an_old_name_has_no_past() -> None:
    async with FakeGateway(token="").serving() as gateway, running_hub(timing=RARELY) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        gateway.condition = Condition.PAGES
        await health(hub, now=True)
        await hub.control.remove_gateway("g")
        gateway.condition = Condition.READY
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        assert (await health(hub)).figures.pass_rate == 1.0


async def test_a_history_that_cannot_be_kept_is_known_while_the_hub_runs(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for name in ("metrics.db", "metrics.db.damaged"):
        # Folders that hold something can neither be opened as a database nor put aside.
        (folder / name / "full").mkdir(parents=True)
    async with FakeGateway(token="").serving() as gateway, running_hub(folder, timing=RARELY) as hub:
        await hub.control.add_gateway(AddGateway(name="g", url=gateway.url))
        assert (await health(hub, checks=5)).figures.pass_rate == 1.0
        assert any("history is not kept" in problem for problem in (await hub.control.health()).problems)
