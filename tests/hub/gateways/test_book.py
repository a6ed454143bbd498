"""Gateways of a running hub: added, kept over a restart, synced, removed; those of the settings; the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config import Openclaw
from hub.contract import AddGateway, GatewayState, PageQuery, SyncSettings
from hub.errors import BadRequest, Conflict, NotFound, StartFailed, StorageFull
from tests.faults.test_full_disk import stuffed
from tests.hub.gateways.fake_gateway import FakeGateway
from tests.hub.running import RunningHub, running_hub, short_folder

TOKEN = "gateway-token"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def sync(root: str = "/srv/agents", config: str = "/srv/openclaw.json") -> SyncSettings:
    return SyncSettings(workspace_root=root, config_path=config)


async def acts(hub: RunningHub) -> list[tuple[str, str, str]]:
    return [(entry.what, entry.target, entry.detail) for entry in (await hub.control.audit(PageQuery())).audit]


async def test_a_gateway_is_seen_when_it_is_added_and_known_after_a_restart(token_file: Path) -> None:
    with short_folder() as folder:
        async with FakeGateway().serving() as gateway:
            request = AddGateway(name="main", url=gateway.url + "/", token_file=str(token_file), sync=sync())
            async with running_hub(folder) as hub:
                view = await hub.control.add_gateway(request)
                assert (view.state, view.version, view.roster) == (
                    GatewayState.READY, "2026.9.6", ["engineer", "qa"],
                )  # fmt: skip
                assert view.url == gateway.url
                assert view.checked_at is not None
                assert view.ready_at is not None
                assert view.origin == "added"
                # The same again is fine, also without its sync.
                assert (await hub.control.add_gateway(request)).name == "main"
                assert (await hub.control.add_gateway(
                    AddGateway(name="main", url=gateway.url, token_file=str(token_file))
                )).sync == sync()  # fmt: skip
                assert [what for what, *_ in await acts(hub)].count("gateway.add") == 1
            async with running_hub(folder) as hub:
                assert (await hub.control.gateways()).gateways[0].sync == sync()
                assert (await hub.control.gateway("main")).state is GatewayState.READY
        assert not [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


async def test_another_one_under_its_name_is_refused() -> None:
    async with running_hub() as hub:
        await hub.control.add_gateway(AddGateway(name="main", url="http://127.0.0.1:1"))
        with pytest.raises(Conflict) as caught:
            await hub.control.add_gateway(AddGateway(name="main", url="http://127.0.0.1:2"))
        assert caught.value.code == "gateway_exists"


async def test_what_is_wrong_changes_nothing(tmp_path: Path) -> None:
    async with running_hub() as hub:
        for request, field in (
            (AddGateway(name="Main", url="http://x"), "name"),
            (AddGateway(name="main", url="x"), "url"),
            (AddGateway(name="main", url="http://x", token_file="token"), "tokenFile"),
            (AddGateway(name="main", url="http://x", token_file=str(tmp_path / "missing")), "tokenFile"),
            (AddGateway(name="main", url="http://x", sync=sync(root="x")), "sync.workspaceRoot"),
        ):
            with pytest.raises(BadRequest) as caught:
                await hub.control.add_gateway(request)
            assert caught.value.field == field
        assert (await hub.control.gateways()).gateways == []
        assert [what for what, *_ in await acts(hub) if what.startswith("gateway")] == []


async def test_a_token_file_that_others_may_read_is_said(token_file: Path) -> None:
    token_file.chmod(0o644)
    async with FakeGateway().serving() as gateway, running_hub() as hub:
        view = await hub.control.add_gateway(AddGateway(name="g", url=gateway.url, token_file=str(token_file)))
        assert view.state is GatewayState.READY
        assert f"chmod 600 {token_file}" in view.reason
        token_file.unlink()
        gone = await hub.control.gateway("g")
        assert gone.state is GatewayState.REFUSED
        assert "No such file" in gone.reason


async def test_a_sync_is_set_changed_and_ended() -> None:
    async with running_hub() as hub:
        control = hub.control
        await control.add_gateway(AddGateway(name="a", url="http://127.0.0.1:1", sync=sync()))
        await control.add_gateway(AddGateway(name="b", url="http://127.0.0.1:1"))
        changed: list[str] = []
        hub.hub.gateways.book.on_change(changed.append)

        with pytest.raises(Conflict) as caught:
            await control.set_gateway_sync("b", sync(config="/srv/other.json"))
        assert caught.value.code == "sync_clash"
        assert "gateway a" in caught.value.message
        other = sync("/srv/b", "/srv/b.json")
        assert (await control.set_gateway_sync("b", other)).sync == other
        await control.set_gateway_sync("b", other)
        assert (await control.set_gateway_sync("a", None)).sync is None
        assert (await control.set_gateway_sync("b", sync())).sync == sync()

        assert changed == ["b", "a", "b"]
        written = [detail for what, _, detail in await acts(hub) if what == "gateway.sync"]
        assert written == ["registry -> /srv/agents", "off", "registry -> /srv/b"]
        with pytest.raises(NotFound) as missing:
            await control.set_gateway_sync("c", None)
        assert "a, b" in missing.value.hint


async def test_a_folder_with_two_names_is_one_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with running_hub() as hub:
        for name, folder in (("one", "real"), ("two", "link")):
            settings = sync(str(tmp_path / folder / "agents"), str(tmp_path / f"{name}.json"))
            request = AddGateway(name=name, url="http://127.0.0.1:1", sync=settings)
            if name == "one":
                await hub.control.add_gateway(request)
                continue
            with pytest.raises(Conflict) as caught:
                await hub.control.add_gateway(request)
            assert (caught.value.code, caught.value.field) == ("sync_clash", "workspaceRoot")
            assert (await hub.control.set_gateway_sync("one", settings)).sync == settings


async def test_a_removed_gateway_is_gone_and_its_name_is_free() -> None:
    with short_folder() as folder:
        async with running_hub(folder) as hub:
            await hub.control.add_gateway(AddGateway(name="a", url="http://127.0.0.1:1", sync=sync()))
            await hub.control.remove_gateway("a")
            with pytest.raises(NotFound):
                await hub.control.gateway("a")
            with pytest.raises(NotFound):
                await hub.control.remove_gateway("a")
            assert (await acts(hub))[0] == ("gateway.remove", "a", "http://127.0.0.1:1")
            entries = (await hub.control.journal(PageQuery())).journal
            assert entries[0].command == "clawtui gateway remove a"
            assert entries[0].why_not == "add it again; its token file was left as it is"
        async with running_hub(folder) as hub:
            assert (await hub.control.gateways()).gateways == []
            await hub.control.add_gateway(AddGateway(name="a", url="http://127.0.0.1:2"))


async def test_nothing_is_known_that_could_not_be_kept() -> None:
    async with running_hub() as hub:
        await hub.control.add_gateway(AddGateway(name="a", url="http://127.0.0.1:1"))
        with stuffed(hub.folder):
            with pytest.raises(StorageFull):
                await hub.control.add_gateway(AddGateway(name="b", url="http://127.0.0.1:1"))
            with pytest.raises(StorageFull):
                await hub.control.remove_gateway("a")
            assert [one.name for one in (await hub.control.gateways()).gateways] == ["a"]


async def test_the_settings_gateway_is_there_and_is_not_changed_here(tmp_path: Path) -> None:
    async with FakeGateway().serving() as gateway:
        given = Openclaw(
            gateway_url=gateway.url, gateway_token=TOKEN, workspace_root=tmp_path / "agents",
            config_path=tmp_path / "openclaw.json", mounts=(f"{tmp_path}=/data",), profiles_folder=tmp_path / "p",
        )  # fmt: skip
        async with running_hub(openclaw=given) as hub:
            view = await hub.control.gateway("openclaw")
            assert (view.state, view.origin) == (GatewayState.READY, "environment")
            assert view.sync is not None
            assert (view.sync.source, view.sync.folder) == ("folder", str(tmp_path / "p"))
            assert [(one.host, one.container) for one in view.sync.mounts] == [(str(tmp_path), "/data")]
            for change in (hub.control.remove_gateway("openclaw"), hub.control.set_gateway_sync("openclaw", None)):
                with pytest.raises(Conflict) as caught:
                    await change
                assert caught.value.code == "environment_gateway"
            with pytest.raises(Conflict):
                await hub.control.add_gateway(AddGateway(name="openclaw", url=gateway.url))
            clash = sync(str(tmp_path / "agents" / "below"))
            with pytest.raises(Conflict):
                await hub.control.add_gateway(AddGateway(name="b", url="http://127.0.0.1:1", sync=clash))
            assert TOKEN not in repr(hub.hub.gateways.book.all())


async def test_a_sync_that_the_settings_gateway_takes_over_rests(tmp_path: Path) -> None:
    """It was there before the settings were; two would archive each other's personas."""
    with short_folder() as folder:
        async with running_hub(folder) as hub:
            for name, place in (("a", tmp_path / "agents"), ("b", tmp_path / "others")):
                settings = sync(str(place), str(tmp_path / f"{name}.json"))
                await hub.control.add_gateway(AddGateway(name=name, url="http://127.0.0.1:1", sync=settings))
        given = Openclaw(workspace_root=tmp_path / "agents", config_path=tmp_path / "openclaw.json")
        async with running_hub(folder, openclaw=given) as hub:
            synced = [view.name for view in (await hub.control.gateways()).gateways if view.sync is not None]
            assert synced == ["b", "openclaw"]
            notices = hub.kernel.notices.current(hub.kernel.now())
            assert any("gateway a is not synced" in notice for notice in notices)
        async with running_hub(folder) as hub:
            assert (await hub.control.gateway("a")).sync is not None


