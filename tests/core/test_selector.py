"""Selectors: which agents an expression names, and where one cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.contract import AgentView, Lifecycle
from hub.core.model import AgentStatus, Connection, Desired, Observed
from hub.core.selector import Term, parse_selector, selects
from hub.errors import BadRequest

AGENT = AgentView(
    id="a1",
    uid="u",
    status=AgentStatus.ONLINE,
    lifecycle=Lifecycle(desired=Desired.RUNNING, observed=Observed.RUNNING),
    connection=Connection.ONLINE,
    type="builder",
    driver="docker",
    profile="node",
    capabilities=["git", "gpu"],
    labels={"team": "red", "empty": ""},
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("*", True),
        (" * ", True),
        ("id=a1", True),
        ("id=a", False),
        ("id!=a2", True),
        ("type=builder", True),
        ("status=online driver=docker,profile=node", True),
        ("status=offline", False),
        ("git", True),
        ("capability=gpu", True),
        ("capability!=tpu", True),
        ("docker", False),
        ("team=red", True),
        ("team!=red", False),
        ("nosuch=x", False),
        ("nosuch!=x", True),
        ("empty=", True),
        ("type=builder team!=red", False),
        ("type=builder,\tteam=red\n git", True),
    ],
)
def test_which_agents_a_selector_names(text: str, fits: bool) -> None:
    assert selects(parse_selector(text), AGENT) is fits


@pytest.mark.parametrize("text", ["", "   ", "=x", "!=x", "a=b =c", "!a", ", ,"])
def test_what_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_selector(text)
    assert refused.value.field == "selector"
    assert refused.value.hint


def test_terms_are_kept_in_order() -> None:
    assert parse_selector("type=x gpu team!=red") == (
        Term("type", "x"),
        Term("", "gpu"),
        Term("team", "red", negated=True),
    )


@given(st.text(max_size=40))
def test_any_text_is_terms_or_a_bad_request(text: str) -> None:
    try:
        terms = parse_selector(text)
    except BadRequest:
        return
    assert terms or text.strip() == "*"
    selects(terms, AGENT)
