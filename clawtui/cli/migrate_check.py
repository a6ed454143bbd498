"""`clawtui profile migrate --check`: the checks of migrated profiles as they go on, and in their reports."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from clawtui.cli.output import Mode, cell
from clawtui.cli.world import Context

if TYPE_CHECKING:
    from clawtui.migration_check import CheckReport, CheckRow
    from profiles.migrate import Migration

REPORT_SUFFIX: Final = ".report.md"
STYLES: Final = {"passed": "green", "failed": "bold red", "differs": "yellow", "not run": "yellow"}


class LiveRows:
    """Prints every row as it comes, and narrates what goes on."""

    def __init__(self, context: Context) -> None:
        self._out = context.out
        self._profile = ""

    def begin(self, profile: str) -> None:
        self._profile = profile
        if self._out.mode is not Mode.JSON:
            self._out.say(f"checking {profile}")

    def say(self, text: str) -> None:
        if self._out.mode is not Mode.JSON:
            self._out.say(f"    {text}")

    def row(self, row: CheckRow) -> None:
        cells = [self._profile, *map(cell, (row.step.value, row.subject, row.outcome.value, row.detail))]
        if self._out.mode is Mode.PLAIN:
            self._out.line("\t".join(cells))
        elif self._out.mode is Mode.TABLE:
            self._show(*cells)

    def end(self, report: CheckReport) -> None:
        from clawtui.migration_check.report import verdict

        if self._out.mode is not Mode.JSON:
            self._out.say(verdict(report))

    def _show(self, profile: str, step: str, subject: str, outcome: str, detail: str) -> None:
        from rich.text import Text

        # Rows come one by one, so a column cannot know how wide it will have to be.
        line = Text.assemble(
            f"{profile:<20}  ", (f"{outcome:<7}", STYLES[outcome]), f"  {step:<12}  {subject:<32}  {detail}"
        )
        line.rstrip()
        self._out.console().print(line, soft_wrap=True)


async def check_migrations(
    context: Context, migrations: Iterable[Migration], out: Path, against: str = ""
) -> list[CheckReport]:
    """Check one profile after the other, and put each result into its report in `out` at once.

    Raises HubError where there is no hub.
    """
    from clawtui.migration_check import Checker

    reports: list[CheckReport] = []
    async with context.control() as control:
        live = LiveRows(context)
        checker = Checker(control, live, against=against, now=context.world.now)
        for migration in migrations:
            report = await checker.check(migration)
            if problem := keep(out, report):
                # The others are checked all the same.
                live.say(problem)
                report = replace(report, passed=False)
            reports.append(report)
    return reports


def keep(out: Path, report: CheckReport) -> str:
    """Put the result into the migration's report, in the place of an earlier one; return why that is not possible."""
    from clawtui.migration_check.report import markdown, with_section

    path = out / f"{report.profile}{REPORT_SUFFIX}"
    temporary = path.with_name(f".{path.name}.new")
    try:
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        temporary.write_text(with_section(known, markdown(report)), encoding="utf-8")
        os.replace(temporary, path)
    except (OSError, UnicodeError) as exc:
        return f"{path} cannot be written: {exc}"
    return ""
