"""Values that the parts of instances hand to each other. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hub.core.instances import LOCAL_HOST, StoredInstance
from hub.drivers.cells import PREFIX, CellId
from hub.gateways.kinds import ImageKind
from hub.gateways.tiers import Tier

FIRST_PORT: Final = 19100
LAST_PORT: Final = 19999
"""Host ports that are given out; any other can be asked for."""
LEAST_MEMORY: Final = 1280 * 2**20
"""A gateway takes 0.9 GB when it is ready and up to 1.4 GB after some turns: with less it is killed in its work."""
SHARED_PATH: Final = "/srv/clawtui"
"""Where a container sees the folder that the hub writes configuration and workspaces into."""
CONFIG_FILE: Final = "openclaw.json"
WORKSPACES: Final = "agents"

PROVISION: Final = "gateway.provision"
DESTROY: Final = "gateway.destroy"
ACT: Final = "gateway.act"
KINDS: Final = frozenset({PROVISION, DESTROY, ACT})
"""Kinds of jobs that are done to one instance; the job's `about` is its name."""


class Keys(msgspec.Struct, frozen=True):
    """Secrets by environment variable; no value is ever shown."""

    values: dict[str, str]

    def __repr__(self) -> str:
        return f"Keys({', '.join(sorted(self.values)) or 'none'})"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A checked wish: everything that an instance is made from. `secrets` has the keys and the token's variables.

    `config`: what the user wants of openclaw.json, over ours. `shared`: the hub writes its configuration and its
    workspaces itself, into a folder that the container sees; otherwise they are in the state volume.
    `source`: of the profile sync that it begins with, empty for none; `source_folder`: of a source folder.
    """

    instance: StoredInstance
    tier: Tier
    kind: ImageKind
    secrets: Keys
    config: dict[str, Any] = {}
    shared: bool = True
    source: str = ""
    source_folder: str = ""


class Paths(msgspec.Struct, frozen=True):
    """The files of one instance on the hub's machine."""

    folder: Path

    @property
    def compose(self) -> Path:
        return self.folder / "docker-compose.yml"

    @property
    def environment(self) -> Path:
        return self.folder / ".env"

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def order(self) -> Path:
        """What of the wish is in no record: the user's part of the configuration, and the tier as it was."""
        return self.folder / "order.json"

    @property
    def shared(self) -> Path:
        """What the container sees at SHARED_PATH."""
        return self.folder / "shared"

    @property
    def config(self) -> Path:
        return self.shared / CONFIG_FILE

    @property
    def workspaces(self) -> Path:
        return self.shared / WORKSPACES


def cell_of(instance: StoredInstance) -> CellId:
    return CellId(instance.name, instance.uid)


def container_name(name: str) -> str:
    """Also the name of its network and of its first volume."""
    return f"{PREFIX}{name}"


def volume_names(name: str, kind: ImageKind) -> tuple[str, ...]:
    return tuple(f"{container_name(name)}{volume.suffix}" for volume in kind.volumes)


def is_shared(kind: ImageKind, host: str) -> bool:
    """Whether the hub can write the configuration as a file: on its own machine, for images that leave it alone."""
    return host == LOCAL_HOST and kind.config_read_only


def url_of(instance: StoredInstance) -> str:
    return f"http://127.0.0.1:{instance.port}"
