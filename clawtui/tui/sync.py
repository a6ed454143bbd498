"""Personas and the sync of their gateways in words: as a table, one in full, what a run does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from rich.text import Text

from clawtui.cli.output import age_text, printable
from clawtui.tui.presenters import age_cell, doubted
from clawtui.tui.theme import STYLES, Piece
from clawtui.tui.widgets.fields import Field, broken, heading
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import UNKNOWN, Sign
from hub.contract import PersonaSync, SyncReport, SyncState, SyncStatus, SyncTarget

SIGNS: Final[dict[SyncState, Sign]] = {
    SyncState.FAILED: Sign("×", "bad"),
    SyncState.CONFLICT: Sign("!", "bad"),
    SyncState.DRIFTED: Sign("▲", "warn"),
    SyncState.PENDING: Sign("◔", "accent"),
    SyncState.IN_STEP: Sign("√", "ok"),
}
"""What needs a look comes first: so a list is sorted by state."""
RANK: Final[dict[str, int]] = {state: place for place, state in enumerate(SIGNS)}
ARCHIVE: Final = ".clawtui-archive"
"""The folder in a workspace where the other text goes when the source's is applied."""
_GATEWAY = Column("gateway", "GATEWAY", 10, "left")
_STATE = Column("state", "STATE", 10, "left")
_SLUG = Column("persona", "PERSONA", 16, "left")
_NAME = Column("name", "NAME", 16, "left")
_MODEL = Column("model", "MODEL", 18, "left")
_FILES = Column("files", "FILES", 5, "right")
_SINCE = Column("since", "SINCE", 6, "right")
_REASON = Column("reason", "REASON", 16, "left", True)
COLUMNS: Final = (_GATEWAY, _STATE, _SLUG, _NAME, _MODEL, _FILES, _SINCE, _REASON)
FEW_COLUMNS: Final = (_GATEWAY, _STATE, _SLUG, _FILES, _SINCE, _REASON)
LEAST_COLUMNS: Final = (_STATE, _SLUG._replace(grow=True), _FILES, _SINCE)
SORTS: Final = tuple(column.key for column in COLUMNS)
KEYS: Final = frozenset({"gateway", "state", "persona", "name", "model", "file", "reason"})
WIDE_CELLS, MEDIUM_CELLS = 116, 64
OTHERS: Final = 3
"""So many gateways have their problem in one line above the list; the rest is counted."""
NAMED: Final = 8


def columns_for(cells: int) -> tuple[Column, ...]:
    """Which columns leave room for the reason in a table of `cells`."""
    if cells >= WIDE_CELLS:
        return COLUMNS
    return FEW_COLUMNS if cells >= MEDIUM_CELLS else LEAST_COLUMNS


def address(persona: PersonaSync) -> str:
    """GATEWAY/SLUG: how everything else names it."""
    return f"{persona.gateway}/{persona.slug}"


def sign_of(state: SyncState) -> Sign:
    return SIGNS.get(state, UNKNOWN)


def state_cell(persona: PersonaSync, stale: bool) -> Cell:
    sign = sign_of(persona.state)
    return Cell(f"{sign.glyph} {doubted(persona.state.value, stale)}", "dim" if stale else sign.style)


def sorted_by(personas: Iterable[PersonaSync], key: str, *, descending: bool) -> list[PersonaSync]:
    """`key` is one of `SORTS`; equal ones stand by gateway and slug."""
    by_name = sorted(personas, key=lambda one: (one.gateway, one.slug))
    match key:
        case "state":
            return sorted(by_name, key=lambda one: RANK.get(one.state, 0), reverse=descending)
        case "files":
            return sorted(by_name, key=lambda one: -len(one.files), reverse=descending)
        case "since":
            return sorted(by_name, key=lambda one: one.at, reverse=not descending)
        case "gateway":
            return by_name[::-1] if descending else by_name
        case _:
            field = "slug" if key == "persona" else key
            return sorted(by_name, key=lambda one: str(getattr(one, field)).lower(), reverse=descending)


class _Kept(NamedTuple):
    persona: PersonaSync
    since: float
    """POSIX seconds; 0 when it is not known."""
    age: str
    fields: Mapping[str, str]
    row: Row


