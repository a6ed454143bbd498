"""`python -m tests.tui.screenshots`: every screen as SVG and PNG from the scripted fleet, the same each time.

Needs the extra `screens`; with a list of names only those. The font is DejaVu Sans Mono of the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import resvg_py  # pyright: ignore[reportMissingImports] - comes with the extra `screens`
from msgspec.structs import replace
from textual.pilot import Pilot

from clawtui.tui.memory import Memory
from hub.contract import JobList, MessageChunk
from hub.errors import Unavailable
from tests.hub.api.scripted import Stream
from tests.tui import fleet_script as script
from tests.tui import instance_script, made_script, sync_script
from tests.tui.scripted import ScriptedHub, screen_on, until, wait_shown

FOLDER: Final = Path(__file__).parents[2] / "screenshots"
VM_PROFILES: Final = Path(__file__).parents[1] / "profiles" / "migrate"
FONT: Final = "DejaVu Sans Mono"
WIDE, MEDIUM, NARROW = (160, 45), (110, 36), (80, 24)
SPARKS: Final = "lines: 15 minutes"
"""Said once the small lines of the Now tab are there."""
Steps = Callable[[Pilot[Any], ScriptedHub], Awaitable[None]]


class Shot(NamedTuple):
    """One text_of: how large the terminal is and what is done before it is taken."""

    name: str
    steps: Steps
    size: tuple[int, int] = WIDE
    read_only: bool = False
    theme: str = "dark"


def pressing(*keys: str, shown: str, first: str = "builder-1") -> Steps:
    """Wait for `first`, press the keys, wait for `shown`."""

    async def steps(pilot: Pilot[Any], _: ScriptedHub) -> None:
        await wait_shown(pilot, first)
        await pilot.press(*keys)
        await wait_shown(pilot, shown)

    return steps


async def _lost(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    await wait_shown(pilot, "builder-1")
    hub.lose(Unavailable("the hub at hub.example:8080 does not answer", hint="is it running?"))
    await wait_shown(pilot, "The hub is away")


async def _empty(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    hub.agents_by_id.clear()
    hub.tell("gap")
    await wait_shown(pilot, "No agents yet")


async def _broken(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    await wait_shown(pilot, "builder-1")
    hub.answers["journal"] = ValueError("the answer was no journal")
    await pilot.press("f4")
    await wait_shown(pilot, "The journal pane failed")


async def _talking(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    """An answer while it comes."""
    chunks = [MessageChunk(text=text) for text in sync_script.ANSWER]
    hub.answers["message"] = lambda _: Stream(chunks)
    await wait_shown(pilot, "builder-1")
    await pilot.press("f10", *":message main/engineer", "enter")
    await wait_shown(pilot, "enter sends")
    await pilot.press(*"Which tests fail?", "enter")
    await wait_shown(pilot, "and then the linter")


async def _migrating(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    await wait_shown(pilot, "builder-1")
    with contextlib.chdir(VM_PROFILES):
        await pilot.press("f8", *":migrate vm --out migrated", "enter")
        await wait_shown(pilot, "What holds for each part")
        await pilot.press(*":filter mongo-app", "enter")
        await wait_shown(pilot, "Needs you: ")


async def _building(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    """A build that runs, with its output so far."""
    made_script.build(hub)
    await wait_shown(pilot, "builder-1")
    await pilot.press("f8")
    await wait_shown(pilot, "building")
    await pilot.press(*":build-log tester", "enter")
    await wait_shown(pilot, "Setting up pytest")


def instances(*keys: str, shown: str) -> Steps:
    """The Gateways place of a hub that runs some of them."""

    async def steps(pilot: Pilot[Any], hub: ScriptedHub) -> None:
        hub.answers |= {**instance_script.answers(), "jobs": JobList(jobs=[instance_script.UPGRADE_JOB])}
        await wait_shown(pilot, "builder-1")
        hub.tell("job", "j-77")
        await pilot.press("f11")
        await wait_shown(pilot, "given-up")
        await wait_shown(pilot, "60%")
        await pilot.press(*":gateways acme", "enter")
        await wait_shown(pilot, "▸ acme")
        await pilot.press(*keys)
        await wait_shown(pilot, shown)

    return steps


async def _provisioned(pilot: Pilot[Any], hub: ScriptedHub) -> None:
    """A token as it is shown, with the work below it."""
    await instances("n", shown="which tier")(pilot, hub)
    running = replace(
        instance_script.UPGRADE_JOB, kind="gateway.provision", about="nova", message="waiting for /readyz"
    )
    made = instance_script.answers()["provision_gateway"]
    hub.answers |= {"provision_gateway": lambda request: replace(made(request), job=running), "job": running}
    await pilot.press("enter")
    await wait_shown(pilot, "A new gateway of the tier pro")
    await pilot.press(*"nova", "ctrl+s")
    await wait_shown(pilot, "▶ running")


SHOTS: Final = (
    Shot("fleet", pressing(shown=SPARKS)),
    Shot("fleet-110x36", pressing(shown=SPARKS), MEDIUM),
    Shot("fleet-80x24", pressing(shown=SPARKS), NARROW),
    Shot("fleet-60x20", pressing(shown="builder-4"), (60, 20)),
    Shot("fleet-200x60", pressing(shown=SPARKS), (200, 60)),
    Shot("fleet-filter", pressing("slash", *"type:tester !mac", "enter", shown="4 of 24"), MEDIUM),
    Shot("fleet-marked", pressing("space", "down", "space", "down", "space", shown="3 marked"), MEDIUM),
    Shot("detail-crashed", pressing("down", "down", "down", shown="out of memory")),
    Shot("detail-logs", pressing("2", shown="planner.c")),
    Shot("detail-logs-80x24", pressing("2", shown="planner.c"), NARROW),
    Shot("detail-tasks", pressing("3", shown="make package")),
    Shot("detail-stats", pressing("4", shown="-15m")),
    Shot("detail-stats-gpu", pressing("slash", *"gpu-trainer-1", "enter", "4", shown="GPU mem")),
    Shot("detail-stats-80x24", pressing("4", *":window 6h", "enter", shown="-4h"), NARROW),
    Shot("needs-you", pressing("A", shown="tester-arm"), MEDIUM),
    Shot("needs-you-80x24", pressing("A", shown="tester-arm"), NARROW),
    Shot("create", pressing("c", shown="New agent"), MEDIUM),
    Shot("create-80x24", pressing("c", *"builder-5", shown="clawtui create builder-5"), NARROW),
    Shot("confirm-restart", pressing("R", shown="Restart builder-1?"), MEDIUM),
    Shot("destroy", pressing("D", *"build", shown="Destroy builder-1?"), MEDIUM),
    Shot("destroy-80x24", pressing("D", shown="Destroy builder-1?"), NARROW),
    Shot("task-form", pressing("t", shown="Timeout s"), MEDIUM),
    Shot("task-form-80x24", pressing("t", shown="Timeout s"), NARROW),
    Shot("run-line", pressing("b", *"make test", shown="exec make test"), NARROW),
    Shot("tasks", pressing("f2", shown="make -j2 release"), MEDIUM),
    Shot("tasks-80x24", pressing("f2", shown="make -j2 release"), NARROW),
    Shot("rollout", pressing("f2", *":matrix d-0042", "enter", shown="agents 8"), MEDIUM),
    Shot("output", pressing("f2", *":output t-20", "enter", shown="test_logs.py"), MEDIUM),
    Shot("logs", pressing("f3", shown="planner.c"), MEDIUM),
    Shot("logs-filter", pressing("f3", "slash", *"timed out", "enter", "plus", shown="±2"), MEDIUM),
    Shot("logs-80x24", pressing("f3", shown="planner.c"), NARROW),
    Shot("journal", pressing("f4", shown="WAY BACK"), MEDIUM),
    Shot("journal-80x24", pressing("f4", shown="WAY BACK"), NARROW),
    Shot("journal-audit", pressing("f4", "2", shown="OUTCOME"), MEDIUM),
    Shot("hub", pressing("f5", shown="Drivers"), MEDIUM),
    Shot("hub-80x24", pressing("f5", shown="Drivers"), NARROW),
    Shot("hub-connections", pressing("f5", "2", shown="builder-1"), MEDIUM),
    Shot("jobs", pressing("f6", shown="gpu-trainer-2"), MEDIUM),
    Shot("jobs-80x24", pressing("f6", shown="gpu-trainer-2"), NARROW),
    Shot("snapshots", pressing("f7", "j", shown="can be undone")),
    Shot("snapshots-80x24", pressing("f7", "j", "j", shown="try-clang-lto"), NARROW),
    Shot("snapshot-create", pressing("B", *"before-upgrade", shown="280M of image"), MEDIUM),
    Shot("snapshot-create-80x24", pressing("B", shown="280M of image"), NARROW),
    Shot("snapshot-restore", pressing("f7", "j", "R", shown="280M elsewhere"), MEDIUM),
    Shot("snapshot-restore-80x24", pressing("f7", "j", "R", shown="280M elsewhere"), NARROW),
    Shot("snapshot-fork", pressing("f7", "j", "f", shown="--count 1"), MEDIUM),
    Shot("snapshot-fork-80x24", pressing("f7", "j", "f", shown="--count 1"), NARROW),
    Shot("snapshot-unrestore", pressing("f7", "j", "U", shown="elsewhere"), MEDIUM),
    Shot("snapshot-delete-80x24", pressing("f7", "j", "D", shown="Type "), NARROW),
    Shot("snapshot-schedule", pressing("E", shown="--keep-last 7"), NARROW),
    Shot("difference", pressing("f7", *":diff sn_b2 sn_b3", "enter", shown="release.tar"), MEDIUM),
    Shot("difference-80x24", pressing("f7", *":diff sn_b2 sn_b3", "enter", shown="release.tar"), NARROW),
    Shot("detail-snapshots", pressing("5", shown="try-clang-lto")),
    Shot("detail-snapshots-80x24", pressing("5", shown="try-clang-lto"), NARROW),
    Shot("profiles", pressing("f8", shown="√ built"), MEDIUM),
    Shot("profiles-80x24", pressing("f8", shown="√ built"), NARROW),
    Shot("profiles-wrong", pressing("f8", *":profiles mine", "enter", shown="1 thing is wrong"), MEDIUM),
    Shot("profile-editor", pressing("f8", *":change mine", "enter", shown="git x"), MEDIUM),
    Shot("profile-editor-80x24", pressing("f8", *":change mine", "enter", shown="git x"), NARROW),
    Shot("build", _building, MEDIUM),
    Shot("build-80x24", _building, NARROW),
    Shot(
        "create-from-profile", pressing("f8", *":create-from builder", "enter", *"Web_1", shown="is not a name"), MEDIUM
    ),
    Shot(
        "create-from-profile-80x24",
        pressing("f8", *":create-from builder", "enter", *"Web_1", shown="is not a name"),
        NARROW,
    ),
    Shot("detail-profile", pressing("6", shown="another machine")),
    Shot("detail-profile-80x24", pressing("6", shown="Made with"), NARROW),
    Shot("disk", pressing("f9", shown="free of"), MEDIUM),
    Shot("disk-80x24", pressing("f9", shown="free of"), NARROW),
    Shot("disk-images", pressing("f9", *":disk", "enter", "j", shown="Nobody needs"), MEDIUM),
    Shot("disk-plan", pressing("f9", *":clean all", "enter", shown="Type remove"), MEDIUM),
    Shot("disk-plan-80x24", pressing("f9", *":clean all", "enter", shown="Type remove"), NARROW),
    Shot("sync", pressing("f10", "j", "j", shown="somebody changed")),
    Shot("sync-110x36", pressing("f10", "j", "j", shown="somebody changed"), MEDIUM),
    Shot("sync-80x24", pressing("f10", "j", "j", shown="from folder"), NARROW),
    Shot("sync-difference", pressing("f10", "j", "j", "enter", shown="-You build"), MEDIUM),
    Shot("sync-difference-80x24", pressing("f10", "j", "j", "enter", shown="-You build"), NARROW),
    Shot("sync-apply-80x24", pressing("f10", "j", "j", "a", shown="Overwrite 2 files"), NARROW),
    Shot("sync-dry-run", pressing("f10", "j", "j", "p", shown="Sync now"), MEDIUM),
    Shot("gateways", pressing("f11", "G", shown="√ verified")),
    Shot("gateways-80x24", pressing("f11", shown="does not take our token"), NARROW),
    Shot("gateway-add", pressing("f11", "c", *"main-2", shown="Roster shape"), (110, 45)),
    Shot("gateway-add-80x24", pressing("f11", "c", *"main-2", shown="Config"), NARROW),
    Shot("gateways-run", instances(shown="The hub runs it"), (200, 60)),
    Shot("gateways-run-120x40", instances(shown="The hub runs it"), (120, 40)),
    Shot("gateways-run-80x24", instances(shown="upgrading"), NARROW),
    Shot("gateways-upgrading", instances("j", "j", shown="waiting for /readyz"), (160, 45)),
    Shot("gateways-menu", instances("x", shown="not now: acme runs already"), (120, 40)),
    Shot("gateway-tiers", instances("n", shown="two cores and 2 GiB"), MEDIUM),
    Shot("gateway-tiers-80x24", instances("n", shown="two cores and 2 GiB"), NARROW),
    Shot("gateway-provision", instances("n", "enter", *"nova", shown="Personas of"), (110, 45)),
    Shot("gateway-provision-80x24", instances("n", "enter", *"nova", shown="Anthropic key"), NARROW),
    Shot("gateway-credentials", _provisioned, MEDIUM),
    Shot("gateway-credentials-80x24", _provisioned, NARROW),
    Shot("gateway-upgrade", instances("U", shown="back by itself"), MEDIUM),
    Shot("gateway-upgrade-many", instances(*":upgrade-all pro", "enter", shown="Canary"), MEDIUM),
    Shot("gateway-restore", instances("f", shown="Restore which backup?"), MEDIUM),
    Shot("gateway-destroy-80x24", instances("X", shown="its 2 backups too"), NARROW),
    Shot("gateway-log", instances("o", shown="[gateway] ready"), MEDIUM),
    Shot("messages", _talking, MEDIUM),
    Shot("messages-80x24", _talking, NARROW),
    Shot("migration", _migrating),
    Shot("migration-80x24", _migrating, NARROW),
    Shot("help", pressing("question_mark", shown="Here: fleet"), MEDIUM),
    Shot("help-80x24", pressing("question_mark", shown="Here: fleet"), NARROW),
    Shot("palette", pressing("ctrl+p", *"log", shown="Palette"), MEDIUM),
    Shot("menu", pressing("x", shown="Actions on builder-1"), NARROW),
    Shot("hub-lost", _lost, MEDIUM),
    Shot("hub-lost-80x24", _lost, NARROW),
    Shot("read-only", pressing("D", shown="read-only: "), NARROW, read_only=True),
    Shot("pane-failed", _broken, MEDIUM),
    Shot("empty", _empty, NARROW),
    Shot("columns-80x24", pressing("C", shown="Apply (^s)"), NARROW),
    Shot("fleet-light", pressing(shown="Memory"), MEDIUM, theme="light"),
    Shot("fleet-high-contrast", pressing(shown="Memory"), MEDIUM, theme="high-contrast"),
    Shot("fleet-terminal", pressing(shown="Memory"), MEDIUM, theme="terminal"),
    Shot("task-form-light", pressing("t", shown="Timeout s"), MEDIUM, theme="light"),
)


async def take(shot: Shot) -> str:
    """The screen as SVG, after its steps and when nothing moves any more."""
    hub = script.hub()
    memory = Memory()
    memory.choose(theme=shot.theme)
    app = screen_on(hub, read_only=shot.read_only, memory=memory)
    async with app.run_test(size=shot.size) as pilot:
        await shot.steps(pilot, hub)
        shown_at = app._shown_at  # of the last look at the store
        await until(pilot, lambda: app._shown_at > shown_at, "titles follow what is below them")
        return app.export_screenshot(title="clawtui")


def write(name: str, svg: str) -> None:
    """The text_of twice: SVG, in which text can be selected, and PNG, which is seen everywhere."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg)
    png = resvg_py.svg_to_bytes(svg_string=svg, monospace_family=FONT, font_family=FONT, sans_serif_family=FONT)
    (FOLDER / f"{name}.png").write_bytes(bytes(png))


def main(names: list[str]) -> int:
    os.environ["TZ"] = "UTC"
    failed = 0
    for shot in SHOTS:
        if names and shot.name not in names:
            continue
        try:
            write(shot.name, asyncio.run(take(shot)))
        except AssertionError as error:
            failed += 1
            sys.stderr.write(f"{shot.name}: {error}\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
