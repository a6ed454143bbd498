"""The empty Fleet: what one key does, what Docker would add, and whether it can be used here."""

from __future__ import annotations

import msgspec
import pytest

from clawtui.tui.empties import Place, no_agents
from clawtui.tui.keymap import Keymap
from hub.contract import DriverHealth
from tests.hub.api.scripted import HEALTH
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, until

PROCESS = DriverHealth(name="process", usable=True)
READY = DriverHealth(name="docker", usable=True, version="28.1")
MISSING = DriverHealth(
    name="docker",
    usable=False,
    reason="no Docker engine answers",
    hint="`clawtui doctor --install-docker` installs one",
)


def said(*drivers: DriverHealth, width: int = 200, **place: bool) -> str:
    health = msgspec.structs.replace(HEALTH, drivers=list(drivers))
    return no_agents(health, Keymap().first, Place(width, **place))


def test_docker_that_works_is_offered() -> None:
    text = said(PROCESS, READY)
    assert "a   makes a first one: a process on this machine" in text
    assert "It is ready here (engine 28.1): press c" in text


def test_docker_that_does_not_work_says_why_and_what_helps() -> None:
    text = said(PROCESS, MISSING)
    assert "cannot be used here now: no Docker engine answers. `clawtui doctor --install-docker` installs one." in text


def test_a_hub_without_docker_says_how_to_get_it() -> None:
    assert "start it with --drivers docker,process" in said(PROCESS)


def test_before_the_drivers_are_known_nothing_is_claimed_of_them() -> None:
    text = said()
    assert "makes a first one" in text
    assert "ready" not in text
    assert "cannot" not in text


def test_a_process_is_not_offered_where_there_is_no_driver_for_it() -> None:
    assert "makes a first one" not in said(READY)


def test_another_machine_and_a_read_only_screen_are_named() -> None:
    assert "on the hub's machine" in said(PROCESS, remote=True)
    assert "read-only" in said(PROCESS, read_only=True)


def test_other_keys_are_shown() -> None:
    keymap = Keymap({"agent.first": ("f12",), "agent.create": ()})
    text = no_agents(HEALTH, keymap.first, Place(200))
    assert "f12 makes a first one" in text
    assert "\n:create asks for name" in text


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_an_empty_fleet_uses_the_room_and_gives_it_back(size: tuple[int, int]) -> None:
    hub = ScriptedHub()
    hub.answers["health"] = msgspec.structs.replace(HEALTH, drivers=[PROCESS, MISSING])
    async with shown(hub, size) as (app, pilot):
        await until(pilot, sees(app, "No agents yet", "Docker would add", "no Docker engine answers"))
        assert "1 Now" not in text_of(app)
        lines = text_of(app).splitlines()
        first = next(number for number, line in enumerate(lines) if "makes a first one" in line)
        if "rights" not in lines[first]:
            assert lines[first + 1].startswith(" " * lines[first].index("makes") + "the hub")
        hub.change(an_agent("a-1"))
        await until(pilot, sees(app, "a-1", "● online"))
        await until(pilot, lambda: size[0] < 80 or "1 Now" in text_of(app))
        hub.remove("a-1")
        await until(pilot, sees(app, "No agents yet"))
        await until(pilot, lambda: "1 Now" not in text_of(app))


async def test_the_last_agent_may_go_while_its_detail_fills_a_narrow_screen() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    async with shown(hub, (70, 24)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("enter")
        await until(pilot, sees(app, "1 Now"))
        hub.remove("a-1")
        await until(pilot, sees(app, "No agents yet"))
