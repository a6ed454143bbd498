"""The screen on a scripted hub: what is seen, what keys do, and what no key does."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from textual import events

from clawtui.errors import UsageError
from clawtui.tui.acting import Acting
from clawtui.tui.actions import ACTIONS, Where
from clawtui.tui.building import Building
from clawtui.tui.choosing import Choosing
from clawtui.tui.doing import Doing
from clawtui.tui.editing import Editing
from clawtui.tui.gateways_acts import Operating
from clawtui.tui.going import Going
from clawtui.tui.keymap import Keymap
from clawtui.tui.messages_acts import Messaging
from clawtui.tui.migration_acts import Migrating
from clawtui.tui.saving import Saving
from clawtui.tui.screens.main import PANES
from clawtui.tui.sync_acts import Syncing
from clawtui.tui.undoing import Undoing
from clawtui.tui.widgets.command_line import CHARACTERS_MAX, LineInput
from clawtui.tui.widgets.create_form import CreateDialog
from clawtui.tui.widgets.dialogs import ConfirmDialog, TypeNameDialog
from clawtui.tui.widgets.forms import Form, TaskDialog
from hub.contract import (
    AgentAct,
    AttentionList,
    AttentionView,
    DispatchRequest,
    HubHealth,
    JournalList,
    LogEntry,
    Severity,
)
from hub.core.model import AgentStatus, TaskState
from hub.errors import Conflict
from tests.hub.api.scripted import WHEN, Stream
from tests.tui.scripted import ScriptedHub, a_task, an_agent, sees, shown, stopped, text_of, typed, until

OWNERS = (Doing, Acting, Saving, Going, Choosing, Undoing, Building, Editing, Syncing, Messaging, Migrating, Operating)
"""Who carries out what no place has of its own, in the app's order."""
SIZES = ((80, 24), (120, 40), (200, 60))


def pair() -> ScriptedHub:
    return ScriptedHub(an_agent("a-1"), an_agent("a-2", AgentStatus.CRASHED, reason="out of memory"))


@pytest.mark.parametrize("size", SIZES)
async def test_agents_are_seen_with_a_glyph_and_a_word(size: tuple[int, int]) -> None:
    async with shown(pair(), size) as (app, pilot):
        await until(pilot, sees(app, "a-1", "● online", "a-2", "× crashed", "2 agents"))
        assert "? Help" in text_of(app)


async def test_an_empty_registry_says_what_to_do_and_one_key_does_it() -> None:
    hub = ScriptedHub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "No agents yet", "First agent"))
        await pilot.press("a")
        await until(pilot, sees(app, "worker-1", "clawtui create worker-1 --driver process"))


async def test_a_change_is_read_again_and_shown() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "● online"))
        hub.change(stopped(hub.agents_by_id["a-1"]))
        await until(pilot, sees(app, "■ stopped"))
        hub.remove("a-2")
        await until(pilot, lambda: "a-2" not in text_of(app))


async def test_a_task_that_begins_or_ends_changes_its_agents_row() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "● online"))
        hub.agents_by_id["a-1"] = msgspec.structs.replace(hub.agents_by_id["a-1"], queued=321)
        hub.tell("task", "t-1", agent="a-1")
        await until(pilot, sees(app, "321"))


async def test_a_lost_hub_is_announced_what_was_read_stays_and_it_comes_back_by_itself() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        hub.lose()
        await until(pilot, sees(app, "× lost", "OLD VALUES", "The hub is away", "a-1"))
        assert all(row.stale for row in app.main.pane.query_one("#fleet-table").rows)  # pyright: ignore
        hub.change(an_agent("a-3"))
        hub.come_back()
        await until(pilot, sees(app, "● live", "a-3"))
        await until(pilot, lambda: "The hub is away" not in text_of(app))


async def test_stopping_work_asks_and_cancel_is_the_default() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert not hub.called("act")
        await pilot.press("R", "right", "enter")
        await until(pilot, sees(app, "√ restart a-1", "clawtui restart a-1"))
        assert hub.called("act") == [("a-1", AgentAct.RESTART)]


async def test_losing_data_needs_the_name_typed() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await typed(pilot, "a-2")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert not hub.called("destroy")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await typed(pilot, "a-1")
        await pilot.press("enter")
        await until(pilot, lambda: hub.called("destroy") == [("a-1",)])


