"""The gateway's configuration as a file: read, replaced only by a valid one, and put back.

A gateway that runs skips an invalid file, and the next start of it fails. So a new text is checked before it takes the
place of the old one, and the old one is kept.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Final

from profiles.sync.beneath import READ_FLAGS, Hook, hint_for, no_hook, temporary, write_new
from profiles.sync.errors import ConfigError
from profiles.sync.files import Stamp
from profiles.sync.openclaw import check_config
from profiles.sync.report import Validate

LAST_GOOD: Final = ".clawtui-last-good"
"""Ending of the file beside the configuration that has what it said before the last change."""
MAX_CONFIG_BYTES: Final = 16 << 20
NEW_MODE: Final = 0o640
"""Of a file that was not there. Of others, permissions and owner stay."""


class ConfigFile:
    """The file at `path`. `stamp`: the owner of a new one. `keep`: what is replaced is the last good one."""

    def __init__(self, path: Path, stamp: Stamp, hook: Hook = no_hook, *, keep: bool = True) -> None:
        self.path = path
        self._stamp = stamp
        self._hook = hook
        self._keeps = keep
        self._last_good = path.with_name(path.name + LAST_GOOD)
        self._new = path.with_name(f".{path.stem}.clawtui-new{path.suffix}")

    def read(self) -> str | None:
        """Return its text, None where it is not there. Raises ConfigError."""
        return self._read(self.path)

    def replace(self, text: str, before: str | None, version: str | None, validate: Validate | None) -> None:
        """Put a text in its place, if nobody has changed it since it said `before`, and it is valid.

        Raises ConfigError; then the file is as it was.
        """
        _refuse(self.path, check_config(text, version), "the new text is not valid: ")
        with self._writing() as folder:
            stamp, mode = self._stamp_of()
            write_new(folder, self._new.name, text.encode(), mode, stamp, self._hook, str(self._new))
            try:
                _refuse(self.path, validate(self._new) if validate else (), "OpenClaw refuses the new text: ")
                if self._read(self.path) != before:
                    raise ConfigError(f"{self.path} was changed just now", "The next sync looks at it again.")
                if self._keeps and before is not None and not check_config(before, version):
                    self._keep(folder, before, mode, stamp)
                self._settle(folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._new.name, dir_fd=folder)

    def restore(self) -> bool:
        """Put back what it said before the last change; false when nothing else is known. Raises ConfigError."""
        text = self._read(self._last_good)
        if text is None or text == self._read(self.path):
            return False
        with self._writing() as folder:
            stamp, mode = self._stamp_of()
            write_new(folder, self._new.name, text.encode(), mode, stamp, self._hook, str(self._new))
            self._settle(folder)
        return True

    def clean(self) -> None:
        """Remove what a run that was killed has left. Raises ConfigError."""
        with self._writing() as folder:
            for name in (self._new.name, temporary(self._last_good.name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def _keep(self, folder: int, text: str, mode: int, stamp: Stamp) -> None:
        name = self._last_good.name
        write_new(folder, temporary(name), text.encode(), mode, stamp, self._hook, str(self._last_good))
        self._hook(f"rename {self._last_good}")
        os.replace(temporary(name), name, src_dir_fd=folder, dst_dir_fd=folder)

    def _settle(self, folder: int) -> None:
        self._hook(f"rename {self.path}")
        os.replace(self._new.name, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        self._hook(f"flush {self.path.parent}")
        os.fsync(folder)

    def _stamp_of(self) -> tuple[Stamp, int]:
        """Owner and permissions: those of the file that is there."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return self._stamp, NEW_MODE
        return Stamp(uid=found.st_uid, gid=found.st_gid), stat.S_IMODE(found.st_mode)

    @contextlib.contextmanager
    def _writing(self) -> Generator[int]:
        """A descriptor of the folder around it; what fails in there is told as the file's."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            hint = "Make it, or mount what belongs there." if isinstance(exc, FileNotFoundError) else hint_for(exc)
            raise ConfigError(f"the folder {self.path.parent} cannot be opened: {exc.strerror}", hint) from exc
        try:
            yield folder
        except OSError as exc:
            raise ConfigError(f"{self.path} cannot be written: {exc.strerror}", hint_for(exc)) from exc
        finally:
            os.close(folder)

    def _read(self, path: Path) -> str | None:
        try:
            found = os.stat(path, follow_symlinks=False)
            _check_kind(path, found)
            with open(os.open(path, READ_FLAGS), "rb") as file:
                content = file.read(MAX_CONFIG_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint_for(exc)) from exc
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES >> 20} MiB", "Look at what it is.")
        try:
            return content.decode()
        except UnicodeDecodeError as exc:
            message = f"{path} is not UTF-8 text (byte {exc.start})"
            raise ConfigError(message, "Correct it by hand; until then nothing is written to it.") from exc


def _check_kind(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(f"{path} is a symbolic link", f"Name the file itself: {os.path.realpath(path)}")
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is not a file", "Name the gateway's openclaw.json, or move away what stands there.")
    if found.st_nlink > 1:
        message = f"{path} has {found.st_nlink} names (hard links): replacing it would leave the others as they are"
        raise ConfigError(message, "Remove the other names.")


def _refuse(path: Path, problems: tuple[str, ...], why: str) -> None:
    if problems:
        raise ConfigError(f"{path} is left as it was: {why}{'; '.join(problems[:5])}", "Correct what is named.")
