"""Values of a migration: what a VM profile says, and everything that becomes of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec


class Severity(enum.StrEnum):
    """How much of a person something takes, least first. A migration's verdict is the worst of its findings."""

    OK = "ok"
    ADAPTED = "adapted"
    NEEDS_YOU = "needs-you"


class Area(enum.StrEnum):
    """The rows of the compatibility report, in its order."""

    PACKAGES = "packages"
    ENVIRONMENT = "environment"
    FILES = "files"
    SETUP_TASKS = "setup tasks"
    SYSTEMD = "systemd"
    SSH = "SSH"
    SNAPSHOTS = "snapshots"
    GPU = "GPU"
    NESTED = "nested virtualization"
    RESOURCES = "resources"
    NETWORK = "network"


class Finding(msgspec.Struct, frozen=True):
    """What was noticed at one place. `field`: path in the VM profile, as in `packages[2]`; empty = the whole.

    `message`: what was done or seen. `reason`: why. `todo`: what a person is to do; only of what needs one.
    """

    severity: Severity
    area: Area
    field: str
    message: str
    reason: str
    todo: str = ""


class ProbeKind(enum.StrEnum):
    """What a probe proves: a package is there, a task did its work, a file is there, a service answers."""

    PACKAGE = "package"
    TASK = "task"
    FILE = "file"
    SERVICE = "service"
    ENVIRONMENT = "environment"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to verify in an agent of the new profile.

    `subject`: its name for people. `command`: shell text for an `exec` task of the agent; exit code 0 = proved, empty =
    nothing can be seen of it afterwards, so it is proved by the image's build, which fails when it does.
    `sidecar`: the service of the Compose file that must run for it, empty = none. `compare`: what it prints can be
    held against what the same command prints in the VM. `field`: where it comes from in the VM profile.
    """

    kind: ProbeKind
    subject: str
    command: str
    field: str = ""
    sidecar: str = ""
    compare: bool = False


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """One service of the Compose file beside the agent. `port`: where it listens, by its name, for the agent."""

    name: str
    image: str
    port: int


class VmFile(msgspec.Struct, frozen=True):
    """A file of a VM; `path` is absolute, or relative to the home of the VM's user. `owner` empty = not said;
    `notes`: fields that nobody knows."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = ""
    notes: tuple[str, ...] = ()


class VmTask(msgspec.Struct, frozen=True):
    """A setup task of a VM. `index` is its place in the list; `notes`: its other fields."""

    command: str
    description: str = ""
    index: int = 0
    notes: tuple[str, ...] = ()


class VmProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a VM profile says, checked for its types and nothing else.

    `cpus`, `memory_bytes`, `disk_bytes` None = not said; `guessed`: fields of sizes that were numbers without a unit.
    `kept`: fields that mean the same for Docker agents, as they were written. `extra`: everything else that stands
    in the profile, by its path, known to VMs or not.
    """

    name: str
    written_name: str = ""
    description: str = ""
    cpus: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    guessed: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    files: tuple[VmFile, ...] = ()
    setup_tasks: tuple[VmTask, ...] = ()
    services: tuple[str, ...] = ()
    kept: dict[str, object] = {}
    extra: dict[str, object] = {}


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that becomes of one profile.

    `text` is the profile's file (JSON, or what was given where `unchanged`), `format` its form. `dockerfile` takes
    the place of packages, tasks and files where there is one; `context`: what it can COPY, by path relative to the
    folder that is called as the profile; `compose`: the text of a Compose file with the agent and its `sidecars`;
    `sidecar_files`: what their containers mount, by path relative to the Compose file.
    """

    name: str
    text: str
    format: str = "json"
    profile: dict[str, object]
    unchanged: bool = False
    dockerfile: str | None = None
    context: dict[str, bytes] = {}
    compose: str | None = None
    sidecars: tuple[Sidecar, ...] = ()
    sidecar_files: dict[str, bytes] = {}
    findings: tuple[Finding, ...] = ()
    probes: tuple[Probe, ...] = ()
    verdict: Severity = Severity.OK


_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


def worst(severities: Iterable[Severity]) -> Severity:
    """Return the one that takes most of a person; ok where there is none."""
    return max(severities, key=_RANK.__getitem__, default=Severity.OK)
