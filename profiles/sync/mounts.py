"""Where a gateway sees a folder of this machine: what its container mounts there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from profiles.sync.errors import SyncError


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway sees the folder `host` of this machine at `container`. Both are absolute."""

    host: str
    container: str


def container_path(path: Path, mounts: Sequence[Mount]) -> str:
    """Return where the gateway sees a path. Without mounts it sees what we see; the innermost mount counts.

    Raises SyncError when no mount has the path: the gateway would make an empty workspace somewhere else.
    """
    if not mounts:
        return str(path)
    around = [mount for mount in mounts if path.is_relative_to(mount.host)]
    if not around:
        known = ", ".join(f"{mount.host} at {mount.container}" for mount in mounts)
        raise SyncError(f"the gateway does not see {path}: it has {known}", "Name the mount that holds it.")
    inner = max(around, key=lambda mount: len(PurePosixPath(mount.host).parts))
    return str(PurePosixPath(inner.container, path.relative_to(inner.host)))
