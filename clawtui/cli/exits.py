"""How the command line ends: exit codes, errors with hints, and never a traceback."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from clawtui.cli.output import printable
from clawtui.errors import NoHub
from clawtui.settings import load_settings
from hub.errors import BadRequest, Forbidden, HubError, Unauthorized

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_HUB: Final = 3
NOT_PERMITTED: Final = 4
TIMED_OUT: Final = 124
EXEC_FAILED: Final = 125
"""`exec` itself failed; every lower code may be the command's own."""

ERROR_LOG: Final = "command-line-errors.log"


def exit_code(error: HubError) -> int:
    match error:
        case NoHub():
            return NO_HUB
        case Unauthorized() | Forbidden():
            return NOT_PERMITTED
        case BadRequest():
            return USAGE
        case _:
            return FAILED


def cause(error: BaseException) -> BaseException:
    """What a group of errors comes down to: one error of ours says more than what it set off."""
    leaves = list(_leaves(error))
    known = [leaf for leaf in leaves if isinstance(leaf, HubError)]
    if len(known) == len(leaves) or len(leaves) == 1:
        return leaves[0]
    return error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def print_error(error: HubError, stderr: TextIO) -> None:
    """Say what is wrong and what to do; of a request with several mistakes every one."""
    if len(error.problems) > 1:
        for field, message, hint in error.problems:
            stderr.write(f"error: {printable(f'{field}: {message}' if field else message)}\n")
            stderr.write(f"    hint: {printable(hint)}\n" if hint else "")
        stderr.flush()
        return
    first, *more = error.message.splitlines() or [""]
    stderr.write(f"error: {printable(first)}\n")
    for line in more:
        stderr.write(f"    {printable(line)}\n")
    # The hub's own hint speaks of HTTP headers.
    wanted = "name a token with --token-file FILE or CLAWTUI_TOKEN"
    hint = wanted if isinstance(error, Unauthorized) and error.code == "unauthorized" else error.hint
    for line in hint.splitlines():
        stderr.write(f"hint: {printable(line)}\n")
    stderr.flush()


def report_defect(error: BaseException, stderr: TextIO) -> None:
    """A mistake of ours: the traceback goes into a file, its path to the user."""
    text = "".join(traceback.format_exception(error))
    where = _write_defect(text)
    stderr.write(f"error: {printable(f'{type(error).__name__}: {error}')}\n")
    stderr.write(f"hint: this is a mistake in clawtui; the details are in {where}\n")
    stderr.flush()


def _write_defect(text: str) -> Path:
    for folder in _log_folders():
        path = folder / ERROR_LOG
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                file.write(text + "\n")
        except OSError:
            continue
        return path
    return Path(os.devnull)


def _log_folders() -> list[Path]:
    folders = [Path(tempfile.gettempdir()) / f"clawtui-{os.getuid()}"]
    try:
        return [load_settings().state_folder / "logs", *folders]
    except HubError:
        return folders
