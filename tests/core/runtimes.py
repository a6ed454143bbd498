"""Agents as the fleet machine imagines them: an attempt log that lasts, and connections that do not."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, cast

import msgspec

from hub.core.effects import Send
from runtime.wire import (
    Accepted,
    Ack,
    AttemptId,
    AttemptState,
    Cancel,
    HeldAttempt,
    Hello,
    Message,
    ProtocolRange,
    Response,
    ResponseStatus,
    TaskError,
    Welcome,
)


class Link:
    """One connection. `down` and `up` are frames on their way; `told`: the hub knows that it has ended, or ended
    it; `bye`: the agent said that it leaves."""

    def __init__(self, name: str, epoch: int, *, basic: bool) -> None:
        self.name = name
        self.epoch = epoch
        self.basic = basic
        self.down: deque[Send] = deque()
        self.up: deque[Message] = deque()
        self.told = False
        self.bye = False
        self.welcome_decided = basic


class Runtime:
    """One agent. `log`: attempts it has not let go, with their response once they have ended; `starts` counts how
    often the work of an attempt began."""

    def __init__(self, name: str, uid: str, places: int) -> None:
        self.name = name
        self.uid = uid
        self.places = places
        self.instance = 1
        self.basic = False
        self.log: dict[AttemptId, Response | None] = {}
        self.todo: list[str] = []
        self.starts: Counter[str] = Counter()
        self.link: Link | None = None

    def hello(self) -> Hello | None:
        if self.basic:
            return None
        attempts = [
            HeldAttempt(attempt, AttemptState.RUNNING if end is None else AttemptState.FINISHED)
            for attempt, end in self.log.items()
        ]
        return Hello(
            protocol=ProtocolRange(1, 1), instance=f"i{self.instance}", concurrency=self.places, attempts=attempts
        )

    def change_kind(self) -> None:
        """Another program takes over, which knows nothing of what the one before did."""
        self.basic = not self.basic
        self.log.clear()
        self.todo.clear()
        self.starts.clear()

    def restart(self) -> None:
        """What ran is never started again: it ended as interrupted."""
        self.instance += 1
        self.link = None
        for attempt, end in self.log.items():
            if end is None:
                self.log[attempt] = response(attempt, ResponseStatus.FAILED, TaskError("interrupted"))

    def say(self, message: Message) -> None:
        if self.link is not None:
            self.link.up.append(message)

    def receive(self, send: Send) -> None:
        match send.payload:
            case Welcome(plan=plan):
                for attempt in plan.kill:
                    self.end(attempt, ResponseStatus.CANCELLED, silent=True)
                for attempt in plan.forget:
                    self.log.pop(attempt, None)
                for end in self.log.values():
                    if end is not None:
                        self.say(end)
            case Cancel(attempt_id=attempt):
                self.end(attempt, ResponseStatus.CANCELLED)
            case Ack(responses=responses):
                for attempt in responses:
                    self.log.pop(attempt, None)
            case _:
                self._take(msgspec.json.decode(cast(msgspec.Raw, send.payload)))

    def _take(self, fields: dict[str, Any]) -> None:
        attempt = AttemptId(fields["attemptId"])
        if self.basic:
            self.starts[attempt] += 1
            self.todo.append(fields["taskId"])
            return
        if attempt not in self.log:
            self.starts[attempt] += 1
            self.log[attempt] = None
        end = self.log[attempt]
        self.say(Accepted(attempt) if end is None else end)

    def end(self, attempt: AttemptId, status: ResponseStatus, *, silent: bool = False) -> None:
        """A running attempt ends; a failure has exit code 1."""
        if self.log.get(attempt, ...) is not None:
            return
        self.log[attempt] = response(attempt, status)
        if not silent:
            self.say(response(attempt, status))

    def running(self) -> list[AttemptId]:
        return [attempt for attempt, end in self.log.items() if end is None]

    def answer(self, index: int, status: ResponseStatus) -> None:
        """A basic agent finishes one of its tasks."""
        name = self.todo.pop(index % len(self.todo))
        self.say(Response(status=status, task_id=name, exit_code=1 if status is ResponseStatus.FAILED else None))


def response(attempt: AttemptId, status: ResponseStatus, error: TaskError | None = None) -> Response:
    code = 1 if status is ResponseStatus.FAILED and error is None else None
    return Response(status=status, attempt_id=attempt, exit_code=code, error=error)
