"""Which real OpenClaw gateways this machine has: those that `.ci/openclaw` installs, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CURRENT: Final = "2026.9.6"
OLDER: Final = "2026.7.35"
"""The last one whose roster is a list."""

NODE_VERSION: Final = "24.21.0"


def cache_folder() -> Path:
    """Where `.ci/openclaw` installs; the same rule as there."""
    if chosen := os.environ.get("CLAWTUI_OPENCLAW"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clawtui" / "openclaw"


def node() -> Path | None:
    """The Node.js that runs the gateways."""
    found = cache_folder().glob(f"node-{NODE_VERSION}/node_modules/node-linux-*/bin/node")
    return next((path for path in found if os.access(path, os.X_OK)), None)


def program(version: str) -> Path:
    return cache_folder() / version / "node_modules" / "openclaw" / "openclaw.mjs"


def openclaw_missing() -> str | None:
    """Why tests with real gateways cannot run here, or None when everything is installed."""
    lacking = [f"OpenClaw {version}" for version in (CURRENT, OLDER) if not program(version).is_file()]
    lacking += [] if node() else [f"Node.js {NODE_VERSION}"]
    if not lacking:
        return None
    return f"no {', '.join(lacking)} in {cache_folder()}; `make openclaw` installs it from npm"
