"""OpenClaw gateways in words: as a table, and one in full. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from clawtui.cli.output import printable
from clawtui.tui.presenters import age_cell, doubted
from clawtui.tui.sync import counts_said, sign_of, target_fields
from clawtui.tui.widgets.fields import Field, heading
from clawtui.tui.widgets.spark import sparkline
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import UNKNOWN, Sign
from hub.contract import (
    GatewayCheck,
    GatewayFigures,
    GatewayHealth,
    GatewayState,
    GatewayView,
    InstancePhase,
    JobView,
    PersonaSync,
    SyncSettings,
    SyncState,
    SyncStatus,
    SyncTarget,
)

SIGNS: Final[dict[GatewayState, Sign]] = {
    GatewayState.DOWN: Sign("×", "bad"),
    GatewayState.WEDGED: Sign("#", "bad"),
    GatewayState.REFUSED: Sign("!", "bad"),
    GatewayState.NOT_READY: Sign("▲", "warn"),
    GatewayState.STARTING: Sign("◔", "accent"),
    GatewayState.UNKNOWN: Sign("?", "dim"),
    GatewayState.READY: Sign("√", "ok"),
}
PHASES: Final[dict[InstancePhase, Sign]] = {
    InstancePhase.FAILED: Sign("×", "bad"),
    InstancePhase.PROVISIONING: Sign("◔", "accent"),
    InstancePhase.UPGRADING: Sign("▶", "accent"),
    InstancePhase.BACKING_UP: Sign("▶", "accent"),
    InstancePhase.RESTORING: Sign("▶", "accent"),
    InstancePhase.DESTROYING: Sign("~", "warn"),
    InstancePhase.STOPPED: Sign("■", "dim"),
}
"""What the hub does with an instance stands in place of how it answers; a running one is as it answers."""
GIVEN_UP: Final = "given-up"
_NAME = Column("gateway", "GATEWAY", 12, "left")
_TIER = Column("tier", "TIER", 10, "left")
_HOST = Column("host", "HOST", 8, "left")
_STATE = Column("state", "STATE", 18, "left")
_VERSION = Column("version", "VERSION", 10, "left")
_PASSED = Column("passed", "PASS", 6, "right")
_ROSTER = Column("roster", "ROSTER", 6, "right")
_RESPONSE = Column("response", "ANSWERS", 7, "right")
_HISTORY = Column("history", "LAST CHECKS", 12, "left")
_CHECKED = Column("checked", "LOOKED", 7, "right")
_SYNC = Column("sync", "SYNC", 16, "left", True)
_URL = Column("url", "URL", 24, "left", True)
COLUMNS: Final = (
    _NAME, _TIER, _HOST, _STATE, _VERSION, _PASSED, _RESPONSE, _HISTORY, _ROSTER, _CHECKED, _SYNC, _URL,
)  # fmt: skip
MANY_COLUMNS: Final = (_NAME, _TIER, _HOST, _STATE, _VERSION, _PASSED, _RESPONSE, _HISTORY, _ROSTER, _SYNC)
SOME_COLUMNS: Final = (_NAME, _TIER, _STATE, _VERSION, _PASSED, _RESPONSE, _HISTORY, _ROSTER, _SYNC)
FEW_COLUMNS: Final = (_NAME, _TIER, _STATE, _VERSION, _PASSED, _RESPONSE, _SYNC)
LEAST_COLUMNS: Final = (_NAME, _STATE, _PASSED, _SYNC)
_ROOMS: Final = ((140, COLUMNS), (110, MANY_COLUMNS), (99, SOME_COLUMNS), (79, FEW_COLUMNS))
"""In so many cells so many columns."""
HISTORY_CELLS: Final = 12
KEYS: Final = frozenset({
    "gateway", "state", "version", "url", "sync", "persona", "reason", "tier", "host", "customer", "image",
})  # fmt: skip
ENVIRONMENT: Final = "environment"
"""The origin of the gateway that the hub's own settings name."""
NOT_SYNCED: Final = "not synced"
SECONDS_MS: Final = 1_000
GOOD_RATE, FAIR_RATE = 0.99, 0.9


def columns_for(cells: int) -> tuple[Column, ...]:
    return next((columns for least, columns in _ROOMS if cells >= least), LEAST_COLUMNS)


def sign(state: GatewayState) -> Sign:
    return SIGNS.get(state, UNKNOWN)


def response_text(response_ms: float | None) -> str:
    if response_ms is None:
        return ""
    return f"{response_ms / SECONDS_MS:.1f}s" if response_ms >= SECONDS_MS else f"{response_ms:.0f}ms"


def target_of(status: SyncStatus | None, name: str) -> SyncTarget | None:
    return next((one for one in (status.targets if status is not None else ()) if one.gateway == name), None)


