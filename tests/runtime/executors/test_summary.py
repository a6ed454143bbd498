"""Closing summaries as the runners print them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.executors.summary import TestSummary, read_summary

CASES = {
    "pytest": (
        "tests/test_a.py ..F\n=========== 1 failed, 5 passed, 2 skipped, 1 warning in 0.12s ============\n",
        TestSummary("pytest", 5, 1, 2, 8, 0.12),
    ),
    "pytest -q": ("...\n3 passed in 1.01s\n", TestSummary("pytest", 3, 0, 0, 3, 1.01)),
    "pytest long": (
        "\x1b[32m==== \x1b[1m7 passed\x1b[0m, \x1b[33m1 xfailed\x1b[0m\x1b[32m in 62.10s (0:01:02)\x1b[0m ====\n",
        TestSummary("pytest", 7, 0, 1, 8, 62.1),
    ),
    "pytest errors": ("= 1 failed, 2 errors in 0.5s =\n", TestSummary("pytest", 0, 3, 0, 3, 0.5)),
    "pytest none": ("==== no tests ran in 0.01s ====\n", TestSummary("pytest", 0, 0, 0, 0, 0.01)),
    "unittest": (
        "....\n" + "-" * 70 + "\nRan 5 tests in 0.003s\n\nOK (skipped=1)\n",
        TestSummary("unittest", 4, 0, 1, 5, 0.003),
    ),
    "unittest failed": (
        "Ran 6 tests in 0.010s\n\nFAILED (failures=1, errors=2, skipped=1)\n",
        TestSummary("unittest", 2, 3, 1, 6, 0.01),
    ),
    "jest": (
        "Test Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 2 skipped, 3 passed, 6 total\n"
        "Snapshots:   0 total\nTime:        1.5 s\n",
        TestSummary("jest", 3, 1, 2, 6),
    ),
    "vitest": (
        " Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 3 passed | 1 skipped (5)\n   Duration  312ms\n",
        TestSummary("vitest", 3, 1, 1, 5),
    ),
    "mocha": ("\n  3 passing (12ms)\n  1 pending\n  2 failing\n\n  1) x\n", TestSummary("mocha", 3, 2, 1, 6, 0.012)),
    "mocha fine": ("  10 passing (2s)\n", TestSummary("mocha", 10, 0, 0, 10, 2.0)),
    "node tap": (
        "# tests 5\n# suites 0\n# pass 3\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 60.5\n",
        TestSummary("node", 3, 1, 1, 5, 0.0605),
    ),
    "node spec": (
        "ℹ tests 2\nℹ suites 1\nℹ pass 2\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\nℹ duration_ms 50\n",  # noqa: RUF001
        TestSummary("node", 2, 0, 0, 2, 0.05),
    ),
    "go -v": (
        "=== RUN TestA\n--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC (0.00s)\nFAIL\n"
        "FAIL\texample.com/x\t0.004s\n",
        TestSummary("go", 1, 1, 1, 3, 0.004),
    ),
    "go": (
        "ok  \texample.com/a\t0.010s\nok  \texample.com/b\t(cached)\n"
        "--- FAIL: TestB (0.00s)\nFAIL\nFAIL\texample.com/c\t0.5s\n",
        TestSummary("go packages", 2, 1, 0, 3, 0.51),
    ),
    "cargo": (
        "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\n"
        "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s\n",
        TestSummary("cargo", 7, 3, 1, 11, 0.03),
    ),
    "prove": (
        "t/a.t .. ok\nt/b.t .. Failed 2/5 subtests\nFiles=2, Tests=12,  1 wallclock secs ( 0.02 usr)\nResult: FAIL\n",
        TestSummary("prove", 10, 2, 0, 12, 1.0),
    ),
    "tap": (
        "TAP version 13\n1..5\nok 1 - a\nnot ok 2 - b\nok 3 # SKIP no db\nnot ok 4 # TODO later\n",
        TestSummary("tap", 1, 2, 2, 5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_known_runners(name: str) -> None:
    text, expected = CASES[name]
    assert read_summary(text) == expected


def test_the_last_summary_counts() -> None:
    text = CASES["pytest"][0] + CASES["jest"][0]
    summary = read_summary(text)
    assert summary is not None
    assert summary.runner == "jest"


@pytest.mark.parametrize("text", ["", "done\n", "3 passed the exam in 1981\n", "ok\n", "1..2\n", "Tests: none\n"])
def test_other_text_is_no_summary(text: str) -> None:
    assert read_summary(text) is None


@given(st.text(alphabet="0123456789 passedfilk,in.s=()#\n:-TR", max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    read_summary(text)
