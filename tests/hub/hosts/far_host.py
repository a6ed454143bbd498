"""A Docker host of a test's own, reached over ssh: a second engine in a network of its own, and an sshd in there.

The sshd is started for each connection by the ssh program's ProxyCommand, inside of that network, so nothing listens
anywhere and nothing but this configuration's key comes in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.drivers.second_engine import SecondEngine, wait_for
from tests.drivers.second_engine import missing as missing_engine

NAME = "far"
"""Of the host, in ssh's configuration."""


def missing() -> str | None:
    """Why there can be no such host here, or None."""
    programs = {"sshd": "openssh-server", "ssh": "openssh-client", "nsenter": "util-linux", "ip": "iproute2"}
    lacking = [package for program, package in programs.items() if shutil.which(program) is None]
    return missing_engine() or (f"no {', '.join(lacking)} on this machine" if lacking else None)


class BridgedEngine(SecondEngine):
    """With a bridge, in its own network: gateways need one. Images come from the first engine."""

    @property
    def network(self) -> str:
        assert self._process is not None
        return f"/proc/{self._process.pid}/ns/net"

    def start(self) -> None:
        command = [
            "unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
            "dockerd", "-H", self.url, "--data-root", str(self.data), "--exec-root", str(self.folder / "x"),
            "-p", str(self.folder / "pid"), "--iptables=false",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self.answers, f"the second engine answers; its log: {self.folder / 'log'}")


class FarHost:
    """`url`: what the hub is told; its PATH has to be `path`."""

    def __init__(self, engine: BridgedEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.config = folder / "config"
        self._write()

    @property
    def path(self) -> str:
        """A PATH whose ssh has this configuration, as the operator's own would be."""
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    @property
    def url(self) -> str:
        return f"ssh://root@{NAME}{self.engine.socket}"

    def tunnels(self) -> list[int]:
        """The pids of ssh programs with this configuration."""
        found: list[int] = []
        for one in Path("/proc").iterdir():
            try:
                words = (one / "cmdline").read_bytes().split(b"\0") if one.name.isdigit() else [b""]
            except OSError:
                continue
            if words[0].endswith(b"/ssh") and str(self.config).encode() in words:
                found.append(int(one.name))
        return found

    def break_tunnels(self) -> None:
        for pid in self.tunnels():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def forget_key(self) -> None:
        """As for somebody who never was there."""
        (self.folder / "known_hosts").write_text("")

    def lock_out(self) -> None:
        (self.folder / "authorized_keys").write_text("")

    def let_in(self) -> None:
        shutil.copy(self.folder / "key.pub", self.folder / "authorized_keys")

    def know_key(self) -> None:
        (self.folder / "known_hosts").write_text(f"{NAME} {(self.folder / 'host_key.pub').read_text()}")

    def _write(self) -> None:
        folder = self.folder
        for name in ("host_key", "key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(folder / name)], check=True
            )
        self.let_in()
        self.know_key()
        server = folder / "sshd_config"
        server.write_text(
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        # sshd wants to know its own path; nsenter finds it by PATH.
        sshd = shutil.which("sshd")
        self.config.write_text(
            f"Host {NAME}\n  ProxyCommand nsenter --net={self.engine.network} {sshd} -i -f {server}\n"
            f"  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
            "  StrictHostKeyChecking yes\n  UpdateHostKeys no\n"
        )
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        program.chmod(0o755)


@contextlib.contextmanager
def far_host(images: Sequence[str] = ()) -> Iterator[FarHost]:
    """A running host with these images of the first engine."""
    # Where sshd gives up its rights; its package makes it at the machine's start.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ce"))
    (folder / "d").mkdir()
    ssh = Path(tempfile.mkdtemp(prefix="cs"))
    engine = BridgedEngine(folder)
    try:
        engine.start()
        if images:
            engine.load(images)
        yield FarHost(engine, ssh)
    finally:
        shutil.rmtree(ssh)
        engine.close()
