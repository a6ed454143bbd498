"""What a profile says: the machine an agent gets, and what its image is made of. Strict parsing.

A profile is data that people write, so nothing unknown is ignored: a mistyped field is an error
that names the place and what was probably meant. All mistakes are told at once.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from profiles.contents import Contents, parse_files, parse_packages, parse_setup_tasks
from profiles.errors import Problem, Table, at, entries, shown
from profiles.parts import (
    UNLIMITED,
    Gpu,
    Health,
    Limits,
    Logging,
    Restart,
    Secret,
    Security,
    Volume,
    parse_gpu,
    parse_health,
    parse_limits,
    parse_logging,
    parse_network,
    parse_restart,
    parse_secrets,
    parse_security,
    parse_volume,
)
from profiles.persona import Persona, parse_persona
from profiles.values import (
    number_between,
    parse_capabilities,
    parse_cpus,
    parse_environment,
    parse_flag,
    parse_labels,
    parse_name,
    parse_seconds,
    parse_size,
    parse_text,
)

MAX_CONCURRENCY: Final = 256

DEFAULT_CPUS: Final = 2.0
DEFAULT_MEMORY_BYTES: Final = 4 << 30
DEFAULT_DISK_BYTES: Final = 20 << 30
"""The documented defaults of Docker agents: 2 cpus, 4G, 20G."""

MACHINE_FIELDS: Final = (
    "resources", "capabilities", "labels", "environment", "sudo", "concurrency", "restart", "network", "volumes",
    "security", "limits", "health", "gpu", "logging", "stop_grace", "secrets",
)  # fmt: skip
IMAGE_FIELDS: Final = ("packages", "files", "setup_tasks", "build_args")
FIELDS: Final = ("name", "description", *MACHINE_FIELDS, *IMAGE_FIELDS, "persona")
"""Everything a profile's file may say, in the order in which it is documented."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the host an agent may use: `cpus` in cores, the rest in bytes."""

    cpus: float = DEFAULT_CPUS
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    disk_bytes: int = DEFAULT_DISK_BYTES


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a profile that a driver needs to make an agent.

    `capabilities` are the agent's tags for task selection; `concurrency` its tasks at once.
    `environment` holds while the image is built too. `network` empty = the driver's own. `stop_grace_seconds`:
    how long it may take to end by itself when it is stopped, None = as the hub is set.
    """

    resources: Resources = Resources()
    capabilities: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    environment: dict[str, str] = {}
    sudo: bool = False
    concurrency: int = 4
    restart: Restart = Restart.UNLESS_STOPPED
    network: str = ""
    volumes: tuple[Volume, ...] = ()
    security: Security = Security()
    limits: Limits = Limits()
    health: Health = Health()
    gpu: Gpu | None = None
    logging: Logging = Logging()
    stop_grace_seconds: float | None = None
    secrets: dict[str, Secret] = {}


DEFAULT_MACHINE: Final = Machine()


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile. `persona`: who an agent of an OpenClaw gateway is; called as the profile unless it says a slug."""

    name: str
    description: str = ""
    machine: Machine = Machine()
    contents: Contents = Contents()
    persona: Persona | None = None


def parse_machine(raw: object, field: str = "", base: Machine = DEFAULT_MACHINE) -> Machine:
    """Return the machine that the mapping `raw` describes; `field` is the path that leads to it.

    What `raw` does not say is as in `base`: field by field, also inside of limits, security, health, logging and
    resources. Of mappings with names of the user's choice (environment, labels, ulimits) each name counts by itself;
    a list takes the place of the whole list.

    Raises:
        ProfileError: with every wrong field.
    """
    given = Table(field, raw, MACHINE_FIELDS)
    machine = _machine(given, base)
    given.check()
    return machine


