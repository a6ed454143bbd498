"""Where the hub is found, and with which token."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawtui.address import Address, find_hub, on_loopback
from clawtui.errors import NoHub, UsageError
from clawtui.settings import Settings

HUB_JSON = b"""{"pid": 1, "startedAt": "x", "hubId": "h", "version": "1", "socket": "%s/hub.sock",
"agents": {"url": "ws://127.0.0.1:9090"}, "api": {"url": "http://127.0.0.1:9091"}, "more": []}"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "hub.json").write_bytes(HUB_JSON % str(tmp_path).encode())
    (tmp_path / "token").write_text("ctu_local\n")
    return tmp_path


def test_the_local_hub_is_found_by_its_file_with_its_token(home: Path) -> None:
    assert find_hub(Settings(home=home)) == Address("http://hub", home / "hub.sock", "ctu_local")


def test_without_a_socket_its_api_is_used(home: Path) -> None:
    (home / "hub.json").write_text('{"api": {"url": "http://127.0.0.1:9091"}}')
    assert find_hub(Settings(home=home)) == Address("http://127.0.0.1:9091", None, "ctu_local")


def test_no_file_is_no_hub_and_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoHub, match=str(tmp_path)) as raised:
        find_hub(Settings(home=tmp_path))
    assert raised.value.hint == "start one: clawtui --serve"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_file_that_cannot_be_understood_is_no_hub(home: Path, text: str) -> None:
    (home / "hub.json").write_text(text)
    with pytest.raises(NoHub, match="cannot be understood"):
        find_hub(Settings(home=home))


def test_a_hub_elsewhere_gets_the_named_token_and_never_the_local_one(home: Path) -> None:
    assert find_hub(Settings(home=home, hub="https://h:1/")) == Address("https://h:1", None, "")
    assert find_hub(Settings(home=home, hub="https://h:1", token="t")).token == "t"
    assert find_hub(Settings(home=home, hub="unix:/x/hub.sock")).socket == Path("/x/hub.sock")


def test_a_token_file_on_the_command_line_is_stronger_than_a_token_in_the_environment(home: Path) -> None:
    settings = Settings(hub="http://h").overridden({"token": "weak"}, "CLAWTUI_TOKEN")
    named = settings.overridden({"token_file": str(home / "token")})
    assert (find_hub(settings).token, find_hub(named).token) == ("weak", "ctu_local")


def test_a_token_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        find_hub(Settings(hub="http://h", token_file=tmp_path / "none"))


@pytest.mark.parametrize("url", ["ftp://h", "hub.example:9091", "/x"])
def test_an_address_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a hub"):
        find_hub(Settings(hub=url))


def test_the_token_is_a_header(home: Path) -> None:
    assert find_hub(Settings(home=home)).headers == {"Authorization": "Bearer ctu_local"}
    assert Address("http://h", None, "").headers == {}


def test_loopback_addresses() -> None:
    assert [on_loopback(url) for url in ("http://127.0.0.2:1", "http://[::1]:1", "http://localhost")] == [True] * 3
    assert not on_loopback("http://hub.example")
