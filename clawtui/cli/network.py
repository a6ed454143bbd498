"""Verbs on networks that agents can be in."""

from __future__ import annotations

from cyclopts import App

from clawtui.cli import exits
from clawtui.cli.output import Column
from clawtui.cli.world import Context, Ctx
from hub.contract import CreateNetwork, NetworkQuery, NetworkView

network = App(name="network", help="List, make, remove networks of agents; connect agents to more than one.")


def columns() -> tuple[Column, ...]:
    return (
        Column("NETWORK", lambda view: view.name),
        Column("SUBNET", lambda view: view.subnet),
        Column("GATEWAY", lambda view: view.gateway),
        Column("KIND", kind),
        Column("AGENTS", lambda view: view.agents),
        Column("OTHERS", lambda view: view.others, right=True),
    )


def kind(view: NetworkView) -> str:
    """What is special about it, in words."""
    owner = "shared" if view.shared else "ours" if view.ours else "foreign"
    facts = (("internal", view.internal), ("agents apart", view.apart))
    return ", ".join([owner, *(word for word, is_so in facts if is_so)])


def show(context: Context, view: NetworkView) -> int:
    context.out.record(view, columns(), view)
    return exits.DONE


@network.command(name="list")
async def list_networks(*, driver: str = "", context: Ctx) -> int:
    """List the networks that agents can be in.

    Args:
        driver: Only those of this driver; without it those of the first that has networks.
    """
    async with context.control() as control:
        page = await control.networks(NetworkQuery(driver=driver))
    context.out.listing(page, columns(), page.networks, "no networks yet; the first agent makes openclaw-agents")
    return exits.DONE


@network.command
async def create(
    name: str, /, *, subnet: str = "", gateway: str = "", internal: bool = False, together: bool = False,
    driver: str = "", context: Ctx,
) -> int:  # fmt: skip
    """Make a network; fine when the same one is there already.

    Args:
        name: Letters, digits, _ . and -.
        subnet: Its IPv4 addresses, e.g. 10.20.0.0/24; without it the engine chooses.
        gateway: The host's address in it, where agents reach their hub; needs a subnet.
        internal: No way out of it: no internet. The hub stays reachable.
        together: Agents in it reach each other; without it they do not.
        driver: Whose networks; without it those of the first driver that has any.
    """
    request = CreateNetwork(
        name=name, subnet=subnet, gateway=gateway, internal=internal, apart=not together, driver=driver
    )
    async with context.control() as control:
        return show(context, await control.create_network(request))


@network.command
async def remove(name: str, /, *, context: Ctx) -> int:
    """Remove a network that a hub made and that nobody uses; fine when there is none.

    Args:
        name: The network.
    """
    async with context.control() as control:
        await control.remove_network(name)
    context.out.say(f"network {name} is removed")
    return exits.DONE


@network.command
async def connect(name: str, agent: str, /, *, context: Ctx) -> int:
    """Put an agent into one more network; it stays in those that it is in.

    Args:
        name: The network.
        agent: The agent.
    """
    async with context.control() as control:
        return show(context, await control.connect_network(name, agent))


@network.command
async def disconnect(name: str, agent: str, /, *, context: Ctx) -> int:
    """Take an agent out of a network; refused for the one through which it reaches its hub.

    Args:
        name: The network.
        agent: The agent.
    """
    async with context.control() as control:
        return show(context, await control.disconnect_network(name, agent))
