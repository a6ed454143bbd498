"""Carries out the core's effects, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import assert_never

from runtime.connection import Connection
from runtime.effects import (
    Drained,
    DropOutput,
    Effect,
    EndRemnants,
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
from runtime.records import Record
from runtime.streaming import OutputSender
from runtime.wire import Accepted, AttemptId, AttemptState, HeldAttempt


class Performer:
    """One performer, one order: what follows a journal effect waits for the disk.

    Lists overtake nobody: a list without a journal effect waits for those before it. Only `Stop`
    is done at once (see `runtime.effects`).
    """

    def __init__(
        self,
        attempt_log: AttemptLog,
        connection: Connection,
        output: OutputSender,
        executor: Executor,
        send_hello: Callable[[list[HeldAttempt]], None],
        drained: Callable[[], None],
    ) -> None:
        self._attempt_log = attempt_log
        self._connection = connection
        self._output = output
        self._executor = executor
        self._send_hello = send_hello
        self._drained = drained

    def perform(self, effects: Iterable[Effect]) -> None:
        """Do the effects in their order, as soon as the disk allows."""
        records: list[Record] = []
        behind: list[Effect] = []
        for effect in effects:
            match effect:
                case Stop():
                    self._executor.stop(effect.attempt_id, effect.grace_ms)
                case Journal(durable=False):
                    self._attempt_log.append_lazily(effect.record)
                case Journal():
                    if behind:
                        self._schedule(records, behind)
                        records, behind = [], []
                    records.append(effect.record)
                case _:
                    behind.append(effect)
        if records or behind:
            self._schedule(records, behind)

    def _schedule(self, records: list[Record], behind: list[Effect]) -> None:
        then = partial(self._do_all, behind)
        if records:
            self._attempt_log.append(records, then)
        else:
            self._attempt_log.after_all(then)

    def _do_all(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case ReportAccepted():
                if self._connection.welcomed:
                    self._connection.send(Accepted(effect.attempt_id))
            case ReportResponse():
                self._output.report(effect.response)
            case Start():
                self._executor.start(effect.attempt_id, effect.spec)
            case EndRemnants():
                self._executor.end_remnants(effect.attempt_id)
            case SendHello():
                self._send_hello([self._held(*pair) for pair in effect.held])
            case ResumeOutput() | DropOutput():
                self._do_output(effect)
            case Drained():
                self._drained()
            case Journal() | Stop():
                raise AssertionError(f"{effect} was to be performed before")
            case _:
                assert_never(effect)

    def _do_output(self, effect: ResumeOutput | DropOutput) -> None:
        if isinstance(effect, ResumeOutput):
            self._output.resume(effect.attempt_id, effect.offset)
        else:
            self._output.release(effect.attempt_id)

    def _held(self, attempt_id: AttemptId, state: AttemptState) -> HeldAttempt:
        return HeldAttempt(attempt_id, state, self._output.end_offset(attempt_id))
