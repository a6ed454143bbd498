"""The Docker driver's parts without an engine: what is planned, read and decided, and how threads behave."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import socketserver
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import AgentPlan, LogLine, LogRequest, Mount, RestartPolicy
from hub.drivers.docker import checks, image, labels, pool
from hub.drivers.docker.answers import Container, Network, System, decode
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import (
    Call,
    Engine,
    EngineConflict,
    EngineNotFound,
    EngineRefused,
    EngineStream,
    EngineUnreachable,
    refused,
)
from hub.drivers.docker.labels import Identity, identity_of
from hub.drivers.docker.logs import LogDecoder, log_call
from hub.drivers.docker.network import Networks, gateway_of
from hub.drivers.docker.observe import handle_of, observe
from hub.drivers.docker.plan import Host, Way, plan_container
from hub.drivers.docker.plan_checks import check_plan
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.docker.render_engine import render_engine
from hub.drivers.docker.watch import EVENTS, Watch
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable, Unavailable
from tests.drivers.docker_bench import Reach

# --- plan ------------------------------------------------------------------------------------------

HOST = Host(cpus=4, memory_bytes=8 * 2**30, disk_note="no size limits here")
WAY = Way(network="openclaw-agents", url="ws://host.docker.internal:9090", hub_host="172.30.0.1")
IDENTITY = Identity("hub1", AgentId("web"), AgentUid("u1"))
PLAN = AgentPlan(agent_id=AgentId("web"), uid=AgentUid("u1"), hub_id="hub1", join_token="ctj_secret")

GOLDEN: dict[str, object] = {
    "Image": "openclaw-agent-base:abc",
    "Env": [
        "AGENT_CAPABILITIES=",
        "AGENT_CONCURRENCY=4",
        "AGENT_ID=web",
        "AGENT_STATE_DIR=/var/lib/clawtui",
        "AGENT_TOKEN_FILE=/var/lib/clawtui/token",
        "AGENT_WORKSPACE=/workspace",
        "HUB_URL=ws://host.docker.internal:9090",
    ],
    "User": "1000:1000",
    "WorkingDir": "/workspace",
    "StopTimeout": 15,
    "HostConfig": {
        "Init": True,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "ReadonlyRootfs": False,
        "PidsLimit": 512,
        "NanoCpus": 0,
        "CpuShares": 0,
        "CpusetCpus": "",
        "Memory": 0,
        "MemorySwap": 0,
        "MemoryReservation": 0,
        "Ulimits": [{"Name": "nofile", "Soft": 16_384, "Hard": 16_384}],
        "LogConfig": {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}},
        "RestartPolicy": {"Name": "unless-stopped"},
        "NetworkMode": "openclaw-agents",
        "ExtraHosts": ["host.docker.internal:172.30.0.1"],
        "Mounts": [
            {"Type": "volume", "Source": "openclaw-agent-web", "Target": "/workspace", "ReadOnly": False},
            {"Type": "volume", "Source": "openclaw-agent-web.state", "Target": "/var/lib/clawtui", "ReadOnly": False},
        ],
        "Tmpfs": {},
        "StorageOpt": {},
    },
}


def changed(**fields: object) -> AgentPlan:
    return msgspec.structs.replace(PLAN, **fields)


def rendered(plan: AgentPlan, way: Way = WAY, host: Host = HOST) -> tuple[dict[str, object], list[str]]:
    container, notes = plan_container(plan, IDENTITY, "openclaw-agent-base:abc", host, way)
    return msgspec.json.decode(msgspec.json.encode(render_engine(container))), notes


def test_the_engines_json_of_a_plain_plan() -> None:
    body, notes = rendered(PLAN)
    marks = body.pop("Labels")
    assert body == GOLDEN
    assert notes == []
    assert isinstance(marks, dict)
    assert {**marks, labels.PLAN: ""} == {**IDENTITY.labels(), labels.PLAN: ""}


def test_the_engines_json_of_a_plan_with_everything() -> None:
    plan = changed(
        capabilities=("gpu", "node"),
        cpus=1.5,
        memory_bytes=2**30,
        disk_bytes=2**34,
        environment={"LANG": "C.UTF-8"},
        labels={"team": "blue"},
        restart=RestartPolicy.ON_FAILURE,
        sudo=True,
        read_only=True,
        tmpfs=("/cache",),
        mounts=(Mount(source="/data", target="/mnt/data", read_only=True), Mount(source="own", target="/mnt/own")),
    )
    way = Way(network="none", url="unix:/run/clawtui/agent.sock", socket_folder="/home/me/run/1234")
    body, notes = rendered(plan, way, msgspec.structs.replace(HOST, disk_note=""))
    host, environment, marks = body["HostConfig"], body["Env"], body["Labels"]
    assert isinstance(host, dict)
    assert isinstance(environment, list)
    assert isinstance(marks, dict)
    assert {"AGENT_SUDO=1", "LANG=C.UTF-8", "AGENT_CAPABILITIES=gpu,node"} < set(environment)
    assert marks["clawtui.label.team"] == "blue"
    assert (host["SecurityOpt"], "SETUID" in host["CapAdd"], "NET_RAW" in host["CapAdd"]) == ([], True, False)
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 2**30, 2**30)
    assert (host["NetworkMode"], host["ExtraHosts"]) == ("none", [])
    assert host["StorageOpt"] == {"size": str(2**34)}
    assert set(host["Tmpfs"]) == {"/tmp", "/run", "/cache"}
    assert [(mount["Type"], mount["Source"], mount["ReadOnly"]) for mount in host["Mounts"][2:]] == [
        ("bind", "/home/me/run/1234", True),
        ("bind", "/data", True),
        ("volume", "own", False),
    ]
    assert notes == ["sudo: the container has no no-new-privileges and more capabilities than others"]


def test_no_secret_is_in_the_container() -> None:
    container, _ = plan_container(PLAN, IDENTITY, "i", HOST, WAY)
    assert b"ctj_secret" not in msgspec.json.encode(container)


def test_what_the_machine_lacks_is_clamped_and_told() -> None:
    body, notes = rendered(changed(cpus=64.0, memory_bytes=2**40, disk_bytes=2**34))
    host = body["HostConfig"]
    assert isinstance(host, dict)
    assert (host["NanoCpus"], host["Memory"], host["StorageOpt"]) == (4 * 10**9, 8 * 2**30, {})
    assert len(notes) == 3


def test_the_plan_hash_changes_with_the_plan_only() -> None:
    def digest(plan: AgentPlan) -> str:
        return plan_container(plan, IDENTITY, "i", HOST, WAY)[0].labels[labels.PLAN]

    assert digest(PLAN) == digest(changed(join_token="ctj_other"))
    assert digest(PLAN) != digest(changed(pids=100))


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("uid", {"uid": "../x"}),
        ("concurrency", {"concurrency": 0}),
        ("capabilities", {"capabilities": ("a,b",)}),
        ("cpus", {"cpus": 0.0}),
        ("cpus", {"cpus": float("nan")}),
        ("memory", {"memory_bytes": 1_000_000}),
        ("pids", {"pids": 0}),
        ("network", {"network": "host"}),
        ("network", {"network": "no;such"}),
        ("network", {"network": "$(id)"}),
        ("environment.AGENT_ID", {"environment": {"AGENT_ID": "x"}}),
        ("environment.A=B", {"environment": {"A=B": "x"}}),
        ("environment.A", {"environment": {"A": "x\0y"}}),
        ("mounts", {"mounts": (Mount(source="relative/path", target="/mnt"),)}),
        ("mounts", {"mounts": (Mount(source="/data", target="mnt"),)}),
        ("mounts", {"mounts": (Mount(source="/data", target="/workspace/"),)}),
        ("mounts", {"mounts": (Mount(source="/data", target="/mnt/../var/lib/clawtui"),)}),
        ("mounts", {"mounts": (Mount(source="/data", target="/var//lib/clawtui/x"),)}),
        ("mounts", {"mounts": (Mount(source="/data", target="/opt"),)}),
        ("mounts", {"mounts": (Mount(source="openclaw-agent-other", target="/mnt"),)}),
        ("tmpfs", {"tmpfs": ("/",)}),
        ("tmpfs", {"tmpfs": ("/proc/sys",)}),
    ],
)
def test_what_cannot_be_planned_names_its_field(field: str, fields: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        check_plan(changed(**fields))
    assert caught.value.field == field


def test_what_can_be_planned() -> None:
    check_plan(changed(network="none", mounts=(Mount(source="/d", target="/workspace/d"),), tmpfs=("/cache",)))


# --- labels ----------------------------------------------------------------------------------------


def test_whose_an_object_is() -> None:
    assert identity_of(IDENTITY.labels()) == IDENTITY
    assert not Identity("hub2", IDENTITY.agent_id, IDENTITY.uid).owns(IDENTITY.labels())
    for missing in IDENTITY.labels():
        assert identity_of({name: value for name, value in IDENTITY.labels().items() if name != missing}) is None
    assert identity_of({**IDENTITY.labels(), labels.AGENT: "../etc"}) is None
    assert identity_of(None) is None


def test_volumes_of_two_agents_never_have_one_name() -> None:
    assert labels.state_volume(AgentId("a")) == "openclaw-agent-a.state"
    assert "." not in labels.workspace_volume(AgentId("a-state"))


# --- observations ----------------------------------------------------------------------------------


def container(status: str, **state: object) -> Container:
    return decode(
        json.dumps({"Id": "1", "State": {"Status": status, **state}, "Config": {"Labels": IDENTITY.labels()}}).encode(),
        Container,
    )


@pytest.mark.parametrize(
    ("status", "state", "expected"),
    [
        ("running", {"ExitCode": 0}, (Observed.RUNNING, None, "")),
        (
            "running",
            {"Health": {"Status": "unhealthy", "FailingStreak": 3}},
            (Observed.RUNNING, None, "its health check fails"),
        ),
        ("running", {"Health": {"Status": "unhealthy", "FailingStreak": 0}}, (Observed.RUNNING, None, "")),
        ("running", {"Health": {"Status": "healthy", "FailingStreak": 1}}, (Observed.RUNNING, None, "")),
        ("paused", {}, (Observed.PAUSED, None, "")),
        ("exited", {"ExitCode": 3}, (Observed.EXITED, 3, "")),
        ("exited", {"ExitCode": 127, "Error": "no program"}, (Observed.EXITED, 127, "no program")),
        ("restarting", {"ExitCode": 3}, (Observed.UNKNOWN, 3, "restarting after exit code 3")),
        ("created", {}, (Observed.EXITED, None, "made, never started")),
        ("removing", {}, (Observed.UNKNOWN, None, "being removed")),
        ("dreaming", {}, (Observed.UNKNOWN, None, "the engine says 'dreaming'")),
    ],
)
def test_what_a_state_means(status: str, state: dict[str, object], expected: tuple[Observed, int | None, str]) -> None:
    seen = observe(container(status, **state))
    assert seen is not None
    assert (seen.state, seen.exit_code, seen.reason) == expected
    assert seen.handle == handle_of(IDENTITY.agent_id, IDENTITY.uid)


def test_times_are_milliseconds() -> None:
    seen = observe(container("running", StartedAt="2026-11-20T10:00:00.123456789Z", OOMKilled=True))
    assert seen is not None
    assert (seen.started_at, seen.out_of_memory) == (1_795_168_800_123, True)
    never = observe(container("created", StartedAt="0001-01-01T00:00:00Z"))
    assert never is not None
    assert never.started_at is None


def test_an_answer_that_is_something_else_is_a_driver_failure() -> None:
    with pytest.raises(DriverFailed, match="cannot be read"):
        decode(b'{"Id": 7}', Container)


# --- the engine's abilities ------------------------------------------------------------------------


def system(**fields: object) -> System:
    answer = {"ServerVersion": "20.10", "NCPU": 2, "MemTotal": 2**32, "Driver": "overlay2", **fields}
    return decode(json.dumps(answer).encode(), System)


def test_disk_limits_are_said_only_where_they_hold() -> None:
    plain = system(DriverStatus=[["Backing Filesystem", "extfs"]])
    assert not checks.features_of(plain).disk_limit
    assert "overlay2 on extfs" in checks.fingerprint_of(plain).details["disk limit"]
    assert checks.features_of(system(Driver="zfs")).disk_limit
    assert not checks.features_of(None).disk_limit


def test_desktop_has_no_socket_folders() -> None:
    assert not checks.features_of(system(OperatingSystem="Docker Desktop")).network_none
    assert checks.features_of(system()).network_none


# --- the way to the hub ----------------------------------------------------------------------------

NETWORK = Network(id="n1", name="openclaw-agents", labels=dict(labels.SHARED))
POOLED = msgspec.convert(
    {
        "Id": "n1", "Name": "openclaw-agents", "Labels": dict(labels.SHARED),
        "IPAM": {"Config": [{"Gateway": "fd00::1"}, {"Gateway": "172.30.0.1/16"}]},
    },
    Network,
)  # fmt: skip


class OneNetwork:
    """An engine that has the shared network and nothing else."""

    def call(self, call: Call) -> bytes:
        assert (call.method, call.path) == ("GET", "/networks")
        return msgspec.json.encode([POOLED])

    def open(self, call: Call) -> EngineStream:
        raise AssertionError(call)

    def close(self) -> None:
        """Nothing is open."""


async def way_of(
    tmp_path: Path, system: System, *, local: bool = True, agents_url: str | None = None, network: str = ""
) -> tuple[Way, Reach]:
    reach, threads = Reach("hub1", tmp_path, 9090), Pool(OneNetwork)
    try:
        networks = Networks(threads, reach, local=local, agents_url=agents_url)
        async with networks.prepared(changed(network=network), system) as way:
            return way, reach
    finally:
        await threads.close()


async def test_the_way_on_this_host_is_the_networks_gateway(tmp_path: Path) -> None:
    way, reach = await way_of(tmp_path, system())
    assert (way.url, way.hub_host) == ("ws://host.docker.internal:9090", "172.30.0.1")
    assert reach.listening == ["172.30.0.1"]


async def test_the_way_on_docker_desktop_is_the_engines_host_gateway(tmp_path: Path) -> None:
    way, reach = await way_of(tmp_path, system(OperatingSystem="Docker Desktop"))
    assert (way.url, way.hub_host, reach.listening) == ("ws://host.docker.internal:9090", "host-gateway", [])
    with pytest.raises(NotAvailable):
        await way_of(tmp_path, system(OperatingSystem="Docker Desktop"), network="none")


async def test_the_way_of_a_rootless_engine_is_a_socket(tmp_path: Path) -> None:
    way, reach = await way_of(tmp_path, system(SecurityOptions=["name=seccomp", "name=rootless"]))
    assert (way.url, way.network) == ("unix:/run/clawtui/agent.sock", "openclaw-agents")
    assert reach.offered == [PLAN.uid]


async def test_the_way_from_a_remote_engine_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable) as caught:
        await way_of(tmp_path, system(), local=False)
    assert "--advertise-agents" in caught.value.hint
    way, reach = await way_of(tmp_path, system(), local=False, agents_url="wss://hub.example:9090")
    assert (way.url, way.hub_host, reach.listening) == ("wss://hub.example:9090", "", [])
    with pytest.raises(NotAvailable):
        await way_of(tmp_path, system(), local=False, network="none")


def test_a_network_without_gateway_is_said() -> None:
    with pytest.raises(DriverFailed, match="no IPv4 gateway"):
        gateway_of(NETWORK)


# --- logs ------------------------------------------------------------------------------------------


def frame(stream: int, text: bytes, at: str = "2026-11-20T10:00:00.000000001Z ") -> bytes:
    content = at.encode() + text
    return struct.pack(">BxxxL", stream, len(content)) + content


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    lines = [(stream, text.replace(b"\n", b"")) for stream, text in frames]
    whole = b"".join(frame(stream, text + b"\n") for stream, text in lines)
    decoder, found = LogDecoder(), list[LogLine]()
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        found += decoder.feed(whole[:size])
        whole = whole[size:]
    assert [(line.stream, line.text) for line in found + decoder.finish()] == [
        ({1: "stdout", 2: "stderr"}[stream], text.decode(errors="replace").rstrip("\r")) for stream, text in lines
    ]


@pytest.mark.parametrize("length", [16_384 - 1, 16_384, 16_384 + 1, 3 * 16_384, 4 * 16_384])
@pytest.mark.parametrize("line_end", [b"", b"\n"])
def test_a_line_in_parts_is_one_line(length: int, line_end: bytes) -> None:
    parts = [b"x" * min(16_384, length - start) for start in range(0, length, 16_384)]
    if len(parts[-1]) == 16_384:
        parts.append(b"")
    decoder = LogDecoder()
    data = b"".join(frame(1, part) for part in parts[:-1]) + frame(1, parts[-1] + line_end) + frame(1, b"next\n")
    assert [line.text for line in decoder.feed(data)] == ["x" * length, "next"]


def test_a_line_without_end_stays_bounded_and_is_not_lost() -> None:
    decoder = LogDecoder()
    found = [line for _ in range(9) for line in decoder.feed(frame(2, b"y" * 16_384))]
    assert [len(line.text) for line in found] == [65_536, 65_536]
    assert [(line.stream, len(line.text)) for line in decoder.finish()] == [("stderr", 16_384)]


def test_bytes_that_are_no_log_are_refused() -> None:
    with pytest.raises(EngineRefused):
        LogDecoder().feed(b"HTTP/1.1 200 OK\r\n\r\n")


def test_what_is_asked_of_a_log() -> None:
    params = log_call("c", LogRequest(lines=-3, since_ms=1_700_000_000_007, follow=True)).params
    assert (params["tail"], params["since"], params["follow"]) == ("0", "1700000000.007000000", "1")
    assert log_call("c", LogRequest()).params["tail"] == "all"


# --- image -----------------------------------------------------------------------------------------


def test_the_build_context_is_the_runtime_without_caches(tmp_path: Path) -> None:
    certificates, pip = tmp_path / "ca.pem", tmp_path / "pip.conf"
    certificates.write_text("a certificate")
    pip.write_text("[global]")
    (recipe,) = image.prepare(image.BuildOptions(extra_ca=certificates, pip_config=pip))
    name, files = recipe.name, recipe.files
    assert {"runtime/__init__.py", "runtime/image/Dockerfile", "extra.crt", "pip.conf"} < files.keys()
    assert not [path for path in files if "__pycache__" in path or path.endswith(".pyc")]
    with tarfile.open(fileobj=io.BytesIO(image.archive(files))) as context:
        assert sorted(entry.name for entry in context if entry.isfile()) == sorted(files)
    assert image.archive(files) == image.archive(dict(reversed(files.items())))
    assert name == f"openclaw-agent-base:{image.content_hash(files)}"
    assert image.content_hash(files) == image.content_hash({**files, "pip.conf": b"other"}), "not in the image"
    assert image.content_hash(files) != image.content_hash({**files, "extra.crt": b"other"})


def test_build_options_come_from_the_environment() -> None:
    environment = {"CLAWTUI_EXTRA_CA": "/ca.pem", "https_proxy": "http://p:1", "no_proxy": "", "SECRET": "x"}
    assert image.BuildOptions.from_environment(environment) == image.BuildOptions(
        extra_ca=Path("/ca.pem"), build_arguments={"https_proxy": "http://p:1"}
    )


def test_without_a_word_a_build_trusts_what_this_hosts_tools_trust(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    environment = {"PIP_CERT": "/no/such/bundle", "SSL_CERT_FILE": str(bundle)}
    assert image.BuildOptions.from_environment(environment).extra_ca == bundle
    for own, expected in (("/own.pem", Path("/own.pem")), ("", None)):
        assert image.BuildOptions.from_environment({**environment, "CLAWTUI_EXTRA_CA": own}).extra_ca == expected


def test_a_missing_certificate_file_is_said() -> None:
    with pytest.raises(DriverFailed, match=r"/no/such/ca\.pem") as caught:
        image.prepare(image.BuildOptions(extra_ca=Path("/no/such/ca.pem")))
    assert "CLAWTUI_EXTRA_CA" in caught.value.hint


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequest, False),
        (404, EngineNotFound, False),
        (409, EngineConflict, False),
        (500, EngineRefused, True),
        (418, EngineRefused, False),
    ],
)
def test_errors_are_told_apart_by_status(status: int, kind: type[Exception], retryable: bool) -> None:
    error = refused(Call("GET", "/x"), status, b'{"message": "no such container: running"}')
    assert type(error) is kind
    assert (error.message, error.retryable) == ("no such container: running", retryable)
    assert refused(Call("GET", "/x"), status, b"<html>").message == "<html>"
    assert refused(Call("GET", "/x"), status, b"").message == f"the engine answered {status} to GET /x"


def test_a_conflict_is_the_contracts() -> None:
    assert issubclass(EngineConflict, Conflict)
    assert "exec_start" not in EVENTS


# --- connections -----------------------------------------------------------------------------------


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False


@contextlib.contextmanager
def http_engine(path: Path, answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """Serve HTTP on a Unix socket; yields its address. `answer` tells status and body for a path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: object) -> None:
            """Tests read no access log."""

    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


