"""Reads the closing summary of common test runners. Pure.

Each reader looks for what its runner prints last; the reader whose summary ends latest in the text
wins, because a wrapper's own summary comes after that of what it wraps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec


class TestSummary(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Counts of one test run. `failed` contains errors; `duration_seconds` where the runner says it."""

    __test__ = False  # not a pytest class
    runner: str
    passed: int = msgspec.field(default=0)
    failed: int = msgspec.field(default=0)
    skipped: int = msgspec.field(default=0)
    total: int = msgspec.field(default=0)
    duration_seconds: float | None = None


_Found = tuple[int, TestSummary]
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_COUNTED: Final = re.compile(r"(\d+) ([a-z]+)")


def read_summary(text: str) -> TestSummary | None:
    """Return the counts in the closing summary, or None when no known runner wrote one."""
    plain = _ESCAPES.sub("", text)
    found = [result for reader in _READERS if (result := reader(plain)) is not None]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _summary(
    runner: str, *, passed: int = 0, failed: int = 0, skipped: int = 0, seconds: float | None = None
) -> TestSummary:
    return TestSummary(runner, passed, failed, skipped, passed + failed + skipped, seconds)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches = list(pattern.finditer(text))
    return matches[-1] if matches else None


_PYTEST: Final = re.compile(
    r"^=*[ ]*((?:\d+ (?:failed|passed|skipped|deselected|xfailed|xpassed|warnings?|errors?|rerun|subtests passed)"
    r"(?:, )?)+|no tests ran) in ([\d.]+)s",
    re.MULTILINE,
)


def _pytest(text: str) -> _Found | None:
    match = _last(_PYTEST, text)
    if match is None:
        return None
    counts = {word: int(number) for number, word in _COUNTED.findall(match[1])}
    errors = counts.get("error", 0) + counts.get("errors", 0)
    return match.end(), _summary(
        "pytest",
        passed=counts.get("passed", 0) + counts.get("xpassed", 0),
        failed=counts.get("failed", 0) + errors,
        skipped=counts.get("skipped", 0) + counts.get("xfailed", 0),
        seconds=float(match[2]),
    )


_UNITTEST: Final = re.compile(
    r"^Ran (\d+) tests? in ([\d.]+)s\s+^(OK|FAILED|NO TESTS RAN)(?: \(([^)\n]*)\))?", re.MULTILINE
)


def _unittest(text: str) -> _Found | None:
    match = _last(_UNITTEST, text)
    if match is None:
        return None
    counts = {name.strip(): int(number) for name, number in re.findall(r"([a-z ]+)=(\d+)", match[4] or "")}
    failed = counts.get("failures", 0) + counts.get("errors", 0) + counts.get("unexpected successes", 0)
    skipped = counts.get("skipped", 0) + counts.get("expected failures", 0)
    passed = max(int(match[1]) - failed - skipped, 0)
    return match.end(), _summary("unittest", passed=passed, failed=failed, skipped=skipped, seconds=float(match[2]))


_JEST: Final = re.compile(r"^Tests:\s+((?:\d+ [a-z]+, )*\d+ total)", re.MULTILINE)
_VITEST: Final = re.compile(r"^\s*Tests\s+((?:\d+ [a-z]+(?: \| )?)+) \((\d+)\)", re.MULTILINE)


def _jest(text: str) -> _Found | None:
    return _word_counts("jest", _last(_JEST, text))


def _vitest(text: str) -> _Found | None:
    return _word_counts("vitest", _last(_VITEST, text))


def _word_counts(runner: str, match: re.Match[str] | None) -> _Found | None:
    if match is None:
        return None
    counts = {word: int(number) for number, word in _COUNTED.findall(match[1])}
    skipped = counts.get("skipped", 0) + counts.get("todo", 0) + counts.get("pending", 0)
    return match.end(), _summary(
        runner, passed=counts.get("passed", 0), failed=counts.get("failed", 0), skipped=skipped
    )


_MOCHA: Final = re.compile(
    r"^\s*(\d+) passing \(([\d.]+)(ms|s|m)\)(?:\s*^\s*(\d+) pending)?(?:\s*^\s*(\d+) failing)?", re.MULTILINE
)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _mocha(text: str) -> _Found | None:
    match = _last(_MOCHA, text)
    if match is None:
        return None
    return match.end(), _summary(
        "mocha",
        passed=int(match[1]),
        skipped=int(match[4] or 0),
        failed=int(match[5] or 0),
        seconds=float(match[2]) * _UNITS[match[3]],
    )


