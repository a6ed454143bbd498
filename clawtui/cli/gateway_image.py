"""Verbs for the images that OpenClaw gateways are run from: list, build."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.output import Column
from clawtui.cli.progress import finish_job
from clawtui.cli.world import Ctx
from hub.contract import BuildGatewayImage, GatewayImageQuery

image = App(name="image", help="List and build the images that gateways are run from.")

MIB: Final = 1 << 20
COLUMNS: Final = (
    Column("IMAGE", lambda one: one.name),
    Column("KIND", lambda one: one.kind),
    Column("VERSION", lambda one: one.version),
    Column("PLATFORM", lambda one: one.platform),
    Column("SIZE", lambda one: f"{one.size_bytes / MIB:.0f} MiB", right=True),
    Column("CREATED", lambda one: one.created_at),
)

Platform = Annotated[str, Parameter(help="Such as linux/arm64; needs buildx where it is not the engine's own.")]
Host = Annotated[str, Parameter(help="Name of the Docker host; without it the hub's own engine.")]


@image.command(name="list")
async def list_images(*, host: Host = "", context: Ctx) -> int:
    """List the images of all kinds that are there, newest first."""
    async with context.control() as control:
        answer = await control.gateway_images(GatewayImageQuery(host=host))
    context.out.listing(answer, COLUMNS, answer.images, "no image for gateways is there yet")
    return exits.DONE


@image.command(name="build")
async def build(
    *,
    version: Annotated[str, Parameter(help="Of OpenClaw, as npm has it; without it the one this hub knows best.")] = "",
    platform: Platform = "",
    rebuild: Annotated[bool, Parameter(help="Build again, without layers of earlier builds.")] = False,
    host: Host = "",
    no_wait: Annotated[bool, Parameter(help="Do not wait for the end; print the job.")] = False,
    context: Ctx,
) -> int:
    """Build an image with OpenClaw from npm; one that is there already is not built again."""
    request = BuildGatewayImage(version=version, platform=platform, rebuild=rebuild, host=host)
    async with context.control() as control:
        job = await control.build_gateway_image(request)
        if await finish_job(context, control, job, no_wait=no_wait):
            context.out.line((await control.job(job.id)).result["image"])
    return exits.DONE
