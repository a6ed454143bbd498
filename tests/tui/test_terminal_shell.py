"""A shell in place of the screen: it has the terminal and its keys to itself, and the hub goes on as if nothing was."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawtui.remote import RemoteControl, open_remote
from clawtui.settings import Settings
from hub.contract import AgentView, ConnectionQuery, ConnectionView
from tests.end_to_end.harness import eventually
from tests.terminal.tmux import Terminal
from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]
BEAT_SECONDS = 2.0
STALE_SECONDS = 3 * BEAT_SECONDS
BEATS = 3
"""Reports that are waited for, twice, while the shell has the terminal."""


class Watch:
    """What the hub itself says of the agent, asked over HTTP from another process again and again."""

    def __init__(self, control: RemoteControl) -> None:
        self._control = control
        self.beats: dict[str, int] = {}
        """When the hub got a report, and how many answers said so."""
        self.states: set[str] = set()
        self.connections: set[tuple[str | None, int]] = set()

    async def run(self) -> None:
        while True:
            agent = await self._control.agent("worker-1")
            self._note(agent, (await self._control.connections(ConnectionQuery())).connections)
            await asyncio.sleep(0.05)

    def _note(self, agent: AgentView, connections: list[ConnectionView]) -> None:
        if agent.health_at:
            self.beats[agent.health_at] = self.beats.get(agent.health_at, 0) + 1
        self.states |= {agent.status.value, agent.connection.value}
        self.connections |= {(one.since, one.errors) for one in connections}

    @property
    def missed(self) -> list[float]:
        """Gaps after which the hub would call the agent stale, in seconds."""
        at = sorted(datetime.fromisoformat(text).timestamp() for text in self.beats)
        gaps = [after - before for before, after in itertools.pairwise(at)]
        return [gap for gap in gaps if gap >= STALE_SECONDS]

    async def wait_beats(self, count: int) -> None:
        wanted = len(self.beats) + count

        async def came() -> bool:
            return len(self.beats) >= wanted

        await eventually(came, what=f"{count} more reports; so far {self.beats}")


async def test_the_hub_goes_on_while_a_shell_has_the_terminal(open_screen: Open, home: Path) -> None:
    terminal = open_screen(
        size=(100, 30),
        CLAWTUI_HEALTH_INTERVAL_SECONDS=str(BEAT_SECONDS),
        CLAWTUI_STALE_AFTER_SECONDS=str(STALE_SECONDS),
    )
    await _in_thread(_an_agent, terminal)
    async with open_remote(Settings(home=home)) as control, asyncio.TaskGroup() as group:
        before = _totals(home, await control.agent("worker-1"))
        watch = Watch(control)
        watching = group.create_task(watch.run())
        await watch.wait_beats(1)
        await _in_thread(_into_a_shell, terminal)
        await watch.wait_beats(BEATS)
        await _in_thread(_interrupt_and_stop, terminal)
        await watch.wait_beats(BEATS)
        await _in_thread(_out_of_the_shell, terminal)
        await watch.wait_beats(1)
        watching.cancel()
        after = _totals(home, await control.agent("worker-1"))
        health = await control.health()
    assert watch.missed == []
    assert watch.states == {"online"}
    assert len(watch.connections) == 1, "one connection all the time, without a frame that was not understood"
    assert after == before, "the same hub, the same connection of the same process"
    assert health.status == "ok"
    assert health.agents.get("online") == 1


def _totals(home: Path, agent: AgentView) -> tuple[Any, ...]:
    hub: dict[str, Any] = msgspec.json.decode((home / "hub.json").read_bytes())
    return hub["pid"], hub["startedAt"], agent.epoch, agent.uid


async def _in_thread(step: Any, terminal: Terminal) -> None:
    """Looking at a terminal waits with the thread; the watch must go on."""
    await asyncio.to_thread(step, terminal)


def _an_agent(terminal: Terminal) -> None:
    terminal.sees("live", "No agents yet")
    terminal.press("a")
    terminal.sees("worker-1 is there", "● online")


def _into_a_shell(terminal: Terminal) -> None:
    terminal.press("!")
    terminal.misses("Agents 1")
    terminal.wait_for_prompt()


def _interrupt_and_stop(terminal: Terminal) -> None:
    """Ctrl-C and Ctrl-Z end and stop what runs in the shell, and nothing else."""
    terminal.enter("sleep 501; echo interrupted=$?")
    terminal.sees("sleep 501")
    terminal.press("C-c")
    terminal.enter("echo first=$((20+2))")
    terminal.wait_for("first=22")
    terminal.enter("sh -c 'echo asleep; exec sleep 502'")
    terminal.wait_for("asleep")
    terminal.press("C-z")
    terminal.wait_for_prompt()
    terminal.enter("jobs")
    terminal.sees("Stopped")
    terminal.enter("kill %1; echo second=$((20+3))")
    terminal.wait_for("second=23")


def _out_of_the_shell(terminal: Terminal) -> None:
    terminal.enter("exit 0")
    terminal.sees("live", "Agents 1", "● online", "the shell ended with 0")
    # The screen has the keys again.
    terminal.press("F5")
    terminal.sees("Drivers")
    terminal.press("F1")
    terminal.sees("Agents 1")
