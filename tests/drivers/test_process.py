"""The process driver: the contract, and what only processes can do wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import AgentHandle, AgentPlan, LogLine, LogRequest, Mount
from hub.drivers.process import ProcessDriver, logs, processes
from hub.drivers.process.driver import RUNTIME
from hub.drivers.process.folder import AgentFolder, Record
from hub.errors import BadRequest, DriverFailed, NotAvailable, Unavailable
from tests.drivers.contract import (
    GRACE_SECONDS,
    Bench,
    DriverContract,
    collect,
    no_progress,
    texts,
    wait_for_line,
    wait_for_state,
    wait_until,
)

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))


class Reach:
    """What a hub tells its drivers; nobody listens at these addresses."""

    def __init__(self, state_folder: Path, hub_id: str) -> None:
        self.hub_id = hub_id
        self.state_folder = str(state_folder)
        self.socket_path = str(state_folder / "hub.sock")
        self.hub_file = str(state_folder / "hub.json")
        self.agents_port = 0

    async def listen_agents_on(self, host: str) -> None:
        raise AssertionError(f"process agents need no listener on {host}")

    async def withdraw_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> None:
        """Nothing listens here."""

    async def offer_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> str:
        raise AssertionError(f"process agents use the hub's own socket, not one for {agent_id} {uid}")


class ProcessBench(Bench):
    def __init__(self, state_folder: Path, *, pidfd: bool = processes.PIDFD) -> None:
        self.state_folder = state_folder
        self.pidfd = pidfd
        self.root = state_folder / "agents"
        self.drivers: list[ProcessDriver] = []
        self._driver = self.make_driver()

    def make_driver(
        self, hub_id: str = Bench.hub_id, command: tuple[str, ...] = STAND_IN, **environment: str
    ) -> ProcessDriver:
        reach = Reach(self.state_folder, hub_id)
        environment = {"PATH": os.environ["PATH"], **environment}
        driver = ProcessDriver(reach, command=command, environment=environment, pidfd=self.pidfd)
        self.drivers.append(driver)
        return driver

    @property
    def driver(self) -> ProcessDriver:
        return self._driver

    async def restarted_driver(self) -> ProcessDriver:
        return self.make_driver()

    async def other_hubs_driver(self) -> ProcessDriver:
        return self.make_driver(hub_id="hub-other")

    async def broken_driver(self) -> ProcessDriver:
        return self.make_driver(command=("/nonexistent/python",))

    def folder(self, handle: AgentHandle) -> AgentFolder:
        ref = json.loads(handle.ref)
        return AgentFolder(self.root, AgentId(ref["id"]), AgentUid(ref["uid"]))

    async def order(self, handle: AgentHandle, order: str) -> None:
        folder = self.folder(handle)

        async def listening() -> bool:
            return (folder.state / "ready").exists() and (folder.state / "ready").read_text() == str(self.pid(handle))

        await wait_until(listening, "the stand-in reads orders")
        descriptor = os.open(folder.state / "orders", os.O_WRONLY | os.O_NONBLOCK)
        os.write(descriptor, f"{order}\n".encode())
        os.close(descriptor)

    def record(self, handle: AgentHandle) -> Record:
        record = self.folder(handle).read()
        assert record is not None
        return record

    def pid(self, handle: AgentHandle) -> int:
        process = self.record(handle).process
        assert process is not None
        return process.pid

    async def child(self, handle: AgentHandle, kind: str = "child") -> int:
        """Have the agent start a child that leaves its session and ignores TERM; return its pid."""
        await self.order(handle, kind)
        file = self.folder(handle).state / "children"

        async def written() -> bool:
            return file.exists() and file.read_text().endswith("\n")

        await wait_until(written, "the child runs")
        return int(file.read_text().split()[-1])

    async def end_agent(self, handle: AgentHandle, exit_code: int) -> None:
        await self.order(handle, f"exit {exit_code}")

    async def say(self, handle: AgentHandle, text: str) -> None:
        await self.order(handle, f"say {text}")

    async def token(self, handle: AgentHandle) -> str:
        return self.folder(handle).token.read_text()

    async def make_foreign(self, plan: AgentPlan) -> None:
        foreign = AgentFolder(self.root, plan.agent_id, plan.uid).path
        foreign.mkdir(parents=True)
        (foreign / "precious").write_text("not ours")

    async def foreign_intact(self, plan: AgentPlan) -> bool:
        return (AgentFolder(self.root, plan.agent_id, plan.uid).path / "precious").read_text() == "not ours"

    async def leftovers(self, plan: AgentPlan) -> list[str]:
        marked = processes.belonging(f"CLAWTUI_AGENT_UID={plan.uid}", None)
        zombies = [child.pid for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
        files = [str(path) for path in self.root.glob(f"*{plan.agent_id}.{plan.uid}*")] if self.root.exists() else []
        return [*(f"process {info.pid}" for info in marked), *(f"zombie {pid}" for pid in zombies), *files]

    async def close(self) -> None:
        for driver in self.drivers:
            await driver.stop_driver()
        cleaner = self.make_driver()
        for seen in await cleaner.list_agents():
            await cleaner.destroy(seen.handle)
        await cleaner.stop_driver()


class TestProcessDriver(DriverContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[ProcessBench]:
        bench = ProcessBench(tmp_path)
        yield bench
        await bench.close()


class TestProcessDriverThatLooks(DriverContract):
    """As on a system whose kernel does not tell of ends."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[ProcessBench]:
        bench = ProcessBench(tmp_path, pidfd=False)
        yield bench
        await bench.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ProcessBench]:
    bench = ProcessBench(tmp_path)
    yield bench
    await bench.close()


