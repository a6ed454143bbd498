"""The user documentation says what the program is: nothing missing, nothing invented, no dead link.

Verbs, their options and the settings are compared in tests/clawtui/test_docs.py.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from clawtui.cli import exits
from clawtui.cli.app import VERBS
from hub.api.answers import JSON
from hub.api.openapi import openapi_document
from hub.api.routes import LATER, ROUTES
from hub.connections import link, server
from hub.contract import TaskOptions
from hub.core import fleet
from hub.core.model import AgentStatus, Connection, Desired, Observed, TaskState
from hub.core.view import derive_status
from hub.drivers.docker.image import CA_VARIABLES, PROXY_VARIABLES
from hub.kernel import CLOSE_RESTART
from hub.metrics import METRICS, MetricSpec, Refusal
from hub.reception import CLOSE_DISK_FULL
from hub.service import CLOSE_GOING_AWAY
from runtime import verdict
from runtime.wire import FROM_AGENT, FROM_HUB, AnyTaskSpec, Message

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
TASK_TYPES: dict[str, type[Message]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyTaskSpec)}
WITH_VALUE = {"--hub", "--attach", "--open", "--token-file", "--ca-file", "--home", "--config"}
"""Options that stand before a verb and take a value."""


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row in a page, headings and rulers included."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", cell)


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {title!r}"
    return found[1]


def first_column(text: str) -> list[str]:
    return [word for cells in rows(text) for word in words(cells[0])]


def names(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


# --- links and commands ------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as the common renderers make them."""
    headings = re.findall(r"^#+ (.+)$", without_code_blocks(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_relative_link_is_dead(path: Path) -> None:
    dead: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code_blocks(path.read_text())):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            dead.append(target)
    assert dead == []


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    index, readme = page("index"), (ROOT / "README.md").read_text()
    others = [path.name for path in DOCS.glob("*.md") if path.name != "index.md"]
    assert [name for name in others if f"({name})" not in index] == []
    assert [name for name in others if f"(docs/{name}" not in readme] == []


def commands(text: str) -> Iterator[str]:
    """Everything that looks like a call in code blocks and code spans."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", without_code_blocks(text))
    for code in itertools.chain.from_iterable(part.splitlines() for part in (*blocks, *spans)):
        yield from re.findall(r"(?:^|\$ |; |\()\s*((?:clawtui|docker-agent|vm-agent|make) .+)", code)


def verb_of(command: str) -> str | None:
    """The verb of a call of ours, None where there is only an option."""
    given = iter(command.split("#")[0].split()[1:])
    for word in given:
        if word == "--serve":
            return None
        if word.split("=")[0] in WITH_VALUE:
            next(given, None)
        elif not word.startswith("-"):
            return word.strip(".,;:()'\"")
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_documented_calls_exist(path: Path) -> None:
    targets = make_targets()
    known = {*VERBS, "help", "VERB", "…", "verb"}
    for command in commands(path.read_text()):
        if command.startswith("make "):
            assert command.split()[1] in targets, command
        else:
            verb = verb_of(command)
            assert verb is None or verb in known, command


def test_the_search_for_calls_finds_them() -> None:
    found = list(commands("Say `clawtui list` or\n\n```\n$ clawtui --home /x exec web true\nmake run  # go\n```\n"))
    assert found == ["clawtui --home /x exec web true", "make run  # go", "clawtui list"]
    assert [verb_of(command) for command in (found[0], "clawtui --serve")] == ["exec", None]


def make_targets() -> set[str]:
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    return set(declared[1].split())


def test_every_make_target_is_documented() -> None:
    text = "\n".join(path.read_text() for path in PAGES)
    wanted = {target for target in make_targets() if not target.startswith("setup-")}
    assert [target for target in sorted(wanted) if not re.search(rf"\bmake {target}\b", text)] == []


def test_the_readme_begins_with_the_two_commands() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "README.md").read_text().splitlines()[2:6]]
    assert lines == ["```", "make run", "make test", "```"]


def test_the_changelog_has_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()


# --- exit codes, metrics, environment -----------------------------------------------------------------


def test_every_exit_code_is_documented() -> None:
    codes = {str(value) for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {cells[0] for cells in rows(section(page("verbs"), "clawtui")) if cells[0].isdigit()} == codes


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_metric_is_documented_as_it_is(spec: MetricSpec) -> None:
    found = [cells for cells in rows(page("metrics")) if cells[0] == f"`{spec.name}`"]
    assert found == [[f"`{spec.name}`", spec.kind.value, ", ".join(f"`{name}`" for name in spec.labels), spec.help]]


def test_no_metric_is_invented_and_every_refusal_is_named() -> None:
    text = page("metrics")
    mentioned = set(re.findall(r"\b(?:clawtui|vm_hub)_[a-z_]+", text))
    assert mentioned == {spec.name for spec in METRICS}
    assert [reason for reason in Refusal if f"`{reason.value}`" not in text] == []


def test_every_variable_of_an_agent_is_documented() -> None:
    source = (ROOT / "runtime" / "settings.py").read_text()
    read = set(re.findall(r'"((?:AGENT|HUB)_[A-Z_]+)"', source))
    assert set(first_column(section(page("settings"), "Environment of agents"))) == read


def test_every_variable_of_image_builds_is_documented() -> None:
    source = (ROOT / "hub" / "drivers" / "docker" / "image.py").read_text()
    text = section(page("settings"), "Environment of image builds")
    lower = {name for name in PROXY_VARIABLES if name.islower()}
    wanted = {*re.findall(r'"(CLAWTUI_[A-Z_]+)"', source), *CA_VARIABLES, *lower}
    assert {name.upper() for name in lower} | lower == set(PROXY_VARIABLES)
    assert [name for name in sorted(wanted) if f"`{name}`" not in text] == []


# --- tasks and agents ---------------------------------------------------------------------------------


def test_every_task_type_is_documented_and_no_other() -> None:
    headings = re.findall(r"^## `(.+)`$", page("task-types"), re.MULTILINE)
    assert sorted(headings) == sorted(TASK_TYPES)
    assert [name for name in TASK_TYPES if f"`{name}`" not in page("concepts")] == []


@pytest.mark.parametrize("name", list(TASK_TYPES))
def test_a_task_type_is_documented_with_exactly_its_fields(name: str) -> None:
    kind = TASK_TYPES[name]
    documented = [cells for cells in rows(section(page("task-types"), f"`{name}`")) if words(cells[0])]
    assert sorted(word for cells in documented for word in words(cells[0])) == sorted(names(kind))
    required = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
    assert {words(cells[0])[0] for cells in documented if cells[2] == "required"} == required


def test_the_options_of_tasks_are_documented() -> None:
    assert sorted(first_column(section(page("task-types"), "Options of every task"))) == sorted(names(TaskOptions))


def literals(folder: str, functions: set[str], keyword: str | None = None) -> set[str]:
    """Constant texts in the code below a folder: the first argument of some calls, or a keyword of any call."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            values = [one.value for one in node.keywords if keyword is not None and one.arg == keyword]
            values += node.args[:1] if called in functions else []
            found |= {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_every_error_code_of_a_task_is_documented() -> None:
    made = literals("runtime", {"TaskFailure", "TaskError"}) | literals("hub/core", {"TaskError"})
    made |= {verdict.INTERRUPTED, verdict.NOT_ENDED, "overloaded", "bad_task"}
    assert {"exit_code", "lost", "bad_cwd"} <= made
    documented = set(first_column(section(page("task-types"), "Error codes")))
    assert sorted(made - documented) == []


def test_the_words_for_tasks_and_agents_are_explained() -> None:
    text = page("concepts")
    assert [state for state in TaskState if not re.search(rf"\b{state.value}\b", text)] == []
    assert [status for status in AgentStatus if f"`{status.value}`" not in text] == []


def fits(cell: str, value: str) -> bool:
    """Whether a cell of the table of states admits a value."""
    if cell in ("any", "anything else", "X"):
        return True
    return value in re.split(r", | or ", cell.replace("(no driver)", "unmanaged"))


def test_the_table_of_an_agents_states_is_the_one_in_force() -> None:
    text = section(page("concepts"), "States of an agent")
    table = [cells for cells in rows(text) if cells[0] in ("any", "yes", "no")]
    for quarantined, desired, observed, connection in itertools.product((True, False), Desired, Observed, Connection):
        said = ("yes" if quarantined else "no", desired.value, observed.value, connection.value)
        row = next(cells for cells in table if all(map(fits, cells, said)))
        status = connection.value if row[3] == "X" else words(row[4])[0]
        assert status == derive_status(quarantined, desired, observed, connection).value, said


# --- the API and the protocol ---------------------------------------------------------------------------


def test_every_path_is_documented_with_its_role() -> None:
    documented = {tuple(cells[:2]) for cells in rows(section(page("api"), "Paths")) if words(cells[0])}
    access = {True: "open here"}
    wanted = {(f"`{one.method} {one.path}`", access.get(one.open_on_loopback, one.role.value)) for one in ROUTES}
    assert documented == wanted
    assert [later.path for later in LATER if f"`{later.path}`" not in page("api")] == []
    assert JSON in str(openapi_document("1"))


def test_every_error_code_of_the_hub_is_documented() -> None:
    made = literals("hub", {"_refused"}, "code") | {
        found
        for path in (ROOT / "hub").rglob("*.py")
        for found in re.findall(r'default_code(?:: ClassVar\[str\])? = "(\w+)"', path.read_text())
    }
    assert {"quarantined", "port_busy", "storage_full", "replayed"} <= made
    documented = {word for name in ("api", "troubleshooting") for word in words(without_code_blocks(page(name)))}
    assert sorted(made - documented) == []


@pytest.mark.parametrize("kind", sorted(FROM_AGENT | FROM_HUB))
def test_a_message_is_documented_with_exactly_its_fields(kind: str) -> None:
    (row,) = [cells for cells in rows(section(page("api"), "Messages")) if cells[0] == f"`{kind}`"]
    assert sorted(words(row[2])) == sorted(names((FROM_AGENT | FROM_HUB)[kind]))
    both = kind in FROM_AGENT and kind in FROM_HUB
    assert row[1] == ("both" if both else "agent → hub" if kind in FROM_AGENT else "hub → agent")


def test_every_close_code_is_documented() -> None:
    ours = {value for name, value in vars(fleet).items() if name.startswith("CLOSE_")}
    ours |= {CLOSE_RESTART, CLOSE_DISK_FULL, CLOSE_GOING_AWAY, link.PROTOCOL_ERROR, server.UNSUPPORTED_PROTOCOL}
    table = rows(section(page("api"), "Close codes"))
    documented = {int(code) for cells in table for code in re.findall(r"\d{4}", cells[0])}
    assert ours - documented == set()
    assert {code for code in documented if code >= 4000} == {code for code in ours if code >= 4000}
