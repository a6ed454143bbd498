"""The journal on the screen: acts with result and way back, the audit, and what `u` does, here and everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clawtui.tui.journal import act_detail, act_words, is_act, result
from clawtui.tui.undoing import OFFER_SECONDS, stops
from clawtui.tui.widgets.dialogs import ConfirmDialog
from hub.contract import AgentAct, AuditList, AuditView, JobOutcome, JournalEntry, JournalList, UndoAnswer
from hub.core.model import AgentStatus
from hub.errors import Conflict, Forbidden
from tests.hub.api.scripted import ENTRY, WHEN
from tests.tui import fleet_script, office_script
from tests.tui.scripted import DONE, ScriptedHub, an_agent, sees, shown, text_of, until

SIZES = ((80, 24), (120, 40), (200, 60))
PAUSED = replace(
    ENTRY, seq=9, what="agent.pause", undo="clawtui resume a-1", undo_act="agent.resume", command="clawtui pause a-1",
    detail="running -> paused",
)  # fmt: skip
GONE = replace(ENTRY, seq=5, what="agent.destroy", undo="", undo_act="", why_not="what was destroyed is gone")


class History(ScriptedHub):
    """One agent, and a journal that grows by what is done to it."""

    def __init__(self, *entries: JournalEntry) -> None:
        super().__init__(an_agent("a-1"))
        self.entries = list(entries)
        self.clock = 1_000.0
        self.answers |= {
            "act": self._act,
            "journal": lambda _: JournalList(journal=list(self.entries)),
            "undo": self._undo,
        }

    def _act(self, agent_id: str, act: AgentAct) -> Any:
        self.entries.insert(0, replace(PAUSED, seq=len(self.entries) + 100, what=f"agent.{act.value}"))
        return DONE

    def _undo(self, seq: int) -> UndoAnswer:
        entry = next(one for one in self.entries if one.seq == seq)
        self.spoil(seq)
        resumed = replace(PAUSED, seq=seq + 50, what=entry.undo_act, undo="clawtui pause a-1", undo_act="agent.pause")
        self.entries.insert(0, resumed)
        return UndoAnswer(undone=entry.undo, job=DONE)

    def spoil(self, seq: int) -> None:
        """Somebody has changed the agent since."""
        place = next(place for place, one in enumerate(self.entries) if one.seq == seq)
        over = replace(self.entries[place], undo="", undo_act="", why_not="a-1 has been changed since")
        self.entries[place] = over


# --- words


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("agent.pause", "pause agent"),
        ("token.create", "create token"),
        ("attention.snooze", "snooze"),
        ("POST /agents/{agent_id}/task", "POST /agents/{agent_id}/task"),
        ("GET /openapi.json", "GET /openapi.json"),
        ("dispatch", "dispatch"),
    ],
)
def test_an_act_has_words(what: str, words: str) -> None:
    assert act_words(what) == words


def test_an_act_with_a_job_is_done_when_the_job_is() -> None:
    assert result(PAUSED)[1] == "begun"
    assert result(replace(PAUSED, job=JobOutcome(state="failed", error="no")))[1] == "failed"
    assert result(replace(PAUSED, what="token.revoke"))[1] == "done"
    assert result(replace(PAUSED, outcome="refused"))[1] == "refused"


def test_ends_of_jobs_and_the_hubs_own_doing_are_no_acts() -> None:
    kinds = {"agent.pause": True, "job.pause": False, "job.cancel": True}
    assert {what: is_act(replace(ENTRY, what=what)) for what in kinds} == kinds
    assert not is_act(replace(ENTRY, who="hub"))


def test_the_detail_says_who_when_what_came_of_it_and_the_way_back() -> None:
    now = fleet_script.NOW
    told = {field.label: field.text for field in act_detail(PAUSED, now, "u")}
    assert (told["Act"], told["Way back"]) == ("pause agent a-1", "u does: clawtui resume a-1")
    assert (told["Command"], told["Who"], told["Detail"]) == ("clawtui pause a-1", "ada", "running -> paused")
    failed = replace(PAUSED, job=JobOutcome(state="failed", error="line one\nline two"))
    assert "failed: line one\nline two" in {field.label: field.text for field in act_detail(failed, now, "u")}["Result"]
    assert {field.label: field.text for field in act_detail(GONE, now, "u")}["Way back"] == (
        "none: what was destroyed is gone"
    )


def test_what_stops_work_is_known_by_its_grade() -> None:
    assert stops(replace(PAUSED, undo_act="agent.stop"))
    assert not stops(PAUSED)
    assert not stops(replace(PAUSED, undo_act="policy.disallow"))


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_acts_and_audit_are_two_views_and_each_shows_an_entry_in_full(size: tuple[int, int]) -> None:
    async with shown(fleet_script.hub(), size) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "[1 Acts]", "destroy agent", "▶ begun", "√ succeeded", "u resume deploy"))
        assert "agent.quarantine" not in text_of(app)
        await until(pilot, sees(app, "destroy agent scratch", "none: what was destroyed is gone", "y copies it"))
        await pilot.press("2")
        await until(pilot, sees(app, "[2 Audit]", "agent.quarantine", "Number", "! refused"))
        await pilot.press("right_square_bracket")
        await until(pilot, sees(app, "[1 Acts]", "create token"))


async def test_filters_know_the_fields_of_each_view() -> None:
    async with shown(fleet_script.hub()) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "create token"))
        app.main.pane.set_filter("undo:yes who:ada")
        await until(pilot, sees(app, "Journal  [1 Acts]  2 Audit · 2 of 10", "pause agent"))
        assert "create token" not in text_of(app)
        await pilot.press("2")
        await until(pilot, sees(app, "agent.quarantine"))
        app.main.pane.set_filter("outcome:refused")
        await until(pilot, sees(app, "1 of 14", "crawler-asia"))


async def test_y_copies_the_command_that_does_the_same() -> None:
    async with shown(History(PAUSED)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "pause agent"))
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == "clawtui pause a-1")


async def test_an_empty_journal_and_one_that_may_not_be_read_say_what_to_do() -> None:
    hub = History()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "Nothing was done yet", "appears here"))
        hub.answers["journal"] = hub.answers["audit"] = Forbidden("the role operator may not do this")
        hub.tell("job", "j-1")
        await until(pilot, sees(app, "the role operator may not do this", "needs a token with the role admin"))


# --- taking back


async def test_u_takes_the_act_under_the_cursor_back_and_says_what_was_observed() -> None:
    hub = History(PAUSED, GONE)
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "pause agent"))
        await pilot.press("u")
        await until(pilot, sees(app, "√ taken back: clawtui resume a-1"))
        assert hub.called("undo") == [(9,)]
        assert hub.called("job")


async def test_an_act_without_a_way_back_says_why_and_nothing_is_sent() -> None:
    hub = History(GONE)
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "destroy agent"))
        await pilot.press("u")
        await until(pilot, sees(app, "destroy agent a-1 cannot be taken back: what was destroyed is gone"))
        await app.do_words("undo 5")
        await app.do_words("undo 77")
        await until(pilot, sees(app, "number 77 is not among"))
        assert hub.called("undo") == []


async def test_a_way_back_that_stops_work_asks_and_cancel_is_the_default() -> None:
    started = replace(PAUSED, what="agent.start", undo="clawtui stop a-1", undo_act="agent.stop")
    hub = History(started)
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "start agent"))
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "clawtui stop a-1", "stops work"))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert hub.called("undo") == []
        await app.do_words("undo 9")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, lambda: hub.called("undo") == [(9,)])


async def test_a_refused_undo_is_a_failure_that_is_said() -> None:
    hub = History(PAUSED)
    hub.answers["undo"] = Conflict("entry 9 cannot be taken back: a-1 has been changed since")
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "pause agent"))
        await pilot.press("u")
        await until(pilot, sees(app, "× entry 9 cannot be taken back"))


async def test_read_only_takes_nothing_back() -> None:
    hub = History(PAUSED)
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "pause agent"))
        await pilot.press("u")
        await until(pilot, sees(app, "read-only: undo is not possible here"))
        assert hub.called("undo") == []


# --- the offer


def stand(app: Any, hub: History) -> None:
    """The store's clock is the test's."""
    app.store.mono = lambda: hub.clock


async def test_after_an_act_the_line_offers_the_way_back_with_its_seconds_until_they_are_over() -> None:
    hub = History()
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        stand(app, hub)
        await app.do_words("pause a-1")
        await until(pilot, sees(app, "√ pause a-1", f"u undo pause a-1 ({OFFER_SECONDS:.0f}s)"))
        hub.clock += OFFER_SECONDS - 3
        app.refresh_now()
        await until(pilot, sees(app, "u undo pause a-1 (3s)"))
        hub.clock += 3
        app.refresh_now()
        await until(pilot, lambda: "undo pause" not in text_of(app))
        await pilot.press("u")
        await until(pilot, sees(app, "nothing can be taken back now"))
        assert hub.called("undo") == []


async def test_u_takes_back_what_is_offered_and_then_that_is_offered_to_be_taken_back() -> None:
    hub = History()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("pause a-1")
        await until(pilot, sees(app, "u undo pause a-1"))
        await pilot.press("u")
        await until(pilot, sees(app, "√ taken back: clawtui resume a-1", "u undo resume a-1"))
        assert hub.called("undo") == [(100,)]


async def test_the_offer_goes_when_the_journal_says_that_it_leads_back_no_more() -> None:
    hub = History()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        stand(app, hub)
        await app.do_words("pause a-1")
        await until(pilot, sees(app, "u undo pause a-1"))
        hub.spoil(100)
        hub.clock += 3
        app.refresh_now()
        await until(pilot, lambda: "undo pause" not in text_of(app))


async def test_nothing_is_offered_where_the_journal_has_no_way_back_or_may_not_be_read() -> None:
    hub = History()
    hub.answers["act"] = DONE
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("pause a-1")
        await until(pilot, sees(app, "√ pause a-1"))
        await until(pilot, lambda: hub.called("journal"))
        assert app.undoing.offer is None
        hub.answers["journal"] = Forbidden("the role operator may not do this")
        await app.do_words("pause a-1")
        await until(pilot, lambda: len(hub.called("journal")) == 2)
        assert app.undoing.offer is None
        assert "may not do this" not in text_of(app)


async def test_the_offer_is_not_made_while_the_hub_is_away() -> None:
    hub = History()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("pause a-1")
        await until(pilot, sees(app, "u undo pause a-1"))
        hub.lose()
        await until(pilot, lambda: "undo pause" not in text_of(app))


async def test_several_agents_are_taken_back_together() -> None:
    hub = History()
    hub.change(an_agent("a-2", AgentStatus.ONLINE))
    hub.answers["act"] = lambda agent_id, act: (
        hub.entries.insert(0, replace(PAUSED, seq=len(hub.entries) + 200, target=agent_id)) or DONE
    )
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-2"))
        await app.do_words("pause a-1 a-2")
        await until(pilot, sees(app, "u undo pause of 2"))
        await pilot.press("u")
        await until(pilot, sees(app, "√ taken back: clawtui resume a-1 and 1 more"))
        assert sorted(hub.called("undo")) == [(200,), (201,)]


def test_the_scripted_journal_is_made_by_the_hubs_rules() -> None:
    undoable = {entry.what for entry in office_script.journal() if entry.undo}
    assert undoable == {"agent.pause", "agent.stop", "attention.snooze"}


async def test_an_entry_of_an_older_hub_has_no_way_back_that_is_told() -> None:
    hub = History(JournalEntry(seq=1, at=WHEN, who="user:ada", what="agent.restart", target="a-1", outcome="ok"))
    hub.answers["audit"] = AuditList(audit=[AuditView(1, WHEN, "user:ada", "x", "", "ok")])
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "restart agent", "not told by this hub"))
