"""The command line as a user calls it: real processes, a real hub, real agents."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

WAIT_SECONDS = 30.0

pytestmark = pytest.mark.timeout(120)


class Place:
    """A state folder with its hub, and calls of the command line on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {**os.environ, "CLAWTUI_HOME": str(home), "CLAWTUI_CONFIG": str(home / "config.toml")}
        (home / "config.toml").write_text('drivers = ["process"]\nport_api = 0\nport_agents = 0\n')
        self.hub: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.hub = self.open("--serve", stderr=subprocess.DEVNULL)
        wait_line(self.hub, "token")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.hub is not None
        self.hub.send_signal(number)
        code = self.hub.wait(WAIT_SECONDS)
        assert self.hub.stdout is not None
        self.hub.stdout.close()
        return code

    def open(self, *words: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "clawtui", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environ)

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "clawtui", *words]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environ, timeout=WAIT_SECONDS, check=False
        )

    def agents(self) -> list[str]:
        return [agent["id"] for agent in json.loads(self("list", "--json").stdout)["agents"]]


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        place = Place(Path(folder))
        place.start()
        yield place
        if place.hub is not None and place.hub.poll() is None:
            for name in place.agents():
                place("destroy", name, "--force")
            place.end()


def wait_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in iter(process.stdout.readline, ""):
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed")


def running_for(folder: Path) -> list[psutil.Process]:
    """Processes other than this one that have the folder in their command or environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(folder) in word for word in words):
                found.append(process)
    return found


def wait_gone(folder: Path) -> list[psutil.Process]:
    """What is left after a while; agents end a moment after they were told to."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (left := running_for(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_an_agent_from_its_creation_to_its_end_leaves_nothing(place: Place) -> None:
    created = place("create", "worker", "--driver", "process", "--type", "builder")
    assert created.returncode == 0, created.stderr
    ran = place("exec", "worker", "echo out; echo err >&2; exit 7")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "out\n", "err\n")
    quoted = place("exec", "worker", "printf", "%s|", "a b", "$HOME", "--json")
    assert quoted.stdout == "a b|$HOME|--json|"
    assert place("exec", "--timeout", "200", "worker", "sleep 20").returncode == 124
    assert place("exec", "nobody", "true").returncode == 125
    task = place(
        "task", "worker", "-", "--wait", "--json", stdin='{"type": "file:write", "filePath": "x", "content": "y"}'
    )
    assert json.loads(task.stdout)["status"] == "succeeded"
    assert "connected" in place("logs", "worker").stdout
    assert place.agents() == ["worker"]
    assert place("destroy", "worker", "--force").returncode == 0
    assert place.agents() == []
    assert place.end() == 0
    assert wait_gone(place.home) == []
    assert [path for path in (place.home / "agents").glob("*") if path.name.startswith("worker")] == []


def test_output_goes_on_after_a_killed_hub_and_the_task_runs_once(place: Place) -> None:
    place("create", "worker", "--driver", "process")
    command = "for n in 1 2 3 4 5 6 7 8; do echo line $n; sleep 0.3; done; exit 9"
    running = place.open("exec", "worker", command)
    wait_line(running, "line 2")
    place.end(signal.SIGKILL)
    place.start()
    out, err = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode == 9, err
    assert out == "".join(f"line {n}\n" for n in range(3, 9))
    assert "the hub is away" in err
    assert "the hub is back" in err


def test_ctrl_c_cancels_the_task_on_the_agent(place: Place) -> None:
    place("create", "worker", "--driver", "process")
    running = place.open("exec", "worker", "echo started; sleep 600")
    wait_line(running, "started")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode == 125
    assert "is cancelled" in err
    (task,) = json.loads(place("tasks", "list", "--json").stdout)["tasks"]
    assert task["status"] == "cancelled"


def test_a_second_hub_on_the_folder_is_refused_and_told_why(place: Place) -> None:
    second = place("--serve")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert "hint:" in second.stderr
    assert "Traceback" not in second.stderr


def test_after_the_hub_there_is_none_and_the_next_one_has_the_same_addresses(place: Place) -> None:
    before = json.loads((place.home / "hub.json").read_text())
    assert place.end() == 0
    gone = place("list")
    assert (gone.returncode, gone.stdout) == (3, "")
    assert "clawtui --serve" in gone.stderr
    place.start()
    # What a killed hub leaves behind, its file and its socket, does not pass for a hub.
    place.end(signal.SIGKILL)
    assert place("list").returncode == 3
    place.start()
    after = json.loads((place.home / "hub.json").read_text())
    assert (after["api"], after["agents"], after["hubId"]) == (before["api"], before["agents"], before["hubId"])


def test_over_tcp_a_token_is_needed(place: Place) -> None:
    url = json.loads((place.home / "hub.json").read_text())["api"]["url"]
    assert place("list", "--hub", url).returncode == 4
    allowed = place("list", "--hub", url, "--token-file", str(place.home / "token"))
    assert allowed.returncode == 0, allowed.stderr


def test_a_backup_can_be_put_back(place: Place) -> None:
    place("register", "by-hand")
    copy = place.home / "copy.db"
    assert place("backup", str(copy)).returncode == 0
    place("destroy", "by-hand", "--force")
    refused = place("backup", "restore", str(copy), "--force")
    assert refused.returncode == 1
    assert "already runs" in refused.stderr
    place.end()
    assert place("backup", "restore", str(copy), "--force").returncode == 0
    place.start()
    assert place.agents() == ["by-hand"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """For temporary files of a demo; short, because socket paths are limited."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        yield Path(name)


def start_demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLAWTUI_")}
    environ |= {"TMPDIR": str(folder), "CLAWTUI_DRIVERS": "process", "XDG_CONFIG_HOME": str(folder)}
    command = [sys.executable, "-m", "clawtui", "demo", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def test_the_demo_does_what_it_says_and_leaves_nothing(folder: Path) -> None:
    demo = start_demo(folder, "--json")
    out, err = demo.communicate(timeout=100)
    assert demo.returncode == 0, err
    rows = json.loads(out)["tasks"]
    assert {"exec", "file:read", "build", "test", "script", "rollout"} <= {row["title"] for row in rows}
    assert [row for row in rows if row["misses"]] == []
    assert list(folder.iterdir()) == []
    assert wait_gone(folder) == []


def test_a_demo_that_is_interrupted_leaves_nothing(folder: Path) -> None:
    demo = start_demo(folder)
    wait_line(demo, "build")
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=WAIT_SECONDS)
    assert demo.returncode == 1
    assert err.splitlines()[-1] == "interrupted"
    assert list(folder.iterdir()) == []
    assert wait_gone(folder) == []
