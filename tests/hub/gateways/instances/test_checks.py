"""Which wishes are right: one problem per field, and no value of a secret in any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.contract import ProvisionGateway
from hub.core.instances import StoredInstance
from hub.gateways.instances.checks import Facts, Refused, check
from hub.gateways.tiers import Tier, TierShelf

KEY = "sk-ant-abcdefghijklmnopqrstuvwxyz"
OTHER = StoredInstance(
    name="other", uid="g_1", tier="pro", image_kind="official", image="x:1", port=19100, customer="globex",
    subdomain="globex.example.com",
)  # fmt: skip

NOTHING = Facts()


def usable(name: str) -> Tier:
    return TierShelf(Path("/nowhere")).usable(name)


def small(name: str) -> Tier:
    return replace(usable(name), memory_bytes=512 * 2**20)


def problems(request: ProvisionGateway, facts: Facts = NOTHING, find: Any = usable) -> dict[str, str]:
    with pytest.raises(Refused) as caught:
        check(request, find, facts)
    return {field: message for field, message, _ in caught.value.problems}


def test_a_right_wish() -> None:
    request = ProvisionGateway(name="acme", subdomain="acme.example.com", keys={"ANTHROPIC_API_KEY": KEY})
    found = check(request, usable, Facts(instances=[OTHER], gateways=["other"]))
    assert (found.tier.name, found.kind.name, found.image) == ("pro", "official", "ghcr.io/openclaw/openclaw:latest")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a" * 41, "a/b", "ä"])
def test_names_are_those_of_tenants(name: str) -> None:
    assert "name" in problems(ProvisionGateway(name=name))


@pytest.mark.parametrize("domain", ["x", "Acme.com", "a..b", "-a.com", "a.com:80", "https://a.com", "a." * 130 + "com"])
def test_subdomains_are_names_of_hosts(domain: str) -> None:
    assert set(problems(ProvisionGateway(name="acme", subdomain=domain))) == {"subdomain"}


def test_what_somebody_has_is_refused() -> None:
    request = ProvisionGateway(name="other", customer="globex", subdomain="globex.example.com", port=19100)
    found = problems(request, Facts(instances=[OTHER], gateways=["other"]))
    assert set(found) == {"name", "customer", "subdomain", "port"}
    assert problems(ProvisionGateway(name="a", port=19200), Facts(busy_ports={19200}))["port"].endswith(
        "another program"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANTHROPIC_API_KEY", ""),
        ("ANTHROPIC_API_KEY", "sk-ant-short"),
        ("ANTHROPIC_API_KEY", "sk-proj-abcdefghijklmnopqrstuvwxyz"),
        ("OPENAI_API_KEY", KEY),
        ("SOME_KEY", "two words here"),
        ("SOME_KEY", "with$dollar1234"),
        ("SOME_KEY", "line\nbreak12345"),
        ("SOME_KEY", "x" * 513),
        ("OPENCLAW_GATEWAY_TOKEN", "abcdefghijklmnop"),
        ("PATH", "abcdefghijklmnop"),
        ("some_key", "abcdefghijklmnop"),
    ],
)
def test_keys_have_the_form_of_their_provider_and_are_never_repeated(name: str, value: str) -> None:
    with pytest.raises(Refused) as caught:
        check(ProvisionGateway(name="acme", keys={name: value}), usable, Facts())
    assert [field for field, _, _ in caught.value.problems] == [f"keys.{name}"]
    assert not value or value not in f"{caught.value} {caught.value.problems}"


def test_a_channel_that_the_tier_does_not_have() -> None:
    keys = {"TELEGRAM_BOT_TOKEN": "123456789:" + "a" * 35}
    check(ProvisionGateway(name="acme", keys=keys), usable, Facts())
    config = {"channels": {"telegram": {}}}
    found = problems(ProvisionGateway(name="acme", tier="free", keys=keys, config=config))
    assert set(found) == {"keys.TELEGRAM_BOT_TOKEN", "config.channels.telegram"}


def test_too_little_memory_is_refused_with_the_reason_unless_it_is_forced() -> None:
    found = problems(ProvisionGateway(name="acme", tier="free"), find=small)
    assert "512 MiB" in found["tier"]
    assert "900 MiB" in found["tier"]
    assert check(ProvisionGateway(name="acme", tier="free", force=True), small, Facts()).tier.memory_bytes < 2**30


def test_what_the_hub_sets_in_the_configuration_stays_its_own() -> None:
    config = {"gateway": {"port": 1, "bind": "auto", "controlUi": {}}}
    assert set(problems(ProvisionGateway(name="acme", config=config))) == {"config.gateway.port", "config.gateway.bind"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": "Not An Image"}, "image"),
        ({"image": "a:1", "version": "2026.9.6"}, "version"),
        ({"image_kind": "npm", "version": "latest"}, "version"),
        ({"image_kind": "vm"}, "image_kind"),
        ({"platform": "amd64"}, "platform"),
        ({"host": "moon"}, "host"),
        ({"gateway_token": "short"}, "gatewayToken"),
        ({"folder": "/srv"}, "folder"),
        ({"source": "folder", "folder": "srv"}, "folder"),
        ({"source": "convex"}, "source"),
        ({"image_kind": "coollabsio"}, "keys"),
        ({"image_kind": "coollabsio", "keys": {"ANTHROPIC_API_KEY": KEY}, "source": "registry"}, "source"),
    ],
)
def test_one_wrong_field(fields: dict[str, Any], field: str) -> None:
    assert set(problems(ProvisionGateway(name="acme", **fields))) == {field}
