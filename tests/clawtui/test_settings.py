"""Where a setting comes from, which source wins, and what is said of mistakes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clawtui.errors import UsageError
from clawtui.settings import SPECS, Settings, config_path, load_settings, read_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('port_api = 1\nport_agents = 1\nlog_level = "debug"\ndrivers = ["process"]\n')
    return path


def test_the_command_line_is_stronger_than_the_environment_than_the_file_than_the_default(file: Path) -> None:
    environ = {"CLAWTUI_PORT_AGENTS": "2", "CLAWTUI_PORT_API": "2"}
    settings = load_settings(environ, {"port_api": "3"}, file)
    assert (settings.port_api, settings.origin("port_api")) == (3, "command line")
    assert (settings.port_agents, settings.origin("port_agents")) == (2, "CLAWTUI_PORT_AGENTS")
    assert (settings.log_level, settings.origin("log_level")) == ("debug", str(file))
    assert (settings.hub, settings.origin("hub")) == ("", "default")
    assert settings.drivers == ("process",)


def test_an_unknown_key_of_the_file_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("port_apl = 1")
    with pytest.raises(UsageError, match="no setting 'port_apl'") as raised:
        load_settings({}, None, path)
    assert "port_api" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port_api = 70000", "setting port_api from .*at most 65535"),
        ("port_api = true", "whole number"),
        ("port_api = 1.5", "whole number"),
        ("queue_tasks = -1", "negative"),
        ("lease_seconds = nan", "finite"),
        ("lease_seconds = 'x'", "number"),
        ("insecure_listen = 'maybe'", "true or false"),
        ("insecure_listen = 1", "true or false"),
        ("log_level = 'loud'", "one of debug"),
        ("drivers = [1]", "text"),
        ("hub = 1", "text"),
        ("port_api = ", "cannot read the settings file"),
        ("output_bytes = '1X'", "number"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_setting(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        load_settings({}, None, path)


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    with pytest.raises(UsageError, match="CLAWTUI_PORT_API"):
        load_settings({"CLAWTUI_PORT_API": "x", "HOME": "/nowhere"})


@pytest.mark.parametrize(("text", "size_bytes"), [("10g", 10 * 1024**3), ("512MiB", 512 * 1024**2), ("7", 7)])
def test_sizes_have_units(text: str, size_bytes: int) -> None:
    assert Settings().overridden({"output_bytes": text}).output_bytes == size_bytes


def test_lists_have_commas() -> None:
    settings = Settings().overridden({"listen_api": "127.0.0.1, ::1,"})
    assert settings.listen_api == ("127.0.0.1", "::1")


def test_a_file_that_nobody_named_may_be_absent_but_a_named_one_may_not(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none.toml", required=False) == {}
    with pytest.raises(UsageError, match="does not exist"):
        load_settings({"CLAWTUI_CONFIG": str(tmp_path / "none.toml")})


def test_the_file_is_the_named_one_else_in_the_users_configuration_folder(tmp_path: Path) -> None:
    assert config_path({"CLAWTUI_CONFIG": str(tmp_path / "x.toml")}) == tmp_path / "x.toml"
    assert config_path({}).name == "config.toml"


def test_the_state_folder_is_the_named_one_else_the_platforms() -> None:
    assert Settings(home=Path("/x")).state_folder == Path("/x")
    assert Settings().state_folder.is_absolute()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().hub = "x"  # pyright: ignore[reportAttributeAccessIssue]


def test_none_changes_nothing_and_no_name_is_invented() -> None:
    assert Settings().overridden({"hub": None}) == Settings()
    assert set(SPECS) == {field.name for field in dataclasses.fields(Settings)} - {"origins"}


def test_secrets_have_no_flag() -> None:
    assert [spec.name for spec in SPECS.values() if spec.row.secret and spec.flag] == []


def test_a_gateway_of_the_environment_is_set_by_the_names_that_openclaw_has() -> None:
    environ = {
        "OPENCLAW_WORKSPACE_ROOT": "/w",
        "OPENCLAW_CONFIG_RELOAD": "HOT",
        "OPENCLAW_PROFILE_SYNC": "false",
        "OPENCLAW_RESTART_COMMAND": "docker restart 'my gateway'",
        "CONVEX_SERVICE_TOKEN": "secret",
    }
    settings = load_settings(environ, config=None)
    assert settings.openclaw_workspace_root == Path("/w")
    assert (settings.openclaw_config_reload, settings.openclaw_profile_sync) == ("hot", False)
    assert settings.openclaw_restart_command == ("docker", "restart", "my gateway")
    assert settings.origin("convex_service_token") == "CONVEX_SERVICE_TOKEN"
    assert load_settings({}).openclaw_profile_sync is None


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OPENCLAW_CONFIG_RELOAD", "maybe", "one of auto, hot, restart, off"),
        ("OPENCLAW_PROFILE_SYNC", "perhaps", "true or false"),
        ("OPENCLAW_RESTART_COMMAND", "restart 'it", "quotation"),
    ],
)
def test_a_wrong_value_of_openclaws_variables_names_the_variable(variable: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"{variable}: .*{says}"):
        load_settings({variable: value})
