"""Errors that only a front end can make; everything else comes from `hub.errors`."""

from __future__ import annotations

from hub.errors import BadRequest, HubError, Unavailable


class UsageError(BadRequest):
    """The command line, the environment or the settings file says something that cannot be meant."""

    default_code = "usage"


class NoHub(Unavailable):
    """Nothing answers where the hub should be."""

    default_code = "no_hub"


class ConnectionLost(Unavailable):
    """The hub went away in the middle of a call; what the call did is not known."""

    default_code = "connection_lost"


class NotInThisVersion(HubError):
    """A documented verb or option whose feature comes in a later version."""

    default_code = "not_available"


class OtherVersion(HubError):
    """The hub speaks another version of the API; nothing was asked of it but that."""

    default_code = "other_version"

    def __init__(self, message: str, *, hint: str, hub_version: str) -> None:
        super().__init__(message, hint=hint)
        self.hub_version = hub_version
