"""The port to a container engine: raw calls of its HTTP API, and their errors in the hub's words.

Everything that implements `Engine` blocks and belongs to one thread. `docker_py` is the real one;
tests put one around it that fails where they want. The engine's own error text is passed on for
people to read and is never looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from hub.errors import BadRequest, Conflict, DriverFailed, HubError

NAME: Final = "docker"
CALL_TIMEOUT_SECONDS: Final = 30.0
"""A healthy engine answers a control call in milliseconds; a busy disk can make it seconds."""
DOCTOR: Final = "`clawtui doctor` says what this machine needs; `make engine` starts an engine on Debian."


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `path` without the API version; `body` goes as JSON, `data` as a tar archive, in parts where
    it is large.

    `timeout_seconds` is the longest silence: until the answer starts, and between its parts.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    body: object | None = None
    data: bytes | Iterator[bytes] | None = None
    timeout_seconds: float = CALL_TIMEOUT_SECONDS
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """May hold a registry's password: never shown."""
    live: bool = False
    """An answer without a length comes as it is said, not gathered into large parts."""


class EngineStream(Protocol):
    """An answer without an end of its own."""

    def read(self) -> bytes:
        """Return the next bytes as they come, b"" at the end; blocks without a limit."""
        ...

    def write(self, data: bytes) -> None:
        """Send input to a container that is attached to; blocks until it was taken. Not for the thread that reads."""
        ...

    def cancel(self) -> None:
        """End a `read` or a `write` that waits; for other threads."""
        ...

    def close(self) -> None:
        """Give the connection back; only by the thread that reads."""
        ...


class Engine(Protocol):
    def call(self, call: Call) -> bytes:
        """Return the whole answer. Raises what `refused` and `unreachable` make."""
        ...

    def open(self, call: Call) -> EngineStream:
        """Return once the answer has begun."""
        ...

    def close(self) -> None: ...


Connect = Callable[[], Engine]
"""Makes an engine for the calling thread."""


class EngineRefused(DriverFailed):
    """The engine answered with an error that is not the caller's. `engine_status`: its HTTP status."""

    def __init__(self, message: str, *, engine_status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint, retryable=engine_status >= 500, driver=NAME)
        self.engine_status = engine_status


class EngineNotFound(EngineRefused):
    """404: no such container, volume, network or image."""


class EngineConflict(Conflict):
    """409: the name is taken, or the object's state forbids it."""


class EngineUnreachable(DriverFailed):
    """Nothing answers, or not in time."""

    default_code = "engine_unreachable"


class _Problem(msgspec.Struct):
    message: str = ""


def refused(call: Call, status: int, body: bytes) -> HubError:
    """Return the error that an answer of 400 and above means."""
    try:
        text = msgspec.json.decode(body, type=_Problem).message
    except msgspec.MsgspecError:
        text = body[:500].decode(errors="replace").strip()
    message = text or f"the engine answered {status} to {call.method} {call.path}"
    match status:
        case 400:
            return BadRequest(message, driver=NAME)
        case 404:
            return EngineNotFound(message, engine_status=status)
        case 409:
            return EngineConflict(message, driver=NAME)
        case _:
            return EngineRefused(message, engine_status=status, hint="The engine's own log says more.")


def unreachable(where: str, cause: OSError | None) -> EngineUnreachable:
    """Return the error for an engine that cannot be spoken to at `where`."""
    match cause:
        case PermissionError():
            return EngineUnreachable(
                f"{where}: permission denied",
                hint="Add your user to the group docker, or start the hub as a user who may use the engine.",
                retryable=False,
                driver=NAME,
            )
        case FileNotFoundError() | ConnectionRefusedError():
            return EngineUnreachable(f"no Docker engine answers at {where}", hint=DOCTOR, driver=NAME)
        case TimeoutError():
            return EngineUnreachable(f"the Docker engine at {where} did not answer in time", hint=DOCTOR, driver=NAME)
        case _:
            reason = f": {cause}" if cause is not None else ""
            return EngineUnreachable(f"the Docker engine at {where} broke off{reason}", hint=DOCTOR, driver=NAME)
