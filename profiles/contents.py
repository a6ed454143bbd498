"""What a profile puts into an agent's image: packages, setup tasks, files."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from typing import Final

import msgspec

from profiles.errors import ProfileError, Table, entries, shown
from profiles.values import parse_path, parse_text

WORKSPACE: Final = "/workspace"
PACKAGE_PATTERN: Final = r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](:[a-z0-9-]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?"
"""A Debian package (policy 5.6.7), with architecture and version. One that ends in - would be removed by apt."""
MAX_PACKAGES: Final = 500
MAX_TASKS: Final = 100
MAX_FILES: Final = 500
MAX_COMMAND_CHARACTERS: Final = 4_000
"""A line of a Dockerfile ends at 64 KiB, and a character can take 12 bytes in it."""
MAX_FILE_BYTES: Final = 1 << 20
MAX_ALL_FILES_BYTES: Final = 16 << 20
DEFAULT_MODE: Final = 0o644


class SetupTask(msgspec.Struct, frozen=True):
    """Shell text that runs as root while the image is built, in the workspace."""

    command: str
    description: str = ""

    @property
    def title(self) -> str:
        """How people name it."""
        return self.description or self.command.strip().splitlines()[0][:80]


class File(msgspec.Struct, frozen=True):
    """A file of the workspace; `path` is absolute."""

    path: str
    content: bytes
    mode: int = DEFAULT_MODE


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that makes one profile's image another than the base."""

    packages: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    setup_tasks: tuple[SetupTask, ...] = ()
    files: tuple[File, ...] = ()
    build_arguments: dict[str, str] = {}


def parse_packages(field: str, raw: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entries(_package, MAX_PACKAGES)(field, raw)))


def _package(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not re.fullmatch(PACKAGE_PATTERN, value, re.ASCII):
        hint = "The name of a Debian package, as `apt-cache search` shows it; with a version: git=1:2.39.5-0."
        raise ProfileError(field, f"{shown(value)} is not a package", hint)
    return value


def parse_setup_tasks(field: str, raw: object) -> tuple[SetupTask, ...]:
    return entries(_setup_task, MAX_TASKS)(field, raw)


def _setup_task(field: str, raw: object) -> SetupTask:
    given = Table(field, raw, ("type", "command", "description"))
    given.get("type", _task_type, "exec")
    task = SetupTask(given.required("command", _command, ""), given.get("description", parse_text, ""))
    given.check()
    return task


def _task_type(field: str, value: object) -> str:
    if value != "exec":
        raise ProfileError(field, f"{shown(value)} is not a type of setup task", "The only one is exec.")
    return "exec"


def _command(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ProfileError(field, f"{shown(value)} is not a command", "Write shell text.")
    if "\0" in value or not _is_text(value):
        raise ProfileError(field, "holds a character that no shell takes")
    if len(value) > MAX_COMMAND_CHARACTERS:
        hint = "Put a long script into a file, or into a custom Dockerfile."
        raise ProfileError(field, f"has {len(value)} characters, at most {MAX_COMMAND_CHARACTERS} are allowed", hint)
    return value


def parse_files(field: str, raw: object) -> tuple[File, ...]:
    files = entries(_file, MAX_FILES)(field, raw)
    paths = {file.path for file in files}
    for index, file in enumerate(files):
        if any(file.path == other.path for other in files[:index]):
            raise ProfileError(f"{field}[{index}].path", f"{file.path} is there already")
        if any(other.startswith(f"{file.path}/") for other in paths):
            raise ProfileError(f"{field}[{index}].path", f"{file.path} is a folder of other files")
    size = sum(len(file.content) for file in files)
    if size > MAX_ALL_FILES_BYTES:
        raise ProfileError(field, f"have {size} bytes, at most {MAX_ALL_FILES_BYTES} are allowed")
    return files


def _file(field: str, raw: object) -> File:
    given = Table(field, raw, ("path", "content", "encoding", "mode"))
    encoding = given.get("encoding", _encoding, "utf-8")
    path = given.required("path", _workspace_path, "")
    text = given.required("content", _text, "")
    mode = given.get("mode", _mode, DEFAULT_MODE)
    given.check()
    try:
        content = base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()
    except (binascii.Error, ValueError) as exc:
        raise ProfileError(f"{field}.content", "is not base64") from exc
    if len(content) > MAX_FILE_BYTES:
        raise ProfileError(f"{field}.content", f"has {len(content)} bytes, at most {MAX_FILE_BYTES} are allowed")
    return File(path, content, mode)


def _workspace_path(field: str, value: object) -> str:
    hint = f"Only {WORKSPACE} keeps its files: write {WORKSPACE}/…, or a path relative to it."
    if not isinstance(value, str) or not value:
        raise ProfileError(field, f"{shown(value)} is not a path", hint)
    if "\\" in value or len(value.encode(errors="replace")) > 255 or value.endswith("/"):
        raise ProfileError(field, f"{shown(value)} is not the path of a file", hint)
    path = parse_path(field, value if value.startswith("/") else posixpath.join(WORKSPACE, value))
    if not path.startswith(f"{WORKSPACE}/"):
        raise ProfileError(field, f"{path} is outside {WORKSPACE}", hint)
    return path


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not _is_text(value):
        raise ProfileError(field, f"{shown(value)} is not text", "Bytes can be written as base64.")
    return value


def _encoding(field: str, value: object) -> str:
    if value not in ("utf-8", "base64"):
        raise ProfileError(field, f"{shown(value)} is not an encoding", "utf-8 or base64.")
    return str(value)


def _mode(field: str, value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value, re.ASCII):
        raise ProfileError(field, f"{shown(value)} is not a file's mode", 'Three octal digits in quotes: "0644".')
    return int(value, 8)


def _is_text(value: str) -> bool:
    """Half of a pair of characters (JSON can write it) has no bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
