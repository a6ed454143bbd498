"""What a check saves, expects and compares: pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawtui.migration_check import plan
from clawtui.migration_check.model import Outcome
from clawtui.migration_check.plan import Seen, Wanted
from profiles.migrate import Migration, Sidecar

GIB = 1 << 30


def migration(**more: Any) -> Migration:
    return Migration(**{"name": "web", "text": "{}", "profile": {"name": "web"}} | more)


@pytest.mark.parametrize("name", ["web", "a" * 40, "a-b-" * 10])
def test_a_throw_away_name_fits_and_says_whose_it_is(name: str) -> None:
    made = plan.throw_away_name(name, "0a1b2c")
    assert len(made) <= plan.MAX_NAME
    assert made.startswith(f"check-{name[:20]}")
    assert made.endswith("-0a1b2c")
    assert "--" not in made


def test_what_is_saved_is_the_profile_without_its_name_and_volumes() -> None:
    raw = {"name": "web", "packages": ["git"], "volumes": ["cache:/cache", {"source": "/x"}], "restart": "always"}
    given = migration(profile=raw, dockerfile="FROM x\n", context={"a/b": b"\xff"})
    text, left_out = plan.profile_text(given, "check-web-1")
    assert json.loads(text.text) == {"packages": ["git"], "restart": "no"}
    assert (text.name, text.dockerfile, text.context) == ("check-web-1", "FROM x\n", {"a/b": "/w=="})
    assert left_out == ["volume cache:/cache", 'volume {"source": "/x"}']
    assert raw["name"] == "web", "the migration itself is as it was"


def test_the_network_of_side_services_is_left_out() -> None:
    raw = {"name": "web", "network": "web-services"}
    beside = (Sidecar(name="redis", image="redis:7", port=1),)
    assert "network" not in json.loads(plan.profile_text(migration(profile=raw, sidecars=beside), "x")[0].text)
    assert "network" in json.loads(plan.profile_text(migration(profile=raw), "x")[0].text)


def test_files_without_a_dockerfile_are_not_sent() -> None:
    text, _ = plan.profile_text(migration(context={"a": b"1"}), "check-web-1")
    assert (text.dockerfile, text.context) == (None, {})


# --- resources ---

V1 = "cpu_max=\nquota=150000\nperiod=100000\nmemory=1073741824\nhost_cpus=2\nhost_memory=8589934592\n"
V2 = "cpu_max=150000 100000\nquota=\nperiod=\nmemory=1073741824\nhost_cpus=2\nhost_memory=8589934592\n"


@pytest.mark.parametrize("output", [V1, V2])
def test_limits_are_read_of_both_kinds_of_cgroups(output: str) -> None:
    seen = Seen(cpus=1.5, memory_bytes=GIB, host_cpus=2, host_memory_bytes=8 * GIB)
    assert plan.parse_resources(output) == seen


@pytest.mark.parametrize(
    "output",
    [
        "cpu_max=max 100000\nmemory=max\nhost_cpus=2\nhost_memory=1\n",
        "cpu_max=\nquota=-1\nperiod=100000\nmemory=9223372036854771712\nhost_cpus=2\nhost_memory=1\n",
    ],
)
def test_no_limit_is_none(output: str) -> None:
    seen = plan.parse_resources(output)
    assert (seen.cpus, seen.memory_bytes) == (None, None)


@pytest.mark.parametrize("output", ["", "host_cpus=x\nhost_memory=1\n", "quota=1\nperiod=\nhost_cpus=1\nhost_memory=1"])
def test_what_cannot_be_read_is_an_error(output: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        plan.parse_resources(output)


def judged(wanted: Wanted, *notes: str, **seen: Any) -> list[tuple[str, str]]:
    machine = {"cpus": 2.0, "memory_bytes": GIB, "host_cpus": 2, "host_memory_bytes": 8 * GIB} | seen
    return [(row.subject, row.outcome.value) for row in plan.resource_rows(wanted, Seen(**machine), notes)]


def test_limits_as_asked_for_pass_and_others_fail() -> None:
    wanted = Wanted(cpus=2.0, memory_bytes=GIB)
    assert judged(wanted) == [("CPUs", "passed"), ("memory", "passed")]
    assert judged(wanted, cpus=None, memory_bytes=None) == [("CPUs", "failed"), ("memory", "failed")]
    assert judged(wanted, cpus=1.0, memory_bytes=2 * GIB) == [("CPUs", "failed"), ("memory", "failed")]
    assert judged(Wanted()) == []


def test_less_than_asked_for_passes_only_where_the_hub_said_so() -> None:
    wanted = Wanted(cpus=4.0, memory_bytes=16 * GIB)
    notes = (
        "4 CPUs asked for, this engine's machine has 2: limited to 2",
        "16.0 GiB asked for, ...: limited to 8.0 GiB",
    )
    seen = {"memory_bytes": 8 * GIB}
    assert judged(wanted, *notes, **seen) == [("CPUs", "passed"), ("memory", "passed")]
    assert judged(wanted, **seen) == [("CPUs", "failed"), ("memory", "failed")]
    assert judged(wanted, *notes, memory_bytes=4 * GIB)[1] == ("memory", "failed")


def test_a_disk_that_is_not_enforced_is_not_proved() -> None:
    note = "disk size is not enforced: no quotas"
    (row,) = plan.resource_rows(Wanted(disk_bytes=30 * GIB), plan.parse_resources(V1), ["building", note])
    assert (row.outcome, row.detail) == (Outcome.NOT_RUN, note)
    (row,) = plan.resource_rows(Wanted(disk_bytes=30 * GIB), plan.parse_resources(V1), [])
    assert (row.outcome, row.detail) == (Outcome.PASSED, "30 GiB")


# --- words ---


def test_the_last_words_are_of_the_first_who_says_anything() -> None:
    assert plan.last_words(None, "  \n", "a\nb\n c \n", "d") == "b / c"
    assert plan.last_words("x" * 500) == "x" * 200
    assert plan.last_words() == ""


def test_the_first_words_are_those_of_the_first_line_with_any() -> None:
    assert plan.first_words("\n  curl 7.88 \nFeatures: x\n") == "curl 7.88"
    assert plan.first_words(None) == ""


def test_the_programs_own_last_words_say_why_it_does_not_run() -> None:
    lines = ["companion_started pid=7", "companion stream=stderr line=cannot bind", "companion_failed code=1"]
    assert plan.companion_words(lines) == (False, "companion_failed code=1: cannot bind")
    assert plan.companion_words(lines[:1]) == (True, "started beside the agent")
    assert plan.companion_words([]) == (False, "was not started")


def test_spaces_at_the_ends_make_no_difference() -> None:
    assert plan.same_words("a \nb\n\n", "a\nb")
    assert not plan.same_words("a", "a b")
    assert plan.same_words(None, "")


# --- side services ---

COMPOSE: dict[str, Any] = {
    "services": {
        "agent": {"image": "openclaw-agent-web", "volumes": ["web:/workspace"]},
        "redis": {
            "image": "redis:7", "ports": ["6379:6379"], "container_name": "redis", "networks": ["agents"],
            "command": ["redis-server", "--save", ""], "depends_on": ["agent"], "restart": "unless-stopped",
            "volumes": ["redis-data:/data", "./web.redis/redis.conf:/etc/redis.conf:ro", "/data"],
            "healthcheck": {"test": ["CMD", "redis-cli", "ping"]},
        },
    },
    "volumes": {"redis-data": {"name": "fixed"}, "web": {"external": True}},
    "networks": {"agents": {"external": True}},
}  # fmt: skip


def test_side_services_start_alone_and_clash_with_nothing() -> None:
    sidecars = (Sidecar(name="redis", image="redis:7", port=6379), Sidecar(name="lost", image="lost:1", port=1))
    made = plan.beside(migration(sidecars=sidecars, sidecar_files={"web.redis/redis.conf": b"x"}), COMPOSE)
    assert made.files == {"web.redis/redis.conf": b"x"}
    document = json.loads(made.text)
    assert set(document["services"]) == {"redis", "lost"}
    assert set(document["services"]["redis"]) == {"image", "command", "volumes", "healthcheck"}
    assert document["volumes"] == {"redis-data": {}}, "a volume of the project's own"
    assert "networks" not in document


@pytest.mark.parametrize(
    ("path", "fine"), [("a/b", True), ("", False), ("/a", False), ("a/../b", False), ("..", False)]
)
def test_files_stay_below(path: str, fine: bool) -> None:
    assert plan.is_below(path) is fine
