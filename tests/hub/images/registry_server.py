"""A real registry on loopback: the program of Debian's package docker-registry, with its data in a test's folder."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "docker-registry"
CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
http:
  addr: 127.0.0.1:{port}
{auth}"""


def registry_missing() -> str | None:
    """Why there can be no registry here, or None."""
    return None if shutil.which(PROGRAM) else f"no {PROGRAM}; `make engine` installs it on Debian"


@contextlib.contextmanager
def registry(folder: Path, password_file: Path | None = None) -> Iterator[str]:
    """Run a registry; yields its HOST:PORT. `password_file` (htpasswd) makes it ask who is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    auth = f"auth: {{htpasswd: {{realm: test, path: {password_file}}}}}\n" if password_file else ""
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(data=folder / "data", port=port, auth=auth))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=log)
        try:
            yield f"localhost:{port}"
        finally:
            process.kill()
            process.wait()


def answers(address: str) -> bool:
    """Whether the registry accepts connections by now."""
    host, _, port = address.rpartition(":")
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0
