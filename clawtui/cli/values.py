"""Values that several verbs take as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

from clawtui.cli.words import STDIN
from clawtui.errors import UsageError
from clawtui.follow import Piece


def words(text: str) -> list[str]:
    """Words with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """`KEY=VALUE` each. Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {text!r} is not KEY=VALUE", field=option.lstrip("-"))
        found[key] = value
    return found


def seconds(text: str, option: str) -> int:
    """A length of time such as `90s`, `30m`, `4h`, `2d` or `0`. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", "0s" if text == "0" else text, flags=re.ASCII)
    if found is None:
        problem = f"{option} {text[:40]!r} is no length of time"
        raise UsageError(problem, field=option.lstrip("-"), hint="e.g. 30m, 4h, 2d")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]


def cores(text: str | None, option: str) -> float | None:
    """A number of cores such as `2`, `0.5` or `500m`; None stays None. Raises UsageError.

    Checked here too: JSON has no infinity, and what is none would be left out without a word.
    """
    from profiles.errors import ProfileError
    from profiles.values import parse_cpus

    try:
        return None if text is None else parse_cpus(option, text)
    except ProfileError as exc:
        raise UsageError(f"{option} {exc.message}", field=option.lstrip("-"), hint=exc.hint) from exc


def task_from(text: str, stdin: TextIO) -> dict[str, Any]:
    """A task as JSON, or `STDIN` to read it from there. Raises UsageError."""
    source = stdin.read() if text == STDIN else text
    try:
        # Long decimal integers are an error of Python's own, not of msgspec.
        return msgspec.json.decode(source.encode(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as exc:
        raise UsageError(
            f"the task is no JSON object: {exc}",
            field="task",
            hint="""e.g. '{"type": "exec", "command": "uname -a"}'""",
        ) from exc


class Streams:
    """Passes a task's output on as bytes: stdout to stdout, everything else to stderr."""

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        self._stdout = stdout
        self._stderr = stderr

    def write(self, piece: Piece) -> None:
        """Raises BrokenPipeError when nobody reads any more."""
        stream = self._stdout if piece.stream == "stdout" else self._stderr
        stream.flush()
        stream.buffer.write(piece.data)
        stream.buffer.flush()
