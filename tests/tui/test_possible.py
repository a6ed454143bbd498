"""What cannot be done to an agent is said before anything is asked or sent."""

from __future__ import annotations

import pytest

from clawtui.tui.actions import ACTIONS, Action, Grade, Where
from clawtui.tui.possible import LIFE, split, why_not
from clawtui.tui.widgets.dialogs import ConfirmDialog
from hub.contract import AgentAct, AgentView, DriverHealth, Lifecycle
from hub.core.model import AgentStatus, Connection, Desired, Observed
from tests.hub.api.scripted import HEALTH
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, until

PROCESS = DriverHealth(name="process", usable=True, features=["logs", "pause", "shell"])
LIMITED = DriverHealth(name="vm", usable=True, features=["logs"])
SILENT = DriverHealth(name="old", usable=True)
DRIVERS = {driver.name: driver for driver in (PROCESS, LIMITED, SILENT)}


def life(desired: Desired, observed: Observed) -> Lifecycle:
    return Lifecycle(desired=desired, observed=observed)


RUNS = life(Desired.RUNNING, Observed.RUNNING)
STOPPED = life(Desired.STOPPED, Observed.EXITED)
PAUSED = life(Desired.PAUSED, Observed.PAUSED)
CRASHED = life(Desired.RUNNING, Observed.EXITED)


def agent(status: AgentStatus = AgentStatus.ONLINE, lifecycle: Lifecycle = RUNS, **more: object) -> AgentView:
    return an_agent("a-1", status, lifecycle=lifecycle, **more)


ONLINE = agent()
CASES = [
    ("start", ONLINE, "runs already"),
    ("start", agent(AgentStatus.CRASHED, CRASHED), ""),
    ("stop", ONLINE, ""),
    ("stop", agent(AgentStatus.STOPPED, STOPPED), "is stopped already"),
    ("restart", agent(AgentStatus.STOPPED, STOPPED), ""),
    ("pause", ONLINE, ""),
    ("pause", agent(AgentStatus.PAUSED, PAUSED), "is paused already"),
    ("pause", agent(AgentStatus.CRASHED, CRASHED), "does not run: it is crashed"),
    ("pause", agent(driver="vm"), "is run by the vm driver, which has no pause"),
    ("pause", agent(driver="old"), ""),
    ("resume", ONLINE, "is not paused: it is online"),
    ("resume", agent(AgentStatus.PAUSED, PAUSED), ""),
    ("release", ONLINE, "is not in quarantine: it is online"),
    ("release", agent(AgentStatus.QUARANTINED), ""),
    ("shell", ONLINE, ""),
    ("shell", agent(driver="vm"), "is run by the vm driver, which has no shell"),
    ("shell", agent(AgentStatus.PAUSED, PAUSED), "is paused: a terminal there would not answer before it is resumed"),
    ("shell", agent(AgentStatus.STOPPED, STOPPED, connection=Connection.OFFLINE), "is not connected: it is stopped"),
    ("destroy", agent(AgentStatus.DESTROYING), "is being destroyed"),
    ("destroy", agent(driver=""), ""),
]


@pytest.mark.parametrize(("act", "about", "why"), CASES, ids=range(len(CASES)))
def test_what_cannot_be_done_and_why(act: str, about: AgentView, why: str) -> None:
    assert why_not(act, about, DRIVERS) == why


@pytest.mark.parametrize("act", sorted(LIFE))
def test_an_agent_without_a_driver_is_driven_where_it_was_started(act: str) -> None:
    assert "has no driver" in why_not(act, agent(driver=""), DRIVERS)


def test_those_that_can_are_kept_and_the_others_named() -> None:
    agents = {f"a-{number}": an_agent(f"a-{number}", driver="vm" if number > 1 else "process") for number in range(7)}
    found = split("pause", [*agents, "nobody"], agents, DRIVERS.values())
    assert found.names == ("a-0", "a-1")
    assert found.why.startswith("a-2 is run by the vm driver")
    assert found.why.endswith("; and 3 more")
    assert split("pause", ["nobody"], agents, DRIVERS.values()).why == "nobody is not there"


# --- on the screen


def hub(*agents: AgentView) -> ScriptedHub:
    scripted = ScriptedHub(*agents)
    scripted.answers["health"] = type(HEALTH)(
        status="ok", version="1", hub_id="h", uptime_seconds=1.0, loop_lag_seconds=0.0, registry_writable=True,
        drivers=[PROCESS, LIMITED],
    )  # fmt: skip
    return scripted


NEEDING = [action for action in ACTIONS if action.needs in ("agent", "task", "rollout") and action.keys]


@pytest.mark.parametrize("action", NEEDING, ids=lambda action: action.id)
async def test_a_key_without_anything_to_act_on_says_so(action: Action) -> None:
    scripted = hub()
    async with shown(scripted, (120, 40)) as (app, pilot):
        await until(pilot, sees(app, "No agents yet"))
        if Where.FLEET not in action.where:
            await app.main.go(action.where[0])
            await until(pilot, lambda: app.main.pane.place is action.where[0])
        await pilot.press(action.keys[0])
        await until(pilot, lambda: app.said)
        assert app.doing.why_not(action)
        assert app.doing.why_not(action) in text_of(app)
        assert app.screen is app.main
        if action.grade > Grade.LOOKS:
            assert not {"act", "destroy", "submit", "dispatch", "retry_task"} & {name for name, _ in scripted.calls}


async def test_an_act_that_no_agent_can_take_is_refused_before_it_is_asked() -> None:
    scripted = hub(an_agent("a-1", driver="vm"))
    async with shown(scripted) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("p")
        await until(pilot, sees(app, "nothing to pause: a-1 is run by the vm driver, which has no pause"))
        await app.do_words("stop nobody")
        await until(pilot, sees(app, "nothing to stop: nobody is not there"))
        assert app.screen is app.main
        assert not scripted.called("act")


async def test_of_several_agents_the_possible_ones_are_asked_about_and_the_others_named() -> None:
    stopped = an_agent("a-2", AgentStatus.STOPPED, lifecycle=STOPPED)
    scripted = hub(an_agent("a-1"), stopped)
    async with shown(scripted) as (app, pilot):
        await until(pilot, sees(app, "a-1", "a-2"))
        await pilot.press("ctrl+a")
        await app.do_words("stop")
        await until(pilot, sees(app, "Stop a-1?", "Left out: a-2 is stopped already"))
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "√ stop a-1"))
        assert scripted.called("act") == [("a-1", AgentAct.STOP)]
