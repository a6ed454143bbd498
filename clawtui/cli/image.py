"""Verbs for agents' images: list, build, push, pull, remove, log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, printable
from clawtui.cli.progress import JOB_COLUMNS, finish_job
from clawtui.cli.values import pairs
from clawtui.cli.world import Context, Ctx
from hub.contract import BuildImage, BuildLogQuery, JobList, JobView, TransferImage
from hub.control import Control
from hub.core.model import JobState

image = App(name="image", help="List, build, push, pull and remove agents' images.")

BASE: Final = "base"
MIB: Final = 1 << 20

COLUMNS: Final = (
    Column("IMAGE", lambda one: one.name),
    Column("TAG", lambda one: one.tag),
    Column("LATEST", lambda one: one.latest),
    Column("PROFILE", lambda one: one.profile),
    Column("SIZE", lambda one: f"{one.size_bytes / MIB:.0f} MiB", right=True),
    Column("CREATED", lambda one: one.created_at),
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The options of every build."""

    rebuild: Annotated[bool, Parameter(help="Build again, without layers of earlier builds.")] = False
    platform: Annotated[str, Parameter(help="Such as linux/arm64; needs buildx where it is not the engine's own.")] = ""
    build_arg: Annotated[list[str] | None, Parameter(help="NAME=VALUE of this machine; may be repeated.")] = None
    no_wait: Annotated[bool, Parameter(help="Do not wait for the end; print the jobs.")] = False

    def request(self) -> BuildImage:
        """Raises UsageError for an argument that cannot be meant."""
        return BuildImage(rebuild=self.rebuild, platform=self.platform, build_args=pairs(self.build_arg, "--build-arg"))


Follow = Annotated[bool, Parameter(alias="-f", help="Go on until the build's end.")]

PLAIN_BUILD: Final = BuildOptions()


@image.command(name="list")
async def list_images(*, context: Ctx) -> int:
    """List the images of ours, newest first."""
    async with context.control() as control:
        answer = await control.images()
    context.out.listing(answer, COLUMNS, answer.images, "no image of ours is there yet")
    return exits.DONE


@image.command(name="build")
async def build(*names: str, options: BuildOptions = PLAIN_BUILD, context: Ctx) -> int:
    """Build the base image, or those of profiles; one that is there already is not built again.

    Args:
        names: Profiles; without any the base image.
    """
    async with context.control() as control:
        return await build_all(context, control, names or (BASE,), options)


@image.command(name="push")
async def push(what: str, registry: str, /, *, no_wait: bool = False, context: Ctx) -> int:
    """Put an image into a registry; `docker login` on the hub's machine keeps what it asks for.

    Args:
        what: A profile, or base; with a tag as in builder:4f2a91c0de11.
        registry: Such as localhost:5000 or registry.example.com/team.
        no_wait: Do not wait for the end; print the job.
    """
    async with context.control() as control:
        job = await control.push_image(TransferImage(image=what, registry=registry))
        if await finish_job(context, control, job, no_wait=no_wait):
            result = (await control.job(job.id)).result
            context.out.line(f"{result['reference']}@{result['digest']}")
    return exits.DONE


@image.command(name="pull")
async def pull(what: str, registry: str, /, *, no_wait: bool = False, context: Ctx) -> int:
    """Get an image from a registry, so that it need not be built here.

    Args:
        what: A profile, or base; without a tag the image that the profile makes as it is here.
        registry: Such as localhost:5000 or registry.example.com/team.
        no_wait: Do not wait for the end; print the job.
    """
    async with context.control() as control:
        job = await control.pull_image(TransferImage(image=what, registry=registry))
        if await finish_job(context, control, job, no_wait=no_wait):
            context.out.line((await control.job(job.id)).result["image"])
    return exits.DONE


@image.command(name="remove")
async def remove(name: str, /, *, context: Ctx) -> int:
    """Remove a profile's image with all its tags and build logs; one that agents or snapshots need stays.

    Args:
        name: A profile, also one that is not there any more, or base.
    """
    async with context.control() as control:
        await control.remove_image(name)
    context.out.say(f"no image of {name} is there now")
    return exits.DONE


@image.command(name="log")
async def log(name: str, /, *, tag: str = "", lines: int = 0, follow: Follow = False, context: Ctx) -> int:
    """Print the output of an image's newest build, running or ended.

    Args:
        name: A profile, or base.
        tag: Of this tag instead.
        lines: Only so many of the last ones.
    """
    async with context.control() as control:
        stream = control.build_log(name, BuildLogQuery(tag=tag, lines=lines, follow=follow))
        async for line in stream:
            if context.out.mode is Mode.JSON:
                context.out.body(line)
            else:
                context.out.line(printable(line.text))
    return exits.DONE


async def build_all(context: Context, control: Control, names: Sequence[str], options: BuildOptions) -> int:
    """Start all the builds and wait for all of them; of several, every one is listed with how it ended.

    Raises:
        HubError: the only build failed.
    """
    request = options.request()
    jobs = [
        await (control.build_image(request) if name == BASE else control.build_profile(name, request))
        for name in dict.fromkeys(names)
    ]
    if len(jobs) == 1 or options.no_wait:
        return await _one(context, control, jobs, options.no_wait)
    ended = await _wait_all(context, control, jobs)
    context.out.listing(JobList(jobs=ended), (*JOB_COLUMNS[:2], *JOB_COLUMNS[3:6]), ended)
    failed = [job for job in ended if job.state != JobState.SUCCEEDED]
    for job in failed:
        for line in (job.error.message if job.error else "").splitlines():
            context.out.say(line)
    return exits.FAILED if failed else exits.DONE


async def _one(context: Context, control: Control, jobs: Sequence[JobView], no_wait: bool) -> int:
    if no_wait:
        context.out.listing(JobList(jobs=list(jobs)), JOB_COLUMNS, jobs)
        return exits.DONE
    (job,) = jobs
    if await finish_job(context, control, job, no_wait=False):
        done = await control.job(job.id)
        context.out.say("built" if done.result["built"] else "there already, nothing to build")
        context.out.line(done.result["image"])
    return exits.DONE


async def _wait_all(context: Context, control: Control, jobs: Sequence[JobView]) -> list[JobView]:
    """Narrate what every job says, until all have ended."""
    said: dict[str, str] = {}

    async def follow(job: JobView) -> JobView:
        while job.state == JobState.RUNNING:
            if job.message and said.get(job.id) != job.message and context.out.mode is not Mode.JSON:
                said[job.id] = job.message
                context.out.say(job.message)
            job = await control.job(job.id, wait_seconds=1.0)
        return job

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follow(job)) for job in jobs]
    return [task.result() for task in tasks]
