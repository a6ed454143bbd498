"""Query strings that belong to HTTP alone; those that every front end uses are in `hub.contract`."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from hub.contract import Request

MAX_WAIT_SECONDS: Final = 300.0
"""Longest long poll: below the idle time after which common proxies cut a connection."""


class WaitQuery(Request, frozen=True):
    """`wait`: seconds to wait for the end; the answer then is whatever holds at that moment."""

    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT_SECONDS)] = 0.0


class EventsQuery(Request, frozen=True):
    """`since`: the last `seq` that the observer has; without it the feed starts now."""

    since: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class ShellQuery(Request, frozen=True):
    """The terminal's size in characters."""

    cols: Annotated[int, Meta(ge=1, le=1000)] = 80
    rows: Annotated[int, Meta(ge=1, le=1000)] = 24


class NoQuery(Request, frozen=True):
    """Routes without parameters: anything in the query string is a mistake."""
