"""An engine of a test's own beside the one of this machine: it can be killed, restarted and filled up.

It lives in a network namespace of its own, because an engine without a bridge removes the first one's `docker0`; so its
containers have no network, and agents on it reach their hub through a mounted socket.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, Engine
from hub.errors import HubError
from tests.drivers.docker_bench import BASE_IMAGE

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
MOUNTS = Path("/proc/self/mountinfo")


def missing() -> str | None:
    """Why there can be no second engine here, or None."""
    if os.geteuid() != 0:
        return "a second engine needs root"
    lacking = [name for name in ("dockerd", "unshare", "docker") if shutil.which(name) is None]
    return f"no {', '.join(lacking)} on this machine" if lacking else None


class SecondEngine:
    """One dockerd below `folder`; `data` elsewhere where its disk shall be another one."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.folder = folder
        self.data = data or folder / "d"
        self.socket = folder / "s"
        self.live_restore = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    # --- its life

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            "unshare", "--net", "--", "dockerd", "-H", self.url, "--data-root", str(self.data),
            "--exec-root", str(self.folder / "x"), "-p", str(self.folder / "pid"), "--bridge", "none",
            "--iptables=false", "--ip-forward=false", "--ip-masq=false",
            *(["--live-restore"] if self.live_restore else []),
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self.answers, f"the second engine answers; its log: {self.folder / 'log'}")

    def answers(self) -> bool:
        try:
            with contextlib.closing(self.connect()):
                return True
        except HubError:
            return False

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)
        self._process = None
        self._await_containerd_end()

    def _await_containerd_end(self) -> None:
        """It ends with its dockerd, a moment later; until then the next dockerd would take it for a living one."""
        file = self.folder / "x" / "containerd" / "containerd.pid"
        if not file.exists():
            return
        status = Path("/proc", file.read_text().strip(), "stat")

        def ended() -> bool:
            try:
                # What comes after the name, which may hold anything: Z is dead, and nobody has asked for its code yet.
                return status.read_text().rpartition(")")[2].split()[0] in ("Z", "X")
            except OSError:
                return True

        wait_for(ended, "containerd ends")
        file.unlink(missing_ok=True)

    def again(self, number: signal.Signals) -> None:
        """End it and start it once more."""
        self.end(number)
        self.start()

    def close(self) -> None:
        """End it with everything that it runs, and leave no process, no mount and no file."""
        if self._process is None:
            self.start()
        for container in self.get("/containers/json", all="1"):
            self.call("DELETE", f"/containers/{container['Id']}", force="1", v="1")
        # Nothing runs on it any more; asked to end, it would take its time.
        self.end(signal.SIGKILL)
        below = [line.split()[4] for line in MOUNTS.read_text().splitlines() if f" {self.folder}/" in line]
        for mount in sorted(below, reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self.folder)

    # --- looking

    def connect(self) -> Engine:
        return Connector(self.url, {})()

    def call(self, method: str, path: str, **params: str) -> bytes:
        with contextlib.closing(self.connect()) as engine:
            return engine.call(Call(method, path, params))

    def get(self, path: str, **params: str) -> Any:
        return msgspec.json.decode(self.call("GET", path, **params))

    def load(self, images: Sequence[str]) -> None:
        """Bring images over from this machine's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
            subprocess.run(["docker", "-H", self.url, "load", "-q"], stdin=save.stdout, capture_output=True, check=True)
        assert save.returncode == 0


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def second_engine(images: Sequence[str] = (), *, disk_bytes: int | None = None) -> Iterator[SecondEngine]:
    """A running engine with these images of the first one, on a disk of its own with `disk_bytes`."""
    folder = Path(tempfile.mkdtemp(prefix="ce"))
    data = folder / "d"
    data.mkdir()
    if disk_bytes is not None:
        options = ["-t", "tmpfs", "-o", f"size={disk_bytes}", "tmpfs"]
        subprocess.run(["mount", *options, str(data)], check=True)
    engine = SecondEngine(folder)
    try:
        engine.start()
        if images:
            engine.load([*images, BASE_IMAGE])
        yield engine
    finally:
        engine.close()
