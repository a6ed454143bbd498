"""gateway ingress: what is shown of the reverse proxy, and how the verbs end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from hub.contract import GatewayState, IngressRoute, IngressView
from hub.errors import Conflict
from tests.clawtui.conftest import CommandLine

Answers = Callable[..., None]

ROUTE = IngressRoute(gateway="acme", domain="acme.example.com", upstream="127.0.0.1:19100", state=GatewayState.READY)
VIEW = IngressView(
    kind="caddy",
    config_path="/s/gateways.caddy",
    applied_at="2026-01-02T03:04:05Z",
    routes=[ROUTE],
    text="# a\nb {\n}\n",
)


def test_names_are_shown_with_where_they_lead(cli: CommandLine, answers: Answers) -> None:
    answers(ingress=VIEW)
    called = cli("gateway", "ingress", "show")
    assert called.code == 0
    for text in ("acme.example.com", "127.0.0.1:19100", "ready"):
        assert text in called.out
    assert "/s/gateways.caddy" in called.stderr
    assert cli("gateway", "ingress", "show", "--json").json["routes"][0]["domain"] == "acme.example.com"
    answers(ingress=IngressView(hint="set ingress = caddy"))
    called = cli("gateway", "ingress", "show")
    assert (called.code, "no reverse proxy" in called.stderr) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(VIEW, problem="Caddy refuses: so it is", hint="mend it"),
        replace(VIEW, routes=[replace(ROUTE, state=GatewayState.DOWN, problem="so it is")]),
    ],
)
def test_show_and_apply_end_with_one_where_something_is_wrong(
    cli: CommandLine, answers: Answers, wrong: IngressView
) -> None:
    answers(ingress=wrong, apply_ingress=wrong)
    for verb in ("show", "apply"):
        called = cli("gateway", "ingress", verb)
        assert called.code == 1
        assert "so it is" in called.out + called.stderr


def test_what_the_proxy_refuses_is_said_in_its_words(cli: CommandLine, answers: Answers) -> None:
    answers(apply_ingress=Conflict("Caddy refuses: port 80", code="ingress_refused", hint="free it"))
    called = cli("gateway", "ingress", "apply")
    assert called.code == 1
    assert "Caddy refuses: port 80" in called.stderr
    assert "free it" in called.stderr


def test_the_configuration_is_printed_as_it_is(cli: CommandLine, answers: Answers) -> None:
    answers(ingress=VIEW)
    assert cli("gateway", "ingress", "config").out == "# a\nb {\n}\n"