class PersonaRows:
    """Makes rows, and keeps those of personas of which nothing that is shown has changed: thousands stay cheap."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._look: tuple[object, ...] = ()

    def make(
        self, personas: Sequence[PersonaSync], columns: Sequence[Column], now: datetime, stale: bool
    ) -> list[tuple[Mapping[str, str], Row]]:
        """With the fields that a filter looks at, in the given order."""
        look = (tuple(columns), stale)
        before = self._kept if look == self._look else {}
        keys = [column.key for column in columns]
        self._look, self._kept, clock = look, {}, now.timestamp()
        for persona in personas:
            key = address(persona)
            kept = before.get(key)
            if kept is None or kept.persona != persona:
                since = datetime.fromisoformat(persona.at).timestamp() if persona.at else 0.0
                age = age_text(clock - since) if since else ""
                kept = _Kept(persona, since, age, _fields(persona), _row(persona, keys, age, stale))
            elif kept.since and (age := age_text(clock - kept.since)) != kept.age:
                kept = kept._replace(age=age, row=_row(persona, keys, age, stale))
            self._kept[key] = kept
        return [(kept.fields, kept.row) for kept in self._kept.values()]


def _fields(persona: PersonaSync) -> Mapping[str, str]:
    return {
        "gateway": persona.gateway, "state": persona.state.value, "persona": persona.slug, "name": persona.name,
        "model": persona.model, "file": " ".join(persona.files), "reason": persona.reason,
    }  # fmt: skip


def _row(persona: PersonaSync, keys: Sequence[str], age: str, stale: bool) -> Row:
    cells = {
        "gateway": Cell(persona.gateway, "dim"), "state": state_cell(persona, stale),
        "persona": Cell(persona.slug, "bold"), "name": Cell(printable(persona.name)),
        "model": Cell(printable(persona.model) or "-", "" if persona.model else "dim"),
        "files": Cell(str(len(persona.files) or ""), "warn"), "since": Cell(age, "dim"),
        "reason": Cell(printable(persona.reason), sign_of(persona.state).style),
    }  # fmt: skip
    return Row(address(persona), tuple(cells[key] for key in keys), stale)


# --- targets


def target_lines(
    status: SyncStatus, front: str, now: datetime, cells: int
) -> list[Piece]:  # fmt: skip
    """The sync of the gateway `front` in full, and of those of which no persona is known; the others only where
    something is wrong. In lines of at most `cells`."""
    if not status.enabled:
        return [(" ■ switched off by the hub's settings: nothing is written", "warn")]
    known = {persona.gateway for persona in status.personas}
    whole = [one for one in status.targets if one.gateway == front or one.gateway not in known]
    others = [one for one in status.targets if one not in whole and one.problem]
    pieces: list[Piece] = []
    for target in sorted(whole, key=lambda one: one.gateway != front):
        pieces += _whole(target, now, cells)
    for target in others[:OTHERS]:
        pieces += _lines(f"× {target.gateway}: {_first_line(target.problem)}", "bad", cells)[:2]
    if len(others) > OTHERS:
        pieces += _lines(f"… and {len(others) - OTHERS} more gateways with a problem", "dim", cells)
    return [*pieces[:-1], (pieces[-1][0].rstrip("\n"), pieces[-1][1])] if pieces else []


def _first_line(text: str) -> str:
    return printable(text.split("\n")[0])


def _lines(text: str, style: str, cells: int) -> list[Piece]:
    return [(f" {line}\n", style) for line in broken(text, max(cells - 2, 20))]


def _whole(target: SyncTarget, now: datetime, cells: int) -> list[Piece]:
    said = " · ".join(part for part in (f"from {target.source}", *target_said(target, now)) if part)
    pieces = _lines(f"{target.gateway}: {said}", "", cells)
    if target.problem:
        pieces += _lines(f"× {printable(target.problem)}", "bad", cells)
        pieces += _lines(f"  {printable(target.hint)}", "accent", cells) if target.hint else []
    return pieces


def target_said(target: SyncTarget, now: datetime) -> tuple[str, ...]:
    """When it ran, when it runs next, and how it is known that the gateway took it."""
    if target.running:
        ran = "▶ runs now"
    else:
        ran = f"ran {age_cell(target.last_run_at, now)} ago" if target.last_run_at else "has not run yet"
    ok = target.last_ok_at
    ran += "" if not target.problem else f", last without a problem {age_cell(ok, now)} ago" if ok else ", never well"
    proof = f" ({printable(target.proof)})" if target.proof else ""
    verified = f"√ verified {age_cell(target.verified_at, now)} ago" if target.verified_at else "not verified"
    return ran, next_said(target.next_run_at, now), f"{verified}{proof}"


def next_said(at: str | None, now: datetime) -> str:
    if not at:
        return ""
    seconds = (datetime.fromisoformat(at) - now).total_seconds()
    return f"next in {age_text(seconds)}" if seconds > 0 else "next now"


def counts_said(counts: Mapping[str, int]) -> str:
    """`2 drifted, 40 in-step`, what needs a look first."""
    known = [state.value for state in SIGNS if counts.get(state.value)]
    return ", ".join(f"{counts[name]} {name}" for name in (*known, *(key for key in counts if key not in RANK)))


def counted(personas: Iterable[PersonaSync]) -> dict[str, int]:
    found: dict[str, int] = {}
    for persona in personas:
        found[persona.state.value] = found.get(persona.state.value, 0) + 1
    return found


# --- one in full


def archive_of(persona: PersonaSync) -> str:
    """Where the other text is kept when the source's is applied."""
    return f"{persona.workspace.rstrip('/')}/{ARCHIVE}/" if persona.workspace else f"{ARCHIVE}/ of its workspace"


