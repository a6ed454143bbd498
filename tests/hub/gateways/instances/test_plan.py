"""From an order to a container, a Compose file and a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.core.instances import StoredInstance
from hub.drivers.cells import Capacity
from hub.drivers.cells_checks import check_plan
from hub.gateways.instances.model import Keys, Order, Paths, is_shared
from hub.gateways.instances.plan import (
    base_config,
    cell_plan,
    compose_document,
    environment_text,
    names_of,
    read_environment,
    secrets_of,
    with_limits,
)
from hub.gateways.kinds import find_kind
from hub.gateways.tiers import TierShelf

PATHS = Paths(Path("/state/gateways/acme"))
BIG = Capacity(cpus=8, memory_bytes=32 * 2**30, version="1", name="big")
SMALL = Capacity(cpus=2, memory_bytes=2 * 2**30, version="1", name="small", notes=("no limit of processes",))


def order(tier: str = "pro", kind: str = "official", **fields: Any) -> Order:
    image_kind = find_kind(kind)
    instance = StoredInstance(
        name="acme", uid="g_1", tier=tier, image_kind=kind, image="ghcr.io/openclaw/openclaw:2026.9.6", port=19100,
        subdomain="acme.example.com",
    )  # fmt: skip
    config = fields.pop("config", {})
    instance = names_of(replace(instance, **fields), image_kind)
    given = Order(
        instance=instance, tier=TierShelf(Path("/nowhere")).usable(tier), kind=image_kind, config=config,
        secrets=Keys(secrets_of(image_kind, "secret-token-1234", {"ANTHROPIC_API_KEY": "sk-ant-x"})),
        shared=is_shared(image_kind, "local"),
    )  # fmt: skip
    return with_limits(given, BIG)


@pytest.mark.parametrize("kind", ["official", "npm", "coollabsio"])
@pytest.mark.parametrize("tier", ["free", "pro", "enterprise"])
def test_every_plan_is_one_that_engines_take(kind: str, tier: str) -> None:
    check_plan(cell_plan(order(tier, kind), PATHS))


def test_no_secret_is_in_the_compose_file_the_configuration_or_a_print() -> None:
    given = order()
    plan = cell_plan(given, PATHS)
    for one in (compose_document(plan), base_config(given, 443), repr(plan), repr(given)):
        assert "secret-token-1234" not in str(one)
        assert "sk-ant-x" not in str(one)
    text = environment_text(given.secrets.values)
    assert read_environment(text) == {"ANTHROPIC_API_KEY": "sk-ant-x", "OPENCLAW_GATEWAY_TOKEN": "secret-token-1234"}


def test_the_compose_file_is_the_same_container() -> None:
    plan = cell_plan(order("free"), PATHS)
    service = compose_document(plan)["services"]["gateway"]
    assert service["container_name"] == plan.name == "openclaw-cell-acme"
    assert (service["cpus"], service["mem_limit"], service["pids_limit"]) == (0.5, 1536 * 2**20, 512)
    assert service["ports"] == ["127.0.0.1:19100:18789"]
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service["stop_grace_period"] == "330s"
    assert service["env_file"] == [".env"]


def test_what_the_machine_does_not_have_is_limited_and_said() -> None:
    given = with_limits(order("enterprise"), SMALL)
    assert given.instance.cpus == 2.0
    assert given.instance.memory_bytes is not None
    assert given.instance.memory_bytes < 2 * 2**30
    told = " ".join(given.instance.notes)
    assert "4 CPUs are more than small has" in told
    assert "4096 MiB of memory are more than small can give" in told
    assert "no limit of processes" in told


def test_what_is_not_enforced_is_said() -> None:
    told = " ".join(order("free").instance.notes)
    assert "at most 5 turns run at once" in told
    assert "100 MiB are not enforced" in told
    assert "ANTHROPIC_API_KEY" not in told


def test_the_configuration_has_the_tier_and_the_users_over_it() -> None:
    config = base_config(order("free", config={"agents": {"defaults": {"maxConcurrent": 2}}, "ui": {"x": 1}}), 8443)
    assert config["agents"]["defaults"]["maxConcurrent"] == 2
    assert config["agents"]["defaults"]["model"] == {"primary": "anthropic/claude-sonnet-4-5"}
    assert config["ui"] == {"x": 1}
    assert config["browser"] == {"enabled": False}
    gateway = config["gateway"]
    assert (gateway["bind"], gateway["mode"], gateway["auth"]) == ("lan", "local", {"mode": "token"})
    assert "trustedProxies" not in gateway
    assert "https://acme.example.com:8443" in gateway["controlUi"]["allowedOrigins"]


@pytest.mark.parametrize(
    ("image", "knows"),
    [("x:2026.9.6", True), ("x:2026.8.0-slim", True), ("x:2026.7.35", False), ("x:latest", False)],
)
def test_keys_that_older_versions_refuse_are_left_out(image: str, knows: bool) -> None:
    config = base_config(order(image=image), 443)
    assert ("telemetry" in config) is knows
    assert ("models" in config) is knows


def test_an_image_that_writes_its_configuration_keeps_it_in_its_volume() -> None:
    given = order(kind="coollabsio")
    plan = cell_plan(given, PATHS)
    assert plan.mounts == ()
    assert "OPENCLAW_CONFIG_READONLY" not in plan.environment
    assert plan.secrets["AUTH_PASSWORD"] == plan.secrets["OPENCLAW_GATEWAY_TOKEN"]
    assert base_config(given, 443)["gateway"]["trustedProxies"] == ["127.0.0.1"]
