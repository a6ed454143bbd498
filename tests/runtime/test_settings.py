from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError

MINIMAL = {"AGENT_ID": "a1", "HUB_URL": "ws://127.0.0.1:9090"}


def test_defaults() -> None:
    settings = Settings.from_environment(MINIMAL)
    assert settings.state_dir == Path("/var/lib/clawtui")
    assert settings.workspace == Path("/workspace")
    assert settings.messages_dir == Path("/workspace/.clawtui/inbox")
    assert (settings.concurrency, settings.sudo, settings.open_paths) == (4, False, ())


def test_everything_is_read() -> None:
    settings = Settings.from_environment(
        {
            **MINIMAL,
            "HUB_FILE": "/s/hub.json",
            "HUB_CA_FILE": "/s/ca.pem",
            "AGENT_TOKEN": "cta_x",
            "AGENT_TOKEN_FILE": "/s/token",
            "AGENT_STATE_DIR": "/s",
            "AGENT_WORKSPACE": "/w",
            "AGENT_CAPABILITIES": "gpu, node ,",
            "AGENT_CONCURRENCY": "7",
            "AGENT_SUDO": "1",
            "AGENT_OPEN_PATHS": "/data:/srv",
            "AGENT_DRAIN_SECONDS": "2.5",
            "AGENT_MESSAGES_DIR": "/m",
        }
    )
    assert settings.capabilities == ("gpu", "node")
    assert settings.open_paths == (Path("/data"), Path("/srv"))
    assert (settings.concurrency, settings.sudo, settings.drain_seconds) == (7, True, 2.5)
    assert (settings.token, settings.token_file) == ("cta_x", Path("/s/token"))
    assert (settings.hub_file, settings.messages_dir) == (Path("/s/hub.json"), Path("/m"))


def test_secrets_reach_neither_children_nor_a_log() -> None:
    settings = Settings.from_environment({**MINIMAL, "AGENT_TOKEN": "cta_secret", "AGENT_TOKEN_FILE": "/t", "X": "y"})
    assert settings.child_environment == {**MINIMAL, "X": "y"}
    assert "cta_secret" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"AGENT_ID": ""}, "AGENT_ID"),
        ({"AGENT_ID": "Upper"}, "AGENT_ID"),
        ({"AGENT_ID": "hub"}, "AGENT_ID"),
        ({"AGENT_ID": "a" * 41}, "AGENT_ID"),
        ({"AGENT_ID": "a\n"}, "AGENT_ID"),
        ({"HUB_URL": ""}, "HUB_URL"),
        ({"HUB_URL": "http://x"}, "HUB_URL"),
        ({"HUB_URL": "unix:relative"}, "HUB_URL"),
        ({"AGENT_STATE_DIR": "relative"}, "AGENT_STATE_DIR"),
        ({"AGENT_OPEN_PATHS": "/a:b"}, "AGENT_OPEN_PATHS"),
        ({"AGENT_CONCURRENCY": "many"}, "AGENT_CONCURRENCY"),
        ({"AGENT_CONCURRENCY": "0"}, "AGENT_CONCURRENCY"),
        ({"AGENT_CONCURRENCY": "nan"}, "AGENT_CONCURRENCY"),
        ({"AGENT_SUDO": "perhaps"}, "AGENT_SUDO"),
        ({"AGENT_DRAIN_SECONDS": "-1"}, "AGENT_DRAIN_SECONDS"),
    ],
)
def test_bad_values_are_refused_by_name(changes: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(MINIMAL | changes)
    assert caught.value.variable == variable
    assert variable in str(caught.value)
