"""Every verb, option and setting is documented where a user looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from clawtui.cli.app import VERBS, make_app
from clawtui.cli.later import LATER_OPTIONS
from clawtui.cli.world import World
from clawtui.settings import SPECS, Spec

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROOT = make_app(World(environ={}))


def sections() -> dict[str, str]:
    """The text below each heading of the verbs' page, by heading."""
    parts = re.split(r"^#+ (.+)$", (DOCS / "verbs.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options(app: App) -> set[str]:
    arguments = app.assemble_argument_collection(default_parameter=ROOT.default_parameter)
    shown = [argument for argument in arguments if argument.parse and argument.field_info.is_keyword and argument.show]
    return {name for argument in shown for name in argument.names}


def apps() -> Iterator[tuple[str, App]]:
    """Every verb and every verb below a verb that does something."""
    for verb in VERBS:
        yield from apps_below(verb, ROOT[verb])


def apps_below(verb: str, app: App) -> Iterator[tuple[str, App]]:
    below = [name for name in app if not name.startswith("-")]
    if app.default_command is not None or not below:
        yield verb, app
    for name in below:
        yield from apps_below(f"{verb} {name}", app[name])


def documented_options(text: str) -> set[str]:
    """The options in the first column of a section's tables."""
    rows = re.findall(r"^\| (`-[^|]*) \|", text, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(-[^`]*)`", row)}


@pytest.mark.parametrize(("verb", "app"), list(apps()), ids=[verb for verb, _ in apps()])
def test_a_verb_is_documented_with_exactly_its_options(verb: str, app: App) -> None:
    text = sections()[verb]
    assert f"`clawtui {verb}" in text
    assert documented_options(text) == options(app)


def test_the_options_without_a_verb_and_of_every_verb_are_documented() -> None:
    expected = options(ROOT) | options(ROOT.meta) | {"--version", "--help", "-h"}
    assert documented_options(sections()["clawtui"]) == expected


def test_nothing_is_documented_that_does_not_exist() -> None:
    groups = {verb for verb in VERBS if any(not name.startswith("-") for name in ROOT[verb])}
    known = {verb for verb, _ in apps()} | groups | {"clawtui", "help", "Verbs", "Not available in this version"}
    assert set(sections()) == known


def test_what_comes_later_is_named() -> None:
    text = sections()["Not available in this version"]
    assert [name for name in LATER_OPTIONS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("spec", list(SPECS.values()), ids=list(SPECS))
def test_a_setting_is_documented_as_it_is(spec: Spec) -> None:
    rows = [line for line in (DOCS / "settings.md").read_text().splitlines() if line.startswith(f"| `{spec.name}` |")]
    assert len(rows) == 1
    *cells, what = (cell.strip() for cell in rows[0].strip("|").split("|"))
    _, kind, default, variable, option = (cell.strip("`") for cell in cells)
    assert (kind, variable, option, what) == (spec.kind, spec.env, spec.flag, spec.row.help)
    assert spec.row.parse(default) == spec.default or (default == "" and not spec.default)


def test_settings_with_a_flag_have_the_flag() -> None:
    flags = options(ROOT) | options(ROOT.meta)
    assert [spec.flag for spec in SPECS.values() if spec.flag and spec.flag not in flags] == []
