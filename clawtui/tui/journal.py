"""The journal in words: acts with their result and the way back, and the audit as it was written down. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from clawtui.cli.output import printable
from clawtui.tui.presenters import age_cell
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import Sign, job_sign
from hub.contract import AuditView, JournalEntry

ACT_COLUMNS: Final = (
    Column("age", "AGE", 6, "right"),
    Column("who", "WHO", 9, "left"),
    Column("what", "WHAT", 15, "left"),
    Column("target", "TARGET", 14, "left"),
    Column("result", "RESULT", 11, "left"),
    Column("back", "WAY BACK", 14, "left", True),
)
AUDIT_COLUMNS: Final = (
    Column("age", "AGE", 6, "right"),
    Column("who", "WHO", 10, "left"),
    Column("what", "WHAT", 16, "left"),
    Column("target", "TARGET", 14, "left"),
    Column("outcome", "OUTCOME", 9, "left"),
    Column("detail", "DETAIL", 12, "left", True),
)
ACT_KEYS: Final = frozenset({"who", "what", "target", "result", "undo", "command", "detail"})
AUDIT_KEYS: Final = frozenset({"who", "what", "target", "outcome", "detail"})
GOOD: Final = frozenset({"ok", "done", "allowed", "succeeded"})
PEOPLE: Final = "user:"
_SPECIAL: Final = {
    "attention.snooze": "snooze", "agent.shell": "open shell", "hub.backup": "back up",
    "task.dispatch": "roll out task", "agent.adopt": "adopt agent", "job.cancel": "cancel job",
}  # fmt: skip
WITH_JOB: Final = frozenset(
    f"agent.{verb}" for verb in ("create", "start", "stop", "restart", "pause", "resume", "destroy")
)
"""Acts that are done only when their job has ended."""
BEGUN: Final = Sign("▶", "accent")
DONE: Final = Sign("√", "ok")
REFUSED: Final = Sign("×", "bad")


def is_act(entry: JournalEntry) -> bool:
    """Something that a person did or tried. Ends of jobs are results of acts; what the hub does is in the audit."""
    return entry.who.startswith(PEOPLE) and (not entry.what.startswith("job.") or entry.what == "job.cancel")


def act_words(what: str) -> str:
    """`agent.pause` as people say it."""
    if what in _SPECIAL:
        return _SPECIAL[what]
    if "/" in what:  # a request that was refused before it was an act
        return what
    noun, _, verb = what.partition(".")
    return f"{verb.replace('_', ' ')} {noun}" if verb else what


def result(entry: JournalEntry) -> tuple[Sign, str]:
    """How the act ended; of an act with a job only its end says that it is done."""
    if entry.job is not None:
        return job_sign(entry.job.state), entry.job.state
    if entry.outcome in GOOD and entry.what in WITH_JOB:
        return BEGUN, "begun"
    return (DONE, "done") if entry.outcome in GOOD else (REFUSED, entry.outcome)


def act_fields(entry: JournalEntry) -> dict[str, str]:
    """What the filter looks at; `undo:yes` are those that can be taken back."""
    return {
        "who": entry.who.removeprefix(PEOPLE), "what": f"{entry.what} {act_words(entry.what)}", "target": entry.target,
        "result": result(entry)[1], "undo": "yes" if entry.undo else "no", "command": entry.command,
        "detail": printable(entry.detail),
    }  # fmt: skip


def act_row(entry: JournalEntry, now: datetime, stale: bool, key: str) -> tuple[Mapping[str, str], Row]:
    """`key`: what takes an act back on this keyboard."""
    sign, word = result(entry)
    back = Cell(f"{key} {_short(entry.undo)}".strip(), "accent") if entry.undo else Cell(f"no: {entry.why_not}", "dim")
    cells = (
        Cell(age_cell(entry.at, now), "dim"),
        Cell(entry.who.removeprefix(PEOPLE)),
        Cell(act_words(entry.what), "accent"),
        Cell(printable(entry.target)),
        Cell(f"{sign.glyph} {word}", sign.style),
        back if entry.undo or entry.why_not else Cell("not told by this hub", "dim"),
    )
    return act_fields(entry), Row(str(entry.seq), cells, stale)


def _short(command: str) -> str:
    return printable(command.removeprefix("clawtui "))


def act_detail(entry: JournalEntry, now: datetime, key: str) -> list[Field]:
    sign, word = result(entry)
    said = f"{sign.glyph} {word}"
    if entry.job is not None and entry.job.error:
        said += f": {entry.job.error}"
    fields = [
        Field("Act", f"{act_words(entry.what)} {printable(entry.target)}".strip(), "accent", f"number {entry.seq}"),
        Field("Result", said, sign.style),
    ]
    if entry.undo:
        fields.append(Field("Way back", f"{key} does: {printable(entry.undo)}".strip(), "accent"))
    elif entry.why_not:
        fields.append(Field("Way back", f"none: {entry.why_not}", "dim"))
    if entry.command:
        fields.append(Field("Command", entry.command, "", "y copies it"))
    fields.append(Field("Who", entry.who.removeprefix(PEOPLE)))
    fields.append(Field("When", moment(entry.at), "", f"{age_cell(entry.at, now)} ago"))
    if entry.detail:
        fields.append(Field("Detail", entry.detail, "", entry.what))
    return fields


def audit_fields(entry: AuditView) -> dict[str, str]:
    return {
        "who": entry.who, "what": entry.what, "target": entry.target, "outcome": entry.outcome,
        "detail": printable(entry.detail),
    }  # fmt: skip


def audit_row(entry: AuditView, now: datetime, stale: bool) -> tuple[Mapping[str, str], Row]:
    fields = audit_fields(entry)
    good = entry.outcome in GOOD
    cells = (
        Cell(age_cell(entry.at, now), "dim"), Cell(fields["who"]), Cell(fields["what"], "accent"),
        Cell(printable(fields["target"])), Cell(f"{'' if good else '! '}{fields['outcome']}", "ok" if good else "warn"),
        Cell(fields["detail"], "dim"),
    )  # fmt: skip
    return fields, Row(str(entry.seq), cells, stale)


def audit_detail(entry: AuditView, now: datetime) -> list[Field]:
    return [
        Field("Number", str(entry.seq)),
        Field("What", entry.what, "accent"),
        Field("On", printable(entry.target) or "the hub"),
        Field("Who", entry.who),
        Field("When", moment(entry.at), "", f"{age_cell(entry.at, now)} ago"),
        Field("Outcome", entry.outcome, "ok" if entry.outcome in GOOD else "warn"),
        Field("Detail", entry.detail or "none", "" if entry.detail else "dim"),
    ]


def moment(at: str) -> str:
    """A time of the hub in the zone of this machine."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S %Z}" if at else ""