async def test_read_only_refuses_every_act_whatever_way_it_comes() -> None:
    hub = pair()
    async with shown(hub, read_only=True) as (app, pilot):
        await until(pilot, sees(app, "a-1", "READ-ONLY"))
        before = len(hub.calls)
        for action in ACTIONS:
            if action.grade:
                await app.do(action, "a-1")
                assert app.screen is app.main, action.id
        await app.do_words("destroy a-1")
        await until(pilot, sees(app, "read-only: destroy"))
        changing = {"act", "destroy", "submit", "dispatch", "create_agent", "release", "cancel_task", "retry_task"}
        assert not changing & {name for name, _ in hub.calls[before:]}


async def test_a_refusal_of_the_hub_is_said_and_can_be_read_in_full() -> None:
    hub = pair()
    hub.answers["act"] = Conflict("a-1 is being destroyed", hint="wait for it")
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("p")
        await until(pilot, sees(app, "× a-1 is being destroyed", "wait for it"))
        await pilot.press("e")
        await until(pilot, sees(app, "Last error", "what to do: wait for it"))


async def test_a_filter_narrows_the_table_and_marks_outlive_it() -> None:
    hub = ScriptedHub(*(an_agent(f"web-{n}") for n in range(3)), an_agent("db-1", AgentStatus.CRASHED))
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "web-2", "db-1"))
        await pilot.press("space")
        await pilot.press("slash")
        await typed(pilot, "state:online")
        await pilot.press("enter")
        await until(pilot, sees(app, "Agents 3 of 4", "1 marked (1 hidden)"))
        await pilot.press("slash", "ctrl+u")
        await typed(pilot, "/web-[01]/")
        await pilot.press("enter")
        await until(pilot, sees(app, "Agents 2 of 4"))
        await pilot.press("escape", "escape")
        await until(pilot, sees(app, "Agents 4 "))


async def test_a_filter_that_is_no_expression_is_said() -> None:
    async with shown(pair()) as (app, pilot):
        await pilot.press("slash")
        await typed(pilot, "/(/")
        await until(pilot, sees(app, "is no regular expression"))


async def test_sorting_keeps_the_cursor_on_its_agent() -> None:
    async with shown(pair()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("sort state")
        await until(pilot, sees(app, "by state"))
        table = app.main.pane.query_one("#fleet-table")
        assert [row.key for row in table.rows] == ["a-2", "a-1"]  # pyright: ignore
        assert table.cursor_key == "a-1"  # pyright: ignore
        await app.do_words("sort nothing")
        await until(pilot, sees(app, "there is no column"))


async def test_a_command_goes_to_the_marked_agents_as_a_rollout() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("space", "down", "space", "b")
        await typed(pilot, "uptime")
        await pilot.press("enter")
        await until(pilot, lambda: hub.called("dispatch"))
        request = hub.called("dispatch")[0][0]
        assert request == DispatchRequest(task={"type": "exec", "command": "uptime"}, agents=["a-1", "a-2"])
        await until(pilot, lambda: app.main.pane.place is Where.ROLLOUT)


async def test_the_command_line_has_history_completion_and_a_word_for_what_is_unknown() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("colon")
        await typed(pilot, "jour")
        await until(pilot, lambda: app.main.query_one(LineInput)._suggestion == "journal")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: app.main.pane.place is Where.JOURNAL)
        await pilot.press("colon", "up")
        assert app.main.query_one(LineInput).value == "journal"
        await pilot.press("ctrl+u")
        await typed(pilot, "nonsense")
        await pilot.press("enter")
        await until(pilot, sees(app, "there is no action 'nonsense'"))


