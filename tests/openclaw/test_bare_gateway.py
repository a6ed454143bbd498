"""What the product relies on is true of the real gateways, shown with a config written by hand and no hub: when
OpenClaw changes one of these, this says so before anything else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.end_to_end.harness import eventually
from tests.openclaw.gateway import RealGateway, ended
from tests.openclaw.installation import CURRENT, OLDER
from tests.openclaw.stub_model import StubModel

pytestmark = pytest.mark.openclaw


def roster(version: str, root: Path, *slugs: str) -> dict[str, Any]:
    """The `agents` part, in the shape of the version, with a workspace for each slug."""
    for slug in slugs:
        (root / slug).mkdir(parents=True, exist_ok=True)
        (root / slug / "SOUL.md").write_text(f"I am the soul of {slug}.\n")
    entries = {slug: {"name": slug.title(), "workspace": str(root / slug), "skills": []} for slug in slugs}
    if version >= "2026.8":
        return {"ownership": "explicit", "entries": entries}
    first, *_ = slugs
    return {"list": [{"id": slug, **({"default": True} if slug == first else {}), **entries[slug]} for slug in slugs]}


@pytest.mark.parametrize("version", [CURRENT, OLDER])
async def test_a_gateway_tells_its_version_and_follows_its_config(tmp_path: Path, version: str) -> None:
    async with StubModel().running() as stub:
        gateway = RealGateway(tmp_path / "gateway", version)
        with ended(gateway):
            gateway.write_config(stub.url, agents=roster(version, tmp_path / "agents", "ada", "grace"))
            assert (await gateway.validate())["valid"]
            await gateway.start()
            pid = gateway.pid
            await tells_its_version(gateway)
            assert await gateway.roster() == {"ada", "grace"}

            assert await gateway.ask("grace", "{{say four}}") == (200, "four")
            assert "the soul of grace" in stub.last("four").system
            assert "the soul of ada" not in stub.last("four").system

            gateway.write_config(stub.url, agents=roster(version, tmp_path / "agents", "ada", "alan"))
            await follows(gateway, {"ada", "alan"})
            status, reason = await gateway.ask("grace", "still there?")
            assert (status, "Unknown agent 'grace'" in reason) == (400, True), reason
            assert gateway.pid == pid
            assert await gateway.stop() == 0


async def tells_its_version(gateway: RealGateway) -> None:
    """Where the hub asks for it: the older one knows no /startupz and answers with its web page."""
    async with gateway.client() as client:
        assert (await client.get("/control-ui-config.json")).json()["serverVersion"] == gateway.version
        started = await client.get("/startupz")
        stranger = await client.get("/v1/models", headers={"Authorization": "Bearer wrong"})
    assert started.status_code == 200
    assert ("json" in started.headers["content-type"]) == (gateway.version >= "2026.8")
    assert (stranger.status_code, stranger.json()["error"]["type"]) == (401, "unauthorized")


async def follows(gateway: RealGateway, slugs: set[str]) -> None:
    async def so() -> bool:
        return await gateway.roster() == slugs

    await eventually(so, what=f"the roster is {slugs}")


async def test_an_invalid_config_is_skipped_by_the_running_gateway_and_fatal_for_the_next(tmp_path: Path) -> None:
    async with StubModel().running() as stub:
        gateway = RealGateway(tmp_path / "gateway")
        with ended(gateway):
            agents = roster(CURRENT, tmp_path / "agents", "ada")
            gateway.write_config(stub.url, agents=agents)
            await gateway.start()
            agents["entries"]["ada"]["role"] = "unknown to OpenClaw"
            gateway.write_config(stub.url, agents=agents)

            async def skipped() -> bool:
                return any("config reload skipped (invalid config)" in line for line in gateway.reloads())

            await eventually(skipped, what="the change is skipped")
            assert await gateway.roster() == {"ada"}
            verdict = await gateway.validate()
            assert not verdict["valid"]
            assert "role" in msgspec.json.encode(verdict["issues"]).decode()
            await gateway.stop()
            with pytest.raises(AssertionError, match="ended with 78"):
                await gateway.start()
