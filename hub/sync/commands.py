"""Programs that the sync starts: the one that restarts a gateway, and `openclaw config validate`. Never a shell."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from profiles.sync.beneath import READ_FLAGS

RESTART_SECONDS: Final = 60.0
"""A restart that drains takes longer; whether it came back is seen at the gateway, not at the command."""
VALIDATE_SECONDS: Final = 20.0
"""It takes about one."""
MOST_OUTPUT_BYTES: Final = 2_000
"""Kept from the end of what a program says."""
MOST_ANSWER_BYTES: Final = 1 << 20
MOST_ISSUES: Final = 5
NOT_IN_PATH: Final = "openclaw is not in PATH"


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended. `code` None: it was not started, or ended because it took too long. `said`: its last words,
    or why there are none."""

    code: int | None
    said: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0


async def run_command(argv: Sequence[str], seconds: float = RESTART_SECONDS) -> Outcome:
    """Run a program to its end, at most so long; then it and what it has started are ended."""
    # A file and no pipe: what a restart leaves running would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            return Outcome(None, f"{argv[0]} cannot be started: {why}")
        try:
            async with asyncio.timeout(seconds):
                code = await process.wait()
        except TimeoutError:
            _end(process.pid)
            await process.wait()
            return Outcome(None, f"it did not end within {seconds:g} s{_colon(_tail(output))}")
        except asyncio.CancelledError:
            _end(process.pid)
            raise
        return Outcome(code, _tail(output))


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - MOST_OUTPUT_BYTES))
    text = output.read().decode(errors="replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _colon(text: str) -> str:
    return f": {text}" if text else ""


# --- the gateway's own check --------------------------------------------------------------------------------


class _Issue(msgspec.Struct):
    path: str = ""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class _Answer(msgspec.Struct):
    valid: bool
    issues: list[_Issue] = []


class Validator:
    """Asks the `openclaw` program whether a config is valid; where it cannot say, it objects to nothing.

    What it finds in the config that is there already is not new, so it does not keep a persona from being synced.
    """

    def __init__(
        self, binary: str, *, seconds: float = VALIDATE_SECONDS, environ: Mapping[str, str] | None = None
    ) -> None:
        """`binary`: a path, or a name in PATH; empty = `openclaw`, when it is in PATH."""
        self._binary = binary
        self._seconds = seconds
        self._environ = dict(os.environ if environ is None else environ)
        self.silence = ""
        """Why the last check said nothing, empty when it was made."""

    @property
    def note(self) -> str:
        """What a person should know of the last check that could not be made, empty where there was nothing to ask."""
        if not self.silence or self.silence == NOT_IN_PATH:
            return ""
        return f"the config was not validated: {self.silence}"

    def for_config(self, present: Path) -> Callable[[Path], tuple[str, ...]]:
        """Return the check of what shall take the place of `present`. Blocks for as long as the program takes."""

        def check(path: Path) -> tuple[str, ...]:
            found = self._ask(path)
            if not found or not present.exists():
                return found
            known = set(self._ask(present))
            return tuple(issue for issue in found if issue not in known)[:MOST_ISSUES]

        return check

    def _ask(self, path: Path) -> tuple[str, ...]:
        program = shutil.which(self._binary or "openclaw", path=self._environ.get("PATH"))
        if program is None:
            self.silence = f"there is no program {self._binary}" if self._binary else NOT_IN_PATH
            return ()
        with tempfile.TemporaryFile() as output:
            code = self._call([program, "config", "validate", "--json"], path, output)
            if code is None:
                return ()
            output.seek(0)
            answer = read_answer(output.read(MOST_ANSWER_BYTES))
        if answer is None:
            self.silence = f"{program} config validate ended with {code} and without an answer"
            return ()
        self.silence = ""
        return answer

    def _call(self, argv: Sequence[str], path: Path, output: IO[bytes]) -> int | None:
        environ = {**self._environ, "OPENCLAW_CONFIG_PATH": str(path), "OPENCLAW_CONFIG_READONLY": "1"}
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, env=environ,
                start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            self.silence = f"{argv[0]} cannot be started: {exc.strerror}"
            return None
        try:
            return process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            _end(process.pid)
            process.wait()
            self.silence = f"{argv[0]} config validate did not answer within {self._seconds:g} s"
            return None


def read_answer(output: bytes) -> tuple[str, ...] | None:
    """Return what `openclaw config validate --json` objects to, None where it does not say."""
    answer = _answer(output)
    if answer is None:
        return None
    return () if answer.valid else tuple(str(issue) for issue in answer.issues) or ("it is not valid",)


def _answer(output: bytes) -> _Answer | None:
    """What the program says may come after lines of its log."""
    start = output.find(b"{")
    while start != -1:
        try:
            return msgspec.json.decode(output[start:].strip(), type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            start = output.find(b"\n{", start)
            start = start + 1 if start != -1 else -1
    return None


def refusing(why: str, refused: str, otherwise: Callable[[Path], tuple[str, ...]]) -> Callable[[Path], tuple[str, ...]]:
    """Return a check that does not let the config pass whose SHA-256 is `refused`; of others `otherwise` judges.

    It goes by the text: a person may have changed their part of it, which nobody but the gateway understands.
    """

    def check(path: Path) -> tuple[str, ...]:
        return (why,) if sha256_of(path) == refused else otherwise(path)

    return check


def sha256_of(path: Path) -> str:
    """Return the hash of a file as hex digits, empty where it cannot be read."""
    try:
        with open(os.open(path, READ_FLAGS), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


Check = Callable[[Path], tuple[str, ...]]
__all__ = ["Check", "Outcome", "Validator", "read_answer", "refusing", "run_command", "sha256_of"]
