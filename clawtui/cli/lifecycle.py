"""Verbs that change agents: create, start, stop, …, destroy, register, release, adopt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.agents import show_agent
from clawtui.cli.later import refuse_later_driver
from clawtui.cli.machine import PLAIN, MachineOptions
from clawtui.cli.output import Column
from clawtui.cli.progress import finish_job
from clawtui.cli.values import cores, pairs, words
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import (
    AgentAct,
    CreateAgent,
    MountRequest,
    RegisterAgent,
    RegisterMetadata,
    Resources,
)

NoWait = Annotated[bool, Parameter(help="Do not wait for the end; print the job.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `create`."""

    driver: Annotated[str, Parameter(help="docker or process; without it docker where that works.")] = ""
    profile: Annotated[str, Parameter(help="What the agent is made from: `clawtui profile list`.")] = ""
    type: Annotated[str, Parameter(help="A word to select it by, e.g. builder.")] = ""
    display_name: Annotated[str, Parameter(help="Free text that screens show.")] = ""
    cpu: Annotated[
        str | None,
        Parameter(help="Cores, e.g. 0.5 or 500m; Docker agents have 2 without it, where the host has as many."),
    ] = None
    memory: Annotated[
        str | None,
        Parameter(help="Such as 4G or 512m; Docker agents have 4G without it, where the host has as much."),
    ] = None
    disk: Annotated[str | None, Parameter(help="Such as 20G; where the platform can limit it.")] = None
    capabilities: Annotated[str, Parameter(help="Tags, with commas between them.")] = ""
    label: Annotated[list[str] | None, Parameter(help="KEY=VALUE; may be repeated.")] = None
    env: Annotated[list[str] | None, Parameter(alias="-e", help="KEY=VALUE for its tasks; may be repeated.")] = None
    concurrency: Annotated[int | None, Parameter(help="How many tasks it runs at once.")] = None
    network: Annotated[
        str, Parameter(help="Docker network; none = no network, the hub is reached through a socket.")
    ] = ""
    mount: Annotated[list[str] | None, Parameter(help="SOURCE:TARGET or SOURCE:TARGET:ro; may be repeated.")] = None
    tmpfs: Annotated[list[str] | None, Parameter(help="A folder in memory; may be repeated.")] = None
    read_only_root: Annotated[bool, Parameter(help="Everything but workspace, mounts and tmpfs is read-only.")] = False
    restart: Annotated[
        str, Parameter(help="no, on-failure, always or unless-stopped; without it as the profile says, or the last.")
    ] = ""

    def request(self, name: str, preset_driver: str, machine: MachineOptions = PLAIN) -> CreateAgent:
        """What the hub is asked for.

        Raises:
            UsageError: a label, variable, mount or number of cores that cannot be meant.
            NotInThisVersion: a driver that comes later.
        """
        driver = self.driver or preset_driver
        refuse_later_driver(driver)
        return CreateAgent(
            name=name,
            driver=driver,
            profile=self.profile,
            type=self.type,
            display_name=self.display_name,
            capabilities=words(self.capabilities),
            labels=pairs(self.label, "--label"),
            concurrency=self.concurrency,
            resources=Resources(cpus=cores(self.cpu, "--cpu"), memory=self.memory, disk=self.disk),
            environment=pairs(self.env, "--env"),
            network=self.network,
            mounts=[mount_from(text) for text in self.mount or []],
            tmpfs=self.tmpfs or [],
            read_only=self.read_only_root,
            restart=self.restart,
            machine=machine.raw(),
        )


NOTHING: Final = Wanted()


async def create(
    name: str, /, *, wanted: Wanted = NOTHING, machine: MachineOptions = PLAIN, no_wait: NoWait = False, context: Ctx
) -> int:
    """Make an agent and start it.

    Args:
        name: Its name: small letters, digits and dashes.
    """
    request = wanted.request(name, context.world.preset_driver, machine)
    async with context.control() as control:
        job = await control.create_agent(request)
        if await finish_job(context, control, job, no_wait=no_wait):
            show_agent(context, await control.agent(name))
    return exits.DONE


def mount_from(text: str) -> MountRequest:
    """`SOURCE:TARGET[:ro]`; the target is absolute. Raises UsageError."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts) or parts[2:] not in ([], ["ro"], ["rw"]):
        raise UsageError(f"--mount {text!r} is not SOURCE:TARGET or SOURCE:TARGET:ro", field="mount")
    if not PurePosixPath(parts[1]).is_absolute():
        raise UsageError(f"--mount {text!r}: the target is a path from the root on", field="mount")
    return MountRequest(source=parts[0], target=parts[1], read_only=parts[2:] == ["ro"])


async def _act(context: Context, name: str, act: AgentAct, no_wait: bool) -> int:
    async with context.control() as control:
        job = await control.act(name, act)
        if await finish_job(context, control, job, no_wait=no_wait):
            show_agent(context, await control.agent(name))
    return exits.DONE


async def start(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Start a stopped agent."""
    return await _act(context, name, AgentAct.START, no_wait)


async def stop(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Stop an agent; what it was given stays queued."""
    return await _act(context, name, AgentAct.STOP, no_wait)


async def restart(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Stop and start an agent."""
    return await _act(context, name, AgentAct.RESTART, no_wait)


async def pause(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Freeze an agent with its tasks."""
    return await _act(context, name, AgentAct.PAUSE, no_wait)


async def resume(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Thaw a paused agent."""
    return await _act(context, name, AgentAct.RESUME, no_wait)


async def upgrade(name: str, /, *, no_wait: NoWait = False, context: Ctx) -> int:
    """Make an agent again with the present version; not available in this version."""
    return await _act(context, name, AgentAct.UPGRADE, no_wait)


async def destroy(name: str, /, *, force: bool = False, no_wait: NoWait = False, context: Ctx) -> int:
    """Remove an agent and everything that was made for it, its data included.

    Args:
        name: The agent.
        force: Do not ask.
    """
    if not force and not context.confirm(f"Destroy {name} with its workspace?", f"clawtui destroy {name} --force"):
        context.out.say("nothing was changed")
        return exits.FAILED
    async with context.control() as control:
        job = await control.destroy(name)
        if await finish_job(context, control, job, no_wait=no_wait):
            context.out.say(f"{name} is destroyed")
    return exits.DONE


async def register(name: str, /, *, type: str = "", capabilities: str = "", context: Ctx) -> int:
    """Register an agent that you run by hand; prints its token, once.

    Args:
        name: Its name.
        type: A word to select it by.
        capabilities: Tags, with commas between them.
    """
    metadata = RegisterMetadata(type=type, capabilities=words(capabilities))
    async with context.control() as control:
        answer = await control.register(RegisterAgent(agent_id=name, metadata=metadata))
    fields = (
        Column("NAME", lambda it: it.agent.id),
        Column("TOKEN", lambda it: it.token),
        Column("URL", lambda it: it.ws_url),
    )
    context.out.record(answer, fields, answer)
    return exits.DONE


async def release(name: str, /, *, context: Ctx) -> int:
    """Let an agent out of quarantine with a new join token."""
    async with context.control() as control:
        show_agent(context, await control.release(name))
    return exits.DONE


async def adopt(*, context: Ctx) -> int:
    """Take back agents by their labels after a lost registry."""
    async with context.control() as control:
        answer = await control.adopt()
    rows = [*((name, "adopted") for name in answer.adopted), *answer.skipped.items()]
    columns = (Column("NAME", lambda row: row[0]), Column("OUTCOME", lambda row: row[1]))
    context.out.listing(answer, columns, rows, "no agents of this hub were found on the platforms")
    return exits.DONE
