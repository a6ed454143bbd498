"""Addresses, paths and settings of a sync: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.contract import MountMapping, SyncSettings
from hub.errors import BadRequest, Conflict
from hub.gateways.checking import check_clashes, check_path, check_sync, check_url

RIGHT = SyncSettings(workspace_root="/srv/agents", config_path="/srv/openclaw.json")


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://127.0.0.1:18789", "http://127.0.0.1:18789"),
        ("https://gateway.example/", "https://gateway.example"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://proxy/openclaw/", "http://proxy/openclaw"),
    ],
)
def test_addresses(url: str, plain: str) -> None:
    assert check_url(url) == plain


@pytest.mark.parametrize(
    "url",
    ["", "gateway", "ws://x", "http://", "http://x:99999", "http://x:a", "http://x y", "http://x?a=b", "http://x#a",
     "http://[::1", "http://x\n", "file:///etc/passwd", "http://ü"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_url(url)
    assert caught.value.field == "url"


@pytest.mark.parametrize("url", ["http://user:hunter2@gateway:1", "http://hunter2@gateway", "http://a:hunter2@[x"])
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_url(url)
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("path", ["agents", "~/agents", "/a/../etc", "/a\nb", "/" + "a" * 2000])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(BadRequest):
        check_path(path, "f")


def test_paths_are_made_plain() -> None:
    checked = check_sync(msgspec.structs.replace(RIGHT, workspace_root="//srv//agents/./x/"))

    assert checked.workspace_root == "/srv/agents/x"


def changed(**fields: Any) -> SyncSettings:
    return msgspec.structs.replace(RIGHT, **fields)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (changed(workspace_root="agents"), "workspaceRoot"),
        (changed(workspace_root="/"), "workspaceRoot"),
        (changed(config_path="x.json"), "configPath"),
        (changed(file_mode="0777x"), "fileMode"),
        (changed(file_mode="044"), "fileMode"),
        (changed(folder_mode="0644"), "folderMode"),
        (changed(owner="root"), "owner"),
        (changed(owner="1000:"), "owner"),
        (changed(source="folder"), "folder"),
        (changed(folder="/x"), "folder"),
        (changed(source="folder", folder="x"), "folder"),
        (changed(source="convex", convex_url="http://c", convex_account="a"), "convexTokenFile"),
        (changed(source="convex", convex_url="c", convex_account="a", convex_token_file="/t"), "convexUrl"),
        (changed(convex_url="http://c"), "convexUrl"),
        (changed(personas=["Engineer"]), "personas"),
        (changed(system_agent="../x"), "systemAgent"),
        (changed(agents_file="AGENTS.md"), "agentsFile"),
        (changed(models_file="../m"), "modelsFile"),
        (changed(reload="restart"), "restartCommand"),
        (changed(restart_command=["", "x"]), "restartCommand"),
        (changed(container="a b"), "container"),
        (changed(container="-rm"), "container"),
        (changed(mounts=[MountMapping(host="x", container="/y")]), "mounts[0].host"),
        (changed(mounts=[MountMapping(host="/x", container="y")]), "mounts[0].container"),
        (changed(mounts=[MountMapping(host="/x", container="/y")] * 2), "mounts[1].host"),
    ],
)
def test_wrong_settings_are_named_by_their_field(settings: SyncSettings, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_sync(settings, "sync.")
    assert caught.value.field == f"sync.{field}"


def test_convex_needs_no_file_where_its_token_is_known_otherwise() -> None:
    settings = changed(source="convex", convex_url="https://c.example/", convex_account="a")

    assert check_sync(settings, has_token=True).convex_url == "https://c.example"


@pytest.mark.parametrize(
    ("mine", "theirs", "field"),
    [
        (("/srv/agents", "/a"), ("/srv/agents", "/b"), "workspaceRoot"),
        (("/srv/agents/x", "/a"), ("/srv/agents", "/b"), "workspaceRoot"),
        (("/srv", "/a"), ("/srv/agents", "/b"), "workspaceRoot"),
        (("/srv/one", "/a"), ("/srv/two", "/a"), "configPath"),
    ],
)
def test_two_syncs_never_write_the_same_files(mine: tuple[str, str], theirs: tuple[str, str], field: str) -> None:
    ours = SyncSettings(workspace_root=mine[0], config_path=mine[1])
    others = {"other": SyncSettings(workspace_root=theirs[0], config_path=theirs[1])}

    with pytest.raises(Conflict) as caught:
        check_clashes("mine", ours, others)
    assert caught.value.field == field
    assert "other" in caught.value.message
    check_clashes("other", ours, others)
    check_clashes("mine", None, others)


def test_neighbours_with_like_names_are_fine() -> None:
    one = SyncSettings(workspace_root="/srv/agents", config_path="/srv/a.json")

    check_clashes("x", one, {"y": SyncSettings(workspace_root="/srv/agents2", config_path="/srv/b.json")})
