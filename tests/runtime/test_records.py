from __future__ import annotations

from runtime.records import MAX_TOMBSTONES, Accepted, Finished, Forgotten, Ledger
from runtime.wire import AttemptId, Response, ResponseStatus

ONE = AttemptId("t:1")
RESULT = Response(status=ResponseStatus.SUCCEEDED, attempt_id=ONE)


def ledger_of(*records: Accepted | Finished | Forgotten) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.apply(record)
    return ledger


def test_the_last_record_of_an_attempt_counts() -> None:
    assert ledger_of(Accepted(ONE, 1), Finished(ONE, RESULT)).records() == [Finished(ONE, RESULT)]
    assert ledger_of(Accepted(ONE, 1), Finished(ONE, RESULT), Forgotten(ONE)).records() == [Forgotten(ONE)]


def test_records_out_of_order_do_not_go_back() -> None:
    assert ledger_of(Finished(ONE, RESULT), Accepted(ONE, 1)).records() == [Finished(ONE, RESULT)]
    assert ledger_of(Forgotten(ONE), Accepted(ONE, 1)).records() == [Forgotten(ONE)]
    assert ledger_of(Forgotten(ONE), Finished(ONE, RESULT)).records() == [Forgotten(ONE)]


def test_tombstones_are_bounded_and_the_oldest_goes() -> None:
    ledger = ledger_of(*(Forgotten(AttemptId(f"t{n}:1")) for n in range(MAX_TOMBSTONES + 1)))
    assert len(ledger.tombstones) == MAX_TOMBSTONES
    assert AttemptId("t0:1") not in ledger.tombstones


def test_the_records_of_a_ledger_add_up_to_it() -> None:
    ledger = ledger_of(Accepted(ONE, 1), Forgotten(AttemptId("u:1")), Finished(AttemptId("v:1"), RESULT))
    assert ledger_of(*ledger.records()).records() == ledger.records()
