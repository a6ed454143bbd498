"""The profile sync of a whole hub: gateways of the environment and others, profiles, decisions and their traces."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from hub.config import Openclaw
from hub.contract import (
    AddGateway,
    AttentionQuery,
    MessageChunk,
    PageQuery,
    ProfileText,
    ResolveSync,
    SendMessage,
    SyncQuery,
    SyncRun,
    SyncSettings,
)
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound
from tests.end_to_end.harness import eventually
from tests.hub.gateways.fake_gateway import FakeGateway
from tests.hub.running import RunningHub, running_hub


def environment(folder: Path, **more: object) -> Openclaw:
    return Openclaw(
        workspace_root=folder / "agents", config_path=folder / "openclaw.json", binary="/nonexistent/openclaw",
        **more,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def persona(name: str, **fields: object) -> ProfileText:
    return ProfileText(text=json.dumps({"persona": {"name": name, **fields}}))


def sync_settings(place: Path, **fields: object) -> SyncSettings:
    return SyncSettings(
        workspace_root=str(place / "agents"), config_path=str(place / "openclaw.json"), interval_seconds=3600,
        **fields,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


@contextlib.asynccontextmanager
async def synced_hub(folder: Path, **more: object) -> AsyncIterator[RunningHub]:
    async with running_hub(openclaw=environment(folder, **more), profiles_folder=None) as hub:
        await hub.hub.sync.first_runs()
        yield hub


async def states(hub: RunningHub) -> dict[str, str]:
    return {one.slug: one.state.value for one in (await hub.control.sync_status(SyncQuery())).personas}


async def until(hub: RunningHub, wanted: dict[str, str]) -> None:
    async def so() -> bool:
        return await states(hub) == wanted

    await eventually(so, seconds=20, what=f"personas are {wanted}")


async def test_a_profile_that_is_saved_is_a_persona_and_one_that_is_deleted_is_archived(tmp_path: Path) -> None:
    async with synced_hub(tmp_path) as hub:
        assert await states(hub) == {}
        await hub.control.save_profile("ann", persona("Ann"))
        await hub.control.save_profile("bob", persona("Bob"))
        await until(hub, {"ann": "in-step", "bob": "in-step"})
        assert (tmp_path / "agents" / "ann" / "SOUL.md").is_file()
        (target,) = (await hub.control.sync_status(SyncQuery(gateway="openclaw"))).targets
        assert (target.gateway, target.source) == ("openclaw", "registry")
        assert "no address" in target.proof
        await hub.control.delete_profile("bob")
        await until(hub, {"ann": "in-step"})
        assert not (tmp_path / "agents" / "bob").exists()


async def test_a_decision_is_in_the_journal_with_its_command(tmp_path: Path) -> None:
    async with synced_hub(tmp_path) as hub:
        await hub.control.save_profile("ann", persona("Ann", soul="Mine.\n"))
        await until(hub, {"ann": "in-step"})
        soul = tmp_path / "agents" / "ann" / "SOUL.md"
        soul.write_text("A human's.\n")
        await hub.control.sync_run(SyncRun())
        assert await states(hub) == {"ann": "drifted"}
        found = await hub.control.attention(AttentionQuery())
        waits = next(one for one in found.attention if one.kind == "sync_waits")
        assert (waits.target, waits.acts[0].command) == ("openclaw", "clawtui sync diff openclaw/ann")
        (file,) = (await hub.control.sync_diff("openclaw", "ann")).files
        assert (file.on_disk, file.wanted, file.can_adopt) == ("A human's.\n", "Mine.\n", True)
        adopted = await hub.control.sync_resolve("openclaw", "ann", ResolveSync(decision="adopt", path="SOUL.md"))
        assert adopted.state == "in-step"
        text = (await hub.control.profile("ann")).text
        assert text is not None
        assert json.loads(text)["persona"]["soul"] == "A human's.\n"
        entries = (await hub.control.journal(PageQuery())).journal
        assert [one.command for one in entries[:2]] == [
            "clawtui sync resolve openclaw/ann adopt --path SOUL.md",
            "clawtui sync run",
        ]
        assert (await hub.control.attention(AttentionQuery())).attention == []


async def test_what_cannot_be_decided_says_why(tmp_path: Path) -> None:
    async with synced_hub(tmp_path) as hub:
        await hub.control.save_profile("ann", persona("Ann"))
        await until(hub, {"ann": "in-step"})
        keep = ResolveSync(decision="keep")
        with pytest.raises(Conflict, match="no file of openclaw/ann waits"):
            await hub.control.sync_resolve("openclaw", "ann", keep)
        with pytest.raises(Conflict, match="none of its files"):
            await hub.control.sync_resolve("openclaw", "ann", ResolveSync(decision="keep", path="../x"))
        with pytest.raises(NotFound, match="no persona 'zoe'"):
            await hub.control.sync_resolve("openclaw", "zoe", keep)
        with pytest.raises(NotFound, match="no gateway 'prod'"):
            await hub.control.sync_diff("prod", "ann")
        with pytest.raises(NotFound):
            await hub.control.sync_status(SyncQuery(gateway="prod"))
        with pytest.raises(NotFound):
            await hub.control.sync_run(SyncRun(gateway="prod"))
        with pytest.raises(BadRequest, match="name the gateway"):
            await hub.control.sync_run(SyncRun(accept_empty=True))
        (tmp_path / "agents" / "ann" / "AGENTS.md").write_text("other rules\n")
        with pytest.raises(Conflict, match=r"AGENTS\.md .*cannot be adopted"):
            await hub.control.sync_resolve("openclaw", "ann", ResolveSync(decision="adopt"))
        assert await hub.audited("sync.keep") == await hub.audited("sync.adopt") == []


async def test_switched_off_nothing_is_written(tmp_path: Path) -> None:
    async with synced_hub(tmp_path, profile_sync=False) as hub:
        await hub.control.save_profile("ann", persona("Ann"))
        status = await hub.control.sync_status(SyncQuery())
        assert (status.enabled, status.targets) == (False, [])
        with pytest.raises(Conflict, match="OPENCLAW_PROFILE_SYNC=false"):
            await hub.control.sync_run(SyncRun())
        assert list(tmp_path.iterdir()) == []


@contextlib.asynccontextmanager
async def held_source() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """A Convex deployment that refuses, and says so when it is let; address, asked, let."""
    asked, let = asyncio.Event(), asyncio.Event()

    async def refuse(request: web.Request) -> web.Response:
        asked.set()
        await let.wait()
        return web.json_response({"status": "error", "errorMessage": "wrong account"})

    app = web.Application()
    app.router.add_post("/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked, let
    finally:
        let.set()
        await runner.cleanup()


async def test_nothing_is_said_to_a_gateway_before_its_first_sync(tmp_path: Path) -> None:
    gateway = FakeGateway(roster=("ann",))
    async with gateway.serving(), held_source() as (url, asked, let):
        source = {"convex_url": url, "convex_account": "a", "convex_token": "convex-secret"}
        config = environment(tmp_path, gateway_url=gateway.url, gateway_token=gateway.token, **source)
        async with running_hub(openclaw=config, profiles_folder=None) as hub, asyncio.TaskGroup() as group:
            heard = group.create_task(collected(hub.control.message(SendMessage(to="openclaw/ann", text="hello"))))
            await asked.wait()
            for _ in range(20):
                # Time enough for whatever would go there too early.
                await asyncio.sleep(0.02)
            assert gateway.calls == []
            assert gateway.paths.count("/readyz") == 1
            let.set()
            assert (await heard)[-1].status == "completed"
            await hub.until(lambda: gateway.paths.count("/readyz") > 1, "gateways are looked at")
            (target,) = (await hub.control.sync_status(SyncQuery())).targets
            assert "wrong account" in target.problem


async def test_the_time_of_a_message_counts_while_its_gateway_is_synced(tmp_path: Path) -> None:
    gateway = FakeGateway(roster=("ann",))
    async with gateway.serving(), held_source() as (url, asked, let):
        source = {"convex_url": url, "convex_account": "a", "convex_token": "convex-secret"}
        config = environment(tmp_path, gateway_url=gateway.url, gateway_token=gateway.token, **source)
        async with running_hub(openclaw=config, profiles_folder=None) as hub:
            request = SendMessage(to="openclaw/ann", text="hello", timeout_seconds=1)
            with pytest.raises(DriverFailed, match="was not synced for the first time within 1 s") as refused:
                await asyncio.wait_for(collected(hub.control.message(request)), 10)
            assert refused.value.code == "message_timeout"
            assert gateway.calls == []
            assert asked.is_set()
            let.set()


async def collected(chunks: AsyncIterator[MessageChunk]) -> list[MessageChunk]:
    return [chunk async for chunk in chunks]


async def test_a_persona_that_is_synced_can_be_spoken_to(tmp_path: Path) -> None:
    gateway = FakeGateway(roster=("ann",))
    async with gateway.serving():
        token = tmp_path / "token"
        token.write_text(gateway.token)
        token.chmod(0o600)
        more = {"gateway_url": gateway.url, "gateway_token_file": token}
        async with synced_hub(tmp_path, **more) as hub:
            await hub.control.save_profile("ann", persona("Ann"))
            await until(hub, {"ann": "in-step"})
            (target,) = (await hub.control.sync_status(SyncQuery())).targets
            assert target.verified_at is not None
            heard = [chunk async for chunk in hub.control.message(SendMessage(to="openclaw/ann", text="hello"))]
            assert heard[-1].status == "completed"
            entries = json.loads((tmp_path / "openclaw.json").read_text())["agents"]["entries"]
            assert list(entries) == ["ann"]


async def test_a_sync_is_given_changed_and_taken_away(tmp_path: Path) -> None:
    async with running_hub(profiles_folder=None) as hub:
        await hub.control.save_profile("ann", persona("Ann"))
        await hub.control.add_gateway(AddGateway(name="prod", url="http://127.0.0.1:9"))
        with pytest.raises(NotFound, match="not kept in step"):
            await hub.control.sync_run(SyncRun(gateway="prod"))
        await hub.control.set_gateway_sync("prod", sync_settings(tmp_path))
        await until(hub, {"ann": "pending"})
        (one,) = (await hub.control.sync_status(SyncQuery())).personas
        assert "gateway is down" in one.reason
        await hub.control.save_profile("bob", persona("Bob"))
        await hub.control.set_gateway_sync("prod", sync_settings(tmp_path, personas=["bob"], reload="off"))
        await until(hub, {"bob": "in-step"})
        assert (tmp_path / "agents" / ".archive").is_dir()
        await hub.control.set_gateway_sync("prod", None)
        assert await states(hub) == {}
        assert (tmp_path / "agents" / "bob" / "SOUL.md").is_file()
        await hub.control.set_gateway_sync("prod", sync_settings(tmp_path, reload="off"))
        await until(hub, {"ann": "in-step", "bob": "in-step"})
        await hub.control.remove_gateway("prod")
        assert await states(hub) == {}


async def test_metrics_and_events_tell_of_it(tmp_path: Path) -> None:
    async with synced_hub(tmp_path) as hub:
        seq = hub.kernel.feed.seq
        await hub.control.save_profile("ann", persona("Ann"))
        await until(hub, {"ann": "in-step"})
        async with hub.kernel.feed.subscribe(seq) as changes:
            async for event in changes:
                if (event.kind, event.id) == ("sync", "openclaw/ann"):
                    break
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_sync_personas{gateway="openclaw",state="in-step"} 1.0' in text
        assert 'clawtui_sync_personas{gateway="openclaw",state="drifted"} 0.0' in text
        assert 'clawtui_sync_runs_total{gateway="openclaw",outcome="ok"}' in text


async def test_one_wrong_source_keeps_no_other_gateway_from_being_synced(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with running_hub(profiles_folder=None) as hub:
        await hub.control.save_profile("ann", persona("Ann"))
        missing = {"source": "folder", "folder": str(tmp_path / "gone")}
        for name, fields in (("one", missing), ("two", {})):
            settings = sync_settings(tmp_path / name, reload="off", **fields)
            await hub.control.add_gateway(AddGateway(name=name, url="http://127.0.0.1:9", sync=settings))
        done = await hub.control.sync_run(SyncRun())
        assert [bool(report.problem) for report in done.reports] == [True, False]
        assert "gone" in done.reports[0].problem
        assert await states(hub) == {"ann": "in-step"}
        found = (await hub.control.attention(AttentionQuery())).attention
        assert ("sync_failed", "one") in {(one.kind, one.target) for one in found}
