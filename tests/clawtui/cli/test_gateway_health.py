"""gateway health: what the hub is asked for, and figures as people and programs read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from clawtui.cli.gateway_health import share
from hub.contract import (
    GatewayCheck,
    GatewayFigures,
    GatewayHealth,
    GatewayHealthList,
    GatewayHealthQuery,
    GatewayState,
)
from tests.clawtui.conftest import CommandLine

Answers = Callable[..., None]
AT = "2026-01-02T03:04:05.000Z"
FIGURES = GatewayFigures(
    checks=200, since=AT, pass_rate=0.9999, response_ms=12.4, response_p50_ms=11.0, response_p95_ms=30.6,
    deploy_seconds=64.0, restarts=2, restart_success_rate=0.5,
)  # fmt: skip
CHECKS = [
    GatewayCheck(at=AT, state=GatewayState.READY, healthy=True, response_ms=11.2),
    GatewayCheck(at=AT, state=GatewayState.WEDGED, healthy=False, reason="it takes connections"),
]
MAIN = GatewayHealth(name="main", state=GatewayState.READY, figures=FIGURES, checks=CHECKS)
NEW = GatewayHealth(name="new", state=GatewayState.WEDGED, figures=GatewayFigures())
TWO = GatewayHealthList(gateways=[MAIN, NEW], fleet=replace(FIGURES, checks=201))


def test_figures_are_shown_of_each_and_of_all(cli: CommandLine, answers: Answers) -> None:
    answers(gateway_health=TWO)
    called = cli("gateway", "health")
    assert called.code == 0
    assert cli.last("gateway_health") == (GatewayHealthQuery(),)
    for text in ("PASS", "99.9%", "12 ms", "31 ms", "50.0%", "1m04s", "wedged", "(all)"):
        assert text in called.out
    assert "it takes connections" not in called.out
    lines = [line.split("\t") for line in cli("gateway", "health", "--plain").out.splitlines()]
    assert lines[0][:4] == ["main", "ready", "200", "99.9%"]
    assert lines[1][:5] == ["new", "wedged", "0", "", ""]
    assert lines[2][:3] == ["(all)", "", "201"]


def test_one_gateway_is_all_that_there_is_to_say(cli: CommandLine, answers: Answers) -> None:
    answers(gateway_health=GatewayHealthList(gateways=[MAIN], fleet=FIGURES))
    assert "(all)" not in cli("gateway", "health", "main").out


def test_options_are_passed_on_and_checks_are_shown(cli: CommandLine, answers: Answers) -> None:
    answers(gateway_health=TWO)
    called = cli("gateway", "health", "main", "new", "--checks", "2", "--since", "7d")
    assert cli.last("gateway_health") == (GatewayHealthQuery(names="main,new", since="7d", checks=2),)
    assert "it takes connections" in called.out
    assert "99.9%" in called.out
    plain = cli("gateway", "health", "--checks", "2", "--plain").out.splitlines()
    assert [line.split("\t")[:4] for line in plain] == [["main", AT, "ready", "yes"], ["main", AT, "wedged", "no"]]
    told = cli("gateway", "health", "--checks", "2", "--json").json
    assert told["gateways"][0]["checks"][1]["state"] == "wedged"
    assert told["fleet"]["checks"] == 201


def test_looking_now_ends_with_how_they_are(cli: CommandLine, answers: Answers) -> None:
    answers(gateway_health=TWO)
    assert cli("gateway", "health").code == 0
    assert cli("gateway", "health", "--now").code == 1
    assert cli.last("gateway_health") == (GatewayHealthQuery(now=True),)
    answers(gateway_health=GatewayHealthList(gateways=[MAIN], fleet=FIGURES))
    assert cli("gateway", "health", "--now").code == 0


@pytest.mark.parametrize("number", ["-1", "1001"])
def test_too_many_checks_are_refused(cli: CommandLine, number: str) -> None:
    called = cli("gateway", "health", f"--checks={number}")
    assert called.code == 2
    assert "--checks is 0 to 1,000" in called.stderr


def test_what_is_not_all_is_never_shown_as_all() -> None:
    assert [share(value) for value in (None, 0.0, 0.5, 0.99999, 1.0)] == [None, "0.0%", "50.0%", "99.9%", "100%"]


def test_no_gateway_is_no_table(cli: CommandLine, answers: Answers) -> None:
    answers(gateway_health=GatewayHealthList(gateways=[], fleet=GatewayFigures()))
    assert "clawtui gateway add" in cli("gateway", "health").stderr