def sync_cell(target: SyncTarget | None) -> Cell:
    """What the sync of the gateway has come to, in a word for each state."""
    if target is None:
        return Cell(NOT_SYNCED, "dim")
    if target.problem:
        return Cell(f"× {printable(target.problem)}", "bad")
    waits = any(target.counts.get(state.value) for state in SyncState if state is not SyncState.IN_STEP)
    return Cell(counts_said(target.counts) or "no personas", "warn" if waits else "ok")


def state_of(gateway: GatewayView) -> tuple[str, Sign]:
    """A word and a sign: what the hub does with it, else how it answers."""
    instance = gateway.instance
    if instance is not None and instance.given_up and instance.phase is InstancePhase.RUNNING:
        return GIVEN_UP, Sign("!", "bad")
    if instance is not None and instance.phase in PHASES:
        return instance.phase.value, PHASES[instance.phase]
    return gateway.state.value, sign(gateway.state)


def passed_cell(figures: GatewayFigures | None) -> Cell:
    """The share of checks that passed."""
    rate = figures.pass_rate if figures is not None else None
    if rate is None:
        return Cell("", "dim")
    return Cell(share_text(rate), "ok" if rate >= GOOD_RATE else "warn" if rate >= FAIR_RATE else "bad")


def share_text(rate: float) -> str:
    """Percents; only all is 100 %."""
    return "100%" if rate >= 1 else f"{min(rate * 100, 99.9):.1f}%"


def history_text(checks: Sequence[GatewayCheck], cells: int = HISTORY_CELLS) -> str:
    """Response times of the last checks, the newest right; a dot where nobody answered."""
    ordered = sorted(checks, key=lambda one: one.at)
    return sparkline([one.response_ms for one in ordered], cells)


def busy_text(job: JobView | None) -> str:
    """How far the job is that works on it."""
    return f" {job.progress:.0%}" if job is not None and job.progress else ""


class Known(NamedTuple):
    """What else is known of a gateway: its sync, its health, and the job that works on it."""

    target: SyncTarget | None = None
    health: GatewayHealth | None = None
    job: JobView | None = None


NOTHING_KNOWN: Final = Known()


def figures_of(gateway: GatewayView, health: GatewayHealth | None) -> GatewayFigures | None:
    return health.figures if health is not None else gateway.figures


def row(
    gateway: GatewayView, known: Known, columns: Sequence[Column], now: datetime, stale: bool
) -> tuple[Mapping[str, str], Row]:
    word, mark = state_of(gateway)
    instance = gateway.instance
    said = f"{mark.glyph} {doubted(word, stale)}{busy_text(known.job) if instance is not None else ''}"
    roster = "?" if gateway.roster is None else str(len(gateway.roster))
    history = history_text(known.health.checks) if known.health is not None and known.health.checks else ""
    cells = {
        "gateway": Cell(gateway.name, "bold"), "state": Cell(said, "dim" if stale else mark.style),
        "tier": Cell(instance.tier if instance is not None else "-", "" if instance is not None else "dim"),
        "host": Cell(printable(instance.host) if instance is not None else "-", "dim"),
        "version": Cell(printable(gateway.version) or "?"),
        "passed": passed_cell(figures_of(gateway, known.health)), "history": Cell(history, "accent"),
        "roster": Cell(roster), "response": Cell(response_text(gateway.response_ms)),
        "checked": Cell(age_cell(gateway.checked_at, now) or "never", "dim"), "sync": sync_cell(known.target),
        "url": Cell(printable(gateway.url), "dim"),
    }  # fmt: skip
    fields = {
        "gateway": gateway.name, "state": f"{word} {gateway.state.value}", "version": gateway.version,
        "url": gateway.url, "sync": cells["sync"].text, "persona": " ".join(gateway.roster or ()),
        "reason": gateway.reason, "tier": instance.tier if instance is not None else "",
        "host": instance.host if instance is not None else "", "image": instance.image if instance is not None else "",
        "customer": instance.customer if instance is not None else "",
    }  # fmt: skip
    return fields, Row(gateway.name, tuple(cells[column.key] for column in columns), stale)


# --- order

_STATE_ORDER: Final = [
    InstancePhase.FAILED.value,
    GIVEN_UP,
    *(state.value for state in SIGNS),
    *(phase.value for phase in PHASES),
]
SORTS: Final[dict[str, Callable[[GatewayView, Known], Any]]] = {
    "gateway": lambda one, _: one.name,
    "tier": lambda one, _: one.instance.tier if one.instance is not None else "~",
    "host": lambda one, _: one.instance.host if one.instance is not None else "~",
    "state": lambda one, _: _STATE_ORDER.index(state_of(one)[0]),
    "version": lambda one, _: tuple(int(part) for part in re.findall(r"\d+", one.version)),
    "passed": lambda one, known: _or(figures_of(one, known.health), "pass_rate", 2.0),
    "response": lambda one, _: -(one.response_ms if one.response_ms is not None else -1.0),
    "history": lambda one, known: -_or(figures_of(one, known.health), "response_p95_ms", -1.0),
    "roster": lambda one, _: -len(one.roster or ()),
    "checked": lambda one, _: one.checked_at or "",
    "sync": lambda one, known: sync_cell(known.target).text,
    "url": lambda one, _: one.url,
}
"""By column; what needs a look first."""


