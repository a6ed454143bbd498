"""A check in the migration's report: readable, and replaced by the next one."""

from __future__ import annotations

from clawtui.migration_check.model import CheckReport, CheckRow, Outcome, Step, has_passed
from clawtui.migration_check.report import BEGIN, END, markdown, verdict, with_section

ROWS = (
    CheckRow(step=Step.IMAGE, subject="is built", outcome=Outcome.PASSED, detail="a | b\nc <x> \\"),
    CheckRow(step=Step.SIDECAR, subject="redis", outcome=Outcome.NOT_RUN, detail="cannot be had here"),
)
REPORT = CheckReport(profile="web", at="2026-01-02T03:04:05+00:00", passed=True, rows=ROWS, image="i:1", seconds=7.2)


def test_what_cannot_be_run_is_no_failure() -> None:
    assert has_passed(ROWS)
    assert not has_passed((*ROWS, CheckRow(step=Step.HUB, subject="x", outcome=Outcome.FAILED)))


def test_the_verdict_counts() -> None:
    assert verdict(REPORT) == "web: passed (1 passed, 1 not run, 7 s)"


def test_a_cell_cannot_break_the_table() -> None:
    (line,) = [line for line in markdown(REPORT).splitlines() if "is built" in line]
    assert line == "| image | is built | passed | a \\| b c &lt;x> \\\\ |"


def test_the_section_is_put_at_the_end_and_replaced_there() -> None:
    text = "# web\n\nfindings\n"
    once = with_section(text, markdown(REPORT))
    assert once.startswith("# web\n\nfindings\n\n" + BEGIN)
    assert with_section(once, markdown(REPORT)) == once, "idempotent"
    between = once + "\nwritten below by hand\n"
    later = with_section(between, markdown(CheckReport(profile="web", at="later", passed=False, rows=())))
    assert (later.count(BEGIN), later.count(END), "later" in later, "is built" in later) == (1, 1, True, False)
    assert later.endswith("written below by hand\n")


def test_a_report_that_is_not_there_begins_with_the_section() -> None:
    assert with_section("", markdown(REPORT)) == markdown(REPORT)
    assert "\\g<0>" in with_section(markdown(REPORT), f"{BEGIN}\\g<0>{END}\n"), "it is text, no pattern"
