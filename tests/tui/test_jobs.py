"""Jobs on the screen: running first, errors in full, cancel after a question, and the line that tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from clawtui.tui.jobs import JOB_COLUMNS, SAID_LEAST_CELLS, JobWatch, job_detail, job_row, jobs_line, running_first
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.dialogs import ConfirmDialog
from hub.contract import AgentAct, AttentionList, AttentionView, JobList, JobStepView, JobView, Severity
from hub.core.model import TaskState
from hub.disk import prune, repair
from hub.errors import Conflict
from hub.image_jobs import KINDS
from hub.snapshots import deleting, forking, restoring, taking
from runtime.wire import TaskError
from tests.hub.api.scripted import WHEN
from tests.tui import fleet_script, office_script
from tests.tui.scripted import ScriptedHub, a_task, an_agent, sees, shown, text_of, until

NOW = office_script.NOW
SIZES = ((80, 24), (120, 40), (200, 60))
RUNS = JobView(
    id="j-1", kind="create", state="running", started_at=WHEN, progress=0.5, message="making it", agent_id="a-1",
    by="user:ada",
)  # fmt: skip
FAILED = replace(
    RUNS, id="j-2", kind="restart", state="failed", finished_at=WHEN,
    error=TaskError("driver_failed", "the engine said:\nno such container"),
)  # fmt: skip
ENDED = replace(RUNS, id="j-3", kind="pause", state="succeeded", finished_at=WHEN, result={"observed": "paused"})


def with_jobs(*jobs: JobView) -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    show_jobs(hub, *jobs)
    return hub


def show_jobs(hub: ScriptedHub, *jobs: JobView) -> None:
    hub.answers["jobs"] = JobList(jobs=list(jobs))
    hub.tell("job", jobs[0].id if jobs else "")


# --- words


def test_running_ones_come_first_in_their_order() -> None:
    jobs = [FAILED, RUNS, ENDED, replace(RUNS, id="j-9")]
    assert [job.id for job in running_first(jobs)] == ["j-1", "j-9", "j-2", "j-3"]


def told(job: JobView) -> dict[str, str]:
    return {field.label: field.text for field in job_detail(job, NOW, "K")}


def test_the_detail_has_the_error_and_the_result_in_full() -> None:
    assert told(FAILED)["Error"] == "the engine said:\nno such container"
    assert told(ENDED)["Result"] == '{"observed":"paused"}'
    assert "Progress" in told(RUNS)
    assert told(RUNS)["Step"] == "making it"
    assert "Step" not in told(replace(RUNS, message=""))


def test_steps_stand_at_their_time_since_the_beginning() -> None:
    steps = [
        JobStepView(at=WHEN, message="first"),
        JobStepView(at=WHEN.replace(":05.000", ":07.500"), message="second"),
    ]
    assert told(replace(RUNS, steps=steps))["Steps"].split("\n") == ["   0.0s  first", "   2.5s  second"]


BUILD = replace(
    RUNS, id="j-4", kind="profile.build", agent_id=None, about="web", state="failed", finished_at=WHEN,
    error=TaskError("setup_task_failed", 'the image openclaw-agent-web:abc cannot be built: setup task 1 "get" failed'),
)  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [*KINDS, *AgentAct, "create", "destroy", "restore", restoring.UNDO, deleting.KIND, forking.KIND,
     taking.KIND, prune.KIND, repair.KIND],
)  # fmt: skip
def test_the_word_for_a_job_is_never_cut(kind: str) -> None:
    _, row = job_row(replace(RUNS, kind=kind), NOW, False)
    columns = [column.key for column in JOB_COLUMNS]
    assert cell_len(row.cells[columns.index("kind")].text) <= JOB_COLUMNS[columns.index("kind")].width


def test_a_build_says_of_which_profile_and_first_of_all_why_it_failed() -> None:
    fields, row = job_row(BUILD, NOW, False)
    texts = [cell.text for cell in row.cells]
    assert texts[1:3] == ["build", "web"]
    assert texts[-1] == 'setup task 1 "get" failed'
    assert (fields["target"], fields["job"]) == ("web", "profile.build")
    assert told(BUILD)["Error"].startswith("the image openclaw-agent-web:abc cannot be built")
    assert line([], "", [], BUILD).strip() == "× build web failed: f6 says why"
    assert line([("× build failed: web: no", "bad")], "", [], BUILD).strip() == "× build failed: web: no"


def line(said: list[Piece], offer: str, jobs: list[JobView], failed: JobView | None, width: int = 80) -> str:
    return "".join(text for text, _ in jobs_line(said, offer, jobs, failed, "f6", NOW, width))


def test_the_line_tells_what_runs_what_failed_and_how_to_see_more() -> None:
    assert line([], "", [], None).strip() == ""
    assert "▶ create a-1" in line([], "", [RUNS], None)
    assert "(+1 more, f6)" in line([], "", [RUNS, replace(RUNS, id="j-9"), ENDED], None, 120)
    assert "× restart a-1 failed: f6 says why" in line([], "", [FAILED], FAILED)


def test_what_was_said_gives_way_but_not_altogether() -> None:
    long: list[Piece] = [("√ " + "a long sentence " * 10, "ok")]
    shown = line(long, "u undo pause a-1 (9s)", [], None)
    assert cell_len(shown) <= 80
    assert shown.endswith("u undo pause a-1 (9s)")
    assert "▶ 1 running" in line(long, "u undo pause a-1 (9s)", [RUNS], None)
    crowded = line(long, "u undo pause a-1 (9s)", [RUNS], FAILED)
    assert crowded.startswith(" √ a long sentence")
    assert "…" in crowded[: SAID_LEAST_CELLS + 2]


def test_a_job_that_was_begun_and_runs_stands_there_once() -> None:
    text = line([("▶ create a-1 …", "accent")], "", [RUNS], None)
    assert text.count("create a-1") == 1
    assert "making it" in text
    assert "▶ create a-1 …" in line([("▶ create a-1 …", "accent")], "", [], None)


def test_a_failure_that_is_being_said_is_not_said_twice() -> None:
    said: list[Piece] = [("× restart failed: a-1: no such container", "bad")]
    assert "f6 says why" not in line(said, "", [FAILED], FAILED, 120)


def test_what_failed_is_news_until_it_was_seen() -> None:
    watch = JobWatch()
    old = replace(FAILED, id="j-0")
    assert watch.news([old]) is None
    assert watch.news([RUNS, old]) is None
    assert watch.news([FAILED, RUNS, old]) is FAILED
    watch.see([FAILED, RUNS, old])
    assert watch.news([FAILED, RUNS, old]) is None
    assert watch.news([replace(RUNS, state="failed", finished_at=WHEN), FAILED]) is not None


def test_what_a_later_job_made_up_for_is_no_news() -> None:
    watch = JobWatch()
    watch.see([])
    done = replace(FAILED, id="j-9", state="succeeded", error=None)
    assert watch.news([done, FAILED]) is None
    assert watch.news([FAILED, done]) is FAILED
    assert watch.news([replace(done, agent_id="a-2"), FAILED]) is FAILED
    assert watch.news([replace(done, kind="stop"), FAILED]) is FAILED


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_jobs_stand_with_their_state_and_the_one_under_the_cursor_in_full(size: tuple[int, int]) -> None:
    async with shown(fleet_script.hub(), size) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, sees(app, "Jobs 5 · 2 running", "▶ running", "× failed", "√ succeeded", "43%"))
        await pilot.press("j", "j")
        await until(pilot, sees(app, "restart tester-arm", "driver_failed", "timed out", "after 15s"))


async def test_there_is_a_word_for_it_and_an_empty_place_says_what_comes_here() -> None:
    async with shown(with_jobs(), (80, 24)) as (app, pilot):
        await app.do_words("jobs")
        await until(pilot, sees(app, "No jobs yet", "long work of the hub"))
        await app.do_words("jobs j-1")
        assert app.main.pane.place.value == "jobs"


async def test_cancel_asks_and_cancel_is_not_the_default() -> None:
    hub = with_jobs(RUNS)
    hub.answers["cancel_job"] = replace(RUNS, state="cancelled", finished_at=WHEN)
    async with shown(hub) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, sees(app, "▶ running", "K cancels it"))
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "Cancel the job?", "create a-1", "undone"))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert hub.called("cancel_job") == []
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "√ create a-1 is cancelled", "clawtui jobs cancel j-1"))
        assert hub.called("cancel_job") == [("j-1",)]


@pytest.mark.parametrize(
    ("job", "why"),
    [(ENDED, "pause a-1 has ended: succeeded"), (replace(RUNS, kind="destroy"), "a destroy goes on to its end")],
)
async def test_what_cannot_be_cancelled_says_why_without_a_question(job: JobView, why: str) -> None:
    hub = with_jobs(job)
    async with shown(hub) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, sees(app, job.kind))
        await pilot.press("K")
        await until(pilot, sees(app, why))
        await app.do_words("cancel-job j-1" if job.id == "j-1" else "cancel-job j-3")
        assert app.screen is app.main
        assert hub.called("cancel_job") == []


async def test_the_hubs_refusal_of_a_cancel_is_said() -> None:
    hub = with_jobs(RUNS)
    hub.answers["cancel_job"] = Conflict("job j-1 is not running")
    async with shown(hub) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, sees(app, "▶ running"))
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "× job j-1 is not running"))


async def test_what_fails_stands_in_the_line_until_the_jobs_were_looked_at() -> None:
    hub = with_jobs(RUNS)
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "▶ create a-1", "50%"))
        show_jobs(hub, FAILED)
        await until(pilot, sees(app, "× restart a-1 failed: f6 says why"))
        await pilot.press("f6")
        await until(pilot, sees(app, "no such container"))
        await pilot.press("f1")
        await until(pilot, lambda: "f6 says why" not in text_of(app))


async def test_y_copies_the_command_and_in_the_detail_all_of_it() -> None:
    async with shown(with_jobs(FAILED)) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, sees(app, "no such container"))
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == "clawtui jobs show j-2")
        await pilot.press("enter", "y")
        await until(pilot, lambda: "no such container" in app.clipboard and "driver_failed" in app.clipboard)
        await pilot.press("escape", "y")
        await until(pilot, lambda: app.clipboard == "clawtui jobs show j-2")


async def test_changes_that_come_faster_than_answers_are_shown_all_the_same() -> None:
    """A read that is under way is not thrown away for each change: then none would ever end."""
    hub = with_jobs(RUNS)
    async with shown(hub) as (app, pilot):
        await pilot.press("f6")
        for number in range(30):
            show_jobs(hub, replace(RUNS, message=f"step {number}"))
            await pilot.pause(0.01)
        await until(pilot, sees(app, "step 29"))


# --- what needs a person leads here


def a_need(**fields: Any) -> AttentionView:
    known: dict[str, Any] = {
        "id": "job_failed:a-1", "kind": "job_failed", "severity": Severity.WARNING, "target_kind": "agent",
        "target": "a-1", "since": WHEN, "text": "restart failed", "title": "Act failed", "todo": "Mend it.",
    }  # fmt: skip
    return AttentionView(**(known | fields))


async def open_need(hub: ScriptedHub, need: AttentionView, *expected: str) -> None:
    hub.answers["attention"] = AttentionList(attention=[need], total=1)
    async with shown(hub) as (app, pilot):
        await until(pilot, lambda: app.store is not None and app.store.attention)
        await pilot.press("A")
        await until(pilot, sees(app, "Needs you: 1", need.title or "Agent silent", "▲ warning", need.todo))
        await pilot.press("enter")
        await until(pilot, sees(app, *expected))


async def test_a_failed_job_is_opened_at_the_job() -> None:
    await open_need(with_jobs(RUNS, FAILED), a_need(jobs=["j-2"]), "Jobs 2", "no such container")


async def test_a_failed_job_that_is_no_longer_listed_is_read() -> None:
    hub = with_jobs(RUNS)
    hub.answers["job"] = FAILED
    await open_need(hub, a_need(jobs=["j-2"]), "Jobs 2", "no such container")
    assert ("j-2", 0.0) in hub.called("job")


async def test_a_failed_task_is_opened_at_its_output() -> None:
    hub = ScriptedHub(an_agent("a-1"), tasks=[a_task("t-9", "a-1", TaskState.FAILED)])
    await open_need(hub, a_need(tasks=["t-9"], kind="tasks_failed", title="Tasks failed"), "t-9", "hi")


async def test_an_agent_is_opened_in_the_fleet_and_the_hub_at_the_hub() -> None:
    hub = ScriptedHub(an_agent("a-1"), an_agent("a-2"))
    await open_need(hub, a_need(target="a-2", title="", kind="agent_silent"), "▸ a-2")
    await open_need(hub, a_need(target="hub", target_kind="hub", title="Hub's files"), "1 Overview", "State")


async def test_in_the_list_of_needs_one_can_be_snoozed_and_its_command_copied() -> None:
    hub = fleet_script.hub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, lambda: app.store is not None and app.store.attention)
        await pilot.press("A")
        await until(pilot, sees(app, "Needs you: 5", "× critical builder-4  Crashed", "Read its log, then start it"))
        assert "agent_crashed" not in text_of(app)
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == "clawtui restart builder-4")
        await pilot.press("j", "z")
        await until(pilot, sees(app, "√ snoozed for an hour: reviewer-3: Shut out"))
        assert hub.called("snooze") == [("quarantined:reviewer-3", 3_600)]
        await app.do_words("snooze nothing:here")
        await until(pilot, sees(app, "nothing that needs you is called 'nothing:here'"))
