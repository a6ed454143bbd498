"""What the hub does again and again outlives its own defects: each is said, and costs the look in which it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from hub.core.model import Now
from hub.notices import Notices

log = structlog.get_logger("hub.surviving")


@contextmanager
def surviving(notices: Notices, now: Callable[[], Now], event: str, harm: str) -> Iterator[None]:
    """Say whatever the block raises and go on after it; refusals (HubError) that are usual are the block's own matter.

    The log gets `event` with the traceback, the hub's health what does not work now: `harm`, a clause such as
    `platforms are not asked`. Without this a defect in one loop would end the hub, and with it all others' work.
    """
    try:
        yield
    except Exception:
        log.exception(event)
        notices.say(event, f"internal error: {harm}; the hub's log has why", now())