_NODE: Final = re.compile(
    r"^(?:ℹ|#) tests (\d+)\n(?:(?:ℹ|#) suites \d+\n)?(?:ℹ|#) pass (\d+)\n(?:ℹ|#) fail (\d+)\n"  # noqa: RUF001 - what node prints
    r"(?:ℹ|#) cancelled (\d+)\n(?:ℹ|#) skipped (\d+)\n(?:ℹ|#) todo (\d+)\n(?:ℹ|#) duration_ms ([\d.]+)",  # noqa: RUF001
    re.MULTILINE,
)


def _node(text: str) -> _Found | None:
    match = _last(_NODE, text)
    if match is None:
        return None
    return match.end(), _summary(
        "node",
        passed=int(match[2]),
        failed=int(match[3]) + int(match[4]),
        skipped=int(match[5]) + int(match[6]),
        seconds=float(match[7]) / 1000,
    )


_GO_PACKAGE: Final = re.compile(r"^(?:ok|FAIL)\s+\S+\s+(?:([\d.]+)s|\(cached\)|\[build failed\])", re.MULTILINE)
_GO_TEST: Final = re.compile(r"^\s*--- (PASS|FAIL|SKIP): ", re.MULTILINE)


def _go(text: str) -> _Found | None:
    """Count go's tests; without `-v` go names only the failed ones, so then packages are counted."""
    packages = list(_GO_PACKAGE.finditer(text))
    if not packages:
        return None
    verdicts = _GO_TEST.findall(text)
    seconds = round(sum(float(match[1] or 0) for match in packages), 3)
    if any(verdict != "FAIL" for verdict in verdicts):
        counted = {name: verdicts.count(name) for name in ("PASS", "FAIL", "SKIP")}
        summary = _summary(
            "go", passed=counted["PASS"], failed=counted["FAIL"], skipped=counted["SKIP"], seconds=seconds
        )
    else:
        failed = sum(match[0].startswith("FAIL") for match in packages)
        summary = _summary("go packages", passed=len(packages) - failed, failed=failed, seconds=seconds)
    return packages[-1].end(), summary


_CARGO: Final = re.compile(
    r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;.*?(?:finished in ([\d.]+)s)?$",
    re.MULTILINE,
)


def _cargo(text: str) -> _Found | None:
    matches = list(_CARGO.finditer(text))
    if not matches:
        return None
    return matches[-1].end(), _summary(
        "cargo",
        passed=sum(int(match[1]) for match in matches),
        failed=sum(int(match[2]) for match in matches),
        skipped=sum(int(match[3]) for match in matches),
        seconds=round(sum(float(match[4] or 0) for match in matches), 3),
    )


_PROVE: Final = re.compile(r"^Files=\d+, Tests=(\d+),\s+([\d.]+) wallclock secs.*\n^Result: (\w+)", re.MULTILINE)
_PROVE_FAILED: Final = re.compile(r"Failed (\d+)/\d+ subtests")


def _prove(text: str) -> _Found | None:
    match = _last(_PROVE, text)
    if match is None:
        return None
    failed = sum(int(number) for number in _PROVE_FAILED.findall(text))
    passed = max(int(match[1]) - failed, 0)
    return match.end(), _summary("prove", passed=passed, failed=failed, seconds=float(match[2]))


_TAP_PLAN: Final = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
_TAP_LINE: Final = re.compile(r"^(not )?ok\b(?: \d+)?([^\n]*)", re.MULTILINE)


def _tap(text: str) -> _Found | None:
    plan = _last(_TAP_PLAN, text)
    lines = list(_TAP_LINE.finditer(text))
    if plan is None or not lines:
        return None
    skipped = sum(bool(re.search(r"#\s*(skip|todo)", match[2], re.IGNORECASE)) for match in lines)
    failed = sum(match[1] is not None and not re.search(r"#\s*(skip|todo)", match[2], re.IGNORECASE) for match in lines)
    missing = max(int(plan[1]) - len(lines), 0)
    passed = len(lines) - skipped - failed
    return max(plan.end(), lines[-1].end()), _summary("tap", passed=passed, failed=failed + missing, skipped=skipped)


_READERS: Final[tuple[Callable[[str], _Found | None], ...]] = (
    _pytest,
    _unittest,
    _jest,
    _vitest,
    _mocha,
    _node,
    _go,
    _cargo,
    _prove,
    _tap,
)
