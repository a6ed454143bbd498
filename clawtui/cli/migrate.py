"""The verb `profile migrate`: VM profiles become Docker profiles, with a report of what changed and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.migrate_files import ENDINGS, Change, FileChange, changes_of, write
from clawtui.cli.output import Column, Mode, printable
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import ProblemView

if TYPE_CHECKING:
    from profiles.migrate import Migration
    from profiles.migrate.report import Row

COMPOSE: Final = ".compose.yml"
STYLES: Final = {"ok": "green", "adapted": "yellow", "needs you": "bold red"}


class Source(msgspec.Struct, frozen=True):
    """One file, and what becomes of it; `problems` instead when it is no profile."""

    path: str
    migration: Migration | None = None
    problems: tuple[ProblemView, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What was done with one profile. `refused`: why nothing of it was written."""

    source: Source
    changes: tuple[FileChange, ...] = ()
    written: tuple[str, ...] = ()
    refused: str = ""


async def migrate(
    *what: Path,
    out: Path | None = None,
    check: bool = False,
    against: str = "",
    yes: Annotated[bool, Parameter(name=("--yes", "--force"))] = False,
    context: Ctx,
) -> int:
    """Make Docker profiles of VM profiles, and say what was adapted and what needs a person.

    Without --out nothing is written. Docker profiles pass through as they are.

    Args:
        what: Files with profiles (.json, .yaml), or folders of them.
        out: The folder to write to: NAME.json, NAME.Dockerfile, NAME.compose.yml and NAME.report.md.
        check: Prove each one on a real engine, in a throw-away agent; needs a hub, and --out for the report.
        against: With --check: a running agent in the VM, to compare what both have.
        yes: Replace files that differ without asking; the difference is shown all the same.
    """
    if (check or against) and out is None:
        raise UsageError("--check writes its result into the reports", field="out", hint="Add --out DIR.")
    outcomes = [_carry_out(context, source, out, yes=yes) for source in sources(what)]
    if context.out.mode is Mode.JSON and not check:
        context.out.body({"profiles": [_data(one, out) for one in outcomes]})
    code = exits.FAILED if any(one.source.problems or one.refused for one in outcomes) else exits.DONE
    if check and out is not None:
        return max(code, await _check(context, outcomes, out, against))
    return code


async def _check(context: Context, outcomes: Sequence[Outcome], out: Path, against: str) -> int:
    from clawtui.cli.migrate_check import check_migrations

    migrations = [one.source.migration for one in outcomes if one.source.migration is not None and not one.refused]
    reports = await check_migrations(context, migrations, out, against)
    if context.out.mode is Mode.JSON:
        context.out.body({"profiles": [_data(one, out) for one in outcomes], "checks": reports})
    return exits.DONE if all(report.passed for report in reports) else exits.FAILED


# --- reading -----------------------------------------------------------------------------------------------


def sources(what: Sequence[Path]) -> Iterator[Source]:
    """Read every file; one that is wrong does not stop the others. Raises UsageError for what is not there."""
    if not what:
        raise UsageError("name files or folders with VM profiles", hint="clawtui profile migrate FILE-OR-FOLDER…")
    taken: dict[str, str] = {}
    for path in _files(what):
        source = _read(path)
        if source.migration is not None:
            name = source.migration.name
            other = taken.setdefault(name, str(path))
            if other != str(path):
                hint = "Give one of them another name."
                problem = ProblemView(field="name", message=f"{other} is called {name} too", hint=hint)
                source = Source(str(path), problems=(problem,))
        yield source


