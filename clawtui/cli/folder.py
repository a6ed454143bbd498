"""A folder that a verb writes for other programs: nobody else's files are overwritten, secrets are for agents only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from clawtui.errors import UsageError
from hub.errors import HubError

SECRETS_MODE: Final = 0o700
SECRET_MODE: Final = 0o444
"""Containers read them as a user of their own; who may not enter the folder reads nothing."""


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return data as YAML that every YAML reader takes alike."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)


class OutFolder:
    """A folder with the file `main` that begins with `header`, and nothing but `others` beside it."""

    def __init__(self, path: Path, header: str, main: str, others: set[str]) -> None:
        self._path = path
        self._header = header
        self._main = main
        self._others = others

    def check(self) -> None:
        """Raises UsageError for a folder with other content, before anything is changed."""
        try:
            names = set(os.listdir(self._path))
            main = self._path / self._main
            ours = self._main in names and main.read_text(errors="replace").startswith(self._header.splitlines()[0])
        except FileNotFoundError:
            return
        except OSError as exc:
            raise UsageError(f"{self._path} is no folder to write to: {exc.strerror}", field="out") from exc
        foreign = sorted(names - (self._others | {self._main} if ours else set()))
        if foreign:
            hint = "Name a new or an empty folder, or one with an earlier export."
            raise UsageError(f"{self._path} has other content: {', '.join(foreign[:5])}", field="out", hint=hint)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Raises UsageError for what the disk refuses."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            yield Writer(self._path, self._main, self._others)
        except OSError as exc:
            raise UsageError(f"{exc.filename or self._path} cannot be written: {exc.strerror}", field="out") from exc


class Writer:
    """Puts files into the folder and its subfolders `others`; each is whole or not there.

    Names come from the hub, which may be somebody else's: one that leads elsewhere is a HubError, nothing is written.
    """

    def __init__(self, folder: Path, main: str, others: set[str]) -> None:
        self._folder = folder
        self._main = main
        self._others = others

    def secret(self, name: str, text: str) -> None:
        """Write a file of a secrets' folder, such as `tokens/web`."""
        path = self._path_of(name)
        path.parent.mkdir(mode=SECRETS_MODE, exist_ok=True)
        path.parent.chmod(SECRETS_MODE)
        if path.exists():
            _overwrite(path, text)
        else:
            self._write(path, text, SECRET_MODE)

    def file(self, name: str, text: str) -> None:
        path = self._path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, text, 0o644)

    def main(self, text: str) -> None:
        """Write the file that makes the folder ours; last, when all that it names is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write(self._folder / self._main, text, 0o644)

    def _path_of(self, name: str) -> Path:
        first, *rest = name.split("/")
        if first not in self._others or not rest or any(part in ("", ".", "..") or "\0" in part for part in rest):
            raise HubError(f"the hub names a file outside of the folder: {name[:80]!r}; it was not written")
        return self._folder / name

    def _write(self, path: Path, text: str, mode: int) -> None:
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _overwrite(path: Path, text: str) -> None:
    """Change a secret in its place: a container that has the file mounted would not see another one."""
    path.chmod(SECRET_MODE | 0o200)
    try:
        with path.open("r+b") as file:
            file.write(text.encode())
            file.truncate()
    finally:
        path.chmod(SECRET_MODE)
