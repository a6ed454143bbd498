"""Compose as it is on this machine: Debian's docker-compose, or the engine's plugin."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import pytest


@cache
def _command() -> tuple[str, ...]:
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
        if plugin.returncode == 0:
            return ("docker", "compose")
    return ()


def compose_command() -> tuple[str, ...]:
    """Return how Compose is called; skips the test where there is none."""
    if not _command():
        pytest.skip("docker tests: no docker-compose; `make engine` installs it on Debian")
    return _command()
