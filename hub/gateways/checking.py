"""What is right in an address of a gateway and in the settings of its sync. Pure: no file is looked at."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hub.contract import MountMapping, SyncSettings
from hub.core.gateways import SLUG_PATTERN
from hub.errors import BadRequest, Conflict

_MODE: Final = re.compile(r"0?[0-7]{3}")
_OWNER: Final = re.compile(r"\d{1,10}(?::\d{1,10})?")
MOST_PATH_CHARS: Final = 1024
_CONTAINER: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_OF_SOURCE: Final = {"folder": ("folder",), "convex": ("convex_url", "convex_account", "convex_token_file")}
"""Which settings belong to which source; for another source they are a mistake."""


def check_url(url: str, field: str = "url") -> str:
    """Return an http(s) address without a `/` at its end. Raises BadRequest."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_right = urlsplit(""), False
    hint = "such as http://127.0.0.1:18789"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right or not _plain(url):
        raise BadRequest(f"{_told(url)!r} is not an http or https address", field=field, hint=hint)
    if parts.username is not None or parts.password is not None:
        raise BadRequest(
            "an address must not hold credentials", field=field, hint="put the token into a file and name that"
        )
    if parts.query or parts.fragment:
        raise BadRequest(f"{_told(url)!r} has more than an address and a path", field=field, hint=hint)
    return url.rstrip("/")


def check_token_file(path: str, field: str = "tokenFile") -> str:
    """Return the path, empty for none. Raises BadRequest."""
    return check_path(path, field) if path else ""


def check_path(path: str, field: str) -> str:
    """Return an absolute path of the hub's machine in its plainest form. Raises BadRequest."""
    if not path.startswith("/") or not path.isprintable() or len(path) > MOST_PATH_CHARS:
        raise BadRequest(f"{path[:120]!r} is not an absolute path", field=field, hint="such as /srv/openclaw/agents")
    if ".." in PurePosixPath(path).parts:
        raise BadRequest(f"{path[:120]!r} goes up with ..", field=field, hint="write the path that is meant")
    plain = os.path.normpath(path)
    return f"/{plain.lstrip('/')}"


def check_sync(settings: SyncSettings, prefix: str = "", *, has_token: bool = False) -> SyncSettings:
    """Return the settings with plain paths. `prefix`: of the fields' names in errors; `has_token`: Convex needs no
    file with one. Raises BadRequest."""
    _check_source(settings, prefix, optional={"convex_token_file"} if has_token else set())
    _check_slugs(settings, prefix)
    _check_rights(settings, prefix)
    _check_restart(settings, prefix)
    names = ("folder", "convex_token_file", "agents_file", "models_file")
    given = {name: check_path(value, prefix + _camel(name)) for name in names if (value := getattr(settings, name))}
    return msgspec.structs.replace(
        settings,
        **given,
        workspace_root=_check_root(settings.workspace_root, f"{prefix}workspaceRoot"),
        config_path=check_path(settings.config_path, f"{prefix}configPath"),
        convex_url=check_url(settings.convex_url, f"{prefix}convexUrl") if settings.convex_url else "",
        mounts=_check_mounts(settings.mounts, f"{prefix}mounts"),
    )


def check_clashes(name: str, settings: SyncSettings | None, others: Mapping[str, SyncSettings]) -> None:
    """Two syncs must never write the same files. Raises Conflict, naming the other gateway."""
    if settings is None:
        return
    for other, theirs in others.items():
        if other == name:
            continue
        if _overlap(settings.workspace_root, theirs.workspace_root):
            raise _clash("workspaceRoot", settings.workspace_root, other, theirs.workspace_root)
        if settings.config_path == theirs.config_path:
            raise _clash("configPath", settings.config_path, other, theirs.config_path)


def _clash(field: str, ours: str, other: str, theirs: str) -> Conflict:
    where = f"is that of gateway {other}" if ours == theirs else f"overlaps {theirs} of gateway {other}"
    return Conflict(
        f"{ours} {where}: two syncs would write the same files",
        code="sync_clash",
        field=field,
        hint=f"choose another one, or end the other sync: clawtui gateway sync {other} --off",
    )


def _overlap(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


def _check_source(settings: SyncSettings, prefix: str, optional: set[str]) -> None:
    for source, names in _OF_SOURCE.items():
        for name in names:
            given = bool(getattr(settings, name))
            if source == settings.source and not given and name not in optional:
                raise BadRequest(f"the source {source} needs {_camel(name)}", field=prefix + _camel(name))
            if source != settings.source and given:
                raise BadRequest(
                    f"{_camel(name)} belongs to the source {source}, not to {settings.source}",
                    field=prefix + _camel(name),
                    hint=f"leave it out, or say source {source}",
                )


def _check_slugs(settings: SyncSettings, prefix: str) -> None:
    named = [("personas", slug) for slug in settings.personas]
    named += [("systemAgent", settings.system_agent)] if settings.system_agent else []
    for field, slug in named:
        if re.fullmatch(SLUG_PATTERN, slug) is None:
            raise BadRequest(
                f"{slug[:80]!r} is no slug", field=prefix + field, hint="1 to 64 of a-z, 0-9, _ and -, not - first"
            )


def _check_rights(settings: SyncSettings, prefix: str) -> None:
    for name, needed in (("file_mode", 0o600), ("folder_mode", 0o700)):
        mode = getattr(settings, name)
        if _MODE.fullmatch(mode) is None or int(mode, 8) & needed != needed:
            raise BadRequest(
                f"{mode[:20]!r} is no mode in which the owner can use it",
                field=prefix + _camel(name),
                hint=f"three octal digits, at least 0{needed:o}",
            )
    if settings.owner and _OWNER.fullmatch(settings.owner) is None:
        raise BadRequest(
            f"{settings.owner[:40]!r} is no owner", field=f"{prefix}owner", hint="uid or uid:gid, such as 1000:1000"
        )


def _check_restart(settings: SyncSettings, prefix: str) -> None:
    if settings.container and _CONTAINER.fullmatch(settings.container) is None:
        raise BadRequest(
            f"{settings.container[:80]!r} is no name of a container",
            field=f"{prefix}container",
            hint="as docker ps shows it, such as openclaw",
        )
    if settings.reload == "restart" and not settings.restart_command and not settings.container:
        raise BadRequest(
            "a gateway that is restarted needs a command for it, or the container it runs in",
            field=f"{prefix}restartCommand",
            hint='such as ["docker", "restart", "openclaw"]',
        )
    if any(not word or "\0" in word for word in settings.restart_command[:1]):
        raise BadRequest("a command begins with a program", field=f"{prefix}restartCommand")


def _check_root(path: str, field: str) -> str:
    root = check_path(path, field)
    if root == "/":
        raise BadRequest("workspaces need a folder of their own", field=field, hint="such as /srv/openclaw/agents")
    return root


def _check_mounts(mounts: list[MountMapping], field: str) -> list[MountMapping]:
    checked: list[MountMapping] = []
    for number, mount in enumerate(mounts):
        host = check_path(mount.host, f"{field}[{number}].host")
        container = check_path(mount.container, f"{field}[{number}].container")
        if any(one.host == host for one in checked):
            raise BadRequest(f"{host} is mapped twice", field=f"{field}[{number}].host")
        checked.append(MountMapping(host=host, container=container))
    return checked


def _plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and not any(letter in url for letter in " \\\"'<>")


def _told(url: str) -> str:
    """An address as it may stand in a message: without what stands before an @."""
    return url[:120] if "@" not in url else f"…@{url.rpartition('@')[2][:100]}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
