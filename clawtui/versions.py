"""Whether this program and a hub understand each other.

The HTTP API has a major version of its own, a number that `GET /health` tells as `api`. The same number: both work
together, whatever their own versions are; the newer one only added what the older one leaves out. Another number:
nothing is sent but the question for it. A hub that tells none is from before the second one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from clawtui import __version__
from clawtui.errors import OtherVersion
from hub.contract import API_VERSION

UNKNOWN: Final = "of an unknown version"


class Told(msgspec.Struct, frozen=True):
    """The part of `GET /health` that every API version has."""

    version: str = ""
    api: int = 1


def told_version(health: bytes) -> Told | None:
    """What a hub says of itself; None when that is no answer of a hub."""
    try:
        return msgspec.json.decode(health, type=Told)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def check_version(told: Told) -> None:
    """Raises OtherVersion when the hub speaks another API."""
    if told.api == API_VERSION:
        return
    hub = told.version or UNKNOWN
    if told.api > API_VERSION:
        hint = f"install clawtui {hub} on this machine: it is the hub's own version"
    else:
        hint = f"update the hub to {__version__}, or use the clawtui of its own version {hub}"
    raise OtherVersion(
        f"the hub is {hub} with API {told.api}, this clawtui is {__version__} with API {API_VERSION}",
        hint=hint,
        hub_version=told.version,
    )


def bad_answer_hint(hub_version: str) -> str:
    """What to do about an answer that nobody here understands."""
    if hub_version and hub_version != __version__:
        return f"the hub is {hub_version}, this clawtui {__version__}: use the same version on both sides"
    return "hub and command line may be of different versions: see clawtui version"
