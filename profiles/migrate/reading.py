"""Reading a VM profile: strict about what a field holds, open about which fields there are.

VM profiles were never checked, so they hold fields of many tools; none of them is lost, each becomes a finding.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from profiles.contents import MAX_FILE_BYTES, MAX_FILES, MAX_PACKAGES, MAX_TASKS
from profiles.errors import ProfileError, Table, at, each, entries, mapping, shown, shown_name
from profiles.migrate.model import VmFile, VmProfile, VmTask
from profiles.migrate.sizes import parse_vm_size
from profiles.model import FIELDS
from profiles.values import (
    ENVIRONMENT_PATTERN,
    MAX_ENVIRONMENT_BYTES,
    MAX_VALUE_BYTES,
    RESERVED_NAMES,
    parse_capabilities,
    parse_cpus,
    parse_labels,
)

MAX_COMMAND_CHARACTERS: Final = 20_000
MAX_PATH_BYTES: Final = 160
"""With the folder of the workspace and a way out of conflicts it stays below what profiles take."""
PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](:[a-z0-9-]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?", re.ASCII)
READ: Final = ("name", "description", "resources", "packages", "environment", "env", "files", "setup_tasks", "services")
KEPT: Final = tuple(name for name in FIELDS if name not in (*READ, "gpu", "network", "restart", "secrets", "sudo"))
"""Of a Docker profile's fields those that a VM profile can have with the same meaning."""
_SIZES: Final = ("cpu", "cpus", "memory", "mem", "ram", "disk", "storage")
_NAMES: Final = {"cpus": "cpu", "mem": "memory", "ram": "memory", "storage": "disk"}


def parse_vm_profile(raw: object, name: str = "") -> VmProfile:
    """Return what a VM profile says. `name`: what its file is called, for one that does not say it.

    Raises:
        ProfileError: with every field that holds something it cannot hold.
    """
    whole = mapping("", raw)
    given = Table("", raw, tuple(whole))
    sizes, guessed, more = _sizes(given, whole)
    written = given.get("name", _name, name)
    profile = VmProfile(
        name=slug(written),
        written_name=written,
        description=given.get("description", _description, ""),
        cpus=sizes.get("cpu"),
        memory_bytes=cast("int | None", sizes.get("memory")),
        disk_bytes=cast("int | None", sizes.get("disk")),
        guessed=tuple(guessed),
        packages=given.get("packages", _packages, ()),
        environment=given.get("env", _environment, {}) | given.get("environment", _environment, {}),
        files=given.get("files", entries(_file, MAX_FILES - 10), ()),
        setup_tasks=given.get("setup_tasks", _setup_tasks, ()),
        services=given.get("services", _services, ()),
        kept=_kept(given, whole),
        extra=more | {field: value for field, value in whole.items() if field not in (*READ, *KEPT, *_SIZES)},
    )
    if not profile.name and not given.has("name"):
        given.problems += ProfileError("name", "is missing", "Say what the profile is called.").problems
    given.check()
    return profile


