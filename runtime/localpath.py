"""Where an agent's local socket is. Light: the container's health check imports this every time."""

from __future__ import annotations

import hashlib
import os
import tempfile

MAX_SOCKET_PATH_BYTES = 103
"""macOS; Linux allows 107."""


def local_socket_path(state_dir: str) -> str:
    """Return the path of `health.sock` in the state folder, or a stand-in where that is too long."""
    path = os.path.join(state_dir, "health.sock")
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(os.path.realpath(state_dir))).hexdigest()[:24]
    return os.path.join(tempfile.gettempdir(), f"clawtui-{os.getuid()}-{digest}.sock")
