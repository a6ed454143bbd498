"""OpenClaw gateways that the hub runs: what the registry keeps of one, and of a backup of one.

No secret is part of a record: keys and the token are in the files of the instance's folder.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from hub.contract import InstancePhase
from hub.core.model import Record

LOCAL_HOST: Final = "local"
"""The engine of the hub's own machine."""


class Wanted(enum.StrEnum):
    """What the operator wants of an instance when nothing is done with it."""

    RUNNING = "running"
    STOPPED = "stopped"


BUSY: Final = frozenset(
    {
        InstancePhase.PROVISIONING,
        InstancePhase.UPGRADING,
        InstancePhase.BACKING_UP,
        InstancePhase.RESTORING,
        InstancePhase.DESTROYING,
    }
)
"""A job works on it: nobody else starts, stops or judges it."""


class ChangeKind(enum.StrEnum):
    UPGRADE = "upgrade"
    ROLLBACK = "rollback"


class ChangeStep(enum.StrEnum):
    """How far an upgrade or a rollback is. While `PREPARING` the old container serves. `CHECKING`: the other one runs
    and is judged. `RETURNING`: it is undone, and everything of the old one but its start is as before. The next start
    of a hub that was killed goes on with the last two, and undoes the others."""

    PREPARING = "preparing"
    COPYING = "copying"
    CHECKING = "checking"
    RETURNING = "returning"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is being changed to, while it goes on; its record stays as of before until the end.

    `id`: a new one for each. `phase`: what it was in. `container`: of the new image, once it is made. `volumes`: its
    volumes. `reason`: why it is undone.
    """

    id: str
    kind: ChangeKind
    step: ChangeStep
    phase: InstancePhase
    image: str
    image_id: str = ""
    version: str = ""
    container: str = ""
    volumes: tuple[str, ...] = ()
    reason: str = ""


class StoredInstance(Record, frozen=True):
    """An instance; its gateway in the book has the same name. Times are ms since the epoch.

    `uid` tells incarnations of a name apart: the labels of the container, the network and the volumes have both.
    `container` is the engine's id of the container that serves, empty before it is made. `image` is a reference by tag
    or digest, `image_id` what that was when the container was made. `volumes`: their names in the order of the kind's;
    `adopted`: they were there before us (an import) and are not removed without being told.
    `memory_bytes`, `cpus`: as in force. `notes`: what was limited, and what of the tier is not enforced.
    `reason`: why it is as it is; with phase FAILED why it failed. `previous_…`: what a rollback goes back to, empty
    where there is nothing. `moved_from`: the image id that the same tag had before the last upgrade, where it moved.
    `change`: the upgrade or rollback that goes on, or that could not be undone. `undone`: why the last one was undone.
    """

    name: str
    uid: str
    tier: str
    image_kind: str
    image: str
    port: int
    phase: InstancePhase = InstancePhase.PROVISIONING
    wanted: Wanted = Wanted.RUNNING
    host: str = LOCAL_HOST
    customer: str = ""
    subdomain: str = ""
    version: str = ""
    platform: str = ""
    image_id: str = ""
    container: str = ""
    container_name: str = ""
    network: str = ""
    network_gateway: str = ""
    volumes: tuple[str, ...] = ()
    adopted: bool = False
    cpus: float | None = None
    memory_bytes: int | None = None
    sessions: int | None = None
    workspace_bytes: int | None = None
    created_at: int = 0
    deploy_seconds: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    notes: tuple[str, ...] = ()
    reason: str = ""
    restarts: int = 0
    given_up: bool = False
    previous_image: str = ""
    previous_image_id: str = ""
    previous_container: str = ""
    previous_version: str = ""
    previous_volumes: tuple[str, ...] = ()
    moved_from: str = ""
    undone: str = ""
    change: Change | None = None

    @property
    def busy(self) -> bool:
        return self.phase in BUSY


class StoredBackup(Record, frozen=True):
    """A saved instance: the folder `path` on the hub's machine. `complete` is False while it is being made."""

    id: str
    gateway: str
    uid: str
    created_at: int
    image_kind: str = ""
    image: str = ""
    tier: str = ""
    consistency: str = "stopped"
    path: str = ""
    size_bytes: int = 0
    files: int = 0
    complete: bool = False
