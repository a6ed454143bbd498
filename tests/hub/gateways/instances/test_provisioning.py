"""Making instances on an engine in memory: what a running one has, what is refused, what fails, what a kill leaves."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hub.contract import AttentionQuery, DestroyGateway, GatewayAct, GatewayState, InstancePhase, LogQuery, PageQuery
from hub.drivers.cells import CellState
from hub.drivers.fake.cells_engine import Behaviour, CellStep, FakeEngine
from hub.errors import BadRequest, Conflict, NotAvailable, NotFound
from tests.end_to_end.harness import eventually
from tests.hub.gateways.fake_gateway import Condition
from tests.hub.gateways.instances.provisioned import (
    IMAGE,
    KEY,
    TOKEN,
    answering,
    engine_hub,
    new_engine,
    order,
    provisioned,
)
from tests.hub.running import RunningHub, running_hub, short_folder

FOUND_STEPS = (
    CellStep.PULL, CellStep.ENSURE_NETWORK, CellStep.ENSURE_VOLUME, CellStep.CREATE, CellStep.START, CellStep.INSPECT,
)  # fmt: skip
"""Where a hub may be killed while it provisions."""


def phase_of(hub: RunningHub, name: str = "acme") -> InstancePhase | None:
    found = hub.hub.running.instances.room.book.find(name)
    return found.phase if found is not None else None


async def gone(hub: RunningHub, engine: FakeEngine, name: str = "acme") -> None:
    """Nothing of the instance is left anywhere."""
    assert engine.containers == {}
    assert engine.networks == {}
    assert engine.volumes == {}
    assert [one.name for one in (await hub.control.gateways()).gateways] == []
    folders = hub.folder / "gateways"
    assert [path.name for path in folders.iterdir()] == []
    assert hub.hub.running.instances.room.book.find(name) is None


async def test_a_gateway_is_made_waited_for_and_shown_with_credentials_once() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        made, job = await provisioned(hub, order(port=there.port))
        assert job.state == "succeeded", job.error
        assert (made.credentials.token, made.credentials.url) == (TOKEN, there.url)
        assert made.credentials.public_url == "https://acme.example.com"
        view = await hub.control.gateway("acme")
        assert (view.state, view.origin) == (GatewayState.READY, "provisioned")
        assert view.instance is not None
        assert (view.instance.phase, view.instance.container_state) == (InstancePhase.RUNNING, "running")
        assert view.instance.deploy_seconds is not None
        cell = engine.cell("openclaw-cell-acme")
        assert (cell.plan.memory_bytes, cell.plan.cpus, cell.plan.pids) == (2 * 2**30, 2.0, 512)
        assert [(one.host_ip, one.port, one.container_port) for one in cell.plan.ports] == [
            ("127.0.0.1", there.port, 18789)
        ]
        assert cell.plan.environment["OPENCLAW_CONFIG_READONLY"] == "1"
        folder = hub.folder / "gateways" / "acme"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
        assert modes == {".env": 0o600, "docker-compose.yml": 0o600, "order.json": 0o600, "token": 0o600}
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        with pytest.raises(Conflict) as caught:
            await hub.control.remove_gateway("acme")
        assert caught.value.code == "gateway_is_run"
        assert "clawtui gateway destroy acme" in caught.value.hint


async def test_no_secret_is_in_the_registry_the_audit_the_job_or_an_answer() -> None:
    engine = new_engine()
    engine.registry[IMAGE].behaviour = Behaviour(log=(f"key is {KEY}", f"Authorization: Bearer {TOKEN}"))
    async with answering(engine) as there, engine_hub(engine) as hub:
        _, job = await provisioned(hub, order(port=there.port))
        shown = [job, await hub.control.gateways(), await hub.control.audit(PageQuery())]
        lines = [line async for line in hub.control.gateway_logs("acme", LogQuery())]
        assert len(lines) == 2
        for one in (*shown, *lines):
            text = msgspec.json.encode(one).decode()
            assert KEY not in text
            assert TOKEN not in text
        room = hub.hub.running.instances.room
        order_ = await asyncio.to_thread(room.load, room.book.get("acme"))
        assert KEY not in repr(order_)
        assert order_.secrets.values["ANTHROPIC_API_KEY"] == KEY
        raw = b"".join(path.read_bytes() for path in hub.folder.glob("registry.db*"))
        assert KEY.encode() not in raw
        assert TOKEN.encode() not in raw


async def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_left() -> None:
    engine = new_engine()
    async with engine_hub(engine) as hub:
        keys = {"OPENAI_API_KEY": "sk-ant-no", "A B": "x"}
        with pytest.raises(BadRequest) as caught:
            await hub.control.provision_gateway(order("Acme!", subdomain="x", tier="gold", keys=keys, host="moon"))
        fields = {field for field, _, _ in caught.value.problems}
        assert fields == {"name", "subdomain", "tier", "keys.OPENAI_API_KEY", "keys.A B", "host"}
        assert "sk-ant-no" not in f"{caught.value.message} {caught.value.hint} {caught.value.problems}"
        assert engine.calls == []
        assert (await hub.control.gateways()).gateways == []


async def test_names_domains_and_ports_are_given_once() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        await provisioned(hub, order(port=there.port))
        with pytest.raises(BadRequest) as caught:
            await hub.control.provision_gateway(order(port=there.port))
        assert {field for field, _, _ in caught.value.problems} == {"name", "customer", "subdomain", "port"}


async def test_a_port_that_somebody_has_is_found_out_before_anything_is_made() -> None:
    engine = new_engine()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with engine_hub(engine) as hub:
            with pytest.raises(BadRequest) as caught:
                await hub.control.provision_gateway(order(port=port))
            assert caught.value.field == "port"
            assert "another program" in caught.value.message


async def test_without_an_engine_nothing_is_begun() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotAvailable) as caught:
            await hub.control.provision_gateway(order())
        assert caught.value.code == "no_engine"
        assert (await hub.control.gateways()).gateways == []


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(exit_code=78, log=("gateway.bogus: Unrecognized key",)), "configuration is invalid (exit code 78)"),
        (Behaviour(oom_killed=True), "it took more than its 2048 MiB of memory"),
        (Behaviour(exit_code=3), "exit code 3"),
        (Behaviour(start_error="no such program"), "no such program"),
    ],
)
async def test_what_ends_is_left_stopped_with_the_reason_in_words(behaviour: Behaviour, said: str) -> None:
    engine = new_engine()
    engine.registry[IMAGE].behaviour = behaviour
    async with engine_hub(engine) as hub:
        _, job = await provisioned(hub, order())
        assert job.state == "failed"
        assert job.error is not None
        assert said in job.error.message
        assert "clawtui gateway destroy acme" in job.error.message or behaviour.start_error
        assert all(line in job.error.message for line in behaviour.log if behaviour.exit_code == 78)
        view = await hub.control.gateway("acme")
        assert view.instance is not None
        assert view.instance.phase is InstancePhase.FAILED
        assert said in view.instance.reason
        asking = [one for one in (await hub.control.attention(AttentionQuery())).attention if one.target == "acme"]
        assert any(said in one.text for one in asking)
        assert engine.cell("openclaw-cell-acme").state in (CellState.EXITED, CellState.CREATED)
        await hub.job((await hub.control.destroy_gateway("acme", DestroyGateway(data=True))).id)
        await gone(hub, engine)


async def test_a_port_that_is_taken_while_it_starts_can_be_freed() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        engine.taken_ports.add(there.port)
        _, job = await provisioned(hub, order(port=there.port))
        assert job.error is not None
        assert job.error.code == "port_taken"
        assert "clawtui gateway start acme" in job.error.message
        engine.taken_ports.clear()
        started = await hub.job((await hub.control.act_on_gateway("acme", GatewayAct.START)).id)
        assert started.error is None
        assert phase_of(hub) is InstancePhase.RUNNING


async def test_a_source_of_personas_sets_up_the_sync_with_the_paths_of_both_sides(tmp_path: Path) -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        _, job = await provisioned(hub, order(port=there.port, source="folder", folder=str(tmp_path)))
        assert job.error is None
        sync = (await hub.control.gateway("acme")).sync
        folder = hub.folder / "gateways" / "acme" / "shared"
        assert sync is not None
        assert (sync.source, sync.folder, sync.config_path) == ("folder", str(tmp_path), str(folder / "openclaw.json"))
        assert sync.workspace_root == str(folder / "agents")
        assert [(one.host, one.container) for one in sync.mounts] == [(str(folder), "/srv/clawtui")]
        (mount,) = engine.cell("openclaw-cell-acme").plan.mounts
        assert (mount.source, mount.target, mount.read_only) == (str(folder), "/srv/clawtui", False)


async def test_an_image_that_nobody_has_says_so() -> None:
    engine = new_engine()
    async with engine_hub(engine) as hub:
        _, job = await provisioned(hub, order(image="ghcr.io/openclaw/openclaw:2026.1.1"))
        assert job.error is not None
        assert job.error.code == "image_missing"
        assert phase_of(hub) is InstancePhase.FAILED


async def test_one_that_never_becomes_ready_fails_in_time() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        there.gateway.condition = Condition.PAGES
        _, job = await provisioned(hub, order(port=there.port))
        assert job.error is not None
        assert "was not ready within 5 s" in job.error.message
        assert "page" in job.error.message


@pytest.mark.parametrize("step", FOUND_STEPS)
async def test_a_hub_that_is_killed_at_any_step_goes_on_at_its_next_start(step: CellStep) -> None:
    engine = new_engine()
    reached = asyncio.Event()

    with short_folder() as folder:
        async with answering(engine) as there:
            engine.before = hanging_at(step, reached)
            async with engine_hub(engine, folder) as hub:
                await hub.control.provision_gateway(order(port=there.port))
                await asyncio.wait_for(reached.wait(), 10)
            engine.before = there.before
            async with engine_hub(engine, folder) as hub:
                await ends_up(hub, InstancePhase.RUNNING)
                assert [cell.name for cell in engine.containers.values()] == ["openclaw-cell-acme"]
                (job,) = [one for one in (await hub.control.jobs(PageQuery())).jobs if one.kind == "gateway.provision"]
                assert (await hub.job(job.id)).state == "succeeded"
                assert (await hub.control.gateway("acme")).state is GatewayState.READY


@pytest.mark.parametrize(
    "step", [CellStep.STOP, CellStep.REMOVE, CellStep.REMOVE_NETWORK, CellStep.REMOVE_VOLUME], ids=str
)
async def test_a_destroy_that_is_killed_at_any_step_is_finished(step: CellStep) -> None:
    engine = new_engine()
    reached = asyncio.Event()

    with short_folder() as folder:
        async with answering(engine) as there:
            async with engine_hub(engine, folder) as hub:
                await provisioned(hub, order(port=there.port))
                engine.before = hanging_at(step, reached)
                await hub.control.destroy_gateway("acme", DestroyGateway(data=True))
                await asyncio.wait_for(reached.wait(), 10)
            engine.before = None
            async with engine_hub(engine, folder) as hub:
                await ends_up(hub, None)
                await gone(hub, engine)


async def test_a_folder_without_a_row_is_cleared_away_and_one_of_somebody_is_not(tmp_path: Path) -> None:
    engine = new_engine()
    with short_folder() as folder:
        staged, other = folder / "gateways" / ".new-acme.g_1", folder / "gateways" / "acme"
        staged.mkdir(parents=True)
        other.mkdir()
        async with engine_hub(engine, folder) as hub:
            assert not staged.exists()
            with pytest.raises(Conflict) as caught:
                await hub.control.provision_gateway(order())
            assert caught.value.code == "folder_exists"
            assert other.exists()


async def test_a_cancelled_provisioning_leaves_nothing() -> None:
    engine = new_engine()
    reached = asyncio.Event()

    engine.before = hanging_at(CellStep.START, reached)
    async with engine_hub(engine) as hub:
        made = await hub.control.provision_gateway(order())
        await asyncio.wait_for(reached.wait(), 10)
        await hub.control.cancel_job(made.job.id)
        assert (await hub.job(made.job.id)).state == "cancelled"
        await gone(hub, engine)


async def test_destroy_shows_what_it_removes_and_wants_the_data_confirmed() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        await provisioned(hub, order(port=there.port))
        plan = await hub.control.plan_destroy_gateway("acme")
        assert plan.data
        kinds = {one.partition(" ")[0] for one in plan.objects}
        assert kinds == {"container", "volume", "network", "folder", "gateway"}
        with pytest.raises(Conflict) as caught:
            await hub.control.destroy_gateway("acme", DestroyGateway())
        assert caught.value.code == "data_not_confirmed"
        job = await hub.control.destroy_gateway("acme", DestroyGateway(data=True))
        assert (await hub.job(job.id)).state == "succeeded"
        await gone(hub, engine)
        with pytest.raises(NotFound):
            await hub.control.plan_destroy_gateway("acme")


async def test_stop_drains_start_waits_and_a_container_that_is_gone_is_made_again() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        await provisioned(hub, order(port=there.port))

        async def act(what: GatewayAct) -> str:
            job = await hub.job((await hub.control.act_on_gateway("acme", what)).id)
            assert job.error is None, job.error
            return job.state

        assert await act(GatewayAct.STOP) == "succeeded"
        assert phase_of(hub) is InstancePhase.STOPPED
        assert engine.cell("openclaw-cell-acme").state is CellState.EXITED
        assert await act(GatewayAct.RESTART) == "succeeded"
        assert phase_of(hub) is InstancePhase.RUNNING
        engine.containers.clear()
        assert await act(GatewayAct.START) == "succeeded"
        assert engine.cell("openclaw-cell-acme").state is CellState.RUNNING


async def test_only_instances_are_acted_on() -> None:
    async with engine_hub(new_engine()) as hub:
        for call in (
            hub.control.act_on_gateway("other", GatewayAct.START),
            hub.control.plan_destroy_gateway("other"),
        ):
            with pytest.raises(NotFound) as caught:
                await call
            assert caught.value.code == "unknown_instance"
        with pytest.raises(NotFound):
            hub.control.gateway_logs("other", LogQuery())


def hanging_at(step: CellStep, reached: asyncio.Event) -> Callable[[CellStep, str], Awaitable[None]]:
    """For `FakeEngine.before`: this step never ends."""

    async def hang(now: CellStep, instance: str) -> None:
        if now is step:
            reached.set()
            await asyncio.Event().wait()

    return hang


async def ends_up(hub: RunningHub, phase: InstancePhase | None) -> None:
    async def there() -> bool:
        return phase_of(hub) is phase

    await eventually(there, seconds=15, what=f"acme is {phase}")
