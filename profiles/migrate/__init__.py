"""PURE: from the profile of a VM to that of a Docker agent, with a reason for everything that changes.

`migrate_text` reads a file's text, `parse_vm_profile` and `migrate` are its two halves.
"""

from profiles.migrate.migration import migrate, migrate_text
from profiles.migrate.model import (
    Area,
    Finding,
    Migration,
    Probe,
    ProbeKind,
    Severity,
    Sidecar,
    VmFile,
    VmProfile,
    VmTask,
    worst,
)
from profiles.migrate.reading import parse_vm_profile

__all__ = [
    "Area", "Finding", "Migration", "Probe", "ProbeKind", "Severity", "Sidecar", "VmFile", "VmProfile", "VmTask",
    "migrate", "migrate_text", "parse_vm_profile", "worst",
]  # fmt: skip
