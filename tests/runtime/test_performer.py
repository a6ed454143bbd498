"""The order in which effects are carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from runtime.connection import Connection
from runtime.effects import (
    Drained,
    DropOutput,
    Effect,
    Journal,
    ReportAccepted,
    ReportResponse,
    ResumeOutput,
    SendHello,
    Start,
    Stop,
)
from runtime.executors.executor import Executor
from runtime.journal import Journal as AttemptLog
from runtime.performer import Performer
from runtime.records import Accepted, Forgotten, Record
from runtime.streaming import OutputSender
from runtime.wire import AttemptId, AttemptState, Exec, HeldAttempt, Message, Response, ResponseStatus

ONE = AttemptId("t:1")
SPEC = Exec(command="true")
RECORD = Accepted(ONE, 1)
RESPONSE = Response(status=ResponseStatus.SUCCEEDED, attempt_id=ONE)


class Everything:
    """Attempt log, connection, output and executor in one: writes down what is asked of it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.waiting: list[Callable[[], None]] = []
        self.welcomed = True

    def append(self, records: Sequence[Record], then: Callable[[], None]) -> None:
        self.done.append(f"write {len(records)}")
        self.waiting.append(then)

    def append_lazily(self, record: Record) -> None:
        self.done.append("write some time")

    def after_all(self, then: Callable[[], None]) -> None:
        if self.waiting:
            self.waiting.append(then)
        else:
            then()

    def sync(self) -> None:
        """The disk has everything."""
        while self.waiting:
            self.waiting.pop(0)()

    def send(self, message: Message) -> None:
        self.done.append(type(message).__name__)

    def report(self, response: Response) -> None:
        self.done.append("response")

    def resume(self, attempt_id: AttemptId, offset: int | None) -> None:
        self.done.append(f"resume {offset}")

    def release(self, attempt_id: AttemptId) -> None:
        self.done.append("release")

    def end_offset(self, attempt_id: AttemptId) -> int:
        return 7

    def start(self, attempt_id: AttemptId, spec: Exec) -> None:
        self.done.append("start")

    def stop(self, attempt_id: AttemptId, grace_ms: int) -> None:
        self.done.append("stop")


@pytest.fixture
def world() -> Everything:
    return Everything()


@pytest.fixture
def performer(world: Everything) -> Performer:
    def hello(held: list[HeldAttempt]) -> None:
        world.done.append(f"hello {held[0].output_offset}")

    return Performer(
        cast(AttemptLog, world),
        cast(Connection, world),
        cast(OutputSender, world),
        cast(Executor, world),
        hello,
        lambda: world.done.append("drained"),
    )


def test_what_follows_a_record_waits_for_the_disk(performer: Performer, world: Everything) -> None:
    performer.perform([Journal(RECORD), ReportAccepted(ONE), Start(ONE, SPEC)])
    assert world.done == ["write 1"]
    world.sync()
    assert world.done == ["write 1", "Accepted", "start"]


def test_later_lists_do_not_overtake(performer: Performer, world: Everything) -> None:
    performer.perform([Journal(RECORD), ReportAccepted(ONE)])
    performer.perform([SendHello(((ONE, AttemptState.RUNNING),))])
    performer.perform([Journal(RECORD), ReportResponse(RESPONSE)])
    assert world.done == ["write 1", "write 1"]
    world.sync()
    assert world.done[2:] == ["Accepted", "hello 7", "response"]


def test_a_stop_overtakes(performer: Performer, world: Everything) -> None:
    performer.perform([Journal(RECORD), Start(ONE, SPEC)])
    performer.perform([Stop(ONE, 0)])
    assert world.done == ["write 1", "stop"]


def test_without_a_disk_to_wait_for_everything_is_done_at_once(performer: Performer, world: Everything) -> None:
    performer.perform([ResumeOutput(ONE, 3), Journal(Forgotten(ONE), durable=False), DropOutput(ONE), Drained()])
    assert world.done == ["write some time", "resume 3", "release", "drained"]


def test_two_records_in_one_list_each_guard_what_follows(performer: Performer, world: Everything) -> None:
    effects: list[Effect] = [Journal(RECORD), ReportResponse(RESPONSE), Journal(RECORD), Start(ONE, SPEC)]
    performer.perform(effects)
    assert world.done == ["write 1", "write 1"]
    world.waiting.pop(0)()
    assert world.done[2:] == ["response"]
    world.sync()
    assert world.done[2:] == ["response", "start"]


def test_nothing_is_reported_to_a_hub_that_has_not_welcomed_us(performer: Performer, world: Everything) -> None:
    world.welcomed = False
    performer.perform([ReportAccepted(ONE)])
    assert world.done == []
