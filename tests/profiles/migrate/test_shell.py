"""Shell text cut into commands, and what each calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.migrate.shell import call_of, join, short, split


@pytest.mark.parametrize(("text", "units"), [
    ("a", ["a"]),
    ("a && b; c\nd", ["a", "b", "c", "d"]),
    ("a | b || c && d", ["a | b || c", "d"]),
    ("echo 'x && y; z' && b", ["echo 'x && y; z'", "b"]),
    ('echo "x \\" && y" ; b', ['echo "x \\" && y"', "b"]),
    ("a $(b; c) && d", ["a $(b; c)", "d"]),
    ("a \\\n  b", ["a     b"]),
    ("a 2>&1 && b &>f", ["a 2>&1", "b &>f"]),
    ("a # b && c\nd", ["a", "d"]),
    ("# only words", []),
    ("a <<< 'x'", ["a <<< 'x'"]),
    ("  \n ; ", []),
])  # fmt: skip
def test_a_list_is_cut_where_a_shell_cuts_it(text: str, units: list[str]) -> None:
    found = split(text)
    assert found is not None
    assert [unit.text for unit in found] == units


@pytest.mark.parametrize("text", [
    "if a; then b; fi", "for x in y; do z; done", "(a; b)", "{ a; }", "f() { a; }", "cat <<EOF\nx\nEOF", "a &", "a & b",
    "echo 'x", "a $(b", "while read x; do y; done", "case x in y) z;; esac", "[[ -f x ]] && y", "a |& b", "! a",
])  # fmt: skip
def test_what_is_more_than_a_list_is_not_cut(text: str) -> None:
    assert split(text) is None


@given(st.text())
def test_no_text_is_too_much(text: str) -> None:
    for unit in split(text) or ():
        for piece in unit.pieces:
            call_of(piece)
    assert len(short(text)) <= 80


@pytest.mark.parametrize(("piece", "user", "text"), [
    ("npm install -g x", "", "npm install -g x"),
    ("sudo npm i", "", "npm i"),
    ("sudo -E -H npm i", "", "npm i"),
    ("sudo -u postgres createdb x", "postgres", "createdb x"),
    ("sudo -iu postgres createdb x", "postgres", "createdb x"),
    ("sudo -Hu postgres createdb x", "postgres", "createdb x"),
    ("su -c 'createdb x' postgres", "postgres", "createdb x"),
    ("su - -c \"createdb x\" postgres", "postgres", "createdb x"),
    ("sudo --user=deploy -H touch a", "deploy", "touch a"),
    ("su - deploy -c 'touch a'", "deploy", "touch a"),
    ("sudo su - postgres -c \"psql -c 'x'\"", "postgres", "psql -c 'x'"),
    ("runuser -u deploy -- touch a", "deploy", "touch a"),
    ("sudo", "", "sudo"),
])  # fmt: skip
def test_a_call_knows_who_runs_it(piece: str, user: str, text: str) -> None:
    call = call_of(piece)
    assert (call.user, call.text) == (user, text)


def test_variables_before_a_command_stay() -> None:
    call = call_of("A=1 sudo DEBIAN_FRONTEND=noninteractive apt-get -y install x")
    assert call.assignments == "A=1 DEBIAN_FRONTEND=noninteractive "
    assert call.name == "apt-get"
    assert call.plain() == ("install", "x")


def test_units_are_put_together_again() -> None:
    assert join([("a", ""), ("b", "&&"), ("c", ";"), ("d", "\n")]) == "a && b\nc\nd"


@pytest.mark.parametrize(("text", "shown"), [
    ("psql -c \"CREATE USER x PASSWORD 'y'\"", 'psql -c "CREATE USER x PASSWORD ***"'),
    ("createdb postgres://a:b@c/d", "createdb postgres://a:***@c/d"),
    ("mysql --password=x -e y", "mysql --password=*** -e y"),
    ("echo a:b | chpasswd", "echo *** | chpasswd"),
    ("a\tb\n c", "a b c"),
])  # fmt: skip
def test_a_command_is_named_without_its_passwords(text: str, shown: str) -> None:
    assert short(text) == shown
