"""Why a task cannot be executed."""

from __future__ import annotations

from runtime.effects import Outcome
from runtime.wire import ResponseStatus, TaskError


class TaskFailure(Exception):
    """A task ends here without having been run. `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str, *, status: ResponseStatus = ResponseStatus.FAILED) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def outcome(self) -> Outcome:
        return Outcome(status=self.status, error=TaskError(self.code, self.message))


def failure_of(error: OSError) -> TaskFailure:
    """Return the failure that an error of the operating system means for a task."""
    codes: dict[type[OSError], str] = {
        FileNotFoundError: "not_found",
        NotADirectoryError: "not_found",
        PermissionError: "permission_denied",
        IsADirectoryError: "not_a_file",
        FileExistsError: "exists",
    }
    code = codes.get(type(error), "disk_full" if error.errno == 28 else "io_error")
    place = f": {error.filename}" if isinstance(error.filename, str) else ""
    return TaskFailure(code, f"{error.strerror or error}{place}")
