"""Tables, JSON and plain text."""

from __future__ import annotations

import pytest

from clawtui.cli.output import Column, Mode, Output, age_text, cell, printable, size_text
from hub.contract import PolicyList, PolicyView
from tests.clawtui.conftest import Terminal

COLUMNS = (Column("FROM", lambda item: item.sender), Column("TO", lambda item: item.receiver, right=True))
POLICIES = [PolicyView(sender="a", receiver="b\tc\x1b[31m"), PolicyView(sender="long-name", receiver="")]
BODY = PolicyList(policies=POLICIES)


def printed(mode: Mode, *, terminal: bool = False, colour: bool = False, items: list[PolicyView] = POLICIES) -> Output:
    out = Output(mode, Terminal(terminal=terminal), Terminal(), colour=colour)
    out.listing(BODY, COLUMNS, items, "nobody")
    return out


def text(out: Output) -> str:
    assert isinstance(out.stdout, Terminal)
    return out.stdout.raw().decode()


def test_plain_text_has_tabs_between_cells_and_nowhere_else() -> None:
    assert text(printed(Mode.PLAIN)) == "a\tb c [31m\nlong-name\t\n"


def test_json_is_the_body_in_one_line_and_indented_for_people() -> None:
    one_line = text(printed(Mode.JSON))
    assert one_line.count("\n") == 1
    assert '"policies":[{"sender":"a"' in one_line
    assert text(printed(Mode.JSON, terminal=True)).count("\n") > 5


def test_a_table_has_titles_and_no_control_characters_and_is_not_cut_without_a_terminal() -> None:
    out = Output(Mode.TABLE, Terminal(), Terminal(), colour=False)
    wide = [PolicyView(sender="x" * 300, receiver="\x1b[2Jevil")]
    out.listing(BODY, COLUMNS, wide)
    assert "FROM" in text(out)
    assert "x" * 300 in text(out)
    assert "\x1b" not in text(out)


def test_colour_only_where_it_is_wanted() -> None:
    columns = (Column("STATUS", lambda item: item),)
    for colour in (True, False):
        out = Output(Mode.TABLE, Terminal(terminal=True), Terminal(), colour=colour)
        out.listing(None, columns, ["online"])
        assert ("\x1b[32m" in text(out)) is colour


def test_nothing_is_narrated_and_is_no_data() -> None:
    out = printed(Mode.TABLE, items=[])
    assert text(out) == ""
    assert isinstance(out.stderr, Terminal)
    assert out.stderr.raw() == b"nobody\n"


def test_a_record_has_a_line_per_field() -> None:
    for mode, expected in ((Mode.PLAIN, "FROM\tlong-name\nTO\t\n"), (Mode.TABLE, "FROM  long-name\n")):
        out = Output(mode, Terminal(), Terminal(), colour=False)
        out.record(POLICIES[1], COLUMNS, POLICIES[1])
        assert text(out) == expected


def test_cells() -> None:
    assert [cell(value) for value in (None, True, False, ["a", 1], {"k": "v"}, 0)] == [
        "",
        "yes",
        "no",
        "a,1",
        "k=v",
        "0",
    ]
    assert printable("a\x00b\u202ec\nd é") == "a b c d é"


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (10 * 1024**2, "10M"), (1.5 * 1024**3, "1.5G"), (3 * 1024**4, "3.0T")],
)
def test_sizes(size_bytes: float, shown: str) -> None:
    assert size_text(size_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0s"), (59.9, "59s"), (60, "1m00s"), (3661, "1h01m"), (90_000, "1d01h")]
)
def test_ages(seconds: float, shown: str) -> None:
    assert age_text(seconds) == shown
