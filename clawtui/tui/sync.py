"""Personas and the sync of their gateways in words: as a table, one in full, what a run does. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
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
AGE_STEPS: Final = ((86_400.0, 3_600.0), (3_600.0, 60.0), (60.0, 10.0), (0.0, 1.0))
"""From so many seconds on an age is looked at again after so many."""
AGED_AT_ONCE: Final = 200
WARM_AT_ONCE: Final = 250
"""So many rows are made in one go."""
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
    """`since`: POSIX seconds, 0 when it is not known; `until`: when the row's age is another one."""

    persona: PersonaSync
    since: float
    until: float
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
        """With the fields that a filter looks at, in the given order. Of many whose age has become another one, some
        wait for the next time: nobody sees them all."""
        self.warm(personas, columns, now, stale)
        keys, clock, left = [column.key for column in columns], now.timestamp(), AGED_AT_ONCE
        found: list[tuple[Mapping[str, str], Row]] = []
        for persona in personas:
            kept = self._kept[address(persona)]
            if clock >= kept.until and left:
                left -= 1
                kept = self._kept[address(persona)] = _kept(kept.persona, keys, clock, stale)
            found.append((kept.fields, kept.row))
        return found

    def warm(self, personas: Sequence[PersonaSync], columns: Sequence[Column], now: datetime, stale: bool) -> None:
        """Make what is new or has changed; of many, a part at a time, so that the screen does not stand still."""
        look = (tuple(columns), stale)
        if look != self._look:
            self._look, self._kept = look, {}
        keys, clock = [column.key for column in columns], now.timestamp()
        for persona in personas:
            kept = self._kept.get(address(persona))
            if kept is None or (kept.persona is not persona and kept.persona != persona):
                self._kept[address(persona)] = _kept(persona, keys, clock, stale)
            elif kept.persona is not persona:
                self._kept[address(persona)] = kept._replace(persona=persona)  # the same is known at once next time

    def forget(self, known: Container[str]) -> None:
        """Rows of personas that are gone, by their addresses."""
        self._kept = {key: kept for key, kept in self._kept.items() if key in known}


def _kept(persona: PersonaSync, keys: Sequence[str], clock: float, stale: bool) -> _Kept:
    since = datetime.fromisoformat(persona.at).timestamp() if persona.at else 0.0
    seconds = max(clock - since, 0.0)
    until = clock + next((step - seconds % step for least, step in AGE_STEPS if seconds >= least), 0.0)
    age = short_age(seconds) if since else ""
    return _Kept(persona, since, until if since else math.inf, _fields(persona), _row(persona, keys, age, stale))


def short_age(seconds: float) -> str:
    """`45s`, `14m`, `2h`, `3d`: what a list needs, and seldom another one."""
    units = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
    return next((f"{int(seconds // size)}{unit}" for size, unit in units if seconds >= size), "0s")


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
    status: SyncStatus, peopled: Container[str], front: str, now: datetime, cells: int
) -> list[Piece]:  # fmt: skip
    """The sync of the gateway `front` in full, and of those that are not `peopled` by any persona; the others only
    where something is wrong. In lines of at most `cells`."""
    if not status.enabled:
        return [(" ■ switched off by the hub's settings: nothing is written", "warn")]
    whole = [one for one in status.targets if one.gateway == front or one.gateway not in peopled]
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
    parts += [f"{waiting} {'waits' if waiting == 1 else 'wait'} for you"] if waiting else []
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
    stays = "waits for you and stays as it is" if waiting == 1 else "wait for you and stay as they are"
    return f"{report.gateway}: {said}{f', {waiting} {stays}' if waiting else ''}"


def _wrapped(text: Text, words: str, style: str, cells: int, indent: int) -> None:
    for line in broken(printable(words), max(cells - indent, 20)):
        text.append(f"{' ' * indent}{line}\n", STYLES[style])


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(printable, names[:NAMED])) + more
