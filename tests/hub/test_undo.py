"""Which acts can be taken back, by which, and that the hub does it only where it leads back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from hub.contract import AgentAct, AttentionQuery, JournalEntry, PageQuery
from hub.core.model import AuditEntry, Desired
from hub.errors import Conflict, NotFound
from hub.undo import FAILED, Act, Policy, Snoozed, change, entry_view, outcomes, undoing, why_not
from tests.hub.running import PlayedAgent, RunningHub, running_hub


def entry(what: str, target: str = "a", detail: str = "", outcome: str = "ok", who: str = "user:ada") -> AuditEntry:
    return AuditEntry(at=1, who=who, what=what, target=target, outcome=outcome, detail=detail)


R, S, P, A = Desired.RUNNING, Desired.STOPPED, Desired.PAUSED, Desired.ABSENT

BACK = [
    ("agent.stop", change(R, S), Act("a", AgentAct.START, S)),
    ("agent.start", change(S, R), Act("a", AgentAct.STOP, R)),
    ("agent.pause", change(R, P), Act("a", AgentAct.RESUME, P)),
    ("agent.resume", change(P, R), Act("a", AgentAct.PAUSE, R)),
    ("agent.stop", change(P, S), None),
    ("agent.start", change(R, R), None),
    ("agent.stop", "", None),
    ("agent.stop", "what -> ever", None),
    ("agent.restart", change(S, R), None),
    ("agent.destroy", "", None),
    ("token.create", "admin", None),
]


@pytest.mark.parametrize(("what", "detail", "back"), BACK, ids=[f"{row[0]} {row[1]}" for row in BACK])
def test_what_takes_an_act_back(what: str, detail: str, back: Act | None) -> None:
    assert undoing(entry(what, detail=detail)) == back
    assert undoing(entry(what, detail=detail, outcome="refused")) is None


def test_a_policy_is_taken_back_by_its_opposite() -> None:
    assert undoing(entry("policy.allow", "a -> b")) == Policy("a", "b", allow=False)
    assert undoing(entry("policy.disallow", "a -> b")) == Policy("a", "b", allow=True)
    assert undoing(entry("policy.allow", "a -> b", detail=change(R, R))) is None


def test_an_entry_shows_itself_as_a_command() -> None:
    shown = entry_view(7, entry("policy.allow", "a -> b"))
    assert (shown.seq, shown.command, shown.undo) == (7, "clawtui policy allow a b", "clawtui policy disallow a b")
    assert entry_view(1, entry("agent.stop", detail=change(R, S))).command == "clawtui stop a"
    assert entry_view(1, entry("task.exec", detail="{}")).command == ""
    assert entry_view(1, entry("agent.stop", outcome="refused")).command == ""
    assert entry_view(1, entry("agent.release", who="hub")).command == ""


def test_a_snooze_is_taken_back_by_waking() -> None:
    assert undoing(entry("attention.snooze", "agent_silent:a", "3600 s")) == Snoozed("agent_silent:a")
    assert undoing(entry("attention.snooze", "agent_silent:a", "0 s")) is None


@pytest.mark.parametrize(
    ("what", "detail", "outcome", "says"),
    [
        ("agent.stop", "running -> stopped", "refused", "not carried out"),
        ("job.stop", "", "failed", "how an act ended"),
        ("agent.pause", change(P, P), "ok", "changed nothing"),
        ("agent.restart", change(R, R), "ok", "ran before the restart is gone"),
        ("agent.stop", change(P, S), "ok", "pausing kept"),
        ("agent.destroy", "", "ok", "destroyed is gone"),
        ("task.exec", "{}", "ok", "cancel it"),
        ("task.cancel", "", "ok", "submit the task again"),
        ("agent.restore", "sn_1", "ok", "clawtui restore AGENT --undo"),
        ("agent.restore_undo", "", "ok", "since that restore is gone"),
        ("agent.fork", "a-fork-1", "ok", "only by being destroyed"),
        ("snapshot.create", "", "ok", "delete the snapshot"),
        ("snapshot.delete", "", "ok", "deleted is gone"),
        ("prune.remove", "", "ok", "removed is gone"),
        ("something.new", "", "ok", "no act leads back"),
    ],
)
def test_an_entry_without_a_way_back_says_why(what: str, detail: str, outcome: str, says: str) -> None:
    one = entry(what, detail=detail, outcome=outcome)
    assert undoing(one) is None
    assert says in why_not(one)
    assert entry_view(1, one).why_not == why_not(one)


def test_an_entry_that_was_changed_since_offers_nothing_and_says_so() -> None:
    stopped = entry("agent.stop", detail=change(R, S))
    present, over = entry_view(1, stopped), entry_view(1, stopped, "a has been changed since")
    assert (present.undo, present.undo_act, present.why_not) == ("clawtui start a", "agent.start", "")
    assert (over.undo, over.undo_act, over.why_not) == ("", "", "a has been changed since")


def test_acts_of_one_kind_on_one_agent_end_in_their_order() -> None:
    newest_first = [
        (9, entry("job.stop", target="b", outcome="failed", detail="later page")),
        (8, entry("job.stop", outcome="failed", detail="no such process")),
        (7, entry("agent.stop")),
        (6, entry("agent.pause")),
        (5, entry("job.stop", outcome="succeeded")),
        (4, entry("agent.stop", who="user:bob")),
        (3, entry("agent.stop", outcome="refused")),
        (2, entry("agent.stop")),
        (1, entry("job.stop", outcome="cancelled")),
    ]
    assert {seq: (job.state, job.error) for seq, job in outcomes(newest_first).items()} == {
        2: ("succeeded", ""),
        7: ("failed", "no such process"),
    }


def test_an_act_that_failed_after_it_was_written_down_says_so_itself() -> None:
    failed = entry("network.remove", outcome=FAILED, detail="it is used")
    newest_first = [(4, entry("network.remove")), (3, failed), (2, entry("network.remove")), (1, failed)]
    assert {seq: (job.state, job.error) for seq, job in outcomes(newest_first).items()} == {2: (FAILED, "it is used")}


@contextlib.asynccontextmanager
async def made(hub: RunningHub) -> AsyncIterator[PlayedAgent]:
    """An agent of the fake driver that has connected."""
    job = await hub.create("a")
    await hub.until(lambda: hub.platform.agents, "the driver has made it")
    agent = hub.created()
    await agent.connect()
    await hub.job(job.id)
    try:
        yield agent
    finally:
        await agent.close()


async def journal(hub: RunningHub, what: str) -> JournalEntry:
    """The newest entry of a kind."""
    await hub.kernel.settle()
    listed = (await hub.control.journal(PageQuery())).journal
    return next(entry for entry in listed if entry.what == what)


async def test_a_pause_is_taken_back_once_and_has_its_own_entry() -> None:
    async with running_hub() as hub, made(hub):
        await hub.job((await hub.control.act("a", AgentAct.PAUSE)).id)
        paused = await journal(hub, "agent.pause")
        assert (paused.who, paused.detail, paused.undo) == ("user:test", "running -> paused", "clawtui resume a")
        answer = await hub.control.undo(paused.seq)
        assert answer.undone == "clawtui resume a"
        assert answer.job is not None
        assert (await hub.job(answer.job.id)).state == "succeeded"
        over = await journal(hub, "agent.pause")
        assert (over.undo, over.why_not) == ("", "a has been changed since")
        assert over.job is not None
        assert over.job.state == "succeeded"
        assert (await hub.control.agent("a")).lifecycle.desired is Desired.RUNNING
        resumed = await journal(hub, "agent.resume")
        assert resumed.undo == "clawtui pause a"
        with pytest.raises(Conflict, match="changed since"):
            await hub.control.undo(paused.seq)


async def test_an_act_on_an_agent_that_is_gone_leads_nowhere() -> None:
    async with running_hub() as hub, made(hub):
        await hub.job((await hub.control.act("a", AgentAct.STOP)).id)
        stopped = await journal(hub, "agent.stop")
        await hub.job((await hub.control.destroy("a")).id)
        with pytest.raises(NotFound):
            await hub.control.undo(stopped.seq)
        hub.move(10)
        async with made(hub):
            # Another agent of the same name was never stopped.
            await hub.job((await hub.control.act("a", AgentAct.STOP)).id)
            with pytest.raises(Conflict, match="changed since"):
                await hub.control.undo(stopped.seq)


async def test_a_policy_is_taken_back_unless_it_has_changed() -> None:
    async with running_hub() as hub:
        await hub.register("a")
        await hub.register("b")
        await hub.control.allow("a", "b")
        allowed = await journal(hub, "policy.allow")
        await hub.control.allow("a", "b")
        again = await journal(hub, "policy.allow")
        assert again.undo == ""
        with pytest.raises(Conflict, match="cannot be taken back"):
            await hub.control.undo(again.seq)
        assert (await hub.control.undo(allowed.seq)).undone == "clawtui policy disallow a b"
        assert (await hub.control.policies()).policies == []
        with pytest.raises(Conflict, match="changed since"):
            await hub.control.undo(allowed.seq)
        await hub.control.undo((await journal(hub, "policy.disallow")).seq)
        assert len((await hub.control.policies()).policies) == 1


async def test_an_entry_that_is_not_there_is_not_found() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotFound):
            await hub.control.undo(10**17)
        assert (await hub.control.attention(AttentionQuery())).attention == []


async def test_a_snooze_is_taken_back_while_it_lasts() -> None:
    async with running_hub() as hub, hub.playing():
        hub.move(50)
        await hub.status("a", "stale")
        await hub.control.snooze("agent_silent:a", 600)
        asleep = await journal(hub, "attention.snooze")
        assert (asleep.undo, asleep.undo_act) == (
            "clawtui attention snooze agent_silent:a --for 0",
            "attention.wake",
        )
        await hub.control.undo(asleep.seq)
        assert "agent_silent:a" in [view.id for view in (await hub.control.attention(AttentionQuery())).attention]
        with pytest.raises(Conflict, match="changed since"):
            await hub.control.undo(asleep.seq)
