"""What is kept of looks at OpenClaw gateways, and of what was done for them. Times are ms since the epoch."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """One look at a gateway. `counts`: it is part of the pass rate. `response_ms`: None where there was no answer.
    `via` is `direct` or `ingress`."""

    gateway: str
    at_ms: int
    state: str
    healthy: bool
    counts: bool
    response_ms: float | None = None
    reason: str = ""
    via: str = "direct"


class Deed(NamedTuple):
    """One restart of a gateway, `by` the monitor or the engine. `worked`: it became ready within its start grace, after
    `seconds`; None where it did not."""

    gateway: str
    at_ms: int
    by: str
    worked: bool
    seconds: float | None = None
    reason: str = ""
