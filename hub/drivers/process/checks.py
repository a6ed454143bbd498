"""What the process driver can give, and what it refuses to pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from hub.drivers.base import AgentPlan, Features, Fingerprint
from hub.drivers.process.launch import check_environment, writable
from hub.errors import BadRequest, NotAvailable
from profiles.model import Machine

FEATURES: Final = Features(isolated=False, pause=True, logs=True, shell=True, snapshot=True)
SHARED_NETWORKS: Final = ("", "host")
PROBE_SECONDS: Final = 10.0
"""A Python starts in milliseconds, on a machine that has to read it from a slow disk in seconds."""
USE_DOCKER: Final = "Create the agent with --driver docker."


CONTAINER_PARTS: Final = ("security", "limits", "health", "gpu", "logging")
"""Of a machine: what only containers have."""


def check_plan(plan: AgentPlan) -> None:
    """Raises NotAvailable for protection that a process cannot have, BadRequest for bad values."""
    refused = {
        "network": plan.network not in SHARED_NETWORKS,
        "mounts": bool(plan.mounts),
        "tmpfs": bool(plan.tmpfs),
        "read_only": plan.read_only,
    }
    for field, wanted in refused.items():
        if wanted:
            raise NotAvailable(
                f"the process driver has no {field}: its agents use this machine's files and network as they are",
                hint=USE_DOCKER,
                field=field,
                driver="process",
            )
    if plan.concurrency < 1:
        raise BadRequest("concurrency starts at 1", field="concurrency", driver="process")
    if any("," in capability for capability in plan.capabilities):
        raise BadRequest("a capability cannot have a comma", field="capabilities", driver="process")
    check_environment(plan.environment)


def not_enforced(plan: AgentPlan) -> list[str]:
    """Return what the plan asks for and this driver only reports."""
    asked = {"cpus": plan.cpus, "memory": plan.memory_bytes, "disk": plan.disk_bytes, "sudo": plan.sudo or None}
    own, plain = plan.machine, Machine()
    parts = [name for name in CONTAINER_PARTS if getattr(own, name) != getattr(plain, name)]
    return [*(name for name, value in asked.items() if value is not None), *parts]


def probe(root: Path, command: tuple[str, ...]) -> Fingerprint:
    """Look whether agents can be started here; changes nothing."""
    problem, hint = "", ""
    if os.name != "posix":
        problem, hint = "agents need a POSIX system (Linux, macOS)", "On Windows use WSL."
    elif shutil.which(command[0]) is None:
        problem, hint = f"{command[0]} cannot be executed", "Install clawtui again: its Python has gone."
    elif command[-2:] == ("-m", "runtime") and not _imports_runtime(command):
        problem, hint = f"{command[0]} has no agent runtime", "Install clawtui for this Python: pip install -e ."
    elif not writable(root):
        problem, hint = f"{root} is not writable", "Choose another state folder with CLAWTUI_HOME."
    return Fingerprint(
        usable=not problem,
        version=sys.version.split()[0],
        reason=problem,
        hint=hint,
        details={
            "isolation": "none at all: an agent can do whatever your user can",
            "limits": "not enforced (cpus, memory, disk)",
            "folder": str(root),
        },
    )


def _imports_runtime(command: tuple[str, ...]) -> bool:
    """Ask the interpreter itself: this process may find the package in its working folder, an agent would not."""
    ask = (*command[:-2], "-c", "import runtime")
    try:
        answer = subprocess.run(ask, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0
