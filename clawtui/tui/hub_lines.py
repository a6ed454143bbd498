"""The hub itself in words: how it is, how busy, who is connected, tokens, settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from clawtui.cli.output import age_text, printable, size_text
from clawtui.settings import SPECS, Settings
from clawtui.tui.journal import moment
from clawtui.tui.presenters import age_cell
from clawtui.tui.widgets.fields import Field, heading
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from hub.contract import ConnectionView, HubHealth, HubLoad, TokenView

SLOW_LAG_SECONDS: Final = 0.05
"""From here on people feel it at the keys."""
SLOW_COMMIT_SECONDS: Final = 0.1
CONNECTION_COLUMNS: Final = (
    Column("agent", "AGENT", 15, "left"),
    Column("state", "CONNECTED", 13, "left"),
    Column("queued", "QUEUE", 5, "right"),
    Column("running", "RUN", 3, "right"),
    Column("outbox", "UNSENT", 7, "right"),
    Column("ping", "PING", 6, "right"),
    Column("version", "RUNTIME", 9, "left"),
    Column("remote", "FROM", 10, "left", True),
)
TOKEN_COLUMNS: Final = (
    Column("name", "NAME", 16, "left"),
    Column("opens", "OPENS", 20, "left"),
    Column("state", "STATE", 11, "left"),
    Column("made", "MADE", 6, "right"),
    Column("expires", "EXPIRES", 9, "right"),
    Column("id", "ID", 12, "left", True),
)
CONNECTION_KEYS: Final = frozenset({"agent", "state", "version", "from", "via"})
TOKEN_KEYS: Final = frozenset({"name", "opens", "state", "id"})


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


# --- overview


def health_fields(health: HubHealth, screen_lag: float) -> list[Field]:
    good = health.status == "ok"
    fields = [
        heading("The hub"),
        Field("State", f"{'●' if good else '!'} {health.status}", "ok" if good else "bad"),
        *(Field("", problem, "bad") for problem in health.problems),
        Field("Version", health.version, "", f"up {age_text(health.uptime_seconds)}"),
        Field("Id", health.hub_id),
        *(Field(f"Listens ({name})", address) for name, address in health.addresses.items()),
        Field("Agents", ", ".join(f"{count} {state}" for state, count in health.agents.items()) or "none"),
        Field("Tasks", ", ".join(f"{count} {state}" for state, count in health.tasks.items()) or "none"),
        Field("Screen lag", ms(screen_lag), "warn" if screen_lag > SLOW_LAG_SECONDS else ""),
        heading("Drivers"),
    ]
    for driver in health.drivers:
        if driver.usable:
            fields.append(Field(driver.name, f"√ usable {driver.version}".strip(), "ok"))
        else:
            why = ". ".join(part.rstrip(".") for part in (driver.reason, driver.hint) if part)
            fields.append(Field(driver.name, f"! not usable: {why}", "warn"))
    return fields if health.drivers else [*fields, Field("", "none", "dim")]


def load_fields(load: HubLoad | None, note: str, writable: bool) -> list[Field]:
    """`note`: why the load is not known."""
    if load is None:
        return [heading("How busy"), Field("", note, "dim")]
    lag = max(load.loop_lag_seconds, load.loop_lag_p99_seconds)
    slow = " slow" if lag > SLOW_LAG_SECONDS else ""
    commit_slow = load.commit_p99_seconds > SLOW_COMMIT_SECONDS
    commits = (
        f"{ms(load.commit_seconds)}, slowest hundredth {ms(load.commit_p99_seconds)}{' slow' if commit_slow else ''}"
    )
    registry = f"{size_text(load.registry_bytes)}, log {size_text(load.registry_log_bytes)}"
    outbox = f"{load.outbox_frames} frames, {size_text(load.outbox_bytes)} unsent"
    return [
        heading("How busy"),
        Field("Event loop", f"{ms(load.loop_lag_seconds)} late now{slow}", "warn" if slow else "",
              f"slowest hundredth of a minute {ms(load.loop_lag_p99_seconds)}"),
        Field("Commits", commits if load.commits else "none yet", "warn" if commit_slow else "",
              f"{load.batch_records:g} records each, {load.batch_most} at most" if load.commits else ""),
        Field("Registry", registry if writable else f"! cannot be written, {registry}", "" if writable else "bad"),
        Field("Output", f"{size_text(load.output_bytes)} on disk", "",
              f"{load.output_files} files open, {load.output_readers} readers wait"),
        heading("Connections"),
        Field("Agents", f"{load.connections} connected", "", outbox),
        Field("Queued tasks", str(load.queued)),
        Field("Dropped", _drops(load.dropped_frames), "warn" if load.dropped_frames else ""),
        Field("Observers", f"{load.observers} of the feed", "", f"the slowest is {load.feed_behind} events behind"),
        Field("Gaps told", str(load.gaps), "warn" if load.gaps else "", "since the start: an observer was too slow"),
        Field("Waiting", f"{load.streams} streams followed, {load.waits} long polls"),
    ]  # fmt: skip


def _drops(frames: int) -> str:
    return f"{frames} frames: agents read too slowly, and their connections were ended" if frames else "no frame"


# --- connections


def connection_fields(view: ConnectionView) -> dict[str, str]:
    """What the filter looks at."""
    return {
        "agent": view.agent_id, "state": "connected" if view.connected else "away", "version": view.version,
        "from": view.remote, "via": view.via,
    }  # fmt: skip


def connection_row(view: ConnectionView, now: datetime, stale: bool) -> tuple[Mapping[str, str], Row]:
    state = f"● {age_cell(view.since, now)}" if view.connected else "○ away"
    ping = "" if view.latency_seconds is None else f"{view.latency_seconds * 1000:.0f}ms"
    waits = view.outbox_frames or view.acks
    cells = (
        Cell(view.agent_id),
        Cell(state, "ok" if view.connected else "warn" if view.queued else "dim"),
        Cell(str(view.queued) if view.queued else ""),
        Cell(str(view.running) if view.running else "", "accent"),
        Cell((size_text(view.outbox_bytes) or "") if waits else "", "warn" if waits else ""),
        Cell(ping, "dim"),
        Cell(f"{printable(view.version)}{' basic' if view.basic else ''}".strip(), "dim"),
        Cell(printable(view.remote), "dim"),
    )
    return connection_fields(view), Row(view.agent_id, cells, stale)


def connection_detail(view: ConnectionView, now: datetime) -> list[Field]:
    fields = [Field("Agent", view.agent_id, "bold")]
    if not view.connected:
        away = "○ not connected; its tasks wait" if view.queued else "○ not connected"
        fields.append(Field("Connection", away, "warn"))
    else:
        heard = "" if view.heard_seconds is None else f", heard {age_text(view.heard_seconds)} ago"
        ping = "not measured" if view.latency_seconds is None else ms(view.latency_seconds)
        fields += [
            Field("Connected", moment(view.since or ""), "ok", f"for {age_cell(view.since, now)}{heard}"),
            Field("From", view.remote),
            Field("To", view.via, "", "the hub's address that it dialled"),
            Field("Protocol", "basic: tasks only" if view.basic else str(view.protocol or "not told")),
            Field("Ping", ping, "", "only silent agents are pinged"),
            Field("Unsent", f"{view.outbox_frames} frames, {size_text(view.outbox_bytes)}",
                  "warn" if view.outbox_frames else ""),
            Field("Its window", f"{view.acks} acknowledgements wait", "warn" if view.acks else ""),
            Field("Bad frames", str(view.errors), "bad" if view.errors else ""),
        ]  # fmt: skip
    fields += [Field("Queued", f"{view.queued} tasks"), Field("Running", f"{view.running} tasks")]
    return [*fields, Field("Runtime", printable(view.version) or "not told")]


# --- tokens


def token_state(token: TokenView, now: datetime) -> tuple[str, str]:
    """Glyph and word, and what it means."""
    if token.revoked_at:
        return "- revoked", "dim"
    if token.expires_at and datetime.fromisoformat(token.expires_at) <= now:
        return "- expired", "dim"
    if token.used and token.kind == "join":
        return "- used up", "dim"
    return "● valid", "ok"


def token_opens(token: TokenView) -> str:
    """What it is good for."""
    if token.role is not None:
        return token.role.value
    return f"{'join as' if token.kind == 'join' else 'is'} {token.agent_id or '?'}"


def token_name(token: TokenView) -> str:
    return printable(token.name or token.agent_id or token.id)


def token_row(token: TokenView, now: datetime, stale: bool) -> tuple[Mapping[str, str], Row]:
    state, style = token_state(token, now)
    left = datetime.fromisoformat(token.expires_at) - now if token.expires_at else None
    expires = "never" if left is None else f"in {age_text(max(left.total_seconds(), 0.0))}"
    plain = "dim" if style == "dim" else ""
    cells = (
        Cell(token_name(token), plain), Cell(token_opens(token), plain),
        Cell(state, style), Cell(age_cell(token.created_at, now), "dim"),
        Cell(expires if style == "ok" else "", "dim"), Cell(token.id, "dim"),
    )  # fmt: skip
    fields = {"name": token_name(token), "opens": token_opens(token), "state": state[2:], "id": token.id}
    return fields, Row(token.id, cells, stale)


# --- settings


def setting_fields(settings: Settings) -> list[Field]:
    """Every setting with where its value comes from; secrets stay secret."""
    fields = [heading("Settings of this program")]
    for name, spec in SPECS.items():
        value = getattr(settings, name)
        shown = "(hidden)" if spec.row.secret and value else _text(value)
        fields.append(Field(name, shown, "", f"from {settings.origin(name)}"))
    return fields


def _text(value: object) -> str:
    if value is None or value in ("", ()):
        return "—"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
