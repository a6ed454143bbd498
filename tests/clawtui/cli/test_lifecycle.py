"""create, start, stop, …, destroy, register, release, adopt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from hub.contract import AdoptAnswer, AgentAct, CreateAgent, MountRequest, RegisterMetadata, Resources
from hub.core.model import JobState
from profiles.model import parse_machine
from profiles.parts import Ulimit
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB, WHEN

Answers = Callable[..., None]
DONE = replace(JOB, state=JobState.SUCCEEDED, progress=1.0, finished_at=WHEN)
FAILED = replace(JOB, state=JobState.FAILED, finished_at=WHEN, error=TaskError("image_missing", "no image"))


@pytest.fixture(autouse=True)
def jobs_succeed(answers: Answers) -> None:
    answers(job=[replace(JOB, message="pulling", progress=0.5), DONE])


def test_create_passes_on_every_option_and_shows_the_agent(cli: CommandLine) -> None:
    called = cli.line(
        "create a-1 --driver docker --profile p --type b --display-name N --cpu 1.5 --memory 512m --disk 3G "
        "--capabilities x,y --label k=v --label l= --env A=1 -e B=2=3 --concurrency 2 --network n "
        "--mount /a:/b --mount vol:/c:ro --tmpfs /tmp --read-only-root --restart no"
    )
    assert called.code == 0, called.stderr
    assert cli.last("create_agent") == (
        CreateAgent(
            name="a-1",
            driver="docker",
            profile="p",
            type="b",
            display_name="N",
            resources=Resources(cpus=1.5, memory="512m", disk="3G"),
            capabilities=["x", "y"],
            labels={"k": "v", "l": ""},
            environment={"A": "1", "B": "2=3"},
            concurrency=2,
            network="n",
            mounts=[MountRequest(source="/a", target="/b"), MountRequest(source="vol", target="/c", read_only=True)],
            tmpfs=["/tmp"],
            read_only=True,
            restart="no",
        ),
    )
    assert "online" in called.out
    assert "pulling" in called.stderr


def test_create_leaves_defaults_to_the_hub(cli: CommandLine) -> None:
    cli("create", "a-1")
    assert cli.last("create_agent") == (CreateAgent(name="a-1"),)


@pytest.mark.parametrize(
    "option",
    [
        "--mount x",
        "--mount a:b",
        "--mount a:/b:x",
        "--mount :/b",
        "--label x",
        "--env =1",
        "--ulimit nofile",
        "--ulimit core=x",
        "--log-opt x",
    ],
)
def test_create_refuses_what_cannot_be_meant(cli: CommandLine, option: str) -> None:
    called = cli("create", "a-1", *option.split())
    assert called.code == 2
    assert option.split()[1] in called.stderr
    assert cli.control.calls == []


def test_options_of_the_container_are_said_in_a_profiles_words(cli: CommandLine) -> None:
    called = cli.line(
        "create a-1 --pids 99 --ulimit nofile=10:20 --ulimit core=0 --cpu-shares 512 --cpuset 0-1 --memory-swap=-1 "
        "--memory-reservation 1G --shm-size 64m --cap-add NET_RAW --cap-add KILL --apparmor docker-default "
        "--selinux type:container_t --sudo --gpus 0,1 --log-driver syslog --log-opt tag=x --stop-grace 30s "
        "--health-interval 5s --health-timeout 2s --health-start-period 1m --health-retries 4"
    )
    assert called.code == 0, called.stderr
    (request,) = cli.last("create_agent")
    ulimits = {"nofile": {"soft": 10, "hard": 20}, "core": {"soft": 0, "hard": 0}}
    assert request.machine == {
        "limits": {
            "pids": 99, "ulimits": ulimits, "cpu_shares": 512, "cpuset": "0-1", "memory_swap": "-1",
            "memory_reservation": "1G", "shm_size": "64m",
        },
        "security": {"cap_add": ["NET_RAW", "KILL"], "apparmor": "docker-default", "selinux": ["type:container_t"]},
        "health": {"interval": "5s", "timeout": "2s", "start_period": "1m", "retries": 4},
        "logging": {"driver": "syslog", "options": {"tag": "x"}},
        "sudo": True,
        "gpu": ["0", "1"],
        "stop_grace": "30s",
    }  # fmt: skip
    assert parse_machine(request.machine).limits.ulimits["nofile"] == Ulimit(10, 20)


@pytest.mark.parametrize(("text", "cores"), [("2", 2.0), ("0.5", 0.5), ("500m", 0.5)])
def test_cores_are_a_number_or_thousandths(cli: CommandLine, text: str, cores: float) -> None:
    assert cli("create", "a-1", "--cpu", text).code == 0
    assert cli.last("create_agent")[0].resources == Resources(cpus=cores)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "many", "1e9", "1" * 40])
def test_what_is_no_number_of_cores_is_never_sent(cli: CommandLine, text: str) -> None:
    called = cli("create", "a-1", f"--cpu={text}")
    assert called.code == 2
    assert "--cpu" in called.stderr
    assert cli.control.calls == []


@pytest.mark.parametrize(("text", "gpu"), [("all", "all"), ("none", "none"), ("2", 2), ("0,", ["0"])])
def test_gpus_are_a_word_a_number_or_ids(cli: CommandLine, text: str, gpu: object) -> None:
    assert cli("create", "a-1", "--gpus", text, "--no-sudo").code == 0
    assert cli.last("create_agent")[0].machine == {"gpu": gpu, "sudo": False}


@pytest.mark.parametrize("act", list(AgentAct))
def test_an_act_waits_for_its_job_and_shows_the_agent(cli: CommandLine, act: AgentAct) -> None:
    called = cli(act.value, "a-1")
    assert called.code == 0, called.stderr
    assert cli.last("act") == ("a-1", act)
    assert cli.last("job")[0] == JOB.id
    assert "a-1" in called.out


def test_without_waiting_the_job_is_printed(cli: CommandLine) -> None:
    called = cli("stop", "a-1", "--no-wait", "--plain")
    assert called.out.split("\t")[:2] == ["j-1", "create"]
    assert cli.given("job") == []


def test_json_is_the_finished_job(cli: CommandLine) -> None:
    assert cli("start", "a-1", "--json").json["state"] == "succeeded"


def test_a_job_that_fails_is_an_error_with_its_reason(cli: CommandLine, answers: Answers) -> None:
    answers(job=FAILED)
    called = cli("create", "a-1")
    assert called.code == 1
    assert called.stderr.splitlines()[-2:] == ["error: no image", "hint: clawtui jobs show j-1"]


def test_on_a_terminal_there_is_a_bar(cli: CommandLine) -> None:
    called = cli("create", "a-1", terminal=True)
    assert called.code == 0
    assert "pulling" in called.stderr


def test_destroy_asks_on_a_terminal(cli: CommandLine) -> None:
    for answer, code, calls in (("n\n", 1, 0), ("\n", 1, 0), ("yes\n", 0, 1)):
        called = cli("destroy", "a-1", stdin=answer, terminal=True)
        assert called.code == code
        assert "Destroy a-1 with its workspace?" in called.stderr
        assert len(cli.given("destroy")) == calls


def test_destroy_needs_force_where_nobody_can_be_asked(cli: CommandLine) -> None:
    called = cli("destroy", "a-1", stdin="y\n")
    assert called.code == 2
    assert "clawtui destroy a-1 --force" in called.stderr
    assert cli.control.calls == []
    forced = cli("destroy", "a-1", "--force")
    assert (forced.code, forced.out) == (0, "")
    assert "a-1 is destroyed" in forced.stderr


def test_register_prints_the_token_once(cli: CommandLine) -> None:
    called = cli("register", "a-1", "--type", "t", "--capabilities", "x", "--plain")
    assert "TOKEN\tcta_secret" in called.out.splitlines()
    (request,) = cli.last("register")
    assert (request.agent_id, request.metadata) == ("a-1", RegisterMetadata(type="t", capabilities=["x"]))


def test_release_and_adopt(cli: CommandLine, answers: Answers) -> None:
    answers(adopt=AdoptAnswer(adopted=["a-1"], skipped={"b-1": "its name is taken"}))
    assert cli("release", "a-1").code == 0
    assert cli.last("release") == ("a-1",)
    assert cli("adopt", "--plain").out == "a-1\tadopted\nb-1\tits name is taken\n"
