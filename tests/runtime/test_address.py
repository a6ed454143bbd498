from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.address import Address, AddressError, find_address
from runtime.settings import Settings


def settings(**environment: str) -> Settings:
    return Settings.from_environment({"AGENT_ID": "a-1", **environment})


def test_the_resource_follows_the_base_url() -> None:
    assert find_address(settings(HUB_URL="ws://h:1/")) == Address("ws://h:1/agent/a-1")
    assert find_address(settings(HUB_URL="ws://h:1/base")) == Address("ws://h:1/base/agent/a-1")


def test_unix_sockets() -> None:
    assert find_address(settings(HUB_URL="unix:/run/hub.sock")) == Address(
        "ws://localhost/agent/a-1", socket="/run/hub.sock"
    )


def test_hub_json_is_read_every_time_and_wins(tmp_path: Path) -> None:
    file = tmp_path / "hub.json"
    chosen = settings(HUB_FILE=str(file), HUB_URL="ws://h:1")
    assert find_address(chosen).socket is None
    for path in ("/one.sock", "/two.sock"):
        file.write_text(json.dumps({"socket": path}))
        assert find_address(chosen).socket == path


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"socket": 7}', "{}"])
def test_an_unusable_hub_json_is_a_reason_to_try_again(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "hub.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AddressError, match=r"hub\.json"):
        find_address(settings(HUB_FILE=str(file)))


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="HUB_CA_FILE"):
        find_address(settings(HUB_URL="wss://h:1", HUB_CA_FILE=str(tmp_path / "none.pem")))
    assert find_address(settings(HUB_URL="wss://h:1")).context is not None