def test_the_api_version_is_the_highest_that_both_know(tmp_path: Path) -> None:
    for number, (theirs, used) in enumerate(
        [("1.41", "/v1.41/info"), ("1.44", "/v1.44/info"), ("1.99", "/v1.45/info")]
    ):
        paths: list[str] = []

        def answer(path: str, theirs: str = theirs, paths: list[str] = paths) -> tuple[int, bytes]:
            paths.append(path)
            return 200, json.dumps({"ApiVersion": theirs}).encode()

        with http_engine(tmp_path / f"{number}.sock", answer) as url:
            engine = Connector(url, {})()
            engine.call(Call("GET", "/info"))
            engine.close()
        assert paths == ["/version", used]


def test_an_old_engine_and_a_stranger_are_refused(tmp_path: Path) -> None:
    with http_engine(tmp_path / "old.sock", lambda _path: (200, b'{"ApiVersion": "1.24"}')) as url:
        with pytest.raises(NotAvailable, match=r"1\.24"):
            Connector(url, {})()
    for number, body in enumerate([b"hello", b"{}", b'{"ApiVersion": "new"}']):
        with http_engine(tmp_path / f"{number}.sock", lambda _path, body=body: (200, body)) as url:
            with pytest.raises(EngineUnreachable, match="not a Docker engine"):
                Connector(url, {})()


