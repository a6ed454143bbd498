"""What single answers mean, without any network."""

from __future__ import annotations

import pytest

from hub.contract import GatewayState
from hub.gateways import looks
from hub.gateways.looks import Reply

JSON = "application/json; charset=utf-8"


def reply(body: str, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, content_type, body.encode())


@pytest.mark.parametrize(
    "answer",
    [
        reply("<html>", content_type="text/html"),
        reply('{"ready": true}', content_type="text/html"),
        reply('{"ready": "yes"}'),
        reply("[]"),
        reply("{"),
        reply("", 502),
        reply("[" * 100_000),
    ],
    ids=["page", "json as page", "other value", "list", "cut", "no body", "deep"],
)
def test_what_is_no_answer_of_readyz_says_nothing(answer: Reply) -> None:
    assert looks.readiness(answer) is None


def test_a_status_of_200_that_says_not_ready_is_not_ready() -> None:
    found = looks.readiness(reply('{"ready": false, "failing": []}'))

    assert found is not None
    assert found.state is GatewayState.NOT_READY


def test_alive_without_readyz_is_not_ready() -> None:
    found = looks.liveness(reply('{"ok": true, "status": "live"}'), reply("", 404))

    assert found.state is GatewayState.NOT_READY
    assert "HTTP 404" in found.reason


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply('{"ok": true, "status": "started", "version": "2026.8.2"}'), ("2026.8.2", False)),
        (reply('{"ok": true}'), ("", False)),
        (reply('{"ok": true, "version": "a\\u0007b"}'), ("", False)),
        (reply("<html>", content_type="text/html"), ("", True)),
        (reply("", 404), ("", False)),
    ],
)
def test_the_version(answer: Reply, expected: tuple[str, bool]) -> None:
    assert looks.startup(answer) == expected


def test_models_that_are_no_agents_are_no_slugs() -> None:
    models = '{"data": [{"id": "openclaw"}, {"id": "openclaw/default"}, {"id": "openclaw/qa"}, {"id": 7}, 3]}'

    assert looks.roster(reply(models)) == (("qa",), None)


def test_basic_auth_of_a_proxy_is_a_refusal() -> None:
    found = looks.readiness(reply("<html>401</html>", 401, "text/html"))

    assert found is not None
    assert found.state is GatewayState.REFUSED


def test_what_a_gateway_says_of_itself_steers_no_terminal() -> None:
    found = looks.refusal(reply('{"error": {"message": "no\\u001b[31m way"}}', 403))

    assert found is not None
    assert "\x1b" not in found.reason
    assert "way" in found.reason
