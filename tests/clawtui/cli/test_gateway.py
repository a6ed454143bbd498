"""gateway: what the hub is asked for, and what is shown of its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from hub.contract import AddGateway, GatewayList, GatewayState, MountMapping, SyncSettings
from hub.errors import Conflict
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted_gateways import GATEWAY

Answers = Callable[..., None]


def test_gateways_are_listed_with_how_long_ago_they_were_seen(cli: CommandLine, answers: Answers) -> None:
    down = replace(GATEWAY, name="old", state=GatewayState.DOWN, reason="nobody answers there", roster=None)
    answers(gateways=GatewayList(gateways=[GATEWAY, down]))
    called = cli("gateway", "list")
    assert called.code == 0
    for text in ("main", "2026.9.6", "12 ms", "1m00s ago", "registry", "nobody answers there"):
        assert text in called.out
    lines = cli("gateway", "list", "--plain").out.splitlines()
    assert lines[0].split("\t")[:5] == ["main", "ready", "2026.9.6", "2", "12 ms"]
    assert cli("gateway", "list", "--json").json["gateways"][0]["roster"] == ["engineer", "qa"]
    answers(gateways=GatewayList(gateways=[]))
    assert "clawtui gateway add" in cli("gateway", "list").stderr


def test_one_is_shown_with_everything(cli: CommandLine) -> None:
    called = cli("gateway", "show", "main")
    assert cli.last("gateway") == ("main",)
    assert called.code == 0
    for text in ("engineer,qa", "/srv/token", "/srv/agents", "/srv/openclaw.json", "/srv:/data"):
        assert text in called.out


@pytest.mark.parametrize(
    ("state", "code"),
    [(GatewayState.DOWN, 1), (GatewayState.REFUSED, 1), (GatewayState.NOT_READY, 1), (GatewayState.UNKNOWN, 0)],
)
def test_show_ends_with_how_it_is(cli: CommandLine, answers: Answers, state: GatewayState, code: int) -> None:
    answers(gateway=replace(GATEWAY, state=state, reason="so it is", sync=None, roster=None, response_ms=None))
    called = cli("gateway", "show", "main")
    assert called.code == code
    assert "so it is" in called.out


def test_one_is_added(cli: CommandLine, answers: Answers) -> None:
    called = cli.line("gateway add main --url http://127.0.0.1:18789 --token-file /srv/token")
    assert called.code == 0, called.stderr
    assert cli.last("add_gateway") == (
        AddGateway(name="main", url="http://127.0.0.1:18789", token_file="/srv/token", sync=None),
    )
    answers(add_gateway=replace(GATEWAY, state=GatewayState.DOWN, reason="nobody answers there"))
    called = cli.line("gateway add main --url http://127.0.0.1:18789")
    assert called.code == 0
    assert "it is down now" in called.stderr


def test_the_hubs_own_token_file_stands_before_the_verb(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("ctu_x")
    called = cli.line(f"--token-file {tmp_path}/t gateway add main --url http://g:1 --token-file=/srv/token")
    assert called.code == 0, called.stderr
    assert cli.last("add_gateway")[0].token_file == "/srv/token"
    assert cli.settings is not None
    assert str(cli.settings.token_file) == f"{tmp_path}/t"
    called = cli.line(f"gateway list --token-file {tmp_path}/t")
    assert str(cli.settings.token_file) == f"{tmp_path}/t"


def test_relative_paths_are_those_of_the_caller(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.line("gateway add main --url http://g:1 --token-file token --workspaces agents --config o.json --mount x:/data")
    request = cli.last("add_gateway")[0]
    assert request.token_file == f"{tmp_path}/token"
    assert request.sync == SyncSettings(
        workspace_root=f"{tmp_path}/agents", config_path=f"{tmp_path}/o.json",
        mounts=[MountMapping(host=f"{tmp_path}/x", container="/data")],
    )  # fmt: skip


def test_a_sync_is_set_with_every_option_and_ended(cli: CommandLine) -> None:
    called = cli.line(
        "gateway sync main --source convex --workspaces /w --config /c.json --mount /w:/data --mount /x:y:/z"
        " --convex-url https://c.example --convex-account acct --convex-token-file /t --persona qa --persona engineer"
        " --shape list --reload restart --restart-command 'docker restart \"my openclaw\"' --container oc"
        " --agents-file /a.md"
        " --models-file /m.toml --system-agent qa --file-mode 0640 --folder-mode 0750 --owner 1000:1000 --interval 5m"
    )
    assert called.code == 0, called.stderr
    wanted = SyncSettings(
        source="convex", workspace_root="/w", config_path="/c.json",
        mounts=[MountMapping(host="/w", container="/data"), MountMapping(host="/x:y", container="/z")],
        convex_url="https://c.example", convex_account="acct", convex_token_file="/t", personas=["qa", "engineer"],
        shape="list", reload="restart", restart_command=["docker", "restart", "my openclaw"], container="oc",
        agents_file="/a.md",
        models_file="/m.toml", system_agent="qa", file_mode="0640", folder_mode="0750", owner="1000:1000",
        interval_seconds=300,
    )  # fmt: skip
    assert cli.last("set_gateway_sync") == ("main", wanted)
    assert cli.line("gateway sync main --source folder --folder /p --workspace-root /w --config-path /c").code == 0
    assert cli.last("set_gateway_sync")[1].folder == "/p"
    assert cli("gateway", "sync", "main", "--off").code == 0
    assert cli.last("set_gateway_sync") == ("main", None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("gateway sync main", "name the workspaces and the config, or --off"),
        ("gateway sync main --off --workspaces /w --config /c", "--off stands alone"),
        ("gateway sync main --workspaces /w", "needs the folder of the workspaces and the gateway's openclaw.json"),
        ("gateway sync main --source registry", "needs the folder"),
        ("gateway sync main --workspaces /w --config /c --mount /w", "is not HOST:CONTAINER"),
        ("gateway sync main --workspaces /w --config /c --interval soon", "is no length of time"),
        ("gateway sync main --workspaces /w --config /c --interval 0", "--interval is 1s to 24h"),
        ("gateway sync main --workspaces /w --config /c --interval 2d", "--interval is 1s to 24h"),
        ("gateway sync main --workspaces /w --config /c --restart-command '\"x'", "cannot be split"),
        ("gateway sync main --workspaces /w --config /c --source disk", "disk"),
        ("gateway add main", "--url"),
        ("gateway add --url http://x", "NAME"),
    ],
)
def test_what_cannot_be_meant(cli: CommandLine, line: str, says: str) -> None:
    called = cli.line(line)
    assert called.code == 2
    assert says in called.stderr
    assert cli.control.calls == []


def test_one_is_removed(cli: CommandLine, answers: Answers) -> None:
    called = cli("gateway", "remove", "main")
    assert called.code == 0
    assert cli.last("remove_gateway") == ("main",)
    assert "main is forgotten" in called.stderr
    answers(remove_gateway=Conflict("it is of the hub's settings", hint="change them"))
    called = cli("gateway", "remove", "main")
    assert called.code == 1
    assert "hint: change them" in called.stderr