def test_why_an_engine_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="no Docker engine answers"):
        Connector(f"unix://{tmp_path}/none.sock", {})()
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(dead))
    with pytest.raises(EngineUnreachable, match="no Docker engine answers"):
        Connector(None, {"DOCKER_HOST": f"unix://{dead}"})()


def test_an_engine_that_breaks_off_or_is_silent(tmp_path: Path) -> None:
    ready = threading.Event()
    path = tmp_path / "silent.sock"

    def serve() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            ready.set()
            version, _ = listener.accept()
            with version:
                version.recv(65_536)
                body = b'{"ApiVersion": "1.41"}'
                version.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            silent, _ = listener.accept()
            with silent:
                silent.recv(65_536)
                done.wait(10)
            broken, _ = listener.accept()
            broken.close()

    done = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    engine = Connector(f"unix://{path}", {})()
    with pytest.raises(EngineUnreachable, match="did not answer in time"):
        engine.call(Call("GET", "/info", timeout_seconds=0.1))
    done.set()
    with pytest.raises(EngineUnreachable, match="broke off"):
        engine.call(Call("GET", "/info"))
    engine.close()
    thread.join()


# --- threads ---------------------------------------------------------------------------------------


class Slow:
    """An engine whose calls and streams wait until the test lets them go on."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.closed = 0
        self.fail = False

    def call(self, call: Call) -> bytes:
        self.started.set()
        assert self.go.wait(10)
        if self.fail:
            raise EngineUnreachable("gone")
        return b"done"

    def open(self, call: Call) -> EngineStream:
        return _SlowStream(self)

    def close(self) -> None:
        self.closed += 1


class _SlowStream:
    def __init__(self, engine: Slow) -> None:
        self._engine = engine
        self._cancelled = threading.Event()
        self._sent = 0

    def read(self) -> bytes:
        if self._sent < 100:
            self._sent += 1
            self._engine.started.set()
            return b"x" * self._sent
        assert self._cancelled.wait(10)
        return b""

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        """Nothing to give back."""


def ask(engine: Engine) -> bytes:
    return engine.call(Call("GET", "/x"))


async def wait_set(event: threading.Event) -> None:
    async with asyncio.timeout(10):
        while not event.is_set():
            await asyncio.sleep(0.005)


async def test_a_cancelled_caller_waits_for_its_step() -> None:
    engine = Slow()
    threads = Pool(lambda: engine)
    ended: list[str] = []

    def step(engine: Engine) -> None:
        ask(engine)
        ended.append("step")

    async def caller() -> None:
        try:
            await threads.run(step)
        finally:
            ended.append("caller")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(caller())
        await wait_set(engine.started)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        engine.go.set()
        await asyncio.wait([task])
    assert task.cancelled()
    assert ended == ["step", "caller"]
    await threads.close()


async def test_a_step_that_hangs_is_given_up() -> None:
    engine = Slow()
    engine.fail = True
    threads = Pool(lambda: engine, deadline_seconds=0.05)
    with pytest.raises(EngineUnreachable, match="did not finish"):
        await threads.run(ask)
    engine.go.set()
    await threads.close()
    assert engine.closed == 1


async def test_a_lost_connection_is_made_anew_and_all_are_closed() -> None:
    engines: list[Slow] = []

    def connect() -> Slow:
        engine = Slow()
        engine.go.set()
        engine.fail = not engines
        engines.append(engine)
        return engine

    threads = Pool(connect)
    with pytest.raises(EngineUnreachable):
        await threads.run(ask)
    assert await threads.run(ask) == b"done"
    await threads.close()
    assert [engine.closed for engine in engines] == [1] * len(engines)
    with pytest.raises(Unavailable):
        await threads.run(ask)


async def test_a_slow_reader_holds_the_engine_back() -> None:
    engine = Slow()
    streams = Streams(lambda: engine)
    stream = await streams.open(Call("GET", "/logs"))
    await wait_set(engine.started)
    assert len(await stream.read()) == 1
    assert stream.waiting_parts <= pool.PARTS_IN_FLIGHT
    await stream.close()
    assert stream.waiting_parts <= pool.PARTS_IN_FLIGHT + 1
    await streams.close()
    with pytest.raises(Unavailable):
        await streams.open(Call("GET", "/logs"))


class Breaking:
    """An engine of which every event stream gives one event; then the first breaks off, the second is silent."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> Breaking:
        return self

    def call(self, call: Call) -> bytes:
        raise AssertionError(call)

    def open(self, call: Call) -> EngineStream:
        self.opened += 1
        return _BreakingStream(self.opened)

    def close(self) -> None:
        """Shared by all streams."""


