"""OpenClaw gateways in words: as a table, and one in full. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from clawtui.cli.output import printable
from clawtui.tui.presenters import age_cell, doubted
from clawtui.tui.sync import counts_said, sign_of, target_fields
from clawtui.tui.widgets.fields import Field, heading
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import UNKNOWN, Sign
from hub.contract import GatewayState, GatewayView, PersonaSync, SyncSettings, SyncState, SyncStatus, SyncTarget

SIGNS: Final[dict[GatewayState, Sign]] = {
    GatewayState.DOWN: Sign("×", "bad"),
    GatewayState.REFUSED: Sign("!", "bad"),
    GatewayState.NOT_READY: Sign("▲", "warn"),
    GatewayState.STARTING: Sign("◔", "accent"),
    GatewayState.UNKNOWN: Sign("?", "dim"),
    GatewayState.READY: Sign("√", "ok"),
}
_NAME = Column("gateway", "GATEWAY", 12, "left")
_STATE = Column("state", "STATE", 11, "left")
_VERSION = Column("version", "VERSION", 10, "left")
_ROSTER = Column("roster", "ROSTER", 6, "right")
_RESPONSE = Column("response", "ANSWERS", 7, "right")
_CHECKED = Column("checked", "LOOKED", 7, "right")
_SYNC = Column("sync", "SYNC", 16, "left", True)
_URL = Column("url", "URL", 24, "left", True)
COLUMNS: Final = (_NAME, _STATE, _VERSION, _ROSTER, _RESPONSE, _CHECKED, _SYNC, _URL)
FEW_COLUMNS: Final = (_NAME, _STATE, _VERSION, _ROSTER, _RESPONSE, _CHECKED, _SYNC)
LEAST_COLUMNS: Final = (_NAME, _STATE, _ROSTER, _SYNC)
KEYS: Final = frozenset({"gateway", "state", "version", "url", "sync", "persona", "reason"})
WIDE_CELLS, MEDIUM_CELLS = 116, 70
ENVIRONMENT: Final = "environment"
"""The origin of the gateway that the hub's own settings name."""
NOT_SYNCED: Final = "not synced"
SECONDS_MS: Final = 1_000


def columns_for(cells: int) -> tuple[Column, ...]:
    if cells >= WIDE_CELLS:
        return COLUMNS
    return FEW_COLUMNS if cells >= MEDIUM_CELLS else LEAST_COLUMNS


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


def row(
    gateway: GatewayView, target: SyncTarget | None, columns: Sequence[Column], now: datetime, stale: bool
) -> tuple[Mapping[str, str], Row]:
    mark = sign(gateway.state)
    state = Cell(f"{mark.glyph} {doubted(gateway.state.value, stale)}", "dim" if stale else mark.style)
    roster = "?" if gateway.roster is None else str(len(gateway.roster))
    cells = {
        "gateway": Cell(gateway.name, "bold"), "state": state, "version": Cell(printable(gateway.version) or "?"),
        "roster": Cell(roster), "response": Cell(response_text(gateway.response_ms)),
        "checked": Cell(age_cell(gateway.checked_at, now) or "never", "dim"), "sync": sync_cell(target),
        "url": Cell(printable(gateway.url), "dim"),
    }  # fmt: skip
    fields = {
        "gateway": gateway.name, "state": gateway.state.value, "version": gateway.version, "url": gateway.url,
        "sync": cells["sync"].text, "persona": " ".join(gateway.roster or ()), "reason": gateway.reason,
    }  # fmt: skip
    return fields, Row(gateway.name, tuple(cells[column.key] for column in columns), stale)


def detail(gateway: GatewayView, status: SyncStatus | None, now: datetime, keys: Mapping[str, str]) -> list[Field]:
    """`keys`: what helps, by action id."""
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
    fields += _roster(gateway, status, keys.get("message.open", ""))
    target = target_of(status, gateway.name)
    if target is not None:
        fields += target_fields(target, now)
    if gateway.sync is not None:
        fields += [heading("As it was set"), *_settings(gateway.sync)]
    if target is None and gateway.sync is None:
        key = keys.get("gateway.sync", "")
        fields.append(Field("Sync", NOT_SYNCED, "dim", f"{key} keeps it in step with a source" if key else ""))
    return fields


def _roster(gateway: GatewayView, status: SyncStatus | None, key: str) -> list[Field]:
    """Whom it answers for, each with its state where it is synced."""
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