def _or(figures: GatewayFigures | None, name: str, otherwise: float) -> float:
    value = getattr(figures, name) if figures is not None else None
    return otherwise if value is None else float(value)


def sorted_by(
    gateways: Iterable[GatewayView], known: Mapping[str, Known], column: str, *, descending: bool
) -> list[GatewayView]:
    key = SORTS[column]
    named = sorted(gateways, key=lambda one: one.name)
    return sorted(named, key=lambda one: key(one, known.get(one.name, NOTHING_KNOWN)), reverse=descending)


def detail(
    gateway: GatewayView,
    status: SyncStatus | None,
    now: datetime,
    keys: Mapping[str, str],
    more: Sequence[Field] = (),
) -> list[Field]:
    """`keys`: what helps, by action id; `more`: what stands between how it is and whom it answers for."""
    mark = sign(gateway.state)
    looked = f"looked at {age_cell(gateway.checked_at, now)} ago" if gateway.checked_at else "nobody has looked yet"
    fields = [
        Field("Gateway", gateway.name, "bold", "of the hub's settings" if gateway.origin == ENVIRONMENT else ""),
        Field("State", f"{mark.glyph} {gateway.state.value}", mark.style, looked),
    ]
    if gateway.reason:
        fields.append(Field("Why", printable(gateway.reason), mark.style))
    known = (
        ("Address", gateway.url), ("Version", gateway.version), ("Answers in", response_text(gateway.response_ms)),
        ("Token file", gateway.token_file and f"{gateway.token_file} on the hub's machine"),
    )  # fmt: skip
    fields += [Field(label, printable(text)) for label, text in known if text]
    fields += more
    fields += _roster(gateway, status, keys)
    target = target_of(status, gateway.name)
    if target is not None:
        fields += target_fields(target, now)
        if personas := keys.get("show.sync", ""):
            fields.append(Field("", f"{personas} shows its personas", "dim"))
    if gateway.sync is not None:
        fields += [heading("As it was set"), *_settings(gateway.sync)]
    if target is None and gateway.sync is None:
        key = keys.get("gateway.sync", "")
        fields.append(Field("Sync", NOT_SYNCED, "dim", f"{key} keeps it in step with a source" if key else ""))
    return fields


def _roster(gateway: GatewayView, status: SyncStatus | None, keys: Mapping[str, str]) -> list[Field]:
    """Whom it answers for, each with its state where it is synced."""
    key = keys.get("message.open", "")
    if gateway.roster is None:
        return [heading("Roster"), Field("", "it does not tell whom it answers for", "dim")]
    known = {one.slug: one for one in (status.personas if status is not None else ()) if one.gateway == gateway.name}
    more = f"{key} says something to one of them" if key and gateway.roster else ""
    fields = [
        heading("Roster"),
        Field("", f"{len(gateway.roster)} agents answer" if gateway.roster else "nobody", "", more),
    ]
    return [*fields, *(_answers(slug, known.get(slug)) for slug in gateway.roster)]


def _answers(slug: str, persona: PersonaSync | None) -> Field:
    if persona is None:
        return Field("", printable(slug))
    mark = sign_of(persona.state)
    return Field("", printable(slug), "", f"{mark.glyph} {persona.state.value}")


def _settings(sync: SyncSettings) -> list[Field]:
    said = (
        ("From", f"{sync.source} {sync.folder or sync.convex_url}".strip()),
        ("Account", sync.convex_account),
        ("Only", ", ".join(sync.personas)),
        ("Mounts", "\n".join(f"{mount.host} is {mount.container} there" for mount in sync.mounts)),
        ("Shape", sync.shape),
        ("Reload", sync.reload),
        ("Restart", " ".join(sync.restart_command)),
        ("Container", sync.container),
        ("Instructions", sync.agents_file),
        ("Models", sync.models_file),
        ("System agent", sync.system_agent),
        ("Modes", f"files {sync.file_mode}, folders {sync.folder_mode}"),
        ("Owner", sync.owner),
        ("Every", f"{sync.interval_seconds}s"),
    )
    return [Field(label, printable(text)) for label, text in said if text]


def removal_lines(gateway: GatewayView) -> list[str]:
    """What goes and what stays when it is removed."""
    lines = [f"{gateway.name}, {gateway.url}: the hub forgets it.", "The gateway itself goes on, with all its agents."]
    if gateway.sync is not None:
        lines.append(f"Its sync ends. Workspaces in {gateway.sync.workspace_root} and its config stay as they are.")
    return lines
