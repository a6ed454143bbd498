"""What is said about which instance: rules over facts, and a look at instances on an engine in memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hub.contract import GatewayFinding
from hub.core.instances import LOCAL_HOST, StoredInstance
from hub.drivers.cells import Capacity, CellPort, CellSeen, CellState
from hub.drivers.fake.cells_engine import CellStep
from hub.errors import NotAvailable
from hub.gateways.instances.inspecting import FileSeen, InstanceFacts, inspect_host, inspect_instance, is_pinned
from tests.hub.gateways.instances.provisioned import (
    IMAGE,
    KEY,
    TOKEN,
    answering,
    engine_hub,
    new_engine,
    order,
    provisioned,
)

GIB = 2**30
INSTANCE = StoredInstance(
    name="acme",
    uid="u1",
    tier="pro",
    image_kind="official",
    image=IMAGE,
    port=19100,
    version="2026.9.6",
    network_gateway="172.20.0.1",
    memory_bytes=2 * GIB,
)
SEEN = CellSeen(
    handle=None,
    name="openclaw-cell-acme",
    container="c" * 64,
    state=CellState.RUNNING,
    ports=(CellPort(19100, 18789),),
    memory_bytes=2 * GIB,
)


def config(**gateway: Any) -> str:
    return msgspec.json.encode({"gateway": gateway}).decode()


FACTS = InstanceFacts(
    instance=INSTANCE,
    files=(FileSeen("/s/gateways/acme", 0o700), FileSeen("/s/gateways/acme/.env", 0o600)),
    seen=SEEN,
    config=config(),
    config_path="/s/gateways/acme/shared/openclaw.json",
)


def test_nothing_is_said_about_one_that_is_in_order() -> None:
    assert inspect_instance(FACTS) == []


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"seen": replace(SEEN, ports=(CellPort(19100, 18789, "0.0.0.0"),))}, "ports", "19100 is open on 0.0.0.0"),
        ({"seen": replace(SEEN, ports=(CellPort(19100, 18789, ""),))}, "ports", "every address"),
        ({"seen": replace(SEEN, ports=(CellPort(19100, 18789, "::"),))}, "ports", "open on ::"),
        ({"seen": None, "unseen": "no engine"}, "container", "no engine"),
        ({"files": (FileSeen("/s/.env", 0o640),)}, "files", "mode 0640"),
        ({"files": (FileSeen("/s/token", 0o604),)}, "files", "mode 0604"),
        ({"files": (FileSeen("/s/.env", None),)}, "files", "not there"),
        ({"files": (FileSeen("/s/.env", 0o600, is_mine=False),)}, "files", "another user"),
        ({"instance": replace(INSTANCE, image="ghcr.io/openclaw/openclaw:latest")}, "image", "another image"),
        ({"seen": replace(SEEN, memory_bytes=None)}, "memory", "no memory limit"),
        ({"seen": replace(SEEN, memory_bytes=GIB)}, "memory", "1024 MiB is less"),
        ({"seen": replace(SEEN, oom_killed=True)}, "memory", "more memory than its limit"),
        ({"config": None, "unread": "No such file"}, "config", "No such file"),
        ({"config": "{ not: closed"}, "config", "refuse"),
        ({"config": config(bind="nowhere")}, "config", "refuse"),
        ({"config": config(auth={"mode": "token", "token": "abc"})}, "token", "gateway.auth.token"),
        ({"secrets_in_config": ("ANTHROPIC_API_KEY",)}, "token", "ANTHROPIC_API_KEY"),
        ({"config": config(trustedProxies=["172.20.0.1"])}, "proxies", "has 172.20.0.1: the hub looks from there"),
        ({"config": config(trustedProxies=["172.20.0.0/16"])}, "proxies", "has 172.20.0.0/16: the hub looks"),
        ({"config": config(trustedProxies=["0.0.0.0/0"])}, "proxies", "everybody"),
        ({"config": config(), "kind_proxies": ("127.0.0.1",)}, "proxies", "lacks 127.0.0.1"),
    ],
)
def test_each_thing_that_is_wrong_is_one_finding_with_what_to_do(
    change: dict[str, Any], check: str, words: str
) -> None:
    (found,) = inspect_instance(replace(FACTS, **change))
    assert (found.gateway, found.check) == ("acme", check)
    assert words in found.found
    assert found.remedy


def test_a_token_that_is_a_variable_is_no_secret() -> None:
    facts = replace(FACTS, config=config(auth={"mode": "token", "token": "${OPENCLAW_GATEWAY_TOKEN}"}))
    assert inspect_instance(facts) == []


def test_a_proxy_elsewhere_and_the_one_of_the_image_may_be_trusted() -> None:
    facts = replace(FACTS, config=config(trustedProxies=["127.0.0.1", "10.1.2.3"]), kind_proxies=("127.0.0.1",))
    assert inspect_instance(facts) == []


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        (f"ghcr.io/openclaw/openclaw@sha256:{'0' * 64}", True),
        (f"openclaw:latest@sha256:{'a' * 64}", True),
        ("ghcr.io/openclaw/openclaw:2026.9.6", True),
        ("openclaw-gateway:2026.9.6-1a2b3c", True),
        ("localhost:5000/openclaw:2026.9.6-browser", True),
        ("ghcr.io/openclaw/openclaw:2026.9", False),
        ("coollabsio/openclaw:latest", False),
        ("coollabsio/openclaw", False),
        ("10.1.2.3:5000/openclaw", False),
    ],
)
def test_which_references_stay_the_same(image: str, pinned: bool) -> None:
    assert is_pinned(image) is pinned


def test_the_limits_of_all_together_fit_into_the_host() -> None:
    host = Capacity(cpus=4, memory_bytes=5 * GIB, version="27", name="big")
    two = [INSTANCE, replace(INSTANCE, name="other")]
    assert inspect_host(LOCAL_HOST, host, two) == []
    (found,) = inspect_host(LOCAL_HOST, host, [*two, replace(INSTANCE, name="third")])
    assert (found.gateway, found.check) == ("", "memory")
    assert "acme, other, third are 6144 MiB together" in found.found


async def test_a_fresh_instance_is_in_order_and_what_somebody_breaks_is_found() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        _, job = await provisioned(hub, order(port=there.port))
        assert job.state == "succeeded", job.error
        seen = await hub.control.inspect_gateways()
        assert (seen.gateways, seen.findings) == (["acme"], [])

        folder = hub.folder / "gateways" / "acme"
        (folder / ".env").chmod(0o644)
        path = folder / "shared" / "openclaw.json"
        written = msgspec.json.decode(path.read_bytes())
        written["gateway"]["auth"]["token"] = TOKEN
        written["models"] = {"providers": {"anthropic": {"apiKey": KEY}}}
        path.write_bytes(msgspec.json.encode(written))
        engine.cell("openclaw-cell-acme").plan = replace(
            engine.cell("openclaw-cell-acme").plan, ports=(CellPort(there.port, 18789, "0.0.0.0"),)
        )
        seen = await hub.control.inspect_gateways()
        assert {"ports", "files", "token"} <= {one.check for one in seen.findings}
        text = msgspec.json.encode(seen).decode()
        assert "ANTHROPIC_API_KEY" in text
        assert KEY not in text
        assert TOKEN not in text


async def test_an_engine_that_is_away_is_a_finding_and_the_rest_is_looked_at() -> None:
    engine = new_engine()
    async with answering(engine) as there, engine_hub(engine) as hub:
        await provisioned(hub, order(port=there.port))
        (hub.folder / "gateways" / "acme" / "token").unlink()

        async def away(step: CellStep, instance: str) -> None:
            raise NotAvailable("the engine does not answer")

        engine.before = away
        checks = by_check((await hub.control.inspect_gateways()).findings)
        assert "the engine does not answer" in checks["container"]
        assert "token is not there" in checks["files"]


def by_check(findings: list[GatewayFinding]) -> dict[str, str]:
    return {one.check: one.found for one in findings}