async def test_a_paste_of_100_kilobytes_is_cut_and_the_screen_goes_on() -> None:
    async with shown(pair()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("b")
        line = app.main.query_one(LineInput)
        line.post_message(events.Paste("x" * 100_000))
        await until(pilot, lambda: len(line.value) > 1_000)
        assert len(line.value) == CHARACTERS_MAX
        await until(pilot, sees(app, "characters are cut"))
        await pilot.press("escape")
        await until(pilot, lambda: not app.main.query_one("#command-line").display)
        assert sees(app, "a-1")()


async def test_the_wizard_shows_the_command_that_does_the_same() -> None:
    hub = pair()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await typed(pilot, "builder-7")
        await until(pilot, sees(app, "clawtui create builder-7", "Create (^s)"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: hub.called("create_agent"))
        assert hub.called("create_agent")[0][0].name == "builder-7"


async def test_a_form_is_sent_with_all_that_was_typed_before_however_fast() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        for letter in "builder-seven":
            app.post_message(events.Key(letter, letter))
        app.post_message(events.Key("ctrl+s", None))
        await until(pilot, lambda: hub.called("create_agent"))
        assert hub.called("create_agent")[0][0].name == "builder-seven"


@pytest.mark.parametrize(
    ("dialog", "first"),
    [(TaskDialog(("a-1",)), "#t-fields Input"), (CreateDialog([], lambda **_: ""), "#f-name")],
    ids=["task", "create"],
)
async def test_a_form_takes_what_is_typed_from_its_first_moment_on(dialog: Form, first: str) -> None:
    async with shown(pair()) as (app, _):
        await app.push_screen(dialog)
        assert dialog.focused is dialog.query(first).first()


@pytest.mark.parametrize("size", SIZES)
async def test_the_task_form_has_every_type_and_says_what_is_missing(size: tuple[int, int]) -> None:
    hub = pair()
    async with shown(hub, size) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("task script")
        await until(pilot, sees(app, "script *", "interpreter", "Canary", "Send (^s)"))
        assert isinstance(app.screen, TaskDialog)
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "script is needed"))
        await typed(pilot, "print")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: hub.called("submit"))
        assert hub.called("submit")[0][:2] == ("a-1", {"type": "script", "script": "print", "interpreter": "node"})


async def test_tasks_their_output_and_a_retry() -> None:
    hub = pair()
    hub.board = [a_task("t-9", "a-2", TaskState.FAILED, exit_code=3, dispatch_id="d-1")]
    async with shown(hub) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, sees(app, "Newest tasks 1", "× failed", "echo t-9"))
        await pilot.press("r")
        await until(pilot, lambda: hub.called("retry_task") == [("t-9",)])
        await pilot.press("enter")
        await until(pilot, sees(app, "hi", "t-9"))
        assert app.main.pane.place is Where.OUTPUT
        await pilot.press("escape")
        await until(pilot, lambda: app.main.pane.place is Where.TASKS)
        await pilot.press("F")
        await until(pilot, lambda: hub.called("retry_dispatch") == [("d-1",)])


async def test_logs_of_several_agents_are_merged_filtered_and_neutralised() -> None:
    hub = pair()
    lines = [
        LogEntry(text=f"\x1b[31mline {n}\x07", source="runtime", at=f"2026-01-02T03:04:{n:02}.000Z") for n in range(9)
    ]
    hub.answers["agent_logs"] = lambda _, query: Stream(lines, ends=not query.follow)
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("logs a-1")
        await until(pilot, sees(app, "line 8"))
        assert "\x1b" not in text_of(app)
        assert "\x07" not in text_of(app)
        await pilot.press("slash")
        await typed(pilot, "line [45]")
        await pilot.press("enter")
        await until(pilot, lambda: "line 8" not in text_of(app) and sees(app, "2 hits", "line 4", "line 5")())
        await pilot.press("plus")
        await until(pilot, sees(app, "±2", "line 2", "line 7"))


@pytest.mark.parametrize("size", SIZES)
async def test_every_place_has_something_to_say_when_there_is_nothing(size: tuple[int, int]) -> None:
    hub = ScriptedHub()
    hub.answers["journal"] = JournalList(journal=[])
    sentences = {"f1": "No agents yet", "f2": "No tasks yet", "f3": "No agents, no logs", "f4": "Nothing was done yet"}
    async with shown(hub, size) as (app, pilot):
        for key, sentence in sentences.items():
            await pilot.press(key)
            await until(pilot, sees(app, sentence))
        await pilot.press("f5")
        await until(pilot, sees(app, "Hub", "State"))


