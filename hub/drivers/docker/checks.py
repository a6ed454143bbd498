"""PURE: what an engine can do, from what it says of itself."""

from __future__ import annotations

from typing import Final

from hub.drivers.base import Features, Fingerprint
from hub.drivers.docker.answers import System
from hub.drivers.docker.plan import NO_LOG, Host

LIMITING_DRIVERS: Final = ("btrfs", "zfs")
"""Storage drivers that limit a container's layer; overlay2 can on XFS with project quotas only."""


def disk_note(system: System | None) -> str:
    """Return why the size of a container's own layer is not limited, "" when it is."""
    if system is None:
        return "the engine was not asked yet"
    if system.driver in LIMITING_DRIVERS:
        return ""
    filesystem = f" on {system.backing_filesystem}" if system.backing_filesystem else ""
    return f"this engine's storage ({system.driver}{filesystem}) has no size limits"


def host_of(system: System) -> Host:
    modules = {option.partition(",")[0] for option in system.security_options or []}
    return Host(
        cpus=system.ncpu,
        memory_bytes=system.mem_total,
        disk_note=disk_note(system),
        apparmor="name=apparmor" in modules,
        selinux="name=selinux" in modules,
        log_drivers=() if system.plugins.log is None else (NO_LOG, *system.plugins.log),
    )


def features_of(system: System | None) -> Features:
    """Return what agents of this engine can have; before it was asked, what every engine gives."""
    return Features(
        isolated=True,
        pause=True,
        logs=True,
        shell=True,
        snapshot=True,
        cpu_limit=True,
        memory_limit=True,
        disk_limit=not disk_note(system),
        gpu=True,
        network_none=system is None or not system.is_desktop,
        restarts_itself=True,
    )


def fingerprint_of(system: System) -> Fingerprint:
    details = {
        "system": f"{system.operating_system} {system.architecture}".strip(),
        "storage": f"{system.driver} {system.backing_filesystem}".strip(),
        "cgroup": system.cgroup_version,
        "cpus": str(system.ncpu),
        "memory": f"{system.mem_total / 2**30:.1f} GiB",
        "disk limit": disk_note(system) or "enforced for the container's own layer, not for volumes",
    }
    if system.is_rootless:
        details["rootless"] = "agents reach the hub through a socket in a mounted folder"
    return Fingerprint(usable=True, version=system.server_version, details=details)
