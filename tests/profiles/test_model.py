"""Profiles: what people may write, and how their mistakes are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ProfileError
from profiles.model import Machine, Resources, parse_machine
from profiles.parts import Restart
from profiles.values import parse_cpus, parse_name, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4 << 30),
        ("512m", 512 << 20),
        ("1.5g", 3 << 29),
        ("2GiB", 2 << 30),
        ("2 gb", 2 << 30),
        ("1T", 1 << 40),
        ("10k", 10 << 10),
        ("4096", 4096),
        (4096, 4096),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size("memory", text) == size


@pytest.mark.parametrize(
    "value",
    [
        "",
        "G",
        "4X",
        "-1",
        "4 G B",
        "0",
        0,
        -5,
        True,
        None,
        1.5,
        [],
        "1e9",
        "9" * 40,
        "9999999999G",
        "٤G",
        "0.1",
    ],
)
def test_what_is_no_size_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_size("resources.memory", value)
    assert caught.value.field == "resources.memory"
    assert "512m" in caught.value.hint


@given(st.integers(min_value=1, max_value=1 << 40))
def test_a_number_of_bytes_is_taken_exactly(size: int) -> None:
    assert parse_size("disk", size) == parse_size("disk", str(size)) == size


@pytest.mark.parametrize(
    ("text", "cores"), [(2, 2.0), (0.5, 0.5), ("2", 2.0), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5)]
)
def test_cpus(text: object, cores: float) -> None:
    assert parse_cpus("cpus", text) == cores


@pytest.mark.parametrize("value", ["", "two", "-1", 0, -1, True, None, float("nan"), float("inf"), "1e3", 5000, "m"])
def test_what_is_no_number_of_cores_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_cpus("resources.cpus", value)
    assert caught.value.field == "resources.cpus"


def test_a_number_too_long_to_write_out_is_refused() -> None:
    for parse in (parse_size, parse_cpus):
        for value in (10**400, 10**5000):
            with pytest.raises(ProfileError) as caught:
                parse("resources", value)
            assert "huge" in caught.value.message


def test_names() -> None:
    assert parse_name("name", "web-1") == "web-1"
    for value in ("", "-a", "A", "a.b", "a" * 41, "a\n", 1, None, "base"):
        with pytest.raises(ProfileError):
            parse_name("name", value)


def test_an_empty_profile_has_the_documented_defaults() -> None:
    machine = parse_machine({})
    assert machine == Machine()
    assert machine.resources == Resources(cpus=2.0, memory_bytes=4 * 1024**3, disk_bytes=20 * 1024**3)
    assert (machine.sudo, machine.restart) == (False, Restart.UNLESS_STOPPED)


def test_a_full_profile() -> None:
    machine = parse_machine(
        {
            "resources": {"cpus": "500m", "memory": "1g", "disk": "2g"},
            "capabilities": ["git", "node:22", "git"],
            "labels": {"team": "a"},
            "environment": {"CI": "1"},
            "sudo": True,
            "concurrency": 8,
            "restart": "on-failure",
        }
    )
    assert machine == Machine(
        resources=Resources(cpus=0.5, memory_bytes=1 << 30, disk_bytes=2 << 30),
        capabilities=("git", "node:22"),
        labels={"team": "a"},
        environment={"CI": "1"},
        sudo=True,
        concurrency=8,
        restart=Restart.ON_FAILURE,
    )


@pytest.mark.parametrize(
    ("raw", "field", "hint"),
    [
        ([], "machine", "names with values"),
        ({"resorces": {}}, "machine.resorces", "Did you mean resources?"),
        ({"xyz": 1}, "machine.xyz", "Known here"),
        ({1: 2}, "machine", "quotes"),
        ({"resources": {"memroy": "4G"}}, "machine.resources.memroy", "Did you mean memory?"),
        ({"resources": {"cpus": "x"}}, "machine.resources.cpus", "cores"),
        ({"resources": None}, "machine.resources", "names with values"),
        ({"capabilities": "git"}, "machine.capabilities", "list"),
        ({"capabilities": ["git", "a,b"]}, "machine.capabilities[1]", "commas"),
        ({"labels": {"a": 1}}, "machine.labels.a", "quotes"),
        ({"environment": {"A-B": "1"}}, "machine.environment.A-B", "Letters"),
        ({"environment": {"AB": "1\0"}}, "machine.environment.AB", "into a file"),
        ({"environment": {"HUB_URL": "x"}}, "machine.environment.HUB_URL", "Not AGENT_"),
        ({"sudo": "yes"}, "machine.sudo", ""),
        ({"concurrency": 0}, "machine.concurrency", ""),
        ({"concurrency": True}, "machine.concurrency", ""),
        ({"restart": False}, "machine.restart", '"no"'),
        ({"restart": "sometimes"}, "machine.restart", ""),
    ],
)
def test_a_mistake_is_named_by_its_path(raw: object, field: str, hint: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_machine(raw, "machine")
    assert caught.value.field == field
    assert hint in caught.value.hint
    assert field in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resources",
                        "cpus",
                        "memory",
                        "labels",
                        "restart",
                        "sudo",
                        "capabilities",
                        "environment",
                        "concurrency",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_anything_gives_a_machine_or_a_profile_error(raw: object) -> None:
    try:
        machine = parse_machine(raw)
    except ProfileError:
        return
    assert isinstance(machine, Machine)
