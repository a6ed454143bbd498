"""The verb for how OpenClaw gateways have been: checks over time and what they come to."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, age_text
from clawtui.cli.world import Ctx
from clawtui.errors import UsageError
from hub.contract import GatewayCheck, GatewayFigures, GatewayHealthList, GatewayHealthQuery, GatewayState

MOST_CHECKS: Final = 1_000
ALL: Final = "(all)"


class FiguresRow(NamedTuple):
    """What a row of the table is of: a gateway, or all of them."""

    name: str
    state: str
    figures: GatewayFigures


class CheckRow(NamedTuple):
    name: str
    check: GatewayCheck


def share(value: float | None) -> str | None:
    """A share as per cent; what is not all is never shown as all."""
    if value is None:
        return None
    return f"{int(value * 1000) / 10:.1f}%" if value < 1 else "100%"


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} ms"


def _seconds(value: float | None) -> str | None:
    return None if value is None else age_text(value)


COLUMNS: Final = (
    Column("GATEWAY", lambda row: row.name),
    Column("STATE", lambda row: row.state),
    Column("CHECKS", lambda row: row.figures.checks, right=True),
    Column("PASS", lambda row: share(row.figures.pass_rate), right=True),
    Column("ANSWER", lambda row: _ms(row.figures.response_ms), right=True),
    Column("P50", lambda row: _ms(row.figures.response_p50_ms), right=True),
    Column("P95", lambda row: _ms(row.figures.response_p95_ms), right=True),
    Column("DEPLOYED IN", lambda row: _seconds(row.figures.deploy_seconds), right=True),
    Column("RESTARTS", lambda row: row.figures.restarts, right=True),
    Column("WORKED", lambda row: share(row.figures.restart_success_rate), right=True),
    Column("SINCE", lambda row: row.figures.since),
)
CHECK_COLUMNS: Final = (
    Column("GATEWAY", lambda row: row.name),
    Column("AT", lambda row: row.check.at),
    Column("STATE", lambda row: row.check.state.value),
    Column("HEALTHY", lambda row: row.check.healthy),
    Column("ANSWER", lambda row: _ms(row.check.response_ms), right=True),
    Column("VIA", lambda row: row.check.via),
    Column("REASON", lambda row: row.check.reason),
)


async def health(
    *names: str,
    now: Annotated[bool, Parameter(help="Look at them first; ends with 1 when one is not ready then.")] = False,
    checks: Annotated[int, Parameter(help="Show the last so many checks of each too; --plain shows only these.")] = 0,
    since: Annotated[str, Parameter(help="Figures since then: 10m, 24h, 7d, or a time.")] = "24h",
    context: Ctx,
) -> int:
    """Show how gateways have been: pass rate, response times, deploy time, restarts and how many of those worked.

    Args:
        names: The gateways; without one all.
    """
    if not 0 <= checks <= MOST_CHECKS:
        raise UsageError(f"--checks is 0 to {MOST_CHECKS:,}", field="checks")
    query = GatewayHealthQuery(names=",".join(names), now=now, since=since, checks=checks)
    async with context.control() as control:
        told = await control.gateway_health(query)
    if not checks or context.out.mode is not Mode.PLAIN:
        context.out.listing(told, COLUMNS, _figures(told), "no gateways yet; clawtui gateway add NAME --url URL")
    if checks and context.out.mode is not Mode.JSON:
        rows: list[Any] = [CheckRow(one.name, check) for one in told.gateways for check in one.checks]
        context.out.listing(told, CHECK_COLUMNS, rows, "no checks since then")
    bad = any(one.state not in (GatewayState.READY, GatewayState.UNKNOWN) for one in told.gateways)
    return exits.FAILED if now and bad else exits.DONE


def _figures(told: GatewayHealthList) -> list[FiguresRow]:
    rows = [FiguresRow(one.name, one.state.value, one.figures) for one in told.gateways]
    return [*rows, FiguresRow(ALL, "", told.fleet)] if len(rows) > 1 else rows
