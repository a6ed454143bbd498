"""What the screen remembers of its user from one start to the next: one small JSON file in the state folder.

Several screens may share the file. Nobody writes what it read at its start: a change is a function that is applied,
under a lock, to what the file says at that moment, and the file is replaced as a whole. So two screens lose nothing
of each other; where both changed the same choice, the later one stands.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

FILE_NAME: Final = "screen.json"
HISTORY_LINES: Final = 200
"""So many lines of each prompt are kept, the newest."""
LINE_CHARACTERS: Final = 2_000
"""A longer line is somebody's paste: it is not kept."""
FILE_BYTES_MAX: Final = 16 * 1024**2
"""Several times what `HISTORY_LINES` of `LINE_CHARACTERS` can need: a larger file is not ours."""
LOCK_SECONDS: Final = 2.0
LOCK_RETRY_SECONDS: Final = 0.02
DAMAGED_MAX: Final = 9


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """Empty or None: nothing was chosen, the program's own choice stands. Columns may be those of another version."""

    theme: str = ""
    columns: tuple[str, ...] = ()
    """Columns of the fleet in their order."""
    sort: str = ""
    descending: bool = False
    wrap: bool | None = None
    timestamps: bool | None = None
    history: Mapping[str, tuple[str, ...]] = {}
    """Entered lines by prompt (`:` and `/`), the newest last."""


Change = Callable[[Preferences], Preferences]


class Loaded(NamedTuple):
    """`problem`: why the file's choices are not there, in a sentence for the user; empty when all is well."""

    preferences: Preferences
    problem: str = ""


def with_line(preferences: Preferences, prompt: str, line: str) -> Preferences:
    """The same with `line` as the newest of its prompt; a line that was there moves to the end."""
    if not line.strip() or line.startswith(" ") or len(line) > LINE_CHARACTERS:
        return preferences
    before = tuple(one for one in preferences.history.get(prompt, ()) if one != line)
    lines = (*before, line)[-HISTORY_LINES:]
    return msgspec.structs.replace(preferences, history={**preferences.history, prompt: lines})


class PreferencesFile:
    """Blocking, and meant for a thread; every method may be called by several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Loaded:
        """What the file says. A damaged file is put aside, not written over."""
        try:
            return self._read()
        except ValueError:
            pass
        try:
            with self._locked():
                return self._sound()
        except OSError as error:
            return Loaded(Preferences(), f"saved choices in {self.path} are damaged, and {_said(error)}")

    def change(self, *changes: Change) -> str:
        """Apply the changes to what the file says now; a sentence for the user where that has a problem.

        Raises:
            OSError: nothing could be written, or another screen holds the file; nothing has changed then.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            loaded = self._sound()
            if loaded.problem and self.path.exists():
                raise OSError(loaded.problem)  # it cannot be read, or not be moved: it is not written over
            preferences = loaded.preferences
            for change in changes:
                preferences = change(preferences)
            if preferences != loaded.preferences:
                self._write(preferences)
        return loaded.problem

    def _read(self) -> Loaded:
        """Raises ValueError: the file is damaged."""
        try:
            return Loaded(_decoded(self._bytes()))
        except FileNotFoundError:
            return Loaded(Preferences())
        except OSError as error:
            return Loaded(Preferences(), f"saved choices in {self.path} cannot be read: {_said(error)}")

    def _sound(self) -> Loaded:
        """Under the lock: nobody writes a sound file between the look at it and its way aside."""
        try:
            return self._read()
        except ValueError as error:
            return Loaded(Preferences(), self._put_aside(error))

    def _bytes(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)

    def _put_aside(self, error: ValueError) -> str:
        why = f"saved choices in {self.path} are damaged ({error})"
        for number in range(1, DAMAGED_MAX + 1):
            kept = self.path.with_name(f"{self.path.name}.damaged{'' if number == 1 else f'-{number}'}")
            if number < DAMAGED_MAX and kept.exists():
                continue
            try:
                self.path.replace(kept)
            except OSError as refused:
                return f"{why} and cannot be put aside: {_said(refused)}"
            return f"{why}; kept as {kept.name}, they start anew"
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold a lock file beside the file, which itself is replaced; a crashed holder's lock goes with it."""
        handle = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= deadline:
                        raise OSError("another screen holds the file with saved choices") from error
                    time.sleep(LOCK_RETRY_SECONDS)
            yield
        finally:
            os.close(handle)

    def _write(self, preferences: Preferences) -> None:
        fresh = self.path.with_name(f"{self.path.name}.new")  # one writer at a time: the lock is held
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(preferences), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def _decoded(data: bytes) -> Preferences:
    """Raises ValueError."""
    if len(data) > FILE_BYTES_MAX:
        raise ValueError("it is too large")
    try:
        found = msgspec.json.decode(data, type=Preferences)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    history = {prompt: lines[-HISTORY_LINES:] for prompt, lines in found.history.items()}
    return msgspec.structs.replace(found, history=history)


def _said(error: OSError) -> str:
    return error.strerror or str(error)
