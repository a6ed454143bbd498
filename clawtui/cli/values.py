"""Values that several verbs take as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

from clawtui.errors import UsageError


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


def task_from(text: str, stdin: TextIO) -> dict[str, Any]:
    """A task as JSON, or `-` to read it from stdin. Raises UsageError."""
    source = stdin.read() if text == "-" else text
    try:
        # Long decimal integers are an error of Python's own, not of msgspec.
        return msgspec.json.decode(source.encode(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as exc:
        raise UsageError(
            f"the task is no JSON object: {exc}",
            field="task",
            hint="""e.g. '{"type": "exec", "command": "uname -a"}'""",
        ) from exc


def binary(stream: TextIO) -> Any:
    """The bytes under a text stream, for output that is passed on as it is."""
    stream.flush()
    return getattr(stream, "buffer", None) or sys.stdout.buffer
