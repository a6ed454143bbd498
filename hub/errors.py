"""Errors of the hub. Each says whose fault it is, whether retrying helps, and what to do.

`code` is stable and goes over the wire; the HTTP status belongs to the class.
"""

from __future__ import annotations

from typing import ClassVar


class HubError(Exception):
    """Base. `hint` tells the user what to do; `retryable`: the same call may work later."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        retryable: bool | None = None,
        field: str | None = None,
        agent: str | None = None,
        driver: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.retryable = self.default_retryable if retryable is None else retryable
        self.field = field
        self.agent = agent
        self.driver = driver
        self.retry_after_seconds = retry_after_seconds
        self.problems: tuple[tuple[str, str, str], ...] = ()
        """Every mistake of a request as field, message and hint, where there may be several; the first is this."""


class BadRequest(HubError):
    """The caller's mistake; `field` names the place."""

    status = 400
    default_code = "bad_request"


class Unauthorized(HubError):
    status = 401
    default_code = "unauthorized"


class Forbidden(HubError):
    status = 403
    default_code = "forbidden"


class NotFound(HubError):
    status = 404
    default_code = "not_found"


class Conflict(HubError):
    """The request is fine, but the present state forbids it."""

    status = 409
    default_code = "conflict"


class TooLarge(HubError):
    status = 413
    default_code = "too_large"


class QueueFull(HubError):
    status = 429
    default_code = "queue_full"
    default_retryable = True


class NotAvailable(HubError):
    """A documented feature that this version, driver or machine does not have."""

    status = 501
    default_code = "not_available"


class DriverFailed(HubError):
    """The platform under an agent failed, not the caller."""

    status = 502
    default_code = "driver_failed"
    default_retryable = True


class Unavailable(HubError):
    status = 503
    default_code = "unavailable"
    default_retryable = True


class DecisionFailed(HubError):
    """A bug met a decision: nothing of it was kept, and the hub builds its state anew from the registry."""

    @classmethod
    def of(cls, error_id: str) -> DecisionFailed:
        """What a caller learns of it: an id that the hub's log has too, and nothing else."""
        return cls(f"internal error {error_id}: nothing was changed", hint=f"the hub's log has it under {error_id}")


class StorageFull(HubError):
    """The disk is full or refuses writes; nothing of the request was kept."""

    status = 507
    default_code = "storage_full"
    default_retryable = True


class StartFailed(HubError):
    """The hub cannot start: busy port, second hub, unreadable or newer database …"""

    default_code = "start_failed"


BY_STATUS: dict[int, type[HubError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        TooLarge,
        QueueFull,
        NotAvailable,
        DriverFailed,
        Unavailable,
        StorageFull,
    )
}
"""How a remote client turns an HTTP answer back into the error that caused it."""
