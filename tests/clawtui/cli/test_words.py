"""Where the options of `exec` end, and what `-` means."""

from __future__ import annotations

import pytest
from cyclopts import App

from clawtui.cli.app import make_app
from clawtui.cli.words import EXEC_OPTIONS, GLOBAL_OPTIONS, STDIN, prepared, verb_position
from clawtui.cli.world import World


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exec a ls -la", "exec a -- ls -la"),
        ("exec --sudo a ls --sudo", "exec --sudo a -- ls --sudo"),
        ("exec --timeout 5 a --cwd x ls", "exec --timeout 5 a --cwd x -- ls"),
        ("exec --timeout=5 a ls", "exec --timeout=5 a -- ls"),
        ("--json --hub u exec -e A=b a env", "--json --hub u exec -e A=b a -- env"),
        ("exec a -- ls -- x", "exec a -- ls -- x"),
        ("exec -- a ls", "exec -- a ls"),
        ("exec a", "exec a"),
        ("exec", "exec"),
        ("logs exec ls -la", "logs exec ls -la"),
        ("task a -", f"task a {STDIN}"),
        ("exec a cat -", "exec a -- cat -"),
        ("message a/b -", f"message a/b {STDIN}"),
        ("gateway add g --token-file t --config=c", "gateway add g --gateway-token-file t --config-path=c"),
        ("--config c gateway sync g --config d", "--config c gateway sync g --config-path d"),
        ("gateway list --config c", "gateway list --config c"),
        ("gateway show add --config c", "gateway show add --config c"),
        ("", ""),
    ],
)
def test_our_options_end_at_the_commands_first_word(line: str, expected: str) -> None:
    assert prepared(line.split()) == expected.split()


def test_the_verb_is_the_first_word_that_is_no_options_value() -> None:
    assert verb_position(["--hub", "exec", "--json", "list"]) == 3
    assert verb_position(["--serve"]) is None
    assert verb_position(["--", "list"]) is None


def options_with_value(app: App, root: App) -> set[str]:
    return {
        name
        for argument in app.assemble_argument_collection(default_parameter=root.default_parameter)
        if argument.hint is not bool and argument.parse and argument.field_info.is_keyword
        for name in argument.names
    }


def test_the_options_with_values_are_those_that_the_parser_knows() -> None:
    app = make_app(World(environ={}))
    assert options_with_value(app["exec"], app) == EXEC_OPTIONS
    assert options_with_value(app.meta, app) == GLOBAL_OPTIONS
