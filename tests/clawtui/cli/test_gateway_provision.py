"""gateway provision, tiers, start, stop, destroy, logs: where keys come from, what is asked, what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.contract import DestroyGateway, DestroyPlan, GatewayAct, ProblemView, TierList, TierView
from hub.errors import BadRequest
from tests.clawtui.conftest import CommandLine

Answers = Callable[..., None]
KEY = "sk-ant-abcdefghijklmnopqrstuvwxyz"


def test_keys_come_from_files_and_stdin(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    words = (
        "gateway",
        "provision",
        "acme",
        "--tier",
        "free",
        "--key",
        f"ANTHROPIC_API_KEY=@{file}",
        "--key",
        "OTHER_KEY=-",
    )
    called = cli(*words, "--no-wait", stdin="from-stdin-123\n")
    assert called.code == 0, called.stderr
    (request,) = cli.last("provision_gateway")
    assert request.keys == {"ANTHROPIC_API_KEY": KEY, "OTHER_KEY": "from-stdin-123"}
    assert (request.name, request.tier) == ("acme", "free")
    assert KEY not in called.out + called.stderr


@pytest.mark.parametrize("value", [f"ANTHROPIC_API_KEY={KEY}", f"={KEY}"])
def test_a_key_in_the_command_is_refused_and_not_repeated(cli: CommandLine, value: str) -> None:
    called = cli("gateway", "provision", "acme", "--key", value)
    assert called.code == 2
    assert "process lists" in called.stderr
    assert KEY not in called.stderr
    assert cli.given("provision_gateway") == []


@pytest.mark.parametrize("content", ["", "x" * 5000])
def test_a_file_that_holds_no_key(cli: CommandLine, tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    called = cli("gateway", "provision", "acme", "--key", f"SOME_KEY=@{tmp_path / 'key'}")
    assert called.code == 2
    assert "SOME_KEY" in called.stderr
    called = cli("gateway", "provision", "acme", "--key", f"SOME_KEY=@{tmp_path / 'none'}")
    assert "cannot be read" in called.stderr
    assert "nobody is here" in cli("gateway", "provision", "acme", "--key", "SOME_KEY").stderr
    assert cli.given("provision_gateway") == []


def test_the_token_is_shown_once_and_json_has_it_too(cli: CommandLine) -> None:
    called = cli("gateway", "provision", "acme", "--no-wait")
    (made,) = [cli.control.answers["provision_gateway"]]
    assert made.credentials.token in called.out
    assert "shown once" in called.stderr
    assert cli("gateway", "provision", "acme", "--json").json["credentials"]["token"] == made.credentials.token


def test_a_gateways_own_token_and_configuration_come_from_files(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-of-our-own-1")
    (tmp_path / "more.json").write_text(json.dumps({"agents": {"defaults": {}}}))
    called = cli(
        "gateway", "provision", "acme", "--gateway-token", f"@{tmp_path / 'token'}", "--with",
        str(tmp_path / "more.json"), "--no-wait",
    )  # fmt: skip
    assert called.code == 0, called.stderr
    (request,) = cli.last("provision_gateway")
    assert (request.gateway_token, request.config) == ("a-token-of-our-own-1", {"agents": {"defaults": {}}})
    (tmp_path / "more.json").write_text("[1]")
    assert cli("gateway", "provision", "acme", "--with", str(tmp_path / "more.json")).code == 2


def test_every_wrong_field_is_printed(cli: CommandLine, answers: Answers) -> None:
    error = BadRequest("it is no name", field="name")
    error.problems = (("name", "it is no name", "a-z"), ("keys.SOME_KEY", "is empty", ""))
    answers(provision_gateway=error)
    called = cli("gateway", "provision", "X")
    assert called.code == 2
    assert "name: it is no name" in called.stderr
    assert "keys.SOME_KEY: is empty" in called.stderr


def test_tiers_are_listed_and_a_wrong_one_is_a_failure(cli: CommandLine, answers: Answers) -> None:
    right = TierView(name="pro", source="built-in", valid=True, cpus=2.0, memory_bytes=2 * 2**30, model="a/opus")
    wrong = TierView(
        name="gold", source="user", valid=False, problems=[ProblemView(field="cpus", message="is missing")]
    )
    answers(tiers=TierList(tiers=[right, wrong]))
    called = cli("gateway", "tiers", "--plain")
    assert called.code == 1
    assert "cpus: is missing" in called.out
    answers(tiers=TierList(tiers=[right]))
    assert cli("gateway", "tiers").code == 0


@pytest.mark.parametrize("act", list(GatewayAct))
def test_acts(cli: CommandLine, act: GatewayAct) -> None:
    assert cli("gateway", act.value, "acme", "--no-wait").code == 0
    assert cli.last("act_on_gateway") == ("acme", act)


def test_destroy_shows_what_goes_and_wants_the_name_typed(cli: CommandLine, answers: Answers) -> None:
    answers(
        plan_destroy_gateway=DestroyPlan(name="acme", objects=["container openclaw-cell-acme"], data=True, backups=2)
    )
    called = cli("gateway", "destroy", "acme", "--no-wait", stdin="y\n", terminal=True)
    assert called.code == 1
    assert "openclaw-cell-acme" in called.out
    assert "2 backups stay" in called.stderr
    assert cli.given("destroy_gateway") == []
    assert cli("gateway", "destroy", "acme", "--no-wait", stdin="acme\n", terminal=True).code == 0
    assert cli.last("destroy_gateway") == ("acme", DestroyGateway(data=True))
    assert cli("gateway", "destroy", "acme").code == 2
    assert cli("gateway", "destroy", "acme", "--plan").code == 0
    assert cli("gateway", "destroy", "acme", "--force", "--backups", "--no-wait").code == 0
    assert cli.last("destroy_gateway") == ("acme", DestroyGateway(data=True, backups=True))


def test_logs(cli: CommandLine) -> None:
    called = cli("gateway", "logs", "acme", "-n", "0")
    assert called.code == 0, called.stderr
    name, query = cli.last("gateway_logs")
    assert (name, query.lines) == ("acme", None)