class _BreakingStream:
    def __init__(self, number: int) -> None:
        self._number = number
        self._sent = False
        self._cancelled = threading.Event()

    def read(self) -> bytes:
        if not self._sent:
            self._sent = True
            return b"{}"
        if self._number == 1:
            raise EngineUnreachable("gone")
        assert self._cancelled.wait(10)
        return b""

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        """Nothing to give back."""


async def test_a_watcher_goes_on_after_a_break_and_after_a_long_silence() -> None:
    engine = Breaking()
    streams = Streams(engine)
    watch = Watch(streams, "hub1", silence_seconds=0.05)
    heard = 0
    async with asyncio.timeout(10), contextlib.aclosing(watch.changes()) as changes:
        async for _ in changes:
            heard += 1
            if engine.opened == 3:
                break
    # Each subscription is one reason to look, and so is an event, unless the stream broke right behind it.
    assert 3 <= heard <= 5
    await streams.close()


async def test_a_watcher_ends_with_the_driver() -> None:
    engine = Breaking()
    streams = Streams(engine)
    watch = Watch(streams, "hub1")
    async with asyncio.timeout(10):
        async for _ in watch.changes():
            if engine.opened == 2:
                watch.stop()
                await streams.close()
    assert engine.opened == 2


async def test_streams_are_bounded() -> None:
    streams = Streams(Slow, most=2)
    await streams.open(Call("GET", "/logs"))
    second = await streams.open(Call("GET", "/logs"))
    with pytest.raises(Unavailable, match="2 streams"):
        await streams.open(Call("GET", "/logs"))
    await second.close()
    await streams.open(Call("GET", "/logs"))
    await streams.close()
