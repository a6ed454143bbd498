"""network, compose, monitoring: what the hub is asked for, and what is written where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from hub.contract import (
    BuildImage,
    ComposeImage,
    CreateAgent,
    CreatedToken,
    CreateNetwork,
    CreateToken,
    ExportCompose,
    MonitoringQuery,
    NetworkQuery,
)
from hub.core.model import JobState, Role
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB, TOKEN, WHEN
from tests.hub.api.scripted_networks import EXPORT

Answers = Callable[..., None]


# --- network --------------------------------------------------------------------------------------------


def test_networks_are_listed(cli: CommandLine) -> None:
    called = cli("network", "list", "--driver", "docker")
    assert cli.last("networks") == (NetworkQuery(driver="docker"),)
    assert "ours, agents apart" in called.out
    assert cli("network", "list", "--json").json["networks"][0]["gateway"] == "10.20.0.1"


def test_a_network_is_made_with_every_option(cli: CommandLine) -> None:
    called = cli.line(
        "network create team --subnet 10.20.0.0/24 --gateway 10.20.0.1 --internal --together --driver docker"
    )
    assert called.code == 0, called.stderr
    assert cli.last("create_network") == (
        CreateNetwork(
            name="team", subnet="10.20.0.0/24", gateway="10.20.0.1", internal=True, apart=False, driver="docker"
        ),
    )
    cli("network", "create", "team")
    assert cli.last("create_network") == (CreateNetwork(name="team"),)


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_agents_are_connected_and_disconnected(cli: CommandLine, verb: str) -> None:
    called = cli("network", verb, "team", "a-1")
    assert cli.last(f"{verb}_network") == ("team", "a-1")
    assert "a-1" in called.out


def test_a_network_is_removed(cli: CommandLine) -> None:
    assert cli("network", "remove", "team").code == 0
    assert cli.last("remove_network") == ("team",)


# --- compose --------------------------------------------------------------------------------------------


def test_compose_writes_the_file_and_the_tokens(cli: CommandLine, answers: Answers, tmp_path: Path) -> None:
    out = tmp_path / "fleet"
    called = cli("compose", "a-1", "--select", "type=x", "--token-lifetime", "2h", "--out", str(out))
    assert called.code == 0, called.stderr
    assert cli.last("export_compose") == (ExportCompose(agents=["a-1"], selector="type=x", token_seconds=7200),)
    assert yaml.safe_load((out / "docker-compose.yml").read_text()) == EXPORT.document
    token = out / "tokens" / "a-1"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("ctj_secret", 0o444)
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert "b-1 is left out" in called.stderr
    assert "ctj_secret" not in called.out + called.stderr
    # An earlier export is written anew, in place: a container has the file mounted, not its name.
    answers(export_compose=replace(EXPORT, tokens={"tokens/a-1": "ctj_new"}))
    mounted = token.stat().st_ino
    assert cli("compose", "a-1", "--out", str(out)).code == 0
    assert (token.read_text(), token.stat().st_mode & 0o777, token.stat().st_ino) == ("ctj_new", 0o444, mounted)
    assert "ctj_secret" not in cli("compose", "a-1", "--out", str(out), "--json").out


def test_planned_agents_come_from_numbers_and_from_a_file(cli: CommandLine, tmp_path: Path) -> None:
    listed = tmp_path / "agents.yaml"
    listed.write_text("agents:\n- {name: x, machine: {limits: {pids: 99}}}\n- {name: y, resources: {cpus: 1}}\n")
    called = cli.line(f"compose --planned {listed} --profile p --count 2 --prefix w --out {tmp_path}/out")
    assert called.code == 0, called.stderr
    (request,) = cli.last("export_compose")
    assert [one.name for one in request.planned] == ["x", "y", "w-1", "w-2"]
    assert request.planned[0].machine == {"limits": {"pids": 99}}
    assert request.planned[3] == CreateAgent(name="w-2", profile="p")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "no agent was named"),
        ("--count 2", "needs --prefix"),
        ("--profile p", "--count is a number"),
        ("--prefix w --count 1001", "--count is a number"),
        ("a-1 --token-lifetime soon", "--token-lifetime"),
        ("--planned {0}/nosuch.json", "cannot be read"),
        ("--planned {0}/wrong.json", "nam"),
        ("--planned {0}/text.json", "is not JSON"),
    ],
)
def test_compose_refuses_what_cannot_be_meant(cli: CommandLine, tmp_path: Path, options: str, words: str) -> None:
    (tmp_path / "wrong.json").write_text('[{"nam": "a"}]')
    (tmp_path / "text.json").write_text("- a")
    called = cli.line(f"compose {options.format(tmp_path)} --out {tmp_path}/out")
    assert called.code == 2
    assert words in called.stderr
    assert cli.control.calls == []


def test_a_folder_with_other_content_is_left_alone(cli: CommandLine, tmp_path: Path) -> None:
    foreign, file, beside = tmp_path / "foreign", tmp_path / "file", tmp_path / "beside"
    foreign.mkdir()
    (foreign / "docker-compose.yml").write_text("services: {}\n")
    file.write_text("")
    assert cli("compose", "a-1", "--out", str(beside)).code == 0
    (beside / "notes.txt").write_text("mine")
    calls = len(cli.control.calls)
    for out, words in ((foreign, "docker-compose.yml"), (file, "no folder"), (beside, "notes.txt")):
        called = cli("compose", "a-1", "--out", str(out))
        assert called.code == 2
        assert words in called.stderr
    assert len(cli.control.calls) == calls
    assert (foreign / "docker-compose.yml").read_text() == "services: {}\n"


def test_images_that_are_missing_are_built_first(cli: CommandLine, answers: Answers, tmp_path: Path) -> None:
    images = [
        ComposeImage(image="openclaw-agent-p:1", profile="p", sudo=True),
        ComposeImage(image="openclaw-agent-base:1"),
        ComposeImage(image="openclaw-agent-q:1", profile="q", built=True),
    ]
    done = replace(JOB, state=JobState.SUCCEEDED, finished_at=WHEN)
    answers(export_compose=replace(EXPORT, images=images), build_profile=done, build_image=done, job=done)
    assert cli("compose", "a-1", "--out", str(tmp_path / "out")).code == 0
    assert cli.given("build_profile") == [("p", BuildImage(sudo=True))]
    assert cli.given("build_image") == [(BuildImage(),)]
    assert cli("compose", "a-1", "--no-build", "--out", str(tmp_path / "out")).code == 0
    assert len(cli.given("build_image")) == 1


@pytest.mark.parametrize("name", ["../evil", "tokens/../../evil", "{out}/evil", "tokens", "evil/x", "tokens//x"])
def test_a_hub_cannot_write_outside_of_the_folder(
    cli: CommandLine, answers: Answers, tmp_path: Path, name: str
) -> None:
    """The hub may be somebody else's."""
    place = tmp_path / "place"
    out = place / "deep" / "out"
    answers(export_compose=replace(EXPORT, tokens={name.format(out=place): "x"}))
    called = cli("compose", "a-1", "--out", str(out))
    assert (called.code, "outside of the folder" in called.stderr) == (1, True)
    assert [path for path in place.rglob("*") if path.is_file()] == []


