"""Everything of a VM profile beside packages, files, tasks: its size, and fields of the tools that made VMs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast

from profiles.errors import ProfileError
from profiles.migrate.draft import Draft
from profiles.migrate.model import Area, Severity
from profiles.migrate.reading import brief
from profiles.migrate.sizes import cpus_text, size_text
from profiles.model import DEFAULT_CPUS, DEFAULT_DISK_BYTES, DEFAULT_MEMORY_BYTES, parse_profile
from profiles.parts import parse_gpu

Settle = Callable[[Draft, str, object], None]
_VOLUMES: Final = "Name what the agent needs in the profile's volumes: SOURCE:TARGET."
_CRON: Final = "Send the command as a task from a scheduler outside: cron of the hub's machine with `clawtui task`."
KNOWN: Final = (
    (r"image|release|os|base_image|distro|ubuntu(_version)?", Severity.ADAPTED, Area.PACKAGES,
     "agents have the base image, Debian 12", ""),
    (r"ssh.*|authorized_keys", Severity.ADAPTED, Area.SSH, "agents are reached with clawtui shell and exec", ""),
    (r"mounts?|shared_folders", Severity.NEEDS_YOU, Area.FILES, "folders of the host are named as volumes", _VOLUMES),
    (r"cloud[_-]?init.*|user[_-]?data|vendor_data", Severity.NEEDS_YOU, Area.SETUP_TASKS,
     "the image is made once, at its build, from packages, files and setup tasks",
     "Write what it does as packages, files and setup_tasks."),
    (r"users?|groups?", Severity.ADAPTED, Area.SETUP_TASKS, "an agent runs everything as the user agent", ""),
    (r"hostname|domain|fqdn", Severity.ADAPTED, Area.NETWORK, "an agent's name is that of its create", ""),
    (r"locale|lang|keyboard", Severity.ADAPTED, Area.ENVIRONMENT, "the base image has C.UTF-8", ""),
    (r"(resources\.)?swap", Severity.ADAPTED, Area.RESOURCES, "limits.memory_swap says how much swap an agent has", ""),
    (r"auto_?start|restart|start_on_boot", Severity.ADAPTED, Area.SYSTEMD,
     "agents are started again by themselves unless they were stopped", ""),
    (r"cron(_jobs|tab)?|timers?|schedules?", Severity.NEEDS_YOU, Area.SYSTEMD,
     "nothing starts jobs by the clock in a container", _CRON),
    (r"firewall|ufw|security_groups?", Severity.ADAPTED, Area.NETWORK,
     "an agent publishes no port; networks keep agents apart", ""),
    (r"type|role", Severity.ADAPTED, Area.RESOURCES, "it is said when an agent is made: clawtui create --type", ""),
    (r"driver|provider|hypervisor|backend|version|schema|\$schema|author|created(_at)?|updated(_at)?|tags|icon|_.*|//",
     Severity.ADAPTED, Area.RESOURCES, "it describes the file, or the tool that made VMs of it", ""),
    (r"repositor(y|ies)|apt(_sources|_repositories)?|ppas?|apt_keys", Severity.NEEDS_YOU, Area.PACKAGES,
     "package sources of Ubuntu do not fit Debian 12",
     "Find the packages in Debian 12, or add the source for Debian in a Dockerfile of the profile."),
    (r"snaps?", Severity.NEEDS_YOU, Area.PACKAGES, "snaps need systemd and a loop device",
     "Take a Debian package in packages, or the maker's archive in a setup task."),
    (r"sysctls?|kernel(_modules|_parameters)?|modules", Severity.NEEDS_YOU, Area.RESOURCES,
     "the kernel is the host's, for all containers", "Set it on the engine's machine, if it is still needed."),
    (r"secrets?", Severity.NEEDS_YOU, Area.ENVIRONMENT, "secrets of a Docker profile are references",
     'Write them as "secrets": {"NAME": "env://NAME"} or file:///path.'),
    (r"resources\..*", Severity.NEEDS_YOU, Area.RESOURCES, "no such resource is known",
     "Write it as one of limits in the profile, or leave it out."),
)  # fmt: skip
"""Fields that VM tools know: pattern, severity, area, why, what to do."""


def settle_machine(draft: Draft) -> None:
    """Settle the size, the name, and every field that is not packages, environment, files, tasks or services."""
    vm = draft.vm
    if vm.name != vm.written_name:
        message = f"{brief(vm.written_name)} becomes {vm.name}"
        draft.adapted(Area.RESOURCES, "name", message, "names of profiles have a-z, 0-9 and - only")
    _size(draft)
    for field, value in vm.kept.items():
        try:
            parse_profile({"name": "x", field: value})
            draft.fields[field] = value
        except ProfileError as exc:
            reason = f"a Docker profile has this field, and it cannot say that: {exc.problems[0]}"
            draft.needs_you(
                Area.RESOURCES, field, f"{field} is left out", reason, exc.hint or "Write it as documented."
            )
    for field, value in vm.extra.items():
        _extra(draft, field, value)


def _size(draft: Draft) -> None:
    vm = draft.vm
    draft.fields["resources"] = {
        "cpus": cpus_text(vm.cpus or DEFAULT_CPUS),
        "memory": size_text(vm.memory_bytes or DEFAULT_MEMORY_BYTES),
        "disk": size_text(vm.disk_bytes or DEFAULT_DISK_BYTES),
    }
    text = ", ".join(f"{name} {value}" for name, value in draft.fields["resources"].items())
    if vm.cpus is None and vm.memory_bytes is None and vm.disk_bytes is None:
        draft.ok(
            Area.RESOURCES, "resources", f"not said: {text}", "the defaults of VMs and of Docker agents are the same"
        )
    else:
        draft.ok(Area.RESOURCES, "resources", text, "the same size, as Docker profiles write it")
    for field in vm.guessed:
        kind = "disk" if field.endswith(("disk", "storage")) else "memory"
        size = size_text((vm.disk_bytes if kind == "disk" else vm.memory_bytes) or 1)
        reason = "a number without a unit: below 1024 it can only be GiB, below 1048576 MiB"
        draft.adapted(Area.RESOURCES, field, f"read as {size}", reason)


def _extra(draft: Draft, field: str, value: object) -> None:
    for pattern, settle in SPECIAL:
        if re.fullmatch(pattern, field):
            settle(draft, field, value)
            return
    if value in (None, "", [], {}, False):
        draft.ok(Area.RESOURCES, field, "says nothing", "it is empty")
        return
    for pattern, severity, area, reason, todo in KNOWN:
        if re.fullmatch(pattern, field, re.IGNORECASE):
            draft.find(severity, area, field, f"left out: {_quiet(field, value)}", reason, todo)
            return
    todo = "Say it with a field that Docker profiles have (docs/profiles.md), or leave it out."
    draft.needs_you(Area.RESOURCES, field, f"left out: {_quiet(field, value)}", "no such field is known", todo)


def _quiet(field: str, value: object) -> str:
    """A value for a finding; keys, passwords and the like are not repeated."""
    hidden = re.search(r"key|secret|password|token|ssh|user", field, re.IGNORECASE)
    return field if hidden else brief(value)


def _gpu(draft: Draft, field: str, value: object) -> None:
    if value in (None, "", "none", [], {}, False, 0):
        draft.ok(Area.GPU, field, "no GPU", "it asks for none")
        return
    asked: object = "all"
    if isinstance(value, dict):
        value = cast("dict[str, object]", value).get("count", "all")
    if isinstance(value, (int, list)) and not isinstance(value, bool):
        asked = cast("object", value)
    try:
        parse_gpu(field, asked)
    except ProfileError:
        asked = "all"
    draft.fields["gpu"] = asked
    reason = "the engine's machine needs the driver and the NVIDIA Container Toolkit"
    draft.adapted(Area.GPU, field, f'"gpu": {brief(asked)}', reason)


def _nested(draft: Draft, field: str, value: object) -> None:
    if value in (None, "", [], {}, False, 0, "none", "no"):
        draft.ok(Area.NESTED, field, "not asked for", "nothing is lost")
        return
    todo = "Give this work to an agent of the VM driver, or to a host that has KVM; for images use Docker-in-Docker."
    draft.needs_you(Area.NESTED, field, "left out", "a container starts no virtual machines", todo)


def _snapshots(draft: Draft, field: str, value: object) -> None:
    draft.ok(
        Area.SNAPSHOTS, field, "clawtui snapshot takes them", "Docker agents have snapshots too, made in another way"
    )


def _ports(draft: Draft, field: str, value: object) -> None:
    found = [int(port) for port in re.findall(r"\d+", brief(value).replace('"', "")) if 0 < int(port[:6]) < 65_536]
    draft.ports += [port for port in dict.fromkeys(found) if port not in draft.ports]
    reason = "agents publish no port on the host; others reach it in the agent's network"
    draft.adapted(Area.NETWORK, field, f"left out: {brief(value)}", reason)


def _network(draft: Draft, field: str, value: object) -> None:
    if value in (None, "", [], {}, False, "nat", "default", "private"):
        draft.adapted(Area.NETWORK, field, f"left out: {brief(value)}", "agents have a network of the engine")
        return
    todo = "Make a network (clawtui network create) and name it in the profile, if the agent needs one of its own."
    draft.needs_you(Area.NETWORK, field, f"left out: {brief(value)}", "a container is in a network of its engine", todo)


def _sudo(draft: Draft, field: str, value: object) -> None:
    if value is True:
        draft.fields["sudo"] = True
        reason = "tasks may ask for root, as in the VM; the container loses no-new-privileges with it"
        draft.adapted(Area.SETUP_TASKS, field, '"sudo": true', reason)
    elif not value:
        draft.ok(Area.SETUP_TASKS, field, "no sudo", "agents have none by themselves")
    else:
        draft.needs_you(
            Area.SETUP_TASKS, field, f"left out: {brief(value)}", "it is true or false", "Write true or false."
        )


def _zone(draft: Draft, field: str, value: object) -> None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", value):
        draft.environment["TZ"] = value
        draft.adapted(Area.ENVIRONMENT, field, f"TZ={value} is set in the environment", "the clock is the host's")
    else:
        draft.adapted(Area.ENVIRONMENT, field, "left out: no time zone", "the clock is the host's")


SPECIAL: Final[tuple[tuple[str, Settle], ...]] = (
    (r"(resources\.)?gpus?(_.*)?|gpu.*", _gpu),
    (r"(resources\.)?(nested(_virt(ualization)?)?|kvm|virtualization)", _nested),
    (r"snapshots?(_.*)?|auto_snapshot", _snapshots),
    (r"(exposed?_)?ports?|port_forwards?|forwarded_ports", _ports),
    (r"networks?|network_.*|bridge(d)?|ip(_address)?|mac(_address)?|nics?", _network),
    (r"sudo|passwordless_sudo", _sudo),
    (r"time_?zone|tz", _zone),
)
