"""A gateway that the hub runs, in full: what it is made of, how healthy it was, what is saved of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from clawtui.cli.output import age_text, printable, size_text
from clawtui.tui.gateways import Known, figures_of, history_text, response_text, share_text, sign, state_of
from clawtui.tui.jobs import job_what
from clawtui.tui.presenters import age_cell, bar
from clawtui.tui.widgets.fields import Field, heading
from hub.contract import (
    BackupView,
    GatewayCheck,
    GatewayFigures,
    GatewayView,
    InstancePhase,
    InstanceView,
    JobView,
    TierView,
)

SHOWN_CHECKS: Final = 12
SHOWN_BACKUPS: Final = 6
SPARK_CELLS: Final = 24
UNLIMITED: Final = "no limit"


def instance_fields(
    gateway: GatewayView, known: Known, backups: Sequence[BackupView] | None, now: datetime, keys: Mapping[str, str]
) -> list[Field]:
    """What stands in the detail besides what is true of every gateway. `keys`: what helps, by action id."""
    fields: list[Field] = []
    if gateway.instance is not None:
        fields += _instance(gateway, gateway.instance, known.job, keys)
    fields += _health(figures_of(gateway, known.health), known.health.checks if known.health is not None else [], now)
    if gateway.instance is not None:
        fields += _backups(backups, now, keys.get("gateway.restore", ""))
    return fields


# --- what it is made of


def _instance(gateway: GatewayView, one: InstanceView, job: JobView | None, keys: Mapping[str, str]) -> list[Field]:
    word, mark = state_of(gateway)
    log = keys.get("gateway.log", "")
    fields = [
        heading("The hub runs it"),
        Field("Phase", f"{mark.glyph if word == one.phase.value else '·'} {one.phase.value}", mark.style,
              f"{log} shows its log" if log else ""),
    ]  # fmt: skip
    if job is not None:
        fields.append(Field("Now", f"{bar(job.progress, 16)} {job.progress:.0%}  {job_what(job)}", "accent"))
    if one.reason:
        fields.append(Field("Why", printable(one.reason), "bad" if one.phase is InstancePhase.FAILED else "warn"))
    if one.given_up:
        restart = keys.get("gateway.restart", "")
        more = f"{restart} restarts it, and the monitor looks after it again" if restart else ""
        fields.append(Field("Given up", "the monitor starts it no more: it failed too often", "bad", more))
    fields += _facts(one)
    back = keys.get("gateway.rollback", "")
    if one.previous_image:
        fields.append(Field("Before", printable(one.previous_image), "", f"{back} goes back to it" if back else ""))
    if one.notes:
        fields.append(Field("Mind", "\n".join(printable(note) for note in one.notes), "warn"))
    return fields


def _facts(one: InstanceView) -> list[Field]:
    container = " ".join(part for part in (one.container, one.container_state) if part)
    if one.oom_killed:
        container += ", killed: out of memory"
    elif one.exit_code:
        container += f", exit {one.exit_code}"
    known = (
        ("Customer", one.customer, ""),
        ("Tier", one.tier, ""),
        ("Host", f"{one.host}, port {one.port}", ""),
        ("Open to", one.public_url, ""),
        ("Image", one.image, f"{one.image_kind}{f', {_short(one.image_id)}' if one.image_id else ''}"),
        ("Container", container, ""),
        ("Limits", limits_text(one.limits), "in force"),
        ("Deployed", age_text(one.deploy_seconds) if one.deploy_seconds is not None else "", "from order to ready"),
        ("Restarts", str(one.restarts) if one.restarts else "", "by the monitor"),
        ("Folder", one.folder and f"{one.folder} on the hub's machine", ""),
    )
    return [Field(label, printable(text), "", more) for label, text, more in known if text]


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def limits_text(limits: Mapping[str, float]) -> str:
    """Limits by name as people read them; those without a known meaning as they are."""
    parts: list[str] = []
    for name, value in limits.items():
        match name:
            case "cpus":
                parts.append(f"{value:g} CPU{'s' if value != 1 else ''}")
            case "memoryBytes" | "workspaceBytes":
                parts.append(f"{size_text(int(value))} {'memory' if name == 'memoryBytes' else 'workspace'}")
            case _:
                parts.append(f"{value:g} {printable(name)}")
    return ", ".join(parts)


# --- how healthy it was


def _health(figures: GatewayFigures | None, checks: Sequence[GatewayCheck], now: datetime) -> list[Field]:
    if figures is None and not checks:
        return []
    return [heading("Health"), *_figures(figures, now), *check_fields(checks, now)]


def _figures(figures: GatewayFigures | None, now: datetime) -> list[Field]:
    if figures is None or not figures.checks:
        return [Field("Checks", "none counted yet", "dim")]
    since = f"since {age_cell(figures.since, now)} ago" if figures.since else ""
    rate = share_text(figures.pass_rate) if figures.pass_rate is not None else "not known"
    times = " · ".join(
        f"{name} {response_text(value)}"
        for name, value in (
            ("average", figures.response_ms), ("p50", figures.response_p50_ms), ("p95", figures.response_p95_ms),
        )
        if value is not None
    )  # fmt: skip
    fields = [Field("Passed", f"{rate} of {figures.checks} checks", "", since)]
    fields += [Field("Answers", times)] if times else []
    if figures.restarts:
        worked = figures.restart_success_rate
        more = f"{share_text(worked)} of them worked" if worked is not None else ""
        fields.append(Field("Restarted", f"{figures.restarts} times", "", more))
    return fields


def check_fields(checks: Sequence[GatewayCheck], now: datetime) -> list[Field]:
    """The last checks, the newest first, below their response times as a line."""
    if not checks:
        return []
    newest = sorted(checks, key=lambda one: one.at, reverse=True)
    fields = [Field("Times", history_text(checks, SPARK_CELLS), "accent", "the newest is right; · no answer")]
    for one in newest[:SHOWN_CHECKS]:
        mark = sign(one.state)
        took = response_text(one.response_ms) or "no answer"
        via = f" through the {one.via}" if one.via != "direct" else ""
        why = f": {printable(one.reason)}" if one.reason else ""
        said = f"{mark.glyph} {one.state.value}{via}{why}"
        fields.append(Field(f"{age_cell(one.at, now)} ago", said, mark.style, took))
    return fields


# --- what is saved of it


def _backups(backups: Sequence[BackupView] | None, now: datetime, key: str) -> list[Field]:
    if backups is None:
        return []
    if not backups:
        return [heading("Backups"), Field("", "none yet", "dim")]
    fields = [heading("Backups")]
    for one in backups[:SHOWN_BACKUPS]:
        fields.append(Field(f"{age_cell(one.created_at, now)} ago", backup_text(one), "", one.id))
    more = len(backups) - SHOWN_BACKUPS
    rest = [f"{more} older"] if more > 0 else []
    rest += [f"{key} restores one"] if key else []
    return [*fields, *([Field("", " · ".join(rest), "dim")] if rest else [])]


def backup_text(one: BackupView) -> str:
    """Size, image and how it was saved."""
    return printable(f"{size_text(one.size_bytes)}, {one.image or one.tier}, {one.consistency}")


# --- tiers


def tier_text(tier: TierView) -> str:
    """Its figures in one line."""
    if not tier.valid:
        why = tier.problems[0].message if tier.problems else "its file is not right"
        return f"cannot be used: {printable(why)}"
    sessions = UNLIMITED if tier.sessions is None else str(tier.sessions)
    workspace = UNLIMITED if tier.workspace_bytes is None else size_text(tier.workspace_bytes)
    return (
        f"{tier.cpus:g} CPU · {size_text(tier.memory_bytes)} · sessions {sessions} · workspace {workspace} · "
        f"browser {'yes' if tier.browser else 'no'} · ${tier.cost_per_month:g} a month"
    )


def tier_more(tier: TierView) -> list[str]:
    """What a line of the list has no room for."""
    lines = [printable(tier.description)] if tier.description else []
    lines += [f"{problem.field}: {problem.message}" for problem in tier.problems]
    channels = ", ".join(tier.channels) or "none"
    model = tier.model or "as the gateway has it"
    lines.append(printable(f"model {model} · channels {channels} · image {tier.image_kind}"))
    lines.append(printable(f"{tier.source}{f', {tier.path}' if tier.path else ''}"))
    return lines
