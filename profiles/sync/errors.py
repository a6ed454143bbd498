"""What keeps a sync from being done."""

from __future__ import annotations


class SyncError(Exception):
    """Nothing could be done. `hint` says what to do; `field` names the setting or the file that is wrong."""

    def __init__(self, message: str, hint: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field


class ConfigError(SyncError):
    """A gateway's configuration file cannot be used or would become invalid: it is left as it is.

    `line` and `column` count from 1; 0 where the mistake has no place.
    """

    def __init__(self, message: str, hint: str = "", *, line: int = 0, column: int = 0) -> None:
        place = f"line {line}, column {column}: " if line else ""
        super().__init__(f"{place}{message}", hint)
        self.line = line
        self.column = column


class WorkspaceProblem(SyncError):
    """One persona's workspace cannot be written as it is; those of the others can."""