# --- monitoring -----------------------------------------------------------------------------------------


def test_monitoring_writes_files_and_keeps_its_secrets(cli: CommandLine, answers: Answers, tmp_path: Path) -> None:
    answers(create_token=CreatedToken(token=TOKEN, secret="ctu_viewer"))
    out = tmp_path / "monitoring"
    called = cli("monitoring", "--out", str(out), "--target", "https://hub:9091")
    assert called.code == 0, called.stderr
    assert cli.last("monitoring") == (MonitoringQuery(target="https://hub:9091", token=True),)
    assert cli.last("create_token") == (CreateToken(name="monitoring", role=Role.VIEWER),)
    assert (out / "secrets" / "hub-token").read_text() == "ctu_viewer"
    assert (out / "secrets").stat().st_mode & 0o777 == 0o700
    assert (out / "prometheus" / "prometheus.yml").read_text() == "scrape_configs: []\n"
    assert yaml.safe_load((out / "docker-compose.yml").read_text())["services"]["prometheus"]
    password = (out / "secrets" / "grafana-password").read_text()
    assert len(password) >= 20
    assert cli("monitoring", "--out", str(out)).code == 0
    assert len(cli.given("create_token")) == 1
    assert (out / "secrets" / "grafana-password").read_text() == password


def test_monitoring_without_a_token_makes_none(cli: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "monitoring"
    assert cli("monitoring", "--out", str(out), "--no-token").code == 0
    assert cli.last("monitoring") == (MonitoringQuery(token=False),)
    assert cli.given("create_token") == []
    assert not (out / "secrets" / "hub-token").exists()
