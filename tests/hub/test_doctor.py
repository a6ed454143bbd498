"""doctor: what is said about which machine; and that looking at this machine works."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import msgspec
import pytest

from hub.doctor import (
    INSTALL_DOCKER,
    SUN_PATH_BYTES,
    Check,
    CheckState,
    Facts,
    PortFacts,
    Tool,
    judge,
    longest_socket,
    usable,
)
from hub.drivers.base import Fingerprint
from hub.probing import find_tool, look_at_port, probe, running_hub

GOOD = Facts(
    system="linux",
    python=(3, 12, 1),
    sqlite="3.51.3",
    state_folder="/home/a/.local/state/clawtui",
    longest_socket="/home/a/.local/state/clawtui/run/x/agent.sock",
    ports=(PortFacts(name="agents", number=9090, free=True), PortFacts(name="api", number=9091, free=True)),
    tools={"git": Tool("/usr/bin/git", "git version 2.39"), "bash": Tool("/bin/bash")},
    descriptors_soft=65536,
    descriptors_hard=65536,
    clock_ahead_seconds=60.0,
    disk_free_bytes=50 << 30,
    cgroup="v2",
    pidfd=True,
    subreaper=True,
    fingerprints={
        "process": Fingerprint(usable=True, version="3.12.1"),
        "docker": Fingerprint(usable=True, version="20.10"),
    },
)


def check(name: str, **changes: object) -> Check:
    (found,) = [one for one in judge(msgspec.structs.replace(GOOD, **changes)) if one.name == name]
    return found


def test_a_good_machine_has_nothing_to_do() -> None:
    checks = judge(GOOD)
    assert {one.state for one in checks} == {CheckState.OK}
    assert [one.remedy for one in checks if one.remedy] == []
    assert len({one.name for one in checks}) == len(checks)
    assert all(one.why and one.found for one in checks)
    assert usable(checks)


@pytest.mark.parametrize(
    ("name", "state", "changes"),
    [
        ("python", CheckState.FAIL, {"python": (3, 10, 12)}),
        ("sqlite", CheckState.WARN, {"sqlite": "3.51.2"}),
        ("sqlite", CheckState.WARN, {"sqlite": "3.9.0"}),
        ("state folder", CheckState.FAIL, {"state_problem": "/x is not writable"}),
        ("socket path", CheckState.FAIL, {"longest_socket": "/" + "x" * 107}),
        ("disk space", CheckState.WARN, {"disk_free_bytes": 1 << 30}),
        ("disk space", CheckState.FAIL, {"disk_free_bytes": 1 << 20}),
        ("open files", CheckState.WARN, {"descriptors_soft": 1024, "fleet_agents": 1000}),
        ("clock", CheckState.WARN, {"clock_ahead_seconds": -7200.0}),
        ("cgroup", CheckState.MISSING, {"cgroup": ""}),
        ("pidfd", CheckState.WARN, {"pidfd": False}),
        ("subreaper", CheckState.WARN, {"subreaper": False}),
        ("git", CheckState.MISSING, {"tools": {"git": Tool()}}),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(name: str, state: CheckState, changes: dict[str, object]) -> None:
    found = check(name, **changes)
    assert found.state is state
    assert found.remedy
    assert usable([found]) is (state is not CheckState.FAIL)


def test_a_socket_path_may_be_as_long_as_the_system_allows() -> None:
    for system, most in SUN_PATH_BYTES.items():
        assert check("socket path", system=system, longest_socket="x" * most).state is CheckState.OK
        assert check("socket path", system=system, longest_socket="x" * (most + 1)).state is CheckState.FAIL
    assert check("socket path", longest_socket="ä" * 54).state is CheckState.FAIL, "bytes count, not characters"


def test_a_busy_port_names_its_owner() -> None:
    busy = PortFacts(name="agents", number=9090, free=False, owner_pid=77, owner="nginx")
    found = check("port 9090", ports=(busy,))
    assert (found.state, "nginx (77)" in found.found, "--port-agents" in found.remedy) == (CheckState.WARN, True, True)
    hidden = check("port 9090", ports=(msgspec.structs.replace(busy, owner_pid=None, owner=""),))
    assert "another user" in hidden.found
    own = check("port 9090", ports=(msgspec.structs.replace(busy, is_this_hub=True),))
    assert (own.state, "running hub (77)" in own.found) == (CheckState.OK, True)


def test_a_missing_engine_leads_to_its_installation() -> None:
    away = Fingerprint(usable=False, reason="no engine answers", hint="Start dockerd.")
    found = check("driver docker", fingerprints={"docker": away})
    assert (found.state, found.found) == (CheckState.MISSING, "no engine answers")
    assert "Start dockerd." in found.remedy
    assert INSTALL_DOCKER in found.remedy


def test_limits_that_only_the_administrator_can_raise_are_said_to_be() -> None:
    low = check("open files", descriptors_soft=1024, descriptors_hard=1024, fleet_agents=1000)
    assert "administrator" in low.remedy
    assert "administrator" not in check("open files", descriptors_soft=1024, fleet_agents=1000).remedy


def test_other_systems_have_no_linux_checks() -> None:
    names = {one.name for one in judge(msgspec.structs.replace(GOOD, system="darwin", cgroup=""))}
    assert not names & {"pidfd", "subreaper"}
    assert check("cgroup", system="darwin", cgroup="").state is CheckState.OK


# --- looking at this machine -------------------------------------------------------------------------


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    facts = probe(folder, {"agents": 0, "api": 0}, "3.51.3", {"process": Fingerprint(usable=True)}, fleet_agents=1)
    assert facts.python == sys.version_info[:3]
    assert facts.longest_socket == longest_socket(folder)
    assert (facts.state_problem, facts.disk_free_bytes > 0, facts.descriptors_soft > 0) == ("", True, True)
    assert all(port.free for port in facts.ports)
    assert not folder.exists(), "looking changes nothing"
    if sys.platform == "linux":
        assert facts.subreaper
    assert {one.name for one in judge(facts)} >= {"python", "sqlite", "state folder", "git", "driver process"}


def test_a_state_folder_that_cannot_be_used_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not a folder" in probe(tmp_path / "file" / "state", {}, "3.51.3", {}).state_problem


def test_the_owner_of_a_busy_port_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        port = look_at_port("agents", number)
        assert not port.free
        if sys.platform == "linux":
            assert port.owner_pid == os.getpid()
            assert port.owner
            (tmp_path / "hub.json").write_text(f'{{"pid": {os.getpid()}, "other": 1}}')
            assert look_at_port("agents", number, running_hub(tmp_path)).is_this_hub
    assert look_at_port("agents", number).free


def test_a_hub_file_of_a_dead_hub_names_nobody(tmp_path: Path) -> None:
    assert running_hub(tmp_path) is None
    for text in ('{"pid": 4194399}', "{", "[]", '{"pid": "x"}', '{"pid": -1}'):
        (tmp_path / "hub.json").write_text(text)
        assert running_hub(tmp_path) is None


def test_programs_are_found_with_their_versions() -> None:
    assert find_tool("no-such-program") == Tool()
    shell = find_tool("bash")
    assert os.path.isabs(shell.path)
    assert "bash" in shell.version.lower()