async def test_the_settings_gateway_has_the_places_of_an_ordinary_openclaw() -> None:
    async with running_hub(openclaw=Openclaw(profile_sync=True)) as hub:
        (view,) = (await hub.control.gateways()).gateways
        assert view.sync == sync("/root/clawd/agents", "/root/clawd/openclaw.json")
        assert (await hub.control.gateway("openclaw")).state is GatewayState.UNKNOWN


async def test_a_sync_that_is_switched_off_leaves_the_address() -> None:
    given = Openclaw(profile_sync=False, workspace_root=Path("/w"), gateway_url="http://127.0.0.1:1")
    async with running_hub(openclaw=given) as hub:
        (view,) = (await hub.control.gateways()).gateways
        assert (view.url, view.sync) == ("http://127.0.0.1:1", None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Openclaw(gateway_url="ws://x"), "OPENCLAW_GATEWAY_URL"),
        (Openclaw(workspace_root=Path("agents")), "workspaceRoot"),
        (Openclaw(profile_sync=True, mounts=("/a",)), "OPENCLAW_MOUNTS"),
        (Openclaw(profile_sync=True, convex_url="http://c"), "convexAccount"),
    ],
)
async def test_wrong_settings_keep_the_hub_from_starting_and_say_which(given: Openclaw, field: str) -> None:
    with pytest.raises(StartFailed) as caught:
        async with running_hub(openclaw=given):
            pass
    assert caught.value.code == "openclaw_settings"
    assert caught.value.field == field


async def test_one_that_was_added_is_hidden_by_one_of_the_settings() -> None:
    with short_folder() as folder:
        async with running_hub(folder) as hub:
            await hub.control.add_gateway(AddGateway(name="openclaw", url="http://127.0.0.1:1"))
        async with running_hub(folder, openclaw=Openclaw(gateway_url="http://127.0.0.1:2")) as hub:
            (view,) = (await hub.control.gateways()).gateways
            assert view.url == "http://127.0.0.1:2"
            assert any("hides" in problem for problem in (await hub.control.health()).problems)
        async with running_hub(folder) as hub:
            assert (await hub.control.gateways()).gateways[0].url == "http://127.0.0.1:1"