def slug(written: str) -> str:
    """Return a name that a Docker profile can have, as near as possible; empty when nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "-", written.lower()).strip("-")[:40].strip("-")
    return f"{name}-agent" if name in RESERVED_NAMES else name


def _name(field: str, value: object) -> str:
    text = one_line(field, value)
    if not slug(text):
        raise ProfileError(field, f"{shown(value)} is not a name", "Use letters and digits.")
    return text


def _sizes(given: Table, whole: Mapping[str, object]) -> tuple[dict[str, float], list[str], dict[str, object]]:
    """The sizes in `resources`, or beside it; with the fields whose unit was guessed, and what else stands there."""
    found: dict[str, float] = {}
    guessed: list[str] = []
    more: dict[str, object] = {}
    tables: list[tuple[str, Mapping[str, object]]] = [("", {key: whole[key] for key in _SIZES if key in whole})]
    try:
        tables.append(("resources", mapping("resources", whole.get("resources", {}))))
    except ProfileError as exc:
        given.problems += exc.problems
    for parent, table in tables:
        for key, value in table.items():
            kind, field = _NAMES.get(key, key), at(parent, shown_name(key))
            if kind not in ("cpu", "memory", "disk"):
                more[field] = value
                continue
            try:
                found[kind], unsure = _size(kind, field, value)
            except ProfileError as exc:
                given.problems += exc.problems
                continue
            guessed += [field] if unsure else []
    return found, guessed, more


def _size(kind: str, field: str, value: object) -> tuple[float, bool]:
    return (parse_cpus(field, value), False) if kind == "cpu" else parse_vm_size(field, value)


def _kept(given: Table, whole: Mapping[str, object]) -> dict[str, object]:
    for field, parse in (("capabilities", parse_capabilities), ("labels", parse_labels)):
        given.get(field, parse, None)
    return {field: whole[field] for field in KEPT if field in whole}


def _packages(field: str, raw: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entries(_package, MAX_PACKAGES - 50)(field, raw)))


def _package(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not PACKAGE.fullmatch(value):
        raise ProfileError(field, f"{shown(value)} is not a package", "The name as `apt-cache search` shows it.")
    return value


def _environment(field: str, raw: object) -> dict[str, str]:
    """A mapping, or a list of `NAME=VALUE`. Numbers and truth values are their text."""
    if isinstance(raw, list):
        pairs = entries(_pair, 500)(field, cast("object", raw))
        raw = dict(pairs)
    found = each(mapping(field, raw), lambda name, value: _variable(at(field, shown_name(name)), name, value))
    if sum(len(name) + len(value.encode()) for name, value in found.items()) > MAX_ENVIRONMENT_BYTES - 8192:
        raise ProfileError(field, "holds too much", "Put large values into a file.")
    return found


def _pair(field: str, value: object) -> tuple[str, str]:
    name, equals, rest = text_of(field, value).partition("=")
    if not equals:
        raise ProfileError(field, f"{shown(value)} is not NAME=VALUE")
    return name, rest


def _variable(field: str, name: str, value: object) -> str:
    if not re.fullmatch(ENVIRONMENT_PATTERN, name):
        raise ProfileError(field, "is not the name of an environment variable", "Letters, digits and _.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) and abs(value) < 1 << 60:
        return str(value)
    text = text_of(field, value)
    if len(text.encode()) > MAX_VALUE_BYTES - 256:
        raise ProfileError(field, "is too long for a variable", "Put a large value into a file.")
    return text


def _services(field: str, raw: object) -> tuple[str, ...]:
    """Names, or mappings with a name."""
    return tuple(dict.fromkeys(entries(_service, 100)(field, raw)))


def _service(field: str, value: object) -> str:
    if isinstance(value, dict):
        return one_line(at(field, "name"), cast("dict[str, object]", value).get("name"))
    return one_line(field, value)


def _file(field: str, raw: object) -> VmFile:
    known = ("path", "content", "encoding", "mode", "permissions", "owner")
    table = mapping(field, raw)
    given = Table(field, raw, tuple(table))
    path = given.required("path", _path, "")
    text = given.required("content", text_of, "")
    encoding = given.get("encoding", one_line, "utf-8")
    mode = given.get("mode", _mode, given.get("permissions", _mode, 0o644))
    file = VmFile(path, _content(given, field, text, encoding), mode, given.get("owner", one_line, ""))
    file = msgspec.structs.replace(file, notes=tuple(shown_name(name) for name in table if name not in known))
    given.check()
    return file


def _content(given: Table, field: str, text: str, encoding: str) -> bytes:
    content = text.encode()
    if encoding in ("base64", "b64"):
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            given.problems += ProfileError(f"{field}.content", "is not base64").problems
    elif encoding not in ("utf-8", "utf8", "text/plain", "text"):
        message = f"{shown(encoding)} is not an encoding"
        given.problems += ProfileError(f"{field}.encoding", message, "utf-8 or base64.").problems
    if len(content) > MAX_FILE_BYTES - 4096:
        given.problems += ProfileError(f"{field}.content", f"has {len(content)} bytes", "At most 1 MiB.").problems
    return content


def _path(field: str, value: object) -> str:
    hint = "Write a path like /home/ubuntu/app/config.json."
    path = one_line(field, value)
    parts = path.split("/")
    if not path or path.endswith("/") or "\\" in path or len(path.encode()) > MAX_PATH_BYTES:
        raise ProfileError(field, f"{shown(value)} is not the path of a file", hint)
    if ".." in parts or not any(part not in ("", ".", "~") for part in parts):
        raise ProfileError(field, f"{shown(value)} is not a path in the VM", "Leave out every `..`.")
    return path


def _mode(field: str, value: object) -> int:
    """`0644`, `644`, `0o644`, or the number as it stands in quotes."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text, re.ASCII):
        raise ProfileError(field, f"{shown(value)} is not a file's mode", 'Three octal digits: "0644".')
    return int(text[-3:], 8)


