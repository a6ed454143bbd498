"""`doctor`: what works on this machine, and how to get the rest."""

from __future__ import annotations

from typing import Final

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode
from clawtui.cli.world import Context
from clawtui.errors import NoHub, UsageError
from clawtui.root import Check, CheckState, InstallPlan, checks, docker_plan, run_plan, usable
from hub.errors import HubError

MARKS: Final = {
    CheckState.OK: "ok",
    CheckState.MISSING: "missing",
    CheckState.WARN: "warning",
    CheckState.FAIL: "fails",
}
COLUMNS: Final = (
    Column("CHECK", lambda check: check.name),
    Column("STATE", lambda check: MARKS[check.state]),
    Column("FOUND", lambda check: check.found),
)


async def examine(context: Context, *, install_docker: bool, yes: bool) -> int:
    """Print every check, then what to do. 1 when the hub cannot work here."""
    found = await checks(context.settings)
    if install_docker:
        return await _install(context, docker_plan(found), yes=yes)
    found += await _gateways(context)
    out = context.out
    if out.mode is Mode.PLAIN:
        columns = (*COLUMNS, Column("WHY", lambda check: check.why), Column("REMEDY", lambda check: check.remedy))
        out.listing(found, columns, found)
    else:
        out.listing({"usable": usable(found), "checks": found}, COLUMNS, found)
    if out.mode is Mode.TABLE:
        _advise(context, found)
    return exits.DONE if usable(found) else exits.FAILED


async def _gateways(context: Context) -> list[Check]:
    """Ask a hub that runs about the gateways it runs; without one there is nothing to say, and nothing fails."""
    why = "Gateways that the hub runs: ports, files, images, memory, configuration, secrets."
    try:
        async with context.control() as control:
            seen = await control.inspect_gateways()
    except NoHub:
        return []
    except HubError as exc:
        found = f"not looked at: {exc.message}"
        return [Check(name="gateways", state=CheckState.MISSING, found=found, why=why, remedy=exc.hint)]
    wrong = [
        Check(name=f"gateway {one.gateway or 'hosts'}", state=CheckState.WARN, found=one.found, why=one.check,
              remedy=one.remedy)
        for one in seen.findings
    ]  # fmt: skip
    told = {one.gateway for one in seen.findings}
    good = [name for name in seen.gateways if name not in told]
    return [*wrong, *(Check(name=f"gateway {name}", state=CheckState.OK, found="in order", why=why) for name in good)]


def _advise(context: Context, found: list[Check]) -> None:
    for check in found:
        if check.remedy:
            context.out.say("")
            context.out.say(f"{check.name}: {check.why}")
            context.out.say(f"  {check.remedy}")


async def _install(context: Context, plan: InstallPlan, *, yes: bool) -> int:
    """Show the commands, ask, carry them out.

    Raises:
        DriverFailed: a command failed; the rest was not begun.
    """
    out = context.out
    if not plan.possible:
        out.say(plan.instructions)
        return exits.DONE if plan.instructions.startswith("A Docker engine answers") else exits.FAILED
    for number, step in enumerate(plan.steps, 1):
        out.say(f"{number}. {step.why}")
        out.say(f"   {' '.join(step.command)}")
    if not yes and not _agreed(context):
        out.say("nothing was changed")
        return exits.FAILED
    await run_plan(plan, out.say)
    out.say("a Docker engine answers; a running hub notices it by itself")
    return exits.DONE


def _agreed(context: Context) -> bool:
    try:
        return context.confirm("Carry this out?", "clawtui doctor --install-docker --yes")
    except UsageError as exc:
        raise UsageError("installing changes this machine, and nobody is here to agree", hint=exc.hint) from exc
