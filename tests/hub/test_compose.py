"""Agents of a Compose file in the hub: records that wait, are recognised, wait again, and are destroyed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.contract import AgentAct, AttentionQuery, CreateAgent, ExportCompose
from hub.control import Control
from hub.core.model import AgentId, AgentStatus, AgentUid, TokenKind
from hub.drivers.base import AgentHandle, AgentPlan, Driver
from hub.drivers.compose import ComposeFile, ImageNeed
from hub.drivers.fake import FakeDriver, FakePlatform
from hub.errors import BadRequest, Conflict, HubError, NotAvailable, NotFound
from hub.planning import WAITS
from tests.hub.running import RunningHub, running_hub, short_folder


class FakeComposer:
    """Keeps who is expected; `start` is what Compose does with the file."""

    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver
        self.expected: dict[AgentUid, AgentPlan] = {}
        self.exported: list[AgentPlan] = []
        self.refusal: HubError | None = None

    async def export(self, plans: Sequence[AgentPlan]) -> ComposeFile:
        if self.refusal is not None:
            raise self.refusal
        self.exported = list(plans)
        return ComposeFile(
            document={"services": {str(plan.agent_id): {} for plan in plans}},
            token_files={plan.agent_id: f"tokens/{plan.agent_id}" for plan in plans},
            images={plan.agent_id: ImageNeed("base:1", built=False) for plan in plans},
            notes=("a note",),
        )

    def expect(self, plan: AgentPlan) -> None:
        self.expected[plan.uid] = plan

    def forget(self, uid: AgentUid) -> None:
        self.expected.pop(uid, None)

    def handle(self, agent_id: AgentId, uid: AgentUid) -> AgentHandle:
        return self._driver._handle(agent_id, uid)

    async def start(self, agent_id: str, token: str) -> None:
        plan = next(plan for plan in self.expected.values() if plan.agent_id == agent_id)
        await self._driver.create(replace(plan, join_token=token), lambda _done, _line: None)


class ComposedDriver(FakeDriver):
    """A fake driver whose agents can be in a Compose file."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.composer = FakeComposer(self)

    @property
    def compose(self) -> FakeComposer:
        return self.composer

    async def destroy(self, handle: AgentHandle) -> None:
        self.composer.forget(self._names(handle)[1])
        await super().destroy(handle)


@contextlib.asynccontextmanager
async def composing(folder: Path, platform: FakePlatform) -> AsyncIterator[tuple[RunningHub, FakeComposer]]:
    made: list[ComposedDriver] = []

    def drivers(reach: Any) -> list[Driver]:
        made.append(ComposedDriver(reach.hub_id, platform))
        return [FakeDriver(reach.hub_id, FakePlatform(), name="other"), *made]

    async with running_hub(folder, platform=platform, drivers=drivers) as hub:
        yield hub, made[0].composer


async def plan(control: Control, *names: str, **fields: Any) -> dict[str, str]:
    request = ExportCompose(planned=[CreateAgent(name=name) for name in names], **fields)
    return (await control.export_compose(request)).tokens


async def test_planned_agents_wait_come_go_and_are_destroyed() -> None:
    platform = FakePlatform()
    with short_folder() as folder:
        async with composing(folder / "s", platform) as (hub, composer):
            tokens = await plan(hub.control, "a", "b")
            assert set(tokens) == {"tokens/a", "tokens/b"}
            assert all(secret.startswith("ctj_") for secret in tokens.values())
            view = await hub.control.agent("a")
            assert (view.status, view.reason, view.driver) == (AgentStatus.CREATING, WAITS, "fake")
            assert (await hub.control.attention(AttentionQuery())).total == 0
            task = await hub.ping("a")
            with pytest.raises(Conflict, match="is not there yet"):
                await hub.control.act("a", AgentAct.START)

            # Somebody else's agent appears, and the hub looks: still no failure.
            await composer.start("a", tokens["tokens/a"])
            platform.changed()
            await hub.status("a", "offline")
            assert (await hub.control.agent("b")).status is AgentStatus.CREATING
            agent = hub.created("a")
            await agent.connect()
            await hub.status("a", "online")
            assert (await hub.control.get_task(task)).status != "lost"

            await agent.close()
            platform.vanish("a")
            await hub.status("a", "creating")
            assert (await hub.control.agent("a")).reason == WAITS

            for name in ("a", "b"):
                assert (await hub.job((await hub.control.destroy(name)).id)).state == "succeeded"
            assert composer.expected == {}
            assert hub.kernel.fleet.agents == {}
            planned = await hub.audited("agent.plan")
            assert sorted(planned) == [("a", "ok"), ("b", "ok")]


