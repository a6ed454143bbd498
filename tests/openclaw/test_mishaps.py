"""What goes wrong between a person, the hub and a real gateway, and how it comes right again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.harness import eventually
from tests.openclaw.installation import OLDER
from tests.openclaw.synced import GATEWAY, Synced, soul_of, synced

pytestmark = pytest.mark.openclaw

COMMENT = "// Ask Grace before you touch the port.\n"
MANY = tuple(f"tester-{number:03d}" for number in range(60))


async def test_a_persons_config_and_files_are_theirs_and_mistakes_in_them_harm_nobody() -> None:
    async with synced() as lab:
        config = lab.gateway.config_path
        theirs = '"tools": { "web": { "search": { "enabled": false } } }, // no searches here\n'
        config.write_text(COMMENT + config.read_text().replace("{\n", "{\n  " + theirs, 1))
        lab.personas.write("ada")
        lab.personas.write("grace")
        await lab.gateway.start()
        await lab.hub.start()
        await lab.add()
        await lab.until_in_step(("ada", "grace"))
        text = config.read_text()
        assert text.startswith(COMMENT)
        assert theirs in text
        assert (await lab.gateway.validate())["valid"]
        await a_broken_config_is_left_alone_until_it_is_mended(lab)
        await a_file_changed_by_hand_is_drift_until_somebody_decides(lab)
        await a_persona_added_while_the_gateway_is_away_waits_for_it(lab)


async def a_broken_config_is_left_alone_until_it_is_mended(lab: Synced) -> None:
    config = lab.gateway.config_path
    good = config.read_text()
    broken = good.replace('"gateway": {', '"gateway": {{', 1)
    config.write_text(broken)
    lab.personas.write("alan")

    async def told() -> bool:
        target, _ = await lab.status()
        return "line" in target["problem"]

    await eventually(told, what="the problem names the line")
    await lab.until_ran(2)
    assert config.read_text() == broken
    assert await lab.gateway.ask("grace", "{{say never mind}}") == (200, "never mind")
    shown = await lab.clawtui("sync", "status", GATEWAY)
    assert (shown.returncode, "line" in shown.stdout + shown.stderr) == (0, True), shown
    config.write_text(good)
    await lab.until_in_step(("ada", "alan", "grace"))
    assert config.read_text().startswith(COMMENT)


async def a_file_changed_by_hand_is_drift_until_somebody_decides(lab: Synced) -> None:
    soul = lab.workspace("ada") / "SOUL.md"
    ours = soul.read_text()
    soul.write_text("I am somebody else now.\n")
    await lab.until_states({"ada": "drifted", "alan": "in-step", "grace": "in-step"})
    await lab.until_ran(2)
    assert soul.read_text() == "I am somebody else now.\n"
    shown = await lab.clawtui("sync", "diff", f"{GATEWAY}/ada")
    assert "somebody else" in shown.stdout, shown
    assert soul_of("ada").strip() in shown.stdout
    applied = await lab.clawtui("sync", "resolve", f"{GATEWAY}/ada", "apply")
    assert applied.returncode == 0, applied
    await lab.until_in_step(("ada", "alan", "grace"))
    assert soul.read_text() == ours
    kept = [path.read_text() for path in lab.root.rglob(".clawtui-archive/**/*") if path.is_file()]
    assert "I am somebody else now.\n" in kept


async def a_persona_added_while_the_gateway_is_away_waits_for_it(lab: Synced) -> None:
    await lab.gateway.kill()
    lab.personas.write("barbara")

    async def waits() -> bool:
        _, personas = await lab.status()
        return personas.get("barbara", {}).get("state") == "pending"

    await eventually(waits, what="barbara is pending")
    assert (lab.workspace("barbara") / "SOUL.md").exists()
    await lab.gateway.start()
    await lab.until_in_step(("ada", "alan", "barbara", "grace"))
    assert await lab.gateway.roster() == {"ada", "alan", "barbara", "grace"}


async def test_a_config_that_the_gateway_refuses_is_taken_back_and_tried_again_when_it_is_mended() -> None:
    """The mistake is in the person's part, which only the gateway can judge."""
    async with synced(OLDER) as lab:
        config = lab.gateway.config_path
        lab.personas.write("ada")
        await lab.gateway.start()
        await lab.hub.start()
        await lab.add()
        await lab.until_in_step(("ada",))
        good = config.read_text()
        wrong = good.replace('"discovery": {', '"tools": {"nonsense": true},\n  "discovery": {', 1)
        config.write_text(wrong)
        lab.personas.write("grace")

        async def refused() -> bool:
            target, personas = await lab.status()
            told = "did not take its new config" in target["problem"]
            return told and personas["grace"]["state"] == "pending" and config.read_text() == wrong

        await eventually(refused, seconds=90, what="the config is as it was before, and the problem is told")
        assert any("config reload skipped (invalid config)" in line for line in lab.gateway.reloads())
        assert await lab.gateway.roster() == {"ada"}
        await lab.until_ran(2)
        assert config.read_text() == wrong
        config.write_text(good)
        await lab.until_in_step(("ada", "grace"))
        assert await lab.gateway.roster() == {"ada", "grace"}
        assert (await lab.gateway.validate())["valid"]


async def test_a_hub_killed_in_the_middle_of_a_sync_finishes_it_at_its_next_start() -> None:
    async with synced() as lab:
        for slug in MANY:
            lab.personas.write(slug)
        await lab.hub.start()
        await lab.add()
        await eventually(lambda: begun(lab.root), what="the first workspaces are there")
        lab.hub.kill()
        assert not all((lab.workspace(slug) / "memory").exists() for slug in MANY), "it was done too early to be killed"
        assert not half_written(lab)
        await lab.hub.start()
        await lab.until_states(dict.fromkeys(MANY, "pending"))
        assert (await lab.gateway.validate())["valid"]
        await lab.gateway.start()
        await lab.until_in_step(MANY)
        assert await lab.gateway.roster() == set(MANY)
        # What nobody could know before the gateway told its version.
        await lab.until_reads(lab.gateway.config_path, '"ownership": "explicit"')
        assert await lab.gateway.validate() == {"valid": True, "path": str(lab.gateway.config_path), "warnings": []}


async def begun(root: Path) -> bool:
    return any(root.glob("tester-*/SOUL.md"))


def half_written(lab: Synced) -> list[Path]:
    """Souls that are there and not whole."""
    souls = {slug: lab.workspace(slug) / "SOUL.md" for slug in MANY}
    return [path for slug, path in souls.items() if path.exists() and soul_of(slug) not in path.read_text()]
