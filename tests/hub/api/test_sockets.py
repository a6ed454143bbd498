"""Binding succeeds, or the refusal says who is in the way and what to do."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hub.api.sockets import (
    SOCKET_PATH_BYTES,
    bind_hosts,
    bind_tcp,
    bind_unix,
    check_socket_path,
    port_owner,
    resolve,
    tls_context,
)
from hub.config import TlsFiles
from hub.errors import StartFailed
from tests.hub.api.tls import CERTIFICATE, KEY

LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_busy_port_names_its_owner_and_the_way_out() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(StartFailed) as refused:
            bind_hosts(["127.0.0.1"], port, "--port-api")
        other.communicate("", timeout=30)
    assert refused.value.code == "port_busy"
    assert f"127.0.0.1:{port} is in use by pid {other.pid} (python" in refused.value.message
    assert "--port-api PORT" in refused.value.hint


def test_a_free_port_has_no_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_owner(port) is not None
    assert port_owner(port) is None


def test_all_hosts_get_the_same_picked_port() -> None:
    bound = bind_hosts(["127.0.0.1", "127.0.0.2"], 0, "--port-agents")
    try:
        ports = {listener.getsockname()[1] for listener in bound}
        assert len(ports) == 1
        assert ports != {0}
    finally:
        for listener in bound:
            listener.close()


def test_a_kept_port_is_taken_again_and_given_up_when_busy() -> None:
    (first,) = bind_hosts(["127.0.0.1"], 0, "--port-api")
    port = first.getsockname()[1]
    (other,) = bind_hosts(["127.0.0.1"], 0, "--port-api", kept=port)
    assert other.getsockname()[1] not in (0, port)
    first.close()
    (again,) = bind_hosts(["127.0.0.1"], 0, "--port-api", kept=port)
    assert again.getsockname()[1] == port
    other.close()
    again.close()


def test_a_failure_on_the_second_host_frees_the_first() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartFailed):
            bind_hosts(["127.0.0.1", "127.0.0.2"], port, "--port-api")
    bind_tcp("127.0.0.1", port, "--port-api").close()


def test_an_address_of_no_interface_is_refused_at_once() -> None:
    with pytest.raises(StartFailed) as refused:
        bind_tcp("192.0.2.1", 0, "--port-api")
    assert "192.0.2.1" in refused.value.message


@pytest.mark.skipif(sys.platform != "linux", reason="binding ahead of the interface is a Linux feature")
def test_an_address_can_be_bound_before_its_network_exists() -> None:
    listener = bind_tcp("192.0.2.1", 0, "--port-agents", freebind=True)
    assert listener.getsockname()[0] == "192.0.2.1"
    listener.close()


@pytest.mark.parametrize("host", ["no such host", "256.1.1.1.1", "x" * 300, "ä" * 70])
def test_a_host_that_is_none_names_the_flag(host: str) -> None:
    with pytest.raises(StartFailed) as refused:
        resolve(host, "--listen-api")
    assert refused.value.field == "--listen-api"


def test_a_socket_file_has_its_permissions(state_folder: Path) -> None:
    path = state_folder / "hub.sock"
    with bind_unix(path, 0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dead_socket_file_is_replaced(state_folder: Path) -> None:
    path = state_folder / "hub.sock"
    with bind_unix(path, 0o600) as first:
        first.listen()
    assert path.exists()
    with bind_unix(path, 0o600) as second:
        second.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))


def test_a_socket_that_answers_is_left_alone(state_folder: Path) -> None:
    path = state_folder / "hub.sock"
    with bind_unix(path, 0o600) as first:
        first.listen()
        with pytest.raises(StartFailed) as refused:
            bind_unix(path, 0o600)
    assert refused.value.code == "second_hub"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_not_removed(kind: str, state_folder: Path) -> None:
    path = state_folder / "hub.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(state_folder / "elsewhere")
    with pytest.raises(StartFailed) as refused:
        bind_unix(path, 0o600)
    assert refused.value.code == "socket_failed"
    assert path.is_symlink() or path.exists()


def test_a_path_the_kernel_would_not_take_says_how_long_it_may_be(state_folder: Path) -> None:
    name = "x" * (SOCKET_PATH_BYTES - len(os.fsencode(state_folder)) - 1)
    check_socket_path(state_folder / name)
    with pytest.raises(StartFailed) as refused:
        check_socket_path(state_folder / (name + "x"))
    assert "CLAWTUI_HOME" in refused.value.hint
    with bind_unix(state_folder / name, 0o600):
        pass


def test_a_missing_folder_is_told(state_folder: Path) -> None:
    with pytest.raises(StartFailed):
        bind_unix(state_folder / "no" / "hub.sock", 0o600)


@pytest.mark.parametrize(("certificate", "key"), [("", ""), (CERTIFICATE, ""), (CERTIFICATE, "nonsense"), ("x", KEY)])
def test_unusable_tls_files_are_named(certificate: str, key: str, state_folder: Path) -> None:
    files = TlsFiles(certificate=state_folder / "cert.pem", key=state_folder / "key.pem")
    with pytest.raises(StartFailed):
        tls_context(files)
    files.certificate.write_text(certificate)
    files.key.write_text(key)
    with pytest.raises(StartFailed) as refused:
        tls_context(files)
    assert "--tls-cert" in refused.value.hint