async def test_a_hub_that_starts_again_expects_them_still() -> None:
    platform = FakePlatform()
    with short_folder() as folder:
        async with composing(folder / "s", platform) as (hub, _):
            tokens = await plan(hub.control, "a", token_seconds=60)
            made = hub.kernel.fleet.agents[AgentId("a")]
        async with composing(folder / "s", platform) as (hub, composer):
            assert set(composer.expected) == {made.uid}
            await composer.start("a", tokens["tokens/a"])
            platform.changed()
            await hub.status("a", "offline")


async def test_tokens_live_as_long_as_was_said_and_a_new_export_makes_new_ones() -> None:
    platform = FakePlatform()
    with short_folder() as folder:
        async with composing(folder / "s", platform) as (hub, composer):
            first = await plan(hub.control, "a", token_seconds=60)
            (token,) = [one for one in hub.kernel.fleet.identity.tokens if one.kind is TokenKind.JOIN]
            assert token.expires_at is not None
            assert 59_000 <= token.expires_at - token.created_at <= 61_000
            again = await hub.control.export_compose(ExportCompose(agents=["a"]))
            assert again.tokens["tokens/a"] != first["tokens/a"]
            assert [one.uid for one in composer.exported] == [token.agent_uid]


async def test_all_planned_agents_are_made_or_none() -> None:
    platform = FakePlatform()
    with short_folder() as folder:
        async with composing(folder / "s", platform) as (hub, composer):
            await plan(hub.control, "a")
            before = dict(composer.expected)
            for names, error in ((["b", "a"], Conflict), (["b", "b"], Conflict), (["b", "B"], BadRequest)):
                with pytest.raises(error):
                    await plan(hub.control, *names)
            composer.refusal = Conflict("the volume exists and was not made by clawtui")
            with pytest.raises(Conflict, match="was not made by clawtui"):
                await plan(hub.control, "b")
            assert list(hub.kernel.fleet.agents) == ["a"]
            assert composer.expected == before


async def test_a_mistake_in_a_planned_agent_is_named_with_its_number() -> None:
    with short_folder() as folder:
        async with composing(folder / "s", FakePlatform()) as (hub, _):
            good = CreateAgent(name="a")
            for wrong, field in (
                (CreateAgent(name="b", machine={"limits": {"pids": 1}}), "planned[1].machine.limits.pids"),
                (CreateAgent(name="B"), "planned[1].name"),
                (CreateAgent(name="b", profile="nosuch"), "planned[1]"),
            ):
                with pytest.raises((BadRequest, NotFound)) as refused:
                    await hub.control.export_compose(ExportCompose(planned=[good, wrong]))
                assert refused.value.field == field
            with pytest.raises(BadRequest):
                await hub.control.export_compose(ExportCompose())
            with pytest.raises(NotAvailable, match="driver other"):
                await hub.control.export_compose(ExportCompose(planned=[CreateAgent(name="b", driver="other")]))


async def test_agents_that_there_are_are_chosen_by_name_and_by_selector() -> None:
    with short_folder() as folder:
        async with composing(folder / "s", FakePlatform()) as (hub, composer):
            await plan(hub.control, "a", "b")
            await hub.register("hand")
            export = await hub.control.export_compose(ExportCompose(agents=["b"], selector="*"))
            assert export.agents == ["b", "a"]
            assert export.notes == ["hand is left out: it was registered by hand", "a note"]
            assert [(image.image, image.built) for image in export.images] == [("base:1", False)]
            with pytest.raises(BadRequest, match="was registered by hand"):
                await hub.control.export_compose(ExportCompose(agents=["hand"]))
            with pytest.raises(NotFound):
                await hub.control.export_compose(ExportCompose(agents=["nobody"]))
            assert [str(one.agent_id) for one in composer.exported] == ["b", "a"]


async def test_without_a_driver_that_knows_compose_it_is_not_available() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotAvailable) as refused:
            await plan(hub.control, "a")
        assert refused.value.code == "no_compose"
