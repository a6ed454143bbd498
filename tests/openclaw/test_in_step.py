"""Five personas of a folder become what a real gateway runs, and every later change follows without a restart."""

from __future__ import annotations

import msgspec
import pytest

from tests.end_to_end.harness import eventually
from tests.openclaw.gateway import RealGateway
from tests.openclaw.installation import CURRENT, OLDER
from tests.openclaw.synced import GATEWAY, Synced, skill_of, soul_of, synced

pytestmark = pytest.mark.openclaw

FIVE = ("ada", "alan", "edsger", "grace", "katherine")


@pytest.mark.parametrize("version", [CURRENT, OLDER])
async def test_a_real_gateway_runs_on_the_synced_workspaces_of_five_personas(version: str) -> None:
    async with synced(version) as lab:
        for slug in FIVE:
            lab.personas.write(slug, model="house-model" if slug == "ada" else None)
        await lab.gateway.start()
        await lab.hub.start()
        await lab.add()
        await lab.until_in_step(FIVE)
        await has_a_valid_config_of_its_shape(lab.gateway)
        await answers_for(lab, FIVE)
        await every_prompt_has_its_own_soul_and_skills(lab)
        await unchanged_runs_write_no_file(lab)
        await an_edited_soul_reaches_the_next_turn(lab)
        await a_persona_comes_and_one_goes_without_a_restart(lab)


async def has_a_valid_config_of_its_shape(gateway: RealGateway) -> None:
    verdict = await gateway.validate()
    assert (verdict["valid"], verdict["warnings"]) == (True, []), verdict
    agents = msgspec.json.decode(gateway.config_path.read_bytes())["agents"]
    if gateway.version >= "2026.8":
        assert (sorted(agents["entries"]), agents["ownership"]) == (sorted(FIVE), "explicit")
        assert "list" not in agents
    else:
        assert sorted(one["id"] for one in agents["list"]) == sorted(FIVE)
        assert [one.get("default") for one in agents["list"]].count(True) == 1
        assert not {"entries", "ownership"} & agents.keys()


async def answers_for(lab: Synced, slugs: tuple[str, ...]) -> None:
    """The roster is read back equal, from the gateway itself and through the hub, which knows the version too."""

    async def so() -> bool:
        return await lab.gateway.roster() == set(slugs)

    await eventually(so, what=f"the roster is {slugs}")
    seen = await lab.hub.call("GET", f"/gateways/{GATEWAY}")
    assert (seen["state"], seen["version"], set(seen["roster"])) == ("ready", lab.gateway.version, set(slugs))


async def every_prompt_has_its_own_soul_and_skills(lab: Synced) -> None:
    for slug in FIVE:
        assert await lab.gateway.ask(slug, f"{{{{say I am {slug}}}}}") == (200, f"I am {slug}")
        asked = lab.stub.last(f"I am {slug}")
        assert asked.model == ("stub-2" if slug == "ada" else "stub-1")
        for text in (soul_of, skill_of):
            assert [other for other in FIVE if text(other).strip() in asked.system] == [slug]
        assert "triage" in asked.system


async def unchanged_runs_write_no_file(lab: Synced) -> None:
    before = lab.marks()
    assert len(before) > 8 * len(FIVE)
    await lab.until_ran(3)
    assert lab.marks() == before


async def an_edited_soul_reaches_the_next_turn(lab: Synced) -> None:
    """In the same session, which still knows what was said before the edit."""
    lab.personas.write("grace", "You count in octal now.\n")
    await lab.until_reads(lab.workspace("grace") / "SOUL.md", "octal")
    assert await lab.gateway.ask("grace", "{{say twenty}}") == (200, "twenty")
    asked = lab.stub.last("twenty")
    assert "You count in octal now." in asked.system
    assert soul_of("grace").strip() not in asked.system
    assert "I am grace" in msgspec.json.encode(asked.messages).decode()
    await lab.until_in_step(FIVE)


async def a_persona_comes_and_one_goes_without_a_restart(lab: Synced) -> None:
    pid, printed = lab.gateway.pid, len(lab.gateway.output)
    lab.personas.write("barbara")
    await lab.until_in_step((*FIVE, "barbara"))
    assert await lab.gateway.ask("barbara", "{{say new here}}") == (200, "new here")
    assert soul_of("barbara").strip() in lab.stub.last("new here").system

    lab.personas.remove("alan")
    left = tuple(slug for slug in (*FIVE, "barbara") if slug != "alan")
    await lab.until_in_step(left)
    await answers_for(lab, left)
    gone = await lab.clawtui("message", f"{GATEWAY}/alan", "still there?")
    assert gone.returncode != 0
    assert "no persona 'alan'" in gone.stderr
    assert not lab.workspace("alan").exists()
    (archived,) = (lab.root / ".archive").iterdir()
    assert archived.name.startswith("alan-")
    assert soul_of("alan") in (archived / "SOUL.md").read_text()

    said = lab.gateway.output[printed:]
    part = "agents.entries.barbara" if lab.gateway.version >= "2026.8" else "agents.list"
    assert any("evaluating reload" in line and part in line for line in lab.gateway.reloads()), said
    assert "restart" not in said
    assert lab.gateway.pid == pid
    assert (await lab.gateway.validate())["valid"]
