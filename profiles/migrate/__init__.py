"""PURE: from the profile of a VM to that of a Docker agent, with a reason for everything that changes.

`migrate_text` reads a file's text, `parse_vm_profile` and `migrate` are its two halves.
"""

from profiles.migrate.model import (
    Area,
    Finding,
    Migration,
    Probe,
    ProbeKind,
    Severity,
    Sidecar,
    VmProfile,
    VmTask,
    worst,
)

__all__ = [
    "Area", "Finding", "Migration", "Probe", "ProbeKind", "Severity", "Sidecar", "VmProfile", "VmTask", "worst",
]  # fmt: skip
