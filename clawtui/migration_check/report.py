"""PURE: a check as a table for people, and as a section of a migration's report that later checks replace."""

from __future__ import annotations

import re
from typing import Final

from clawtui.migration_check.model import CheckReport, CheckRow, Outcome

BEGIN: Final = "<!-- clawtui check: written by `clawtui profile migrate --check`, replaced by the next one -->"
END: Final = "<!-- clawtui check: end -->"
_SECTION: Final = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END) + r"\n?", re.DOTALL)


def verdict(report: CheckReport) -> str:
    """Return how it went as a whole, in one line."""
    parts = [f"{report.count(outcome)} {outcome.value}" for outcome in Outcome if report.count(outcome)]
    return f"{report.profile}: {'passed' if report.passed else 'FAILED'} ({', '.join(parts)}, {report.seconds:.0f} s)"


def markdown(report: CheckReport) -> str:
    """Return the section of one check."""
    lines = [
        BEGIN,
        "## Check",
        "",
        f"{'Passed' if report.passed else 'Failed'} at {report.at}, in {report.seconds:.0f} s"
        + (f", with the image `{report.image}`." if report.image else "."),
        "",
        "| what | | result | |",
        "|---|---|---|---|",
        *(_line(row) for row in report.rows),
        "",
        END,
        "",
    ]
    return "\n".join(lines)


def _line(row: CheckRow) -> str:
    return "| " + " | ".join(map(_cell, (row.step.value, row.subject, row.outcome.value, row.detail))) + " |"


def _cell(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def with_section(report_text: str, section: str) -> str:
    """Return a report with this section in the place of an earlier one, or at its end."""
    if _SECTION.search(report_text):
        # A function: the section is no pattern.
        return _SECTION.sub(lambda _match: section, report_text, count=1)
    return f"{report_text.rstrip()}\n\n{section}" if report_text.strip() else section


def section_of(report_text: str) -> str:
    """Return the section of the last check; empty when there was none."""
    found = _SECTION.search(report_text)
    return found[0] if found else ""
