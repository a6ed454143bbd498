"""Where a gateway sees a folder of this machine: what its container mounts there. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from profiles.sync.errors import SyncError


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway sees the folder `host` of this machine at `container`. Both are absolute."""

    host: str
    container: str

    def __str__(self) -> str:
        return f"{self.host} at {self.container}"


def container_path(path: Path, mounts: Sequence[Mount]) -> str:
    """Return where the gateway sees a path. Without mounts it sees what we see; the innermost mount counts.

    Raises SyncError when no mount has the path, or another one lies over it: the gateway would make an empty workspace
    somewhere else.
    """
    if not mounts:
        return str(path)
    host = _clean(str(path))
    inner = _innermost(host, [(_clean(mount.host), mount) for mount in mounts])
    if inner is None:
        known = ", ".join(map(str, mounts))
        hint = "Name the mount that holds it, or move it under one of these."
        raise SyncError(f"the gateway does not see {path}: it has {known}", hint, field="mounts")
    seen = _moved(host, _clean(inner.host), _clean(inner.container))
    if host_path(seen, mounts) != Path(host):
        other = _innermost(seen, [(_clean(mount.container), mount) for mount in mounts])
        message = f"the gateway does not see {path}: at {seen} it has {other.host if other else 'something else'}"
        raise SyncError(message, "Give the two mounts different places in the container.", field="mounts")
    return seen


def host_path(path: str, mounts: Sequence[Mount]) -> Path | None:
    """Return the path on this machine of what the gateway sees at `path`, None where it is its own."""
    if not mounts:
        return Path(path)
    seen = _clean(path)
    inner = _innermost(seen, [(_clean(mount.container), mount) for mount in mounts])
    return None if inner is None else Path(_moved(seen, _clean(inner.container), _clean(inner.host)))


def check_mounts(root: Path, config: Path, mounts: Sequence[Mount]) -> tuple[str, ...]:
    """Return what is missing or wrong about mounts, for a workspace root and a configuration on this machine."""
    return tuple(_problems(root, config, mounts))


def _problems(root: Path, config: Path, mounts: Sequence[Mount]) -> Iterator[str]:
    for mount in mounts:
        for side, path in (("host", mount.host), ("container", mount.container)):
            if not path.startswith("/"):
                yield f"the mount {mount} has a {side} path that is not absolute"
    if any(_clean(mount.host) == _clean(str(config)) for mount in mounts):
        # A new file takes the old one's place; the container would keep the old one.
        yield f"{config} is a mount of its own: mount the folder around it, else the gateway keeps the old file"
        mounts = [mount for mount in mounts if _clean(mount.host) != _clean(str(config))] or mounts
    try:
        container_path(root, mounts)
    except SyncError as error:
        yield error.message
    if mounts and _innermost(_clean(str(config)), [(_clean(mount.host), mount) for mount in mounts]) is None:
        yield f"no mount holds {config}: where the gateway reads that file, name its mount too"


def _innermost(path: str, places: Sequence[tuple[str, Mount]]) -> Mount | None:
    """Return the mount with the longest place that holds the path; of equal ones the last, as in a container."""
    around = [
        (len(PurePosixPath(place).parts), number) for number, (place, _) in enumerate(places) if _holds(place, path)
    ]
    return places[max(around)[1]][1] if around else None


def _holds(folder: str, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _moved(path: str, old: str, new: str) -> str:
    return str(PurePosixPath(new, PurePosixPath(path).relative_to(old)))


def _clean(path: str) -> str:
    """Without `..`, doubled and last slashes; links are not followed, for the container has its own."""
    clean = os.path.normpath(path)
    return clean[1:] if clean.startswith("//") else clean
