"""What a rule of attention finds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.contract import Severity
from hub.core.model import JobId, TaskId


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule found. `since_ms` None: as long as it has been known. `newest_ms` is set for what
    happens, not for what holds: the last time that it happened."""

    target_kind: str
    target: str
    text: str
    severity: Severity
    since_ms: int | None = None
    newest_ms: int | None = None
    count: int = 1
    tasks: Sequence[TaskId] = ()
    jobs: Sequence[JobId] = ()
    acts: Sequence[tuple[str, str]] = ()
