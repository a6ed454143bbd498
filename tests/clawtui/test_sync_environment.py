"""docs/sync.env.example is what the hub reads: every variable, and values that make a gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clawtui.root import hub_config
from clawtui.settings import SPECS, load_settings
from hub.errors import StartFailed
from hub.gateways.book import Gateway
from hub.gateways.environment import CONFIG_PATH, WORKSPACE_ROOT, environment_gateway

EXAMPLE = Path(__file__).parents[2] / "docs" / "sync.env.example"


def example() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def gateway(environ: dict[str, str]) -> Gateway | None:
    return environment_gateway(hub_config(load_settings(environ)).openclaw)


def test_every_variable_of_the_sync_is_in_the_example() -> None:
    known = {spec.env for spec in SPECS.values() if spec.row.hub.startswith("openclaw.") and spec.row.env}
    written = set(re.findall(r"(?m)^#?([A-Z][A-Z_]+)=", EXAMPLE.read_text()))
    assert written == known


def test_the_example_makes_a_gateway_with_convex_as_its_source() -> None:
    made = gateway(example())
    assert made is not None
    assert (made.url, made.token_file) == ("http://127.0.0.1:18789", "/run/secrets/openclaw-gateway-token")
    sync = made.sync
    assert sync is not None
    assert (sync.source, sync.convex_account) == ("convex", "k17d2b4a")
    assert (sync.workspace_root, sync.config_path) == (WORKSPACE_ROOT, CONFIG_PATH)
    assert [(mount.host, mount.container) for mount in sync.mounts] == [("/root/clawd", "/home/node/.openclaw")]
    assert sync.restart_command == ["docker", "restart", "openclaw"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OPENCLAW_PROFILE_SYNC": "true"}, (WORKSPACE_ROOT, CONFIG_PATH, "auto", "registry")),
        ({"OPENCLAW_WORKSPACE_ROOT": "/w"}, ("/w", CONFIG_PATH, "auto", "registry")),
        (
            {"OPENCLAW_CONFIG_PATH": "/c.json", "OPENCLAW_CONFIG_RELOAD": "off"},
            (WORKSPACE_ROOT, "/c.json", "off", "registry"),
        ),
        ({"OPENCLAW_CONFIG_PATH": "/c.json", "OPENCLAW_PROFILE_SYNC": "false"}, None),
        (
            {"OPENCLAW_PROFILE_SYNC": "true", "OPENCLAW_PROFILES_FOLDER": "/p"},
            (WORKSPACE_ROOT, CONFIG_PATH, "auto", "folder"),
        ),
    ],
)
def test_which_variables_make_a_sync(environ: dict[str, str], expected: tuple[str, ...] | None) -> None:
    made = gateway(environ)
    sync = made.sync if made else None
    assert (sync and (sync.workspace_root, sync.config_path, sync.reload, sync.source)) == expected


def test_the_container_of_the_gateway_restarts_it_without_a_command() -> None:
    environ = {**example(), "OPENCLAW_GATEWAY_CONTAINER": "oc", "OPENCLAW_CONFIG_RELOAD": "restart"}
    made = gateway({**environ, "OPENCLAW_RESTART_COMMAND": "", "OPENCLAW_MOUNTS": ""})
    assert made is not None
    assert made.sync is not None
    assert (made.sync.container, made.sync.restart_command, made.sync.mounts) == ("oc", [], [])


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"OPENCLAW_MOUNTS": "/root/clawd"}, "OPENCLAW_MOUNTS"),
        ({"CONVEX_ACCOUNT_ID": ""}, "convexAccount"),
        ({"CONVEX_SERVICE_TOKEN_FILE": ""}, "convexTokenFile"),
        ({"CONVEX_URL": "happy-animal"}, "convexUrl"),
        ({"OPENCLAW_GATEWAY_URL": "nonsense"}, "OPENCLAW_GATEWAY_URL"),
    ],
)
def test_what_is_wrong_in_it_is_named(environ: dict[str, str], field: str) -> None:
    with pytest.raises(StartFailed) as caught:
        gateway({**example(), **environ})
    assert field in (caught.value.field or "")
    assert caught.value.hint
