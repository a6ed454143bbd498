from __future__ import annotations

import pytest

from runtime.effects import Outcome
from runtime.verdict import StopReason, response_of
from runtime.wire import AttemptId, ResponseStatus

ONE = AttemptId("t:1")


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        (None, ResponseStatus.SUCCEEDED, None),
        (StopReason.CANCEL, ResponseStatus.CANCELLED, None),
        (StopReason.TIMEOUT, ResponseStatus.TIMED_OUT, "timed_out"),
        (StopReason.LEASE, ResponseStatus.FAILED, "interrupted"),
        (StopReason.DRAIN, ResponseStatus.FAILED, "interrupted"),
        (StopReason.RESTART, ResponseStatus.FAILED, "interrupted"),
    ],
)
def test_the_reason_of_a_stop_decides(reason: StopReason | None, status: ResponseStatus, code: str | None) -> None:
    response = response_of(ONE, Outcome(status=ResponseStatus.SUCCEEDED, stdout="x"), reason, 1, 2)
    assert response.status is status
    assert (response.error.code if response.error else None) == code
    assert response.stdout == "x"


def test_a_timeout_with_survivors_stays_a_timeout_and_names_them() -> None:
    outcome = Outcome(status=ResponseStatus.FAILED, survivors=("12 (stuck)",))
    response = response_of(ONE, outcome, StopReason.TIMEOUT, 1, 2)
    assert response.status is ResponseStatus.TIMED_OUT
    assert response.error is not None
    assert response.error.code == "not_ended"
    assert "12 (stuck)" in response.error.message