def persona_fields(
    persona: PersonaSync, target: SyncTarget | None, now: datetime, keys: Mapping[str, str]
) -> list[Field]:
    """`keys`: what can be done, by action id; none where nothing can."""
    sign = sign_of(persona.state)
    since = f"since {age_cell(persona.at, now)}" if persona.at else ""
    fields = [
        Field("Persona", address(persona), "bold", printable(persona.name)),
        Field("State", f"{sign.glyph} {persona.state.value}", sign.style, since),
    ]
    if persona.reason:
        fields.append(Field("Why", printable(persona.reason), sign.style))
    if persona.files:
        fields.append(Field("Waiting", "\n".join(map(printable, persona.files)), "warn"))
        fields += [Field("", said, "dim")] if (said := what_helps(keys)) else []
    known = (
        ("Model", persona.model or "the gateway's default"), ("Workspace", persona.workspace), ("Hash", persona.hash),
    )  # fmt: skip
    fields += [Field(label, printable(text)) for label, text in known if text]
    return [*fields, *(target_fields(target, now) if target is not None else [])]


def what_helps(keys: Mapping[str, str]) -> str:
    helps = (("sync.open", "shows the difference"), ("sync.apply", "applies the source's"),
             ("sync.keep", "keeps it"), ("sync.adopt", "adopts it"))  # fmt: skip
    return ", ".join(f"{keys[name]} {does}" for name, does in helps if keys.get(name))


def target_fields(target: SyncTarget, now: datetime) -> list[Field]:
    """The sync of a gateway in full."""
    ran, following, verified = target_said(target, now)
    fields = [
        heading(f"Sync of {target.gateway}"),
        Field("Source", target.source),
        Field("Run", ", ".join(part for part in (ran, following) if part)),
        Field("Proof", verified, "ok" if target.verified_at else "warn"),
        Field("Workspaces", target.workspace_root),
        Field("Config", target.config_path),
    ]
    if target.problem:
        fields.append(Field("Problem", f"× {printable(target.problem)}", "bad", printable(target.hint)))
    if said := counts_said(target.counts):
        fields.append(Field("Personas", said))
    if target.archived:
        fields.append(
            Field("Archived", "\n".join(map(printable, target.archived)), "dim", "not in the source any more")
        )
    return fields


# --- what a run did, or would do

DONE: Final = {"create": "created", "write": "written", "delete": "deleted"}
WAITING: Final = frozenset({"drift", "conflict"})
"""Actions that wait for a decision."""
STEP_SIGNS: Final = {
    "create": Sign("+", "ok"), "write": Sign("~", "accent"), "delete": Sign("-", "warn"), "keep": Sign("‖", "dim"),
    "drift": Sign("▲", "warn"), "conflict": Sign("!", "bad"),
}  # fmt: skip


def step_sign(action: str) -> Sign:
    return STEP_SIGNS.get(action, UNKNOWN)


def report_said(report: SyncReport) -> str:
    """`gw: 3 written, 1 deleted, 2 wait for you; config changed (0.4 s)`."""
    actions = [step.action for step in report.steps]
    would = "would be " if report.dry_run else ""
    parts = [f"{count} {would}{word}" for action, word in DONE.items() if (count := actions.count(action))]
    waiting = sum(action in WAITING for action in actions)
    parts += [f"{waiting} wait for you"] if waiting else []
    parts += [f"{len(report.archived)} {would}archived"] if report.archived else []
    parts += [f"config {would}changed"] if report.config_changed else []
    parts += ["gateway restarted"] if report.restarted else []
    return f"{report.gateway}: {', '.join(parts) or 'nothing to do, all is as the source says'}"


def reports_text(reports: Sequence[SyncReport], cells: int) -> Text:
    """What a dry run found, file by file, in lines of at most `cells`."""
    text = Text()
    for report in reports:
        text.append(f"{_plan_said(report)}\n", "bold")
        if report.problem:
            _wrapped(text, f"× {report.problem}", "bad", cells, 2)
        for step in report.steps:
            sign = step_sign(step.action)
            _wrapped(text, f"{sign.glyph} {step.action:<8} {step.slug}/{step.path}", sign.style, cells, 2)
            if step.reason:
                _wrapped(text, step.reason, "dim", cells, 13)
        for slug in report.archived:
            _wrapped(text, f"- archive  {slug}: not in the source any more; its workspace is kept", "warn", cells, 2)
        if report.config_changed:
            _wrapped(text, "~ write    the gateway's config: its roster changes", "accent", cells, 2)
        text.append("\n")
    return text


def _plan_said(report: SyncReport) -> str:
    waiting = sum(step.action in WAITING for step in report.steps)
    doing = len(report.steps) - waiting + len(report.archived) + report.config_changed
    said = "nothing to do" if not doing else f"{doing} thing{'s' if doing != 1 else ''} to do"
    return f"{report.gateway}: {said}{f', {waiting} wait for you and stay as they are' if waiting else ''}"


def _wrapped(text: Text, words: str, style: str, cells: int, indent: int) -> None:
    for line in broken(printable(words), max(cells - indent, 20)):
        text.append(f"{' ' * indent}{line}\n", STYLES[style])


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(printable, names[:NAMED])) + more
