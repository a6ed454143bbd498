"""Verbs on the reverse proxy in front of gateways that the hub runs: show, apply, config."""

from __future__ import annotations

from cyclopts import App

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode
from clawtui.cli.world import Context, Ctx
from hub.contract import GatewayState, IngressView

ingress = App(name="ingress", help="The reverse proxy that leads names to the gateways that the hub runs.")


def columns() -> tuple[Column, ...]:
    return (
        Column("NAME", lambda route: route.domain),
        Column("GATEWAY", lambda route: route.gateway),
        Column("UPSTREAM", lambda route: route.upstream),
        Column("STATE", lambda route: route.state.value),
        Column("PROBLEM", lambda route: route.problem),
    )


def show_view(context: Context, view: IngressView) -> int:
    """Print it; the proxy's own matters go to people only. 1 where something is wrong."""
    context.out.listing(view, columns(), view.routes, "no gateway has a name")
    if context.out.mode is not Mode.JSON:
        if not view.kind:
            context.out.say("no reverse proxy is set up")
        elif view.applied_at:
            context.out.say(f"{view.kind} has this since {view.applied_at}; its sites are in {view.config_path}")
        for text in (view.problem, f"hint: {view.hint}" if view.hint else ""):
            if text:
                context.out.say(text)
    wrong = bool(view.problem) or any(route.state not in _FINE for route in view.routes)
    return exits.FAILED if wrong else exits.DONE


_FINE = frozenset({GatewayState.READY, GatewayState.UNKNOWN, GatewayState.STARTING})


@ingress.command
async def show(*, context: Ctx) -> int:
    """Show which name leads to which gateway, and how each was seen through the proxy. Ends with 1 when one is not
    reached, or the proxy does not have what is wanted.
    """
    async with context.control() as control:
        view = await control.ingress()
    return show_view(context, view)


@ingress.command
async def apply(*, context: Ctx) -> int:
    """Write the proxy's configuration and load it now. Where the proxy refuses it, the old one stays."""
    async with context.control() as control:
        view = await control.apply_ingress()
    return show_view(context, view)


@ingress.command
async def config(*, context: Ctx) -> int:
    """Print the sites as they are wanted now, as the proxy's configuration has them."""
    async with context.control() as control:
        view = await control.ingress()
    if context.out.mode is Mode.JSON:
        context.out.body(view)
        return exits.DONE
    for line in view.text.splitlines():
        context.out.line(line)
    if not view.kind:
        context.out.say(f"no reverse proxy is set up; {view.hint}")
    return exits.DONE