def _setup_tasks(field: str, raw: object) -> tuple[VmTask, ...]:
    found = entries(_setup_task, MAX_TASKS - 10)(field, raw)
    return tuple(msgspec.structs.replace(task, index=index) for index, task in enumerate(found))


def _setup_task(field: str, raw: object) -> VmTask:
    """A command alone, or a task: `exec` and the other types of the VM agents as the command that does the same."""
    if isinstance(raw, str):
        return VmTask(_command(field, raw))
    table = mapping(field, raw)
    given = Table(field, raw, tuple(table))
    kind = given.get("type", one_line, "exec")
    known = {"type", "description", "cwd", *_TASK_FIELDS.get(kind, ())}
    command = _as_command(given, field, kind)
    if given.has("cwd") and (folder := given.get("cwd", one_line, "")):
        command = f"cd {shlex.quote(folder)} && {command}"
    notes = tuple(name for name in table if name not in known and name != "sudo")
    task = VmTask(command, given.get("description", _description, ""), notes=tuple(map(shown_name, notes)))
    given.check()
    return task


_TASK_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "exec": ("command",),
    "build": ("command",),
    "test": ("command",),
    "script": ("script", "args"),
    "git:clone": ("repo", "destination", "branch"),
    "file:write": ("filePath", "content"),
}


def _as_command(given: Table, field: str, kind: str) -> str:
    if kind in ("exec", "build", "test"):
        return given.required("command", _command, "")
    if kind == "script":
        words = ["node", "-e", given.required("script", _command, ""), *given.get("args", entries(one_line, 50), ())]
        return shlex.join(words)
    if kind == "git:clone":
        branch = given.get("branch", one_line, "")
        words = ["git", "clone", *(["--branch", branch] if branch else []), given.required("repo", one_line, "")]
        return shlex.join([*words, *filter(None, [given.get("destination", one_line, "")])])
    if kind == "file:write":
        path, content = given.required("filePath", _path, "x"), given.required("content", text_of, "")
        return f"printf %s {shlex.quote(content)} > {shlex.quote(path)}"
    hint = f"One of {', '.join(_TASK_FIELDS)}."
    given.problems += ProfileError(f"{field}.type", f"{shown(kind)} is not a type of setup task", hint).problems
    return ""


def _command(field: str, value: object) -> str:
    text = text_of(field, value)
    if not text.strip() or "\0" in text:
        raise ProfileError(field, f"{shown(value)} is not a command", "Write shell text.")
    if len(text) > MAX_COMMAND_CHARACTERS:
        raise ProfileError(field, f"has {len(text)} characters", "Put a long script into a file.")
    return text


def _description(field: str, value: object) -> str:
    """One line for people: longer ones are cut, line breaks become spaces."""
    text = " ".join(text_of(field, value).split())
    return "".join(char if char.isprintable() else " " for char in text)[:200].strip()


def text_of(field: str, value: object) -> str:
    """Return text that has bytes. Raises ProfileError."""
    if not isinstance(value, str):
        raise ProfileError(field, f"{shown(value)} is not text", "Put it in quotes.")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise ProfileError(field, "is not text: half of a pair of characters stands alone") from exc
    return value


def one_line(field: str, value: object) -> str:
    text = text_of(field, value)
    if not text.isprintable() or not text or len(text) > 1000:
        raise ProfileError(field, f"{shown(value)} is not one line of text")
    return text


def brief(value: object) -> str:
    """Return a value for a finding: short, on one line, never a failure."""
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = shown(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
