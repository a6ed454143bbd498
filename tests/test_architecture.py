"""The house rules that a machine can check: import directions, sizes, and what a start-up loads."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("clawtui", "hub", "runtime", "profiles")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES_LIMIT = 300
SCREEN_LINES_LIMIT = 400
FUNCTION_LINES_LIMIT = 40

VOCABULARIES = {"hub/contract.py", "runtime/wire.py"}
"""Files of declarations only, one vocabulary each: cutting them would spread it without making anything simpler."""

CORE_MAY_IMPORT = {
    "__future__", "abc", "bisect", "collections", "copy", "dataclasses", "datetime", "enum", "functools", "hashlib",
    "heapq", "hmac", "itertools", "json", "math", "msgspec", "operator", "re", "string", "types", "typing",
    "hub.contract", "hub.core", "hub.errors", "runtime.wire",
}  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports_of(path: Path) -> Iterator[str]:
    """Every module that the file imports, also inside functions and under ``if TYPE_CHECKING``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute"
            assert node.module is not None
            # `from hub import contract` names a module; below the top level the package in front is enough to judge.
            if node.module in PACKAGES:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_import_contracts_hold() -> None:
    """Every contract in pyproject.toml is kept."""
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "hub" / "core").rglob("*.py")), ids=name_of)
def test_core_imports_only_value_types(path: Path) -> None:
    """What is not on the list is not allowed, so a new source of I/O needs no new rule."""
    allowed = {
        name for name in imports_of(path) if any(name == may or name.startswith(f"{may}.") for may in CORE_MAY_IMPORT)
    }
    assert set(imports_of(path)) - allowed == set()


def test_the_command_line_loads_neither_the_screen_nor_the_server() -> None:
    """Importing ``clawtui.cli.app`` stays cheap: a verb pays for neither Textual nor the HTTP server."""
    script = (
        "import sys, clawtui.cli.app; "
        "print(*sorted({'textual', 'aiohttp', 'aiosqlite', 'docker', 'hub.service', 'hub.api'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


@pytest.mark.parametrize("module", ["runtime.__main__", "hub.core.dispatch"])
def test_a_leaf_loads_without_the_rest(module: str) -> None:
    """The runtime must work where only its folder exists; the core must load without the hub's libraries."""
    script = (
        f"import sys, {module}; "
        "print(*sorted({'textual', 'aiohttp', 'docker', 'hub.service', 'clawtui', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(path: Path) -> int:
    """Lines that hold code: blank lines, comments and docstrings do not count against a file."""
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in NO_CODE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            case _:
                pass
    return len(lines)


@pytest.mark.parametrize("path", [path for path in SOURCES if name_of(path) not in VOCABULARIES], ids=name_of)
def test_files_stay_small(path: Path) -> None:
    """A file over the limit holds a second concept."""
    assert code_lines(path) <= (SCREEN_LINES_LIMIT if "screens" in path.parts else FILE_LINES_LIMIT)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its decorators and docstring."""
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    return length - (((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1) if docstring else 0)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_stay_small(path: Path) -> None:
    functions = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    long = {
        function.name: body_lines(function) for function in functions if body_lines(function) > FUNCTION_LINES_LIMIT
    }
    assert long == {}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_suppressions_name_their_rule(path: Path) -> None:
    """``# type: ignore``, ``# noqa`` and ``# pyright: ignore`` say which rule they silence."""
    with path.open("rb") as file:
        comments = [token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    bare = [text for text in comments if text.endswith(("type: ignore", "noqa", "pyright: ignore"))]
    assert bare == []


POLL_SECONDS_LIMIT = 0.05
"""The pause of a poll helper that has a deadline."""


def pause_seconds(node: ast.AST) -> float:
    """The fixed number of seconds that this call sleeps; 0.0 for anything else."""
    match node:
        case ast.Call(func=ast.Attribute(attr="sleep"), args=[ast.Constant(value=int() | float() as seconds)]):
            return float(seconds)
        case _:
            return 0.0


def test_tests_do_not_sleep() -> None:
    """A test waits for a condition; a fixed pause is either too short or too long.

    Benchmarks are no tests: they pause between measurements, and their simulated agents as real ones do.
    """
    pauses = [
        f"{name_of(path)}:{node.lineno}"
        for path in TESTS
        if ROOT / "tests" / "bench" not in path.parents
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and pause_seconds(node) > POLL_SECONDS_LIMIT
    ]
    assert pauses == []


def test_tests_do_not_patch_our_code() -> None:
    patched = [name_of(path) for path in TESTS if any(name.startswith("unittest.mock") for name in imports_of(path))]
    assert patched == []


def test_the_image_installs_what_was_tested() -> None:
    """The runtime's libraries inside the image have the versions of constraints.txt."""

    def pins(path: Path) -> set[str]:
        return {line for line in path.read_text().splitlines() if "==" in line}

    assert pins(ROOT / "runtime" / "image" / "requirements.txt") <= pins(ROOT / "constraints.txt")
