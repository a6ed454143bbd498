"""What the attempt log says, and the ledger that a list of its records adds up to.

Pure. Of one attempt at most three records exist, in this order: accepted, finished, forgotten.
`forgotten` stays as a tombstone for a while, so that a task delivered again long after its result
was acknowledged (a hub restored from an old backup) is still not started a second time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from runtime.wire import AttemptId, Response

MAX_TOMBSTONES: Final = 2_000
"""Forgotten attempts that are remembered; an attempt id has about 40 bytes."""


class Accepted(msgspec.Struct, frozen=True, tag_field="record", tag="accepted", rename="camel"):
    """The attempt will be started; `accepted_at` is ms since the epoch."""

    attempt_id: AttemptId
    accepted_at: int


class Finished(msgspec.Struct, frozen=True, tag_field="record", tag="finished", rename="camel"):
    """The attempt has ended and this is its result."""

    attempt_id: AttemptId
    response: Response


class Forgotten(msgspec.Struct, frozen=True, tag_field="record", tag="forgotten", rename="camel"):
    """The hub holds the result, or does not want it."""

    attempt_id: AttemptId


Record = Accepted | Finished | Forgotten


class Ledger:
    """The last record of every attempt, oldest attempt first; tombstones are bounded."""

    def __init__(self) -> None:
        self.open: OrderedDict[AttemptId, Accepted | Finished] = OrderedDict()
        self.tombstones: OrderedDict[AttemptId, Forgotten] = OrderedDict()

    def apply(self, record: Record) -> None:
        """Take in one record; a record that comes too late for its attempt changes nothing."""
        attempt_id = record.attempt_id
        match record:
            case Forgotten():
                self.open.pop(attempt_id, None)
                self.tombstones[attempt_id] = record
                while len(self.tombstones) > MAX_TOMBSTONES:
                    self.tombstones.popitem(last=False)
            case Finished():
                if attempt_id not in self.tombstones:
                    self.open[attempt_id] = record
            case Accepted():
                if attempt_id not in self.tombstones:
                    self.open.setdefault(attempt_id, record)

    def records(self) -> list[Record]:
        """Return the shortest list of records that adds up to this ledger."""
        return [*self.tombstones.values(), *self.open.values()]
