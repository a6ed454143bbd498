"""The migration under way: what the passes read and change. Lives inside of one call of `migrate`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import msgspec

from profiles.migrate.model import Area, Finding, Severity, VmFile, VmProfile


class Task(msgspec.Struct, frozen=True):
    """A setup task of the new profile. `field`: where it comes from; empty = the migration made it. `title`: how it
    is called in the VM profile."""

    command: str
    description: str = ""
    field: str = ""
    title: str = ""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that runs beside the agent. `argv` as for exec; `ports`: where it listens, as far as known.
    `restart`: when a process manager starts it again, as supervisord says it; `once`: it does its work and ends.
    """

    name: str
    argv: tuple[str, ...]
    field: str = ""
    ports: tuple[int, ...] = ()
    restart: str = "true"
    once: bool = False


@dataclass(slots=True)
class Beside:
    """A side service under way. `setup`: lines of its init script; `flags`: more arguments of its server;
    `config`: its configuration, `files`: what the script reads."""

    family: str
    version: str
    field: str
    setup: list[str] = dataclasses.field(default_factory=list[str])
    flags: list[str] = dataclasses.field(default_factory=list[str])
    environment: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    config: bytes | None = None
    files: dict[str, bytes] = dataclasses.field(default_factory=dict[str, bytes])


@dataclass(slots=True)
class Draft:
    """What the new profile is made of so far.

    `sources`: the VM's tasks as far as they are still commands. `packages`: name to the field it comes from.
    `prepare`: shell text that makes packages run without root. `moved`: old absolute path of a file to its new one;
    `links`: those of them that programs look for at the old place. `units`: systemd units by name, with their text
    and field. `wanted`: units that are to run, with the field that says so; `unwanted`: those that are not;
    `told`: unit files that have a finding already. `users`: made by the profile itself. `folder`: where the last `cd`
    of the task led. `early`: setup tasks need files; `used`: those that they name. `home`: something is in the agent's
    home.
    """

    vm: VmProfile
    findings: list[Finding] = dataclasses.field(default_factory=list[Finding])
    fields: dict[str, object] = dataclasses.field(default_factory=dict[str, object])
    environment: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    sources: list[Task] = dataclasses.field(default_factory=list[Task])
    packages: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    files: list[VmFile] = dataclasses.field(default_factory=list[VmFile])
    file_fields: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    tasks: list[Task] = dataclasses.field(default_factory=list[Task])
    moved: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    links: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    units: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict[str, tuple[str, str]])
    wanted: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    beside: dict[str, Beside] = dataclasses.field(default_factory=dict[str, Beside])
    programs: list[Program] = dataclasses.field(default_factory=list[Program])
    prepare: list[str] = dataclasses.field(default_factory=list[str])
    unwanted: set[str] = dataclasses.field(default_factory=set[str])
    users: set[str] = dataclasses.field(default_factory=set[str])
    ports: list[int] = dataclasses.field(default_factory=list[int])
    gpu: bool = False
    told: set[str] = dataclasses.field(default_factory=set[str])
    folder: str = ""
    used: set[str] = dataclasses.field(default_factory=set[str])
    early: bool = False
    home: bool = False

    def find(self, severity: Severity, area: Area, where: str, message: str, reason: str, todo: str = "") -> None:
        """Note a finding; the same one of one place only once."""
        finding = Finding(severity, area, where, message, reason, todo)
        if finding not in self.findings:
            self.findings.append(finding)

    def ok(self, area: Area, where: str, message: str, reason: str) -> None:
        self.find(Severity.OK, area, where, message, reason)

    def adapted(self, area: Area, where: str, message: str, reason: str, todo: str = "") -> None:
        self.find(Severity.ADAPTED, area, where, message, reason, todo)

    def needs_you(self, area: Area, where: str, message: str, reason: str, todo: str) -> None:
        self.find(Severity.NEEDS_YOU, area, where, message, reason, todo)

    @property
    def custom(self) -> bool:
        """Whether the image needs a Dockerfile of its own."""
        return bool(self.programs) or self.early or any(len(task.command) > 3_900 for task in self.tasks)