def parse_profile(raw: object, name: str = "") -> Profile:
    """Return the profile that `raw` describes. `name`: what its file is called; it may say so itself.

    Raises:
        ProfileError: with every wrong field.
    """
    given = Table("", raw, FIELDS)
    said = given.get("name", parse_name, name) if name else given.required("name", parse_name, "")
    if name and said != name:
        hint = f"Write {name}, or leave it out."
        given.problems.append(Problem("name", f"is {shown(said)}, but the profile is called {name}", hint))
    machine = _machine(given)
    profile = Profile(
        name=said,
        description=given.get("description", parse_text, ""),
        machine=machine,
        contents=Contents(
            packages=given.get("packages", parse_packages, ()),
            files=given.get("files", parse_files, ()),
            setup_tasks=given.get("setup_tasks", parse_setup_tasks, ()),
            environment=machine.environment,
            build_arguments=given.get("build_args", parse_environment, {}),
        ),
        persona=given.get("persona", partial(parse_persona, slug=said), None),
    )
    given.check()
    return profile


def _machine(given: Table, base: Machine = DEFAULT_MACHINE) -> Machine:
    machine = Machine(
        resources=given.get("resources", partial(_resources, base=base.resources), base.resources),
        capabilities=given.get("capabilities", parse_capabilities, base.capabilities),
        labels=base.labels | given.get("labels", parse_labels, {}),
        environment=base.environment | given.get("environment", parse_environment, {}),
        sudo=given.get("sudo", parse_flag, base.sudo),
        concurrency=given.get("concurrency", number_between(1, MAX_CONCURRENCY), base.concurrency),
        restart=given.get("restart", parse_restart, base.restart),
        network=given.get("network", parse_network, base.network),
        volumes=given.get("volumes", entries(parse_volume, 64), base.volumes),
        security=given.get("security", partial(parse_security, base=base.security), base.security),
        limits=given.get("limits", partial(parse_limits, base=base.limits), base.limits),
        health=given.get("health", partial(parse_health, base=base.health), base.health),
        gpu=given.get("gpu", parse_gpu, base.gpu),
        logging=given.get("logging", partial(parse_logging, base=base.logging), base.logging),
        stop_grace_seconds=given.get("stop_grace", parse_seconds, base.stop_grace_seconds),
        secrets=base.secrets | given.get("secrets", parse_secrets, {}),
    )
    given.problems += _contradictions(given.field, machine)
    return machine


def _resources(field: str, raw: object, base: Resources) -> Resources:
    given = Table(field, raw, ("cpus", "memory", "disk"))
    resources = Resources(
        cpus=given.get("cpus", parse_cpus, base.cpus),
        memory_bytes=given.get("memory", parse_size, base.memory_bytes),
        disk_bytes=given.get("disk", parse_size, base.disk_bytes),
    )
    given.check()
    return resources


def _contradictions(field: str, machine: Machine) -> list[Problem]:
    """What is right by itself and cannot be together."""
    found: list[Problem] = []
    memory, limits = machine.resources.memory_bytes, machine.limits
    swap, reserved = limits.memory_swap_bytes, limits.memory_reservation_bytes
    if swap is not None and swap != UNLIMITED and swap < memory:
        hint = "It is memory and swap together: write as much as resources.memory, or more."
        found.append(Problem(at(field, "limits.memory_swap"), "is less than the memory", hint))
    if reserved is not None and reserved > memory:
        found.append(Problem(at(field, "limits.memory_reservation"), "is more than the memory"))
    targets = [volume.target for volume in machine.volumes]
    targets += [tmpfs.path for tmpfs in machine.security.tmpfs]
    for target in dict.fromkeys(target for target in targets if targets.count(target) > 1):
        found.append(Problem(at(field, "volumes"), f"{target} is mounted twice"))
    for name in machine.secrets.keys() & machine.environment.keys():
        hint = "A secret does not belong into the environment: images and snapshots keep that."
        found.append(Problem(at(field, f"secrets.{name}"), "is in the environment too", hint))
    return found
