"""Forms: what is wrong stands beside its field, and nothing that was typed is lost to a refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from textual.widgets import Input, Static

from clawtui.tui.widgets.create_form import CreateDialog
from clawtui.tui.widgets.forms import TaskDialog
from hub.contract import CreateAgent, JobView, Resources, Submitted
from hub.errors import BadRequest, NotFound, Unavailable
from runtime.wire import TaskError
from tests.tui.scripted import DONE, ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = [(80, 24), (120, 40)]
FAILED = replace(DONE, state="failed", error=TaskError(code="conflict", message="the container web is another hub's"))


def pair(**answers: Any) -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"), an_agent("a-2"))
    hub.answers |= answers
    return hub


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "said"),
    [("Web_1", "'Web_1' is not a name"), ("hub", "'hub' is a reserved name"), ("a-2", "there is an agent a-2 already")],
)
async def test_a_refused_name_is_told_under_it_while_it_is_typed(size: tuple[int, int], name: str, said: str) -> None:
    hub = pair()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, name)
        await until(pilot, sees(app, f"× {said}", "Create (^s)"))
        lines = text_of(app).splitlines()
        assert said in lines[next(at for at, line in enumerate(lines) if "│ Name " in line) + 1]
        await pilot.press("tab", "ctrl+s")
        await until(pilot, lambda: app.screen.focused is app.screen.query_one("#f-name"))
        assert app.screen.query_one("#f-name", Input).value == name
        assert not hub.called("create_agent")
        app.screen.query_one("#f-name", Input).value = "web"
        await until(pilot, sees(app, "clawtui create web"))
        assert said not in text_of(app)


async def test_what_the_hub_refuses_is_mended_in_the_form() -> None:
    refusal = BadRequest("'2 q' is no size", field="resources.memory", hint="e.g. 512M or 2G")
    hub = pair(create_agent=refusal)
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "web")
        app.screen.query_one("#f-labels", Input).value = "team=a"
        app.screen.query_one("#f-memory", Input).value = "2 q"
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× '2 q' is no size (e.g. 512M or 2G)"))
        assert app.screen.focused is app.screen.query_one("#f-memory")
        assert app.screen.query_one("#f-labels", Input).value == "team=a"
        hub.answers["create_agent"] = DONE
        app.screen.query_one("#f-memory", Input).value = "2G"
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ web is there"))
        assert app.screen is app.main
        request = hub.called("create_agent")[-1][0]
        assert (request.resources, request.labels) == (Resources(memory="2G"), {"team": "a"})


async def test_a_refusal_about_no_field_stands_under_all_of_them() -> None:
    async with shown(pair(create_agent=Unavailable("the registry cannot be written", hint="see its disk"))) as (
        app,
        pilot,
    ):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "web")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× the registry cannot be written (see its disk)"))
        assert isinstance(app.screen, CreateDialog)


async def test_an_agent_that_came_to_nothing_is_in_the_next_form() -> None:
    hub = pair(create_agent=replace(DONE, finished_at=None, state="running"), job=FAILED)
    async with shown(hub, (120, 40)) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "web")
        app.screen.query_one("#f-cpus", Input).value = "1.5"
        app.screen.query_one("#f-labels", Input).value = "team=a stage=b"
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "create web failed: the container web is another hub's", "c opens the form"))
        await pilot.press("c")
        await until(pilot, sees(app, "clawtui create web --cpu 1.5 --label team=a --label stage=b"))
        assert isinstance(app.screen, CreateDialog)
        hub.answers["job"] = DONE
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ web is there"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        assert app.screen.query_one("#f-name", Input).value == ""


async def test_a_form_that_was_left_before_the_hub_said_no_tells_it_all_the_same() -> None:
    """And what is on its way is not taken back."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: CreateAgent) -> JobView:
        asked.set()
        await go_on.wait()
        raise BadRequest(f"{request.name} is refused")

    hub = pair()
    hub.create_agent = slow  # type: ignore[method-assign]
    async with shown(hub) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "web")
        await pilot.press("ctrl+s")
        await until(pilot, asked.is_set)
        await until(pilot, sees(app, "the hub is asked"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        go_on.set()
        await until(pilot, sees(app, "× web is refused"))


@pytest.mark.parametrize("field", ["cpus", "concurrency"])
async def test_half_a_number_is_no_number(field: str) -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "web")
        app.screen.query_one(f"#f-{field}", Input).value = "-"
        await until(pilot, sees(app, "× '-' is not a number"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen.focused is app.screen.query_one(f"#f-{field}"))
        assert not hub.called("create_agent")


async def test_a_task_that_is_refused_stays_in_its_form() -> None:
    hub = pair(submit=NotFound("there is no agent a-9", field="agent"))
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("task script")
        await until(pilot, lambda: isinstance(app.screen, TaskDialog))
        await typed(pilot, "print")
        app.screen.query_one("#t-timeout", Input).value = "."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen.query_one("#t-timeout-wrong", Static).display)
        app.screen.query_one("#t-timeout", Input).value = "5"
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× there is no agent a-9"))
        assert app.screen.query_one("#v-script", Input).value == "print"
        hub.answers["submit"] = Submitted(task_id="t-1", status="queued")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, sees(app, "√ queued: task"))


async def test_the_last_error_says_nothing_of_the_key_that_shows_it() -> None:
    async with shown(pair(job=FAILED)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("R", "right", "enter")
        await until(pilot, sees(app, "restart failed", "e shows it in full"))
        await pilot.press("e")
        await until(pilot, sees(app, "Last error"))
        assert "what to do" not in text_of(app)
