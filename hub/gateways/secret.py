"""Tokens of gateways: read from a file of the hub's machine when one is needed, and shown by nothing."""

from __future__ import annotations

import os
import stat
from typing import Final

from hub.errors import BadRequest

MOST_BYTES: Final = 4096
"""No token is longer; a file that is was named by mistake."""


class Secret(str):
    """Text that does not show itself where values are printed for people, as in a log or a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)" if self else "Secret()"


def read_secret(path: str, field: str = "tokenFile") -> Secret:
    """Return the one line of a file. Blocks. Raises BadRequest with code `token_file`; no message has any of it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "it is no path"
        raise _unusable(path, f"cannot be read: {why}", field) from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unusable(path, "is not a file", field)
        raw = os.read(descriptor, MOST_BYTES + 1)
    except OSError as exc:
        raise _unusable(path, f"cannot be read: {exc.strerror}", field) from exc
    finally:
        os.close(descriptor)
    try:
        text = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        raise _unusable(path, "holds no token: it is not plain text", field) from None
    if not text or len(raw) > MOST_BYTES or any(not "!" <= letter <= "~" for letter in text):
        why = "is empty" if not text else "holds no token: one line without spaces is expected"
        raise _unusable(path, why, field)
    return Secret(text)


def exposed(path: str) -> str:
    """Return what is wrong with who may read the file, as a clause; empty where nothing is, or nobody can tell."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""
    if mode & 0o077 == 0:
        return ""
    return f"others on the hub's machine may use the token file {path} (mode {mode:04o}); chmod 600 {path}"


def _unusable(path: str, why: str, field: str) -> BadRequest:
    return BadRequest(
        f"the token file {path[:200]!r} {why}",
        code="token_file",
        field=field,
        hint="a file on the hub's machine that the hub's user can read, with the gateway's token as its only line",
    )
