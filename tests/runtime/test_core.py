"""One example per rule of the agent's core."""

from __future__ import annotations

import pytest

from runtime.core import MAX_PENDING, Core
from runtime.effects import (
    Drained,
    DropOutput,
    EndRemnants,
    Journal,
    Moment,
    Outcome,
    ReportAccepted,
    ReportResponse,
    ResumeOutput,
    SendHello,
    Start,
    Stop,
)
from runtime.records import Accepted, Finished, Forgotten, Record
from runtime.wire import (
    AttemptId,
    AttemptState,
    Exec,
    OnDisconnect,
    Ping,
    Plan,
    Resend,
    Response,
    ResponseStatus,
    TaskFrame,
    Welcome,
)

ONE = AttemptId("t:1")
TWO = AttemptId("u:1")
DONE = Outcome(status=ResponseStatus.SUCCEEDED, exit_code=0)
TRUE = Exec(command="true")


def at(seconds: float) -> Moment:
    return Moment(seconds, 1_000_000 + int(seconds * 1000))


def task(attempt_id: AttemptId, **options: object) -> TaskFrame:
    return TaskFrame(task_id=attempt_id.split(":")[0], attempt_id=attempt_id, **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def core() -> Core:
    core = Core(1)
    core.connected(at(0), Welcome())
    return core


def response_in(effects: list[object]) -> Response:
    return next(e.response for e in effects if isinstance(e, ReportResponse))


def test_a_task_is_journalled_then_reported_then_started(core: Core) -> None:
    effects = core.deliver(at(1), task(ONE), TRUE)
    assert effects == [Journal(Accepted(ONE, 1_001_000)), ReportAccepted(ONE), Start(ONE, TRUE)]
    assert core.held() == ((ONE, AttemptState.RUNNING),)


def test_a_result_is_journalled_then_reported_and_kept_until_acknowledged(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    journalled, reported = core.finished(at(2), ONE, DONE)
    assert isinstance(journalled, Journal)
    assert isinstance(reported, ReportResponse)
    assert journalled == Journal(Finished(ONE, reported.response))
    assert (reported.response.started_at, reported.response.finished_at) == (1_001_000, 1_002_000)
    assert core.held() == ((ONE, AttemptState.FINISHED),)
    assert core.acked([ONE]) == [Journal(Forgotten(ONE), durable=False), DropOutput(ONE)]
    assert core.held() == ()


def test_a_repeated_delivery_returns_the_recorded_state(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.deliver(at(1), task(ONE), TRUE) == [ReportAccepted(ONE)]
    result = response_in([*core.finished(at(2), ONE, DONE)])
    assert core.deliver(at(3), task(ONE), TRUE) == [ReportResponse(result)]
    core.acked([ONE])
    again = response_in([*core.deliver(at(4), task(ONE), TRUE)])
    assert again.error is not None
    assert again.error.code == "result_forgotten"


def test_a_ping_is_finished_by_the_record_that_accepts_it(core: Core) -> None:
    journalled, reported = core.deliver(at(1), task(ONE), Ping())
    assert isinstance(reported, ReportResponse)
    assert journalled == Journal(Finished(ONE, reported.response))
    assert reported.response.status is ResponseStatus.SUCCEEDED


def test_deliveries_beyond_the_limit_wait_in_order_and_are_not_accepted(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.deliver(at(1), task(TWO), TRUE) == []
    assert core.deliver(at(1), task(AttemptId("v:1")), TRUE) == []
    assert core.held() == ((ONE, AttemptState.RUNNING),)
    effects = core.finished(at(2), ONE, DONE)
    assert effects[2:] == [Journal(Accepted(TWO, 1_002_000)), ReportAccepted(TWO), Start(TWO, TRUE)]


def test_too_many_waiting_deliveries_are_rejected(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    for number in range(MAX_PENDING):
        assert core.deliver(at(1), task(AttemptId(f"w{number}:1")), TRUE) == []
    rejected = response_in([*core.deliver(at(1), task(TWO), TRUE)])
    assert rejected.status is ResponseStatus.REJECTED
    assert rejected.error is not None
    assert rejected.error.code == "overloaded"


def test_a_disconnect_forgets_what_was_not_accepted(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    core.deliver(at(1), task(TWO), TRUE)
    core.disconnected(at(2))
    assert len(core.finished(at(3), ONE, DONE)) == 1


def test_results_are_not_reported_without_a_hub_and_all_of_them_at_the_next_welcome(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    core.disconnected(at(2))
    effects = core.finished(at(3), ONE, DONE)
    assert [type(e) for e in effects] == [Journal]
    resumed, reported = core.connected(at(4), Welcome())
    assert resumed == ResumeOutput(ONE, None)
    assert isinstance(reported, ReportResponse)


def test_hello_names_what_is_held(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.hello() == [SendHello(((ONE, AttemptState.RUNNING),))]


def test_cancel_stops_and_the_end_is_reported_cancelled(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.cancel(at(2), ONE, 500) == [Stop(ONE, 500)]
    assert core.cancel(at(3), ONE, 100) == [Stop(ONE, 100)]
    ended = response_in([*core.finished(at(4), ONE, Outcome(status=ResponseStatus.FAILED, exit_code=143))])
    assert (ended.status, ended.exit_code, ended.error) == (ResponseStatus.CANCELLED, 143, None)


def test_cancel_of_a_waiting_delivery_ends_it_unstarted(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    core.deliver(at(1), task(TWO), TRUE)
    effects = core.cancel(at(2), TWO, 0)
    assert response_in([*effects]).status is ResponseStatus.CANCELLED
    assert isinstance(effects[0], Journal)


def test_cancel_of_an_unknown_attempt_is_answered_and_of_a_forgotten_one_not(core: Core) -> None:
    assert response_in([*core.cancel(at(1), TWO, 0)]).status is ResponseStatus.CANCELLED
    core.deliver(at(1), task(ONE), Ping())
    core.acked([ONE])
    assert core.cancel(at(2), ONE, 0) == []


def test_cancel_after_the_end_repeats_the_result(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    result = response_in([*core.finished(at(2), ONE, DONE)])
    assert core.cancel(at(3), ONE, 0) == [ReportResponse(result)]


def test_survivors_make_a_cancel_fail_honestly(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    core.cancel(at(2), ONE, 0)
    ended = response_in([*core.finished(at(4), ONE, Outcome(status=ResponseStatus.FAILED, survivors=("7 (x)",)))])
    assert ended.status is ResponseStatus.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.message) == ("not_ended", "could not end: 7 (x)")


def test_a_timeout_stops_and_reports_timed_out(core: Core) -> None:
    core.deliver(at(1), task(ONE, timeout_ms=2_000), TRUE)
    assert core.next_deadline() == 3
    assert core.tick(at(2.9)) == []
    assert [type(e) for e in core.tick(at(3))] == [Stop]
    assert core.tick(at(4)) == []
    assert response_in([*core.finished(at(5), ONE, DONE)]).status is ResponseStatus.TIMED_OUT


def test_the_lease_stops_only_tasks_that_ask_for_it() -> None:
    core = Core(2)
    core.connected(at(0), Welcome(lease_seconds=60))
    core.deliver(at(1), task(ONE, on_disconnect=OnDisconnect.STOP), TRUE)
    core.deliver(at(1), task(TWO), TRUE)
    core.disconnected(at(10))
    assert core.tick(at(69)) == []
    assert core.tick(at(70)) == [Stop(ONE, 5_000)]
    ended = core.finished(at(71), ONE, DONE)
    assert isinstance(ended[0], Journal)
    assert isinstance(ended[0].record, Finished)
    assert ended[0].record.response.error is not None
    assert ended[0].record.response.error.code == "interrupted"


def test_a_reconnection_in_time_renews_the_lease(core: Core) -> None:
    core.deliver(at(1), task(ONE, on_disconnect=OnDisconnect.STOP), TRUE)
    core.disconnected(at(10))
    core.connected(at(69), Welcome())
    assert core.tick(at(100)) == []


def test_the_plan_keeps_kills_resends_and_forgets() -> None:
    core = Core(3)
    core.connected(at(0), Welcome())
    keep, kill, forget = AttemptId("k:1"), AttemptId("x:1"), AttemptId("f:1")
    for attempt_id in (keep, kill, forget):
        core.deliver(at(1), task(attempt_id), TRUE)
    core.finished(at(2), forget, DONE)
    core.disconnected(at(3))
    plan = Plan(keep=[keep], kill=[kill], resend=[Resend(keep, 7)], forget=[forget])
    effects = core.connected(at(4), Welcome(plan=plan))
    assert effects == [
        Stop(kill, 5_000),
        Journal(Forgotten(forget), durable=False),
        DropOutput(forget),
        ResumeOutput(keep, 7),
    ]
    assert core.finished(at(5), kill, DONE) == [Journal(Forgotten(kill), durable=False), DropOutput(kill)]


def test_an_acknowledgement_cannot_forget_what_still_runs(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.acked([ONE]) == []
    assert core.held() == ((ONE, AttemptState.RUNNING),)


def test_draining_ignores_new_tasks_and_stops_the_rest_at_its_end(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    assert core.drain(at(2), 5) == []
    assert core.deliver(at(3), task(TWO), TRUE) == []
    assert core.tick(at(7)) == [Stop(ONE, 5_000)]
    effects = core.finished(at(8), ONE, DONE)
    assert effects[-1] == Drained()
    ended = response_in([*effects])
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (ResponseStatus.FAILED, "interrupted")


def test_draining_drops_what_was_not_accepted(core: Core) -> None:
    core.deliver(at(1), task(ONE), TRUE)
    core.deliver(at(1), task(TWO), TRUE)
    core.drain(at(2), 5)
    assert [type(e) for e in core.finished(at(3), ONE, DONE)] == [Journal, ReportResponse, Drained]


def test_draining_an_idle_agent_is_done_at_once(core: Core) -> None:
    assert core.drain(at(1), 5) == [Drained()]


def test_a_restart_ends_remnants_and_never_starts_again() -> None:
    result = Response(status=ResponseStatus.SUCCEEDED, attempt_id=TWO)
    log: list[Record] = [Accepted(ONE, 5), Accepted(TWO, 6), Finished(TWO, result)]
    core, effects = Core.restore(1, log)
    assert effects == [EndRemnants(ONE)]
    assert core.held() == ((ONE, AttemptState.RUNNING), (TWO, AttemptState.FINISHED))
    core.connected(at(1), Welcome())
    assert core.deliver(at(1), task(ONE), TRUE) == [ReportAccepted(ONE)]
    ended = response_in([*core.finished(at(2), ONE, Outcome(status=ResponseStatus.FAILED))])
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.started_at) == (ResponseStatus.FAILED, "interrupted", 5)
    assert core.deliver(at(3), task(TWO), TRUE) == [ReportResponse(result)]


def test_tombstones_survive_a_restart() -> None:
    core, _ = Core.restore(1, [Accepted(ONE, 5), Forgotten(ONE)])
    assert [type(e) for e in core.deliver(at(1), task(ONE), TRUE)] == [ReportResponse]


def test_a_task_that_cannot_be_understood_is_rejected(core: Core) -> None:
    rejected = response_in([*core.refuse(at(1), ONE, "bad_task", "no such type")])
    assert rejected.status is ResponseStatus.REJECTED
    assert core.held() == ((ONE, AttemptState.FINISHED),)