def _files(what: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in what:
        if path.is_dir():
            inside = [one for one in sorted(path.iterdir()) if _is_profile(one)]
            if not inside:
                raise UsageError(f"{path} has no profiles", hint=f"Files that end with {', '.join(ENDINGS)}.")
            found |= dict.fromkeys(inside)
        elif path.suffix not in ENDINGS:
            raise UsageError(f"{path} is no profile by its name", hint=f"It ends with {', '.join(ENDINGS)}.")
        else:
            found[path] = None
    return list(found)


def _is_profile(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name.endswith(COMPOSE)
    return path.suffix in ENDINGS and not hidden and path.is_file()


def _read(path: Path) -> Source:
    # Loaded here: a verb that does not migrate need not pay for it.
    from profiles.errors import ProfileError
    from profiles.migrate import migrate_text
    from profiles.reading import FORMATS

    try:
        text = path.read_bytes().decode("utf-8-sig")
        return Source(str(path), migrate_text(text, FORMATS[path.suffix], path.stem))
    except ProfileError as exc:
        problems = (ProblemView(field=one.field, message=one.message, hint=one.hint) for one in exc.problems)
        return Source(str(path), problems=tuple(problems))
    except UnicodeDecodeError:
        return Source(str(path), problems=(ProblemView(field="", message="is not UTF-8 text", hint=""),))
    except OSError as exc:
        return Source(str(path), problems=(ProblemView(field="", message=f"cannot be read: {exc.strerror}", hint=""),))


# --- writing -----------------------------------------------------------------------------------------------


def _carry_out(context: Context, source: Source, out: Path | None, *, yes: bool) -> Outcome:
    if source.migration is None:
        _show_problems(context, source)
        return Outcome(source)
    _show(context, source.path, source.migration)
    try:
        changes = changes_of(out, source.migration) if out is not None else ()
        outcome = _write(context, source, source.migration, out, changes, yes=yes)
    except UsageError as exc:
        outcome = Outcome(source, refused=exc.message)
    _tell(context, outcome, out)
    return outcome


def _write(
    context: Context,
    source: Source,
    migration: Migration,
    out: Path | None,
    changes: tuple[FileChange, ...],
    *,
    yes: bool,
) -> Outcome:
    if out is None:
        return Outcome(source)
    differing = [one for one in changes if one.difference]
    for one in differing:
        for line in one.difference.splitlines():
            context.out.say(line)
    if differing and not yes:
        names = ", ".join(one.path for one in differing)
        if not context.interactive:
            return Outcome(source, changes, refused=f"{names} would change: --yes replaces what is there")
        if not context.confirm(f"Replace {names} in {out}?", "--yes"):
            return Outcome(source, changes, refused=f"{names} stays as it is; nothing of {migration.name} was written")
    return Outcome(source, changes, write(out, migration, changes))


# --- showing -----------------------------------------------------------------------------------------------


def _show(context: Context, path: str, migration: Migration) -> None:
    from profiles.migrate.report import WORDS, rows

    out = context.out
    if out.mode is Mode.PLAIN:
        for found in migration.findings:
            parts = (migration.name, found.severity.value, found.area.value, found.field, found.message, found.reason)
            out.line("\t".join(map(printable, (*parts, found.todo))))
    elif out.mode is Mode.TABLE:
        out.line(printable(f"{path}: {migration.name}, {_verdict(migration)}"))
        if not migration.unchanged:
            columns = (
                Column("  AREA", lambda row: f"  {row.area.value}"),
                Column("VERDICT", lambda row: WORDS[row.verdict]),
                Column("WHAT", lambda row: row.note),
            )
            table: tuple[Row, ...] = rows(migration)
            out.listing(None, columns, table)
        for found in migration.findings:
            if found.todo:
                where = f"{found.field}: " if found.field else ""
                out.line(printable(f"  {WORDS[found.severity]}: {where}{found.message} ({found.reason})"))
                out.line(printable(f"      {found.todo}"))


def _verdict(migration: Migration) -> str:
    from profiles.migrate.report import WORDS

    if migration.unchanged:
        return f"unchanged: {migration.findings[0].reason}"
    return WORDS[migration.verdict]


def _show_problems(context: Context, source: Source) -> None:
    for one in source.problems:
        where = f"{one.field}: " if one.field else ""
        context.out.say(f"{source.path}: {where}{one.message}" + (f" ({one.hint})" if one.hint else ""))


def _tell(context: Context, outcome: Outcome, out: Path | None) -> None:
    from profiles.migrate.report import files

    migration = outcome.source.migration
    if migration is None or context.out.mode is Mode.JSON:
        return
    if out is None:
        context.out.say(f"with --out DIR: {', '.join(f'DIR/{path}' for path in sorted(files(migration)))}")
    elif outcome.refused:
        context.out.say(f"{migration.name}: {outcome.refused}")
    elif outcome.written:
        context.out.say(f"written: {', '.join(str(out / path) for path in outcome.written)}")
    else:
        context.out.say(f"{migration.name}: unchanged in {out}")


def _data(outcome: Outcome, out: Path | None) -> dict[str, object]:
    from profiles.migrate.report import as_data

    source = outcome.source
    if source.migration is None:
        return {"path": source.path, "problems": source.problems}
    removed = [one.path for one in outcome.changes if one.change is Change.REMOVED]
    return {
        "path": source.path,
        **as_data(source.migration),
        "out": str(out) if out is not None else None,
        "changes": outcome.changes,
        "written": [path for path in outcome.written if path not in removed],
        "removed": [path for path in outcome.written if path in removed],
        "refused": outcome.refused,
    }
