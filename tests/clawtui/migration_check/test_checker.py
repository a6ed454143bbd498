"""The checklist on a hub that is played: which rows come of what, and that nothing is left, whatever happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from clawtui.migration_check import Checker, CheckReport, Outcome, Step
from hub.core.model import AgentStatus
from hub.errors import DriverFailed, HubError, NotFound
from profiles.migrate import Migration, Probe, ProbeKind, Sidecar
from tests.clawtui.migration_check.checked_hub import CheckedHub, Heard

REFUSED = DriverFailed("the engine said no", hint="Ask it nicely.")
GIT = Probe(kind=ProbeKind.PACKAGE, subject="git", command="git --version", field="packages[0]", compare=True)
BROKEN = Probe(kind=ProbeKind.FILE, subject="conf", command="test -f conf", field="files[0]")
COMPOSE = "services:\n  redis: {image: 'redis:7'}\n"


def migration(name: str = "web", **more: Any) -> Migration:
    return Migration(**{"name": name, "text": "{}", "profile": {"name": name}} | more)


async def checked(hub: CheckedHub, given: Migration | None = None, against: str = "", **more: Any) -> CheckReport:
    async with asyncio.timeout(30):
        return await Checker(hub, Heard(), against=against, **more).check(given or migration())


def failed(report: CheckReport) -> list[tuple[Step, str]]:
    return [(row.step, row.detail) for row in report.rows if row.outcome is Outcome.FAILED]


def outcome(report: CheckReport, step: Step, subject: str = "") -> str:
    return next(row.outcome.value for row in report.rows if row.step is step and subject in row.subject)


async def test_a_profile_that_is_right_passes_and_leaves_nothing() -> None:
    hub = CheckedHub(tasks={"git --version": (0, "git version 2\n")})
    report = await checked(hub, migration(probes=(GIT,)))
    assert (failed(report), report.passed, report.image) == ([], True, "openclaw-agent-builder:abc")
    assert [row.step for row in report.rows][:5] == [Step.PROFILE, Step.IMAGE, Step.AGENT, Step.HUB, Step.PACKAGE]
    probed = next(row for row in report.rows if row.step is Step.PACKAGE)
    assert (probed.detail, probed.field) == ("git version 2", "packages[0]")
    assert outcome(report, Step.COMPARISON) == "not run"
    assert hub.things == set()
    assert [thing.split()[0] for thing in hub.gone] == ["agent", "image", "profile"]


async def test_a_probe_that_fails_says_what_was_printed_and_the_others_go_on() -> None:
    hub = CheckedHub(tasks={"test -f conf": (1, "")})
    report = await checked(hub, migration(probes=(BROKEN, GIT)))
    assert failed(report) == [(Step.FILE, "exit code 1: no such thing")]
    assert outcome(report, Step.PACKAGE) == "passed"
    assert not report.passed


async def test_what_the_build_proves_needs_no_probe() -> None:
    done = Probe(kind=ProbeKind.TASK, subject="make", command="")
    assert outcome(await checked(CheckedHub(), migration(probes=(done,))), Step.TASK) == "passed"


@pytest.mark.parametrize(
    ("method", "step", "rows"),
    [
        ("save_profile", Step.PROFILE, 2),
        ("build_profile", Step.IMAGE, 3),
        ("create_agent", Step.AGENT, 4),
    ],
)
async def test_a_step_that_fails_ends_this_profile_and_is_cleaned_up(method: str, step: Step, rows: int) -> None:
    hub = CheckedHub(failing={method: REFUSED})
    report = await checked(hub)
    assert failed(report) == [(step, "the engine said no (Ask it nicely.)")]
    assert (len(report.rows), hub.things) == (rows, set()), "the clean-up is the last row"


async def test_an_agent_that_does_not_come_online_is_a_failure_with_its_reason() -> None:
    hub = CheckedHub(status=AgentStatus.CRASHED)
    report = await checked(hub, migration(probes=(GIT,)), patience_seconds=0.0)
    assert failed(report) == [(Step.HUB, "it is crashed: it fell over")]
    assert ([name for name, _ in hub.calls if name == "submit"], hub.things) == ([], set())


NO_GPU = DriverFailed("it was to have 1 GPUs, and the engine cannot start it so: no driver")


async def test_without_a_gpu_the_rest_is_checked_all_the_same() -> None:
    hub = CheckedHub(failing_once={"create_agent": NO_GPU})
    report = await checked(hub, migration(profile={"gpu": "all", "packages": ["git"]}))
    assert failed(report) == []
    assert outcome(report, Step.RESOURCES, "GPU") == "not run"
    assert hub.saved is not None
    assert json.loads(hub.saved.text) == {"packages": ["git"], "restart": "no"}
    plain = await checked(CheckedHub(failing_once={"create_agent": NO_GPU}))
    assert failed(plain) == [(Step.AGENT, NO_GPU.message)], "a profile that asks for none has another fault"


async def test_tasks_that_cannot_be_given_are_failures() -> None:
    report = await checked(CheckedHub(failing={"submit": HubError("gone")}), migration(probes=(GIT,)))
    assert {step for step, _ in failed(report)} == {Step.PACKAGE, Step.SAMPLE, Step.RESOURCES}


@pytest.mark.parametrize("method", ["destroy", "remove_image", "delete_profile"])
async def test_what_cannot_be_removed_is_named_and_the_rest_goes(method: str) -> None:
    hub = CheckedHub(failing={method: REFUSED})
    report = await checked(hub)
    ((step, why),) = failed(report)
    assert (step, "check-web-" in why, "the engine said no" in why) == (Step.CLEANUP, True, True)
    assert len(hub.things) == 1


async def test_what_is_gone_already_is_no_failure() -> None:
    assert failed(await checked(CheckedHub(failing={"destroy": NotFound("no such agent")}))) == []


@pytest.mark.parametrize("method", ["save_profile", "build_profile", "create_agent", "submit"])
async def test_an_interrupted_check_leaves_nothing(method: str) -> None:
    hub = CheckedHub(stuck=(method,))
    heard = Heard()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        going = group.create_task(Checker(hub, heard).check(migration(probes=(GIT,))))
        await hub.reached.wait()
        going.cancel()
    assert (going.cancelled(), hub.things) == (True, set())
    assert heard.rows[-1].step is Step.CLEANUP


async def test_interrupted_once_more_it_still_cleans_up() -> None:
    hub = CheckedHub(stuck=("destroy",))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        going = group.create_task(Checker(hub, Heard()).check(migration()))
        await hub.reached.wait()
        hub.unstick()
        going.cancel()
    assert (going.cancelled(), hub.things) == (True, set())


async def test_profiles_are_checked_one_after_the_other_and_none_stops_the_next() -> None:
    heard, hub = Heard(), CheckedHub(failing={"create_agent": REFUSED})
    checker = Checker(hub, heard)
    reports = [await checker.check(migration(name)) for name in ("one", "two")]
    assert heard.begun == ["one", "two"]
    assert [report.passed for report in reports] == [False, False]
    assert hub.things == set()


# --- resources, sample, companion ---


async def test_limits_that_cannot_be_read_are_a_failure() -> None:
    report = await checked(CheckedHub(tasks={"resources": (0, "nonsense")}))
    assert [step for step, _ in failed(report)] == [Step.RESOURCES]


async def test_a_sample_task_that_answers_something_else_is_a_failure() -> None:
    report = await checked(CheckedHub(tasks={"sample": (0, "WRITTEN\n")}))
    assert [step for step, _ in failed(report)] == [Step.SAMPLE]


DOCKERFILE = 'FROM openclaw-agent-base\nCMD ["nginx"]\n'


@pytest.mark.parametrize(
    ("log", "passes"),
    [
        (("companion_started pid=7 command=nginx",), True),
        (("companion_started pid=7", "companion_failed code=1 restart_seconds=1.0"), False),
        (("companion_not_started reason=no such file",), False),
        ((), False),
    ],
)
async def test_the_program_of_the_image_must_run(log: tuple[str, ...], passes: bool) -> None:
    report = await checked(CheckedHub(log=log), migration(dockerfile=DOCKERFILE))
    assert (outcome(report, Step.SERVICE, "nginx") == "passed") is passes


# --- comparison ---


@pytest.mark.parametrize(
    ("there", "here", "result", "detail"),
    [
        ((0, "git version 2\n"), (0, "git version 2 \n"), "passed", "the same"),
        ((0, "git version 1\n"), (0, "git version 2\n"), "differs", "container: git version 2, VM: git version 1"),
        ((127, ""), (0, "git version 2\n"), "differs", "container: git version 2, VM: exit code 127: no such thing"),
        ((0, "git version 2\n"), (127, ""), "failed", "container: exit code 127: no such thing, VM: git version 2"),
    ],
)
async def test_the_same_command_runs_in_the_vm(there: Any, here: Any, result: str, detail: str) -> None:
    hub = CheckedHub(tasks={"vm: git --version": there, "git --version": here})
    report = await checked(hub, migration(probes=(GIT,)), against="vm")
    row = next(row for row in report.rows if row.step is Step.COMPARISON)
    assert (row.outcome.value, row.detail, row.subject) == (result, detail, "git")
    assert report.passed is (here[0] == 0)


async def test_with_nothing_to_compare_that_is_said() -> None:
    report = await checked(CheckedHub(), migration(probes=(BROKEN,)), against="vm")
    assert outcome(report, Step.COMPARISON, "agent vm") == "not run"


# --- side services, with stand-ins for Docker's programs ---

PLAYED = """\
#!/bin/sh
echo "$0 $*" >> "{log}"
case "$*" in
  *"image inspect"*) exit {there};;
  *pull*) echo "Error response from daemon: no such host" >&2; exit 1;;
  *" up "*) {up};;
  *logs*) echo "could not bind";;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes `docker` and `docker-compose` that keep what they are asked; returns how to make them answer."""

    def make(there: int = 0, up: str = "exit 0") -> Path:
        log = tmp_path / "asked"
        for name in ("docker", "docker-compose"):
            (tmp_path / name).write_text(PLAYED.format(log=log, there=there, up=up))
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return log

    return make


WITH_REDIS = migration(
    compose=COMPOSE,
    sidecars=(Sidecar(name="redis", image="redis:7", port=6379),),
    probes=(Probe(kind=ProbeKind.TASK, subject="seed", command="redis-cli set a 1", sidecar="redis"),),
)


async def test_a_side_service_that_runs_is_reached_and_its_probes_run(programs: Any) -> None:
    log, hub = programs(), CheckedHub()
    report = await checked(hub, WITH_REDIS)
    assert failed(report) == []
    assert outcome(report, Step.SIDECAR, "redis:6379") == "passed"
    assert outcome(report, Step.TASK, "seed") == "passed"
    ((network, agent),) = [given for name, given in hub.calls if name == "connect_network"]
    assert (network, agent.startswith("check-web-")) == (f"{agent}_default", True)
    asked = log.read_text()
    assert "up -d --no-deps redis" in asked
    assert "down -v --remove-orphans" in asked


async def test_an_image_that_cannot_be_pulled_is_not_run_with_the_engines_words(programs: Any) -> None:
    programs(there=1)
    report = await checked(CheckedHub(), WITH_REDIS)
    row = next(row for row in report.rows if row.step is Step.SIDECAR)
    assert row.outcome is Outcome.NOT_RUN
    assert row.detail == "redis:7 cannot be had here: Error response from daemon: no such host"
    assert outcome(report, Step.TASK, "seed") == "not run"
    assert report.passed


async def test_one_that_does_not_start_is_a_failure(programs: Any) -> None:
    programs(up="echo 'bad option'; exit 3")
    report = await checked(CheckedHub(), WITH_REDIS)
    assert failed(report) == [(Step.SIDECAR, "bad option")]


async def test_one_that_does_not_answer_says_what_it_printed(programs: Any) -> None:
    programs()
    report = await checked(CheckedHub(tasks={"/dev/tcp/redis/6379": (1, "")}), WITH_REDIS)
    assert failed(report) == [(Step.SIDECAR, "no answer: could not bind")]
    assert outcome(report, Step.TASK, "seed") == "not run"


async def test_without_compose_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    report = await checked(CheckedHub(), WITH_REDIS)
    row = next(row for row in report.rows if row.step is Step.SIDECAR)
    assert (row.outcome, "Compose is not on this machine" in row.detail) == (Outcome.NOT_RUN, True)


async def test_a_compose_file_that_cannot_be_read_is_a_failure() -> None:
    bad = migration(compose="services: [", sidecars=WITH_REDIS.sidecars)
    report = await checked(CheckedHub(), bad)
    assert [step for step, _ in failed(report)] == [Step.SIDECAR]