def gone(pid: int) -> bool:
    info = processes.look(pid)
    return info is None or info.zombie


async def wait_gone(pid: int) -> None:
    async def ended() -> bool:
        return gone(pid)

    await wait_until(ended, f"process {pid} has ended")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that belongs to nobody here."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


# --- nothing survives a stop, nobody else is touched -------------------------------------------------


@pytest.mark.parametrize("kind", ["child", "bare-child"])
async def test_a_stop_ends_children_that_left_the_session(bench: ProcessBench, kind: str) -> None:
    """Also with an empty environment: then the line of descent is all that is known."""
    handle = await bench.driver.create(bench.plan(), no_progress)
    pid = await bench.child(handle, kind)
    assert processes.look(pid) is not None
    await bench.driver.stop(handle, GRACE_SECONDS)
    assert gone(pid)
    assert (bench.record(handle).exit_code, bench.record(handle).ended) == (0, True)


async def test_an_agent_that_ignores_term_is_killed_after_the_grace(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    child = await bench.child(handle)
    await bench.order(handle, "ignore-term")
    await wait_for_line(bench.driver, handle, "ignoring")
    await bench.driver.stop(handle, 0.2)
    seen = await bench.driver.inspect(handle)
    assert (seen.state, seen.exit_code, seen.reason) == (Observed.EXITED, 137, "ended by SIGKILL")
    assert gone(child)


async def test_what_a_crashed_runtime_left_is_ended_before_the_next_one_starts(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    child, runtime = await bench.child(handle), bench.pid(handle)
    os.kill(runtime, signal.SIGKILL)
    await wait_for_state(bench.driver, handle, Observed.EXITED)
    assert not gone(child)
    await bench.driver.start(handle)
    assert gone(child)
    assert bench.pid(handle) != runtime


async def test_a_pause_freezes_children_too(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    pids = [bench.pid(handle), await bench.child(handle), await bench.child(handle, "bare-child")]
    await bench.driver.pause(handle)
    assert [info.frozen for pid in pids if (info := processes.look(pid))] == [True, True, True]
    await bench.driver.resume(handle)
    assert [info.frozen for pid in pids if (info := processes.look(pid))] == [False, False, False]


async def test_a_reused_pid_is_never_touched(bench: ProcessBench, bystander: subprocess.Popen[bytes]) -> None:
    """The record names a pid that now belongs to somebody else."""
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    await bench.driver.stop(handle, GRACE_SECONDS)
    old = bench.record(handle)
    assert old.process is not None
    # The bystander may have started in the same tick as the agent, which no reused pid can.
    former = f"0{old.process.mark}"
    reused = processes.Identity(bystander.pid, former, processes.boot_id())
    bench.folder(handle).write(msgspec.structs.replace(old, process=reused, ended=False))
    assert (await bench.driver.inspect(handle)).state is Observed.EXITED
    bench.folder(handle).write(msgspec.structs.replace(old, process=reused, ended=False))
    await bench.driver.stop(handle, GRACE_SECONDS)
    await bench.driver.destroy(handle)
    assert bystander.poll() is None
    assert not processes.send(bystander.pid, former, signal.SIGKILL)


async def test_a_copy_of_the_registry_elsewhere_does_not_end_this_agent(bench: ProcessBench, tmp_path: Path) -> None:
    """Same hub id, same uid, another state folder."""
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    copy = ProcessBench(tmp_path / "copy")
    await copy.driver.undo_create(plan.agent_id, plan.uid)
    await copy.driver.destroy(await copy.driver.create(plan, no_progress))
    await copy.close()
    assert (await bench.driver.inspect(handle)).state is Observed.RUNNING


async def test_a_process_of_another_boot_is_not_ours(bench: ProcessBench, bystander: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(bystander.pid)
    assert identity is not None
    assert processes.alive(identity)
    assert not processes.alive(msgspec.structs.replace(identity, boot="another boot"))


# --- a hub that was killed ---------------------------------------------------------------------------

KILLED_HUB = """
import asyncio, os, pathlib, signal, sys
from tests.drivers.test_process import ProcessBench
async def main():
    bench = ProcessBench(pathlib.Path(sys.argv[1]))
    handle = await bench.driver.create(bench.plan(), lambda *_: None)
    await bench.say(handle, "made by the first hub")
    sys.stdout.write(handle.ref + "\\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_an_agent_outlives_a_killed_hub(bench: ProcessBench) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    hub = subprocess.run(
        [sys.executable, "-c", KILLED_HUB, str(bench.state_folder)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert hub.returncode == -signal.SIGKILL, hub.stderr
    (seen,) = await bench.driver.list_agents()
    assert (seen.handle.ref, seen.state) == (hub.stdout.strip(), Observed.RUNNING)
    await wait_for_line(bench.driver, seen.handle, "made by the first hub")
    await bench.end_agent(seen.handle, 3)
    ended = await wait_for_state(bench.driver, seen.handle, Observed.EXITED)
    assert ended.exit_code is None
    assert "not known" in ended.reason


async def test_a_start_whose_pid_was_not_written_down_is_found(bench: ProcessBench) -> None:
    """The hub was killed between starting the process and recording it."""
    handle = await bench.driver.create(bench.plan(), no_progress)
    await bench.child(handle)
    record, pid = bench.record(handle), bench.pid(handle)
    await bench.driver.stop_driver()
    bench.folder(handle).write(msgspec.structs.replace(record, process=None, started_at=None))
    fresh = await bench.restarted_driver()
    assert (await fresh.inspect(handle)).state is Observed.RUNNING
    assert bench.pid(handle) == pid


async def test_an_ended_agent_leaves_no_zombie_though_nobody_looks(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    pid = bench.pid(handle)
    await bench.end_agent(handle, 5)

    async def collected() -> bool:
        return processes.look(pid) is None and bench.record(handle).exit_code == 5

    await wait_until(collected, "the process is collected, and its exit code kept")


async def test_a_stopped_driver_holds_nothing(bench: ProcessBench) -> None:
    before = len(os.listdir("/proc/self/fd")) if processes.LINUX else 0
    handle = await bench.driver.create(bench.plan(), no_progress)
    await bench.driver.stop_driver()

    async def released() -> bool:
        return not [thread for thread in threading.enumerate() if thread.name.startswith("process-driver")]

    await wait_until(released, "the driver's threads have ended")
    if processes.LINUX:
        assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(Unavailable):
        await bench.driver.inspect(handle)


# --- what an agent gets ------------------------------------------------------------------------------


async def test_an_agent_gets_what_it_needs_and_none_of_the_hubs_secrets(bench: ProcessBench) -> None:
    driver = bench.make_driver(CLAWTUI_TOKEN="cta_secret", AWS_SECRET_ACCESS_KEY="x", LANG="de_DE.UTF-8", AGENT_ID="no")
    plan = msgspec.structs.replace(
        bench.plan(), capabilities=("git", "node"), concurrency=3, environment={"COLOUR": "blue"}
    )
    handle = await driver.create(plan, no_progress)
    await bench.say(handle, "ready")
    await wait_for_line(driver, handle, "ready")
    folder = bench.folder(handle)
    got: dict[str, str] = json.loads((folder.state / "environment").read_text())
    for unasked in ("LC_CTYPE", "PWD", "SHLVL", "_", "__CF_USER_TEXT_ENCODING"):
        got.pop(unasked, None)
    run = got.pop("CLAWTUI_AGENT_RUN")
    assert run == bench.record(handle).run
    assert got == {
        "PATH": os.environ["PATH"],
        "LANG": "de_DE.UTF-8",
        "HOME": str(folder.workspace),
        "COLOUR": "blue",
        "AGENT_ID": plan.agent_id,
        "HUB_URL": f"unix:{bench.state_folder / 'hub.sock'}",
        "HUB_FILE": str(bench.state_folder / "hub.json"),
        "AGENT_TOKEN_FILE": str(folder.token),
        "AGENT_STATE_DIR": str(folder.state),
        "AGENT_WORKSPACE": str(folder.workspace),
        "AGENT_CAPABILITIES": "git,node",
        "AGENT_CONCURRENCY": "3",
        "CLAWTUI_AGENT_UID": plan.uid,
        "CLAWTUI_AGENT_FOLDER": str(folder.path),
    }
    assert plan.join_token not in folder.record_file.read_text()


async def test_files_are_private(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    folder = bench.folder(handle)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder.path, folder.state, folder.token)}
    assert modes == {folder.path.name: 0o700, "state": 0o700, "token": 0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder.log, folder.record_file)} == {0o600}


async def test_the_runtime_leads_a_session_of_its_own(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    info = processes.look(bench.pid(handle))
    assert info is not None
    assert info.sid == info.pid != os.getsid(0)


async def test_destroy_follows_no_link_and_removes_read_only_folders(bench: ProcessBench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("stays")
    outside.chmod(0o500)
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    workspace = bench.folder(handle).workspace
    (workspace / "link").symlink_to(outside)
    (workspace / "cache" / "deep").mkdir(parents=True)
    (workspace / "cache" / "deep" / "file").write_text("x")
    (workspace / "cache" / "deep").chmod(0o500)
    (workspace / "cache").chmod(0o000)
    await bench.driver.destroy(handle)
    assert await bench.leftovers(plan) == []
    assert (outside / "precious").read_text() == "stays"
    assert outside.stat().st_mode & 0o777 == 0o500


async def test_a_removal_that_was_interrupted_is_finished_by_the_next_one(bench: ProcessBench) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    await bench.driver.stop(handle, GRACE_SECONDS)
    bench.folder(handle).retire()
    assert await bench.leftovers(plan) != []
    assert await bench.driver.list_agents() == []
    await bench.driver.destroy(handle)
    assert await bench.leftovers(plan) == []


# --- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "none"),
        ("network", "isolated"),
        ("mounts", (Mount(source="/etc", target="/mnt"),)),
        ("tmpfs", ("/tmp",)),
        ("read_only", True),
    ],
)
async def test_protection_that_a_process_cannot_have_is_refused(bench: ProcessBench, field: str, value: object) -> None:
    plan = msgspec.structs.replace(bench.plan(), **{field: value})
    with pytest.raises(NotAvailable) as caught:
        await bench.driver.create(plan, no_progress)
    assert (caught.value.field, bool(caught.value.hint)) == (field, True)
    assert await bench.leftovers(plan) == []


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("environment.AGENT_ID", {"environment": {"AGENT_ID": "other"}}),
        ("environment.CLAWTUI_HOME", {"environment": {"CLAWTUI_HOME": "/"}}),
        ("environment.A=B", {"environment": {"A=B": "c"}}),
        ("environment.NUL", {"environment": {"NUL": "a\0b"}}),
        ("concurrency", {"concurrency": 0}),
        ("capabilities", {"capabilities": ("a,b",)}),
    ],
)
async def test_bad_values_are_refused_by_field(bench: ProcessBench, field: str, changes: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        await bench.driver.create(msgspec.structs.replace(bench.plan(), **changes), no_progress)
    assert caught.value.field == field


@pytest.mark.parametrize("uid", ["../../etc", "", "a/b", "a.b", "x" * 65])
async def test_no_name_leads_out_of_the_agents_folder(bench: ProcessBench, uid: str) -> None:
    with pytest.raises(BadRequest):
        await bench.driver.destroy(AgentHandle("process", json.dumps({"id": "a", "uid": uid})))


async def test_limits_are_reported_as_not_enforced(bench: ProcessBench) -> None:
    told: list[str] = []
    plan = msgspec.structs.replace(bench.plan(), cpus=2.0, memory_bytes=1 << 30)
    await bench.driver.create(plan, lambda _fraction, line: told.append(line))
    assert "not enforced by the process driver: cpus, memory" in told
    assert not bench.driver.features.cpu_limit


async def test_an_unreadable_record_is_shown_and_nothing_is_removed(bench: ProcessBench) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    record = bench.record(handle)
    bench.folder(handle).record_file.write_text("{ half")
    (seen,) = await bench.driver.list_agents()
    assert (seen.handle, seen.state) == (handle, Observed.UNKNOWN)
    with pytest.raises(DriverFailed) as caught:
        await bench.driver.destroy(handle)
    assert str(bench.folder(handle).path) in caught.value.hint
    bench.folder(handle).write(record)


async def test_a_driver_that_cannot_work_says_why(bench: ProcessBench) -> None:
    fingerprint = await (await bench.broken_driver()).fingerprint()
    assert (fingerprint.usable, "/nonexistent/python" in fingerprint.reason) == (False, True)
    no_runtime = bench.make_driver(command=(sys.executable, "-S", "-P", "-m", "runtime"))
    assert "no agent runtime" in (await no_runtime.fingerprint()).reason
    assert "none at all" in (await bench.driver.fingerprint()).details["isolation"]


# --- the log file ------------------------------------------------------------------------------------


def read_all(log: Path, request: LogRequest) -> list[str]:
    reader = logs.LogReader(log, threading.Lock(), request)
    found: list[LogLine] = []
    while True:
        lines, more = reader.read()
        found += lines
        if not more:
            return texts(found + reader.finish())


def test_the_last_lines_reach_back_over_a_cut(tmp_path: Path) -> None:
    log, lock = tmp_path / "agent.log", threading.Lock()
    log.write_text("1\n2\n3\n")
    assert logs.rotate(log, lock, limit_bytes=1)
    assert log.read_text() == ""
    assert read_all(log, LogRequest(lines=2)) == ["2", "3"]
    with log.open("a") as file:
        file.write("4\n5")
    everything = ["1", "2", "3", "4", "5"]
    for count in range(7):
        assert read_all(log, LogRequest(lines=count)) == everything[max(0, 5 - count) :]
    assert read_all(log, LogRequest()) == everything


def test_a_line_that_a_cut_divided_stays_one_line(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("one\ntw")
    logs.rotate(log, threading.Lock(), limit_bytes=1)
    with log.open("a") as file:
        file.write("o\nthree\n")
    assert read_all(log, LogRequest(lines=2)) == ["two", "three"]
    assert read_all(log, LogRequest()) == ["one", "two", "three"]


def test_a_reader_sees_every_line_once_though_the_log_is_cut(tmp_path: Path) -> None:
    log, lock = tmp_path / "agent.log", threading.Lock()
    log.write_text("")
    reader = logs.LogReader(log, lock, LogRequest(follow=True))
    seen: list[str] = []
    for number in range(100):
        with log.open("a") as file:
            file.write(f"{number} {'x' * (number % 7)}\n")
        if number % 10 == 9:
            logs.rotate(log, lock, limit_bytes=20)
        if number % 3 == 0:
            more = True
            while more:
                lines, more = reader.read()
                seen += texts(lines)
    more = True
    while more:
        lines, more = reader.read()
        seen += texts(lines)
    assert [line.split()[0] for line in seen] == [str(number) for number in range(100)]


def test_what_is_written_while_the_last_lines_are_read_is_not_among_them(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("one\ntwo\n")
    reader = logs.LogReader(log, threading.Lock(), LogRequest(lines=1))
    with log.open("a") as file:
        file.write("three\n")
    assert [texts(reader.read()[0]), texts(reader.read()[0]), texts(reader.finish())] == [["two"], [], []]


def test_a_log_stays_bounded(tmp_path: Path) -> None:
    log, lock = tmp_path / "agent.log", threading.Lock()
    with log.open("wb") as file:
        file.truncate(logs.KEPT_BYTES * 3)
    assert logs.rotate(log, lock)
    assert (log.stat().st_size, logs.previous(log).stat().st_size) == (0, logs.KEPT_BYTES)
    assert not logs.rotate(log, lock)


def test_lines_without_a_time_belong_to_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("2026-11-20T10:00:00Z old\n  its traceback\n2026-11-20T10:00:01.500+00:00 new\n  and its own\n")
    since = logs.time_of("2026-11-20T10:00:01Z")
    assert since is not None
    assert read_all(log, LogRequest(since_ms=since)) == ["2026-11-20T10:00:01.500+00:00 new", "  and its own"]
    assert logs.time_of("2026-99-99T10:00:01Z broken") is None
    assert logs.time_of('{"time":"2026-11-20T10:00:01.250+00:00","level":"info"}') == since + 250
    assert logs.time_of("2026-11-20 10:00:01,250 INFO x") == logs.time_of("[2026-11-20T10:00:01.250Z] x")


def test_what_was_written_after_the_clock_was_put_back_counts_too(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("2026-11-20T10:00:00Z old\n2026-11-20T11:00:00Z new\n2026-11-20T10:00:05Z newer\n")
    since = logs.time_of("2026-11-20T10:30:00Z")
    assert read_all(log, LogRequest(since_ms=since)) == ["2026-11-20T11:00:00Z new", "2026-11-20T10:00:05Z newer"]


def test_endless_and_binary_lines_are_given_in_pieces(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_bytes(b"\xff\xfe" + b"y" * (3 * logs.MAX_LINE_BYTES) + b"\nend\r\n")
    lines = read_all(log, LogRequest())
    assert lines[-1] == "end"
    assert max(map(len, lines)) <= logs.MAX_LINE_BYTES
    assert sum(map(len, lines[:-1])) == 3 * logs.MAX_LINE_BYTES + 2


# --- the real runtime --------------------------------------------------------------------------------


async def test_the_real_runtime_starts_drains_and_starts_again(bench: ProcessBench) -> None:
    """No hub listens: the runtime tries to connect, and leaves when it is asked to."""
    driver = bench.make_driver(command=RUNTIME)
    handle = await driver.create(bench.plan(), no_progress)
    folder = bench.folder(handle)

    async def runs() -> bool:
        lock = folder.state / "lock"
        return lock.exists() and lock.read_text().strip() == str(bench.pid(handle)) and folder.log.stat().st_size > 0

    for _ in range(2):
        await wait_until(runs, f"the runtime runs; its log: {folder.log.read_text()}")
        (line,) = await collect(driver, handle, LogRequest(lines=1))
        assert line.at is not None
        await driver.stop(handle, GRACE_SECONDS)
        seen = await driver.inspect(handle)
        assert (seen.state, seen.exit_code) == (Observed.EXITED, 0), folder.log.read_text()
        folder.log.write_text("")
        await driver.start(handle)


# --- other systems -----------------------------------------------------------------------------------


@pytest.mark.skipif(not processes.LINUX, reason="compares with /proc")
def test_both_ways_to_read_the_process_table_agree(bystander: subprocess.Popen[bytes]) -> None:
    for pid in (os.getpid(), bystander.pid):
        ours, psutils = processes._look_proc(pid), processes._look_psutil(pid)
        assert ours is not None
        assert psutils is not None
        assert msgspec.structs.replace(ours, mark="") == msgspec.structs.replace(psutils, mark="")
    assert processes._look_psutil(2**22 + 1) is None


def test_a_folder_that_a_destroy_takes_away_while_it_is_looked_at_is_no_agent(tmp_path: Path) -> None:
    """A list and a destroy at once: a driver that stumbled over it would count as broken."""
    folder = AgentFolder(tmp_path, AgentId("a-1"), AgentUid("u-1"))
    folder.path.mkdir()
    assert folder.unfinished()
    (folder.path / "precious").touch()
    assert not folder.unfinished()
    (folder.path / "precious").unlink()
    folder.retire()
    assert folder.unfinished()