async def test_the_terminal_may_become_tiny_and_grow_again() -> None:
    async with shown(pair()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        for size in ((20, 5), (1, 1), (79, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
        await until(pilot, sees(app, "a-1", "1 Now", "? Help"))


async def test_a_narrow_terminal_shows_the_detail_instead_of_the_list() -> None:
    async with shown(pair(), (70, 24)) as (app, pilot):
        await until(pilot, sees(app, "a-2"))
        assert "1 Now" not in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: sees(app, "1 Now", "says hub")() and "a-2" not in text_of(app))
        await pilot.press("escape")
        await until(pilot, sees(app, "a-2"))


async def test_palette_and_menu_lead_to_actions_and_agents() -> None:
    hub = pair()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("ctrl+p")
        await typed(pilot, "agent a-2")
        await pilot.press("enter")
        await until(pilot, lambda: app.main.pane.subject().agents == ("a-2",))
        await pilot.press("x")
        await typed(pilot, "pause")
        await pilot.press("enter")
        await until(pilot, lambda: hub.called("act") == [("a-2", AgentAct.PAUSE)])


async def test_help_has_every_action() -> None:
    async with shown(pair(), (120, 300)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, sees(app, "Here: fleet"))
        seen = text_of(app)
        for action in ACTIONS:
            assert action.help[:30] in seen, action.id


async def test_names_with_wide_characters_and_controls_keep_the_columns() -> None:
    hub = ScriptedHub(an_agent("a-1", display_name="建物🎉e\u0301\x1b[2J", reason="x\ny\u202e"), an_agent("a-2"))
    async with shown(hub, (200, 60)) as (app, pilot):
        await until(pilot, sees(app, "建物"))
        assert "\x1b" not in text_of(app)
        assert "\u202e" not in text_of(app)


# --- keys


def test_every_action_is_carried_out_somewhere() -> None:
    for action in ACTIONS:
        name = f"do_{action.id.replace('.', '_')}"
        places = [PANES[place] for place in action.where if place is not Where.ANY]
        assert any(hasattr(owner, name) for owner in OWNERS) or (places and all(hasattr(p, name) for p in places)), name


def test_no_two_actions_want_a_key_in_one_place() -> None:
    Keymap({action.id: action.keys for action in ACTIONS})


async def test_a_key_can_be_given_to_another_action() -> None:
    hub = pair()
    async with shown(hub, keys={"agent.pause": ("ctrl+t",)}) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("p")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: hub.called("act"))
        assert hub.called("act") == [("a-1", AgentAct.PAUSE)]


def test_a_key_for_an_unknown_action_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"agent\.stahrt") as refused:
        Keymap({"agent.stahrt": ("x",)})
    assert "agent.start" in refused.value.hint


def test_a_key_for_two_actions_in_one_place_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"agent\.pause and agent\.restart|agent\.restart and agent\.pause"):
        Keymap({"agent.pause": ("R",)})


# --- slow hubs


async def test_the_first_picture_does_not_wait_for_the_hub() -> None:
    hub = pair()
    never = asyncio.Event()

    class Slow(ScriptedHub):
        async def health(self) -> HubHealth:
            await never.wait()
            return await super().health()

    from clawtui.tui.app import ClawtuiApp

    app = ClawtuiApp(address="test")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, sees(app, "starting"))
        slow = Slow(*hub.agents_by_id.values())
        app.connect(slow)
        await until(pilot, sees(app, "◔ connecting", "Waiting for the hub"))
        never.set()
        await until(pilot, sees(app, "a-1"))


async def test_what_needs_a_person_stands_on_top_leads_there_and_can_be_snoozed() -> None:
    hub = ScriptedHub(an_agent("a-1"), an_agent("a-2", AgentStatus.CRASHED))
    need = AttentionView(
        id="n-1", kind="crashed", severity=Severity.CRITICAL, target_kind="agent", target="a-2", since=WHEN,
        text="exit 137",
    )  # fmt: skip
    hub.answers |= {"attention": AttentionList(attention=[need]), "snooze": need}
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "NEEDS YOU 1", "critical a-2 exit 137"))
        await pilot.press("A")
        await until(pilot, sees(app, "Needs you: 1", "× critical a-2", "exit 137"))
        await pilot.press("enter")
        await until(pilot, lambda: app.main.pane.subject().agents == ("a-2",))
        await pilot.press("z")
        await until(pilot, lambda: hub.called("snooze") == [("n-1", 3_600)])
        hub.answers["attention"] = AttentionList(attention=[], snoozed=1)
        hub.tell("attention", "")
        await until(pilot, lambda: "NEEDS YOU" not in text_of(app))
