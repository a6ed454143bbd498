"""PURE: is a cell's plan one that can be meant, what of it does this machine not give, and are two plans the same."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from hub.drivers.cells import PREFIX, Capacity, CellPlan
from hub.errors import BadRequest

INSTANCE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
OBJECT: Final = re.compile(rf"{PREFIX}[a-z0-9][a-z0-9_.-]{{0,100}}")
ANY_OBJECT: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CAPABILITY: Final = re.compile(r"[A-Z][A-Z_]*")
HOST_ENTRY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}:[0-9A-Za-z:.-]{1,64}")
OWN_NETWORKS: Final = frozenset({"host", "none", "default"})
LEAST_MEMORY_BYTES: Final = 6 * 2**20
"""Engines refuse less."""
MOST_GRACE_SECONDS: Final = 3_600


def check_plan(plan: CellPlan) -> None:
    """Raises BadRequest with the plan's field. No message has a value of the environment."""
    for field, message, hint in _problems(plan):
        raise BadRequest(f"{plan.name[:140]}: {message}", field=field, hint=hint)


def check_name(name: str, field: str = "name") -> None:
    """Raises BadRequest for what is no name of a cell's object."""
    if OBJECT.fullmatch(name) is None:
        raise BadRequest(
            f"{name[:140]!r} is no name of a gateway's container, network or volume",
            field=field,
            hint=f"{PREFIX} and small letters, digits, dots and dashes.",
        )


def clamp(plan: CellPlan, capacity: Capacity) -> tuple[CellPlan, tuple[str, ...]]:
    """Return the plan with no more than the machine has, which engines refuse, and a line for each thing it lost."""
    cpus, memory_bytes, notes = plan.cpus, plan.memory_bytes, list(capacity.notes)
    if cpus is not None and cpus > capacity.cpus:
        notes.append(f"{cpus:g} CPUs asked for, {capacity.name} has {capacity.cpus}: limited to {capacity.cpus}")
        cpus = float(capacity.cpus)
    if memory_bytes is not None and memory_bytes > capacity.memory_bytes:
        had = f"{capacity.memory_bytes / 2**30:.1f} GiB"
        notes.append(f"{memory_bytes / 2**30:.1f} GiB asked for, {capacity.name} has {had}: limited to {had}")
        memory_bytes = capacity.memory_bytes
    return msgspec.structs.replace(plan, cpus=cpus, memory_bytes=memory_bytes), tuple(notes)


def plan_hash(plan: CellPlan) -> str:
    """Return what tells two plans apart. It goes beside the environment, so it gives away nothing more."""
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()


Problems = Iterator[tuple[str, str, str]]
"""Field, message, hint."""


def _problems(plan: CellPlan) -> Problems:
    yield from _identity(plan)
    yield from _environment(plan)
    yield from _limits(plan)
    yield from _ports(plan)
    yield from _places(plan)
    yield from _network(plan)


def _identity(plan: CellPlan) -> Problems:
    if INSTANCE.fullmatch(plan.cell.instance) is None:
        yield (
            "cell",
            f"{plan.cell.instance[:60]!r} is no instance's name",
            "Small letters, digits and dashes, 40 at most.",
        )
    if not plan.cell.uid:
        yield "cell", "an instance without a uid", ""
    if OBJECT.fullmatch(plan.name) is None:
        yield "name", "no name of a cell", f"It begins with {PREFIX}."
    if not plan.image:
        yield "image", "no image is named", ""


def _environment(plan: CellPlan) -> Problems:
    for name, value in (*plan.environment.items(), *plan.secrets.items()):
        if VARIABLE.fullmatch(name) is None:
            hint = "Letters, digits and _, not beginning with a digit."
            yield "environment", f"{name[:60]!r} is no name of a variable", hint
        if any(character in value for character in "\n\r\0"):
            yield (
                "environment",
                f"the value of {name[:60]} has more than one line",
                "One line without control characters.",
            )
    twice = plan.environment.keys() & plan.secrets.keys()
    if twice:
        yield "secrets", f"{', '.join(sorted(twice))} is in the environment as well", "Once is enough."


def _limits(plan: CellPlan) -> Problems:
    if plan.cpus is not None and not 0.01 <= plan.cpus < 100_000:
        yield "cpus", f"{plan.cpus:g} is no number of CPUs", "Such as 0.5 or 2."
    if plan.memory_bytes is not None and plan.memory_bytes < LEAST_MEMORY_BYTES:
        yield "memory_bytes", f"{plan.memory_bytes} bytes of memory are too few", "A gateway needs about a gigabyte."
    if plan.pids < 1:
        yield "pids", f"{plan.pids} processes are too few", ""
    if not 0 <= plan.stop_grace_seconds <= MOST_GRACE_SECONDS:
        yield "stop_grace_seconds", f"{plan.stop_grace_seconds} s is no grace", f"0 to {MOST_GRACE_SECONDS} s."
    for capability in plan.capabilities:
        if capability == "ALL" or CAPABILITY.fullmatch(capability) is None:
            yield "capabilities", f"{capability[:40]!r} is no capability that can be given", "Such as CHOWN."


def _ports(plan: CellPlan) -> Problems:
    seen: set[tuple[str, int]] = set()
    for one in plan.ports:
        if not (1 <= one.port <= 65_535 and 1 <= one.container_port <= 65_535):
            yield "ports", f"{one.port}:{one.container_port} are no ports", "1 to 65535."
        if not _is_address(one.host_ip):
            yield "ports", f"{one.host_ip[:60]!r} is no IP address", "Such as 127.0.0.1."
        if (one.host_ip, one.port) in seen:
            yield "ports", f"port {one.port} is there twice", ""
        seen.add((one.host_ip, one.port))


def _places(plan: CellPlan) -> Problems:
    targets = [*(one.target for one in plan.volumes), *(one.target for one in plan.mounts), *plan.tmpfs]
    for target in targets:
        if not _is_place(target):
            yield "volumes", f"{target[:100]!r} is no absolute path without ..", "Such as /home/node/.openclaw."
        if targets.count(target) > 1:
            yield "volumes", f"{target[:100]} is there more than once", ""
    for volume in plan.volumes:
        pattern = ANY_OBJECT if volume.adopted else OBJECT
        if pattern.fullmatch(volume.name) is None:
            yield "volumes", f"{volume.name[:100]!r} is no name of a cell's volume", f"It begins with {PREFIX}."
    for mount in plan.mounts:
        if not _is_place(mount.source):
            yield "mounts", f"{mount.source[:100]!r} is no absolute path without ..", ""


def _network(plan: CellPlan) -> Problems:
    if plan.network in OWN_NETWORKS or ANY_OBJECT.fullmatch(plan.network) is None:
        hint = "A network that was made for the instance."
        yield "network", f"{plan.network[:60]!r} is no network for a gateway", hint
    for entry in plan.extra_hosts:
        if HOST_ENTRY.fullmatch(entry) is None:
            yield "extra_hosts", f"{entry[:60]!r} is not NAME:ADDRESS", "Such as models:192.168.1.5."


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_place(path: str) -> bool:
    return path.startswith("/") and path != "/" and ".." not in path.split("/") and "\0" not in path and ":" not in path
