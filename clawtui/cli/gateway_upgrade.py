"""Verbs that give gateways of the hub another version: upgrade, rollback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import Group, Parameter

from clawtui.cli import exits
from clawtui.cli.lifecycle import NoWait
from clawtui.cli.output import Column
from clawtui.cli.progress import finish_job
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import RolloutRequest, UpgradeGateway, UpgradeGateways
from hub.control import Control

MANY: Final = Group("Many at once", sort_key=1)


@Parameter(name="*", group=MANY)
@dataclass(frozen=True, kw_only=True)
class ManyOptions:
    """Which ones, and how many at a time."""

    all: bool = False
    """Every gateway that the hub runs."""
    tier: str = ""
    """Every gateway of this tier."""
    canary: int = 0
    """So many first, alone; when one of them is undone, no other is begun."""
    concurrency: int = 1
    """So many at the same time."""
    stop_on_failures: int = 1
    """Begin no more after so many were undone; 0 = never stop."""


ONE: Final = ManyOptions()

FIELDS: Final = (
    Column("GATEWAY", lambda found: found.get("gateway")),
    Column("IMAGE", lambda found: found.get("image")),
    Column("IMAGE ID", lambda found: found.get("imageId")),
    Column("VERSION", lambda found: found.get("version")),
    Column("BEFORE", lambda found: found.get("previousImage")),
    Column("TAG WAS", lambda found: found.get("movedFrom")),
    Column("SECONDS", lambda found: found.get("seconds")),
    Column("NOTES", lambda found: found.get("notes")),
)


async def upgrade(
    *names: str,
    image: str = "",
    to_version: str = "",
    many: ManyOptions = ONE,
    no_wait: NoWait = False,
    context: Ctx,
) -> int:
    """Give gateways another version. What is not healthy goes back to the old container and its data by itself.

    Args:
        names: The gateways.
        image: The image, by tag or digest.
        to_version: OpenClaw version instead: the tag of the gateway's kind of image, or of one that the hub builds.
    """
    if bool(image) == bool(to_version):
        raise UsageError(
            "name the image or the version", field="image", hint="--to-version 2026.9.6, or --image REPOSITORY:TAG"
        )
    if bool(names) == (many.all or bool(many.tier)):
        raise UsageError("name gateways, or --all, or --tier TIER", field="names")
    to = UpgradeGateway(image=image, version=to_version)
    async with context.control() as control:
        if len(names) == 1:
            job = await control.upgrade_gateway(names[0], to)
            if await finish_job(context, control, job, no_wait=no_wait):
                await _show(context, control, job.id)
            return exits.DONE
        rollout = RolloutRequest(
            canary=many.canary, concurrency=many.concurrency, stop_on_failures=many.stop_on_failures
        )
        wish = UpgradeGateways(names=list(names), tier=many.tier, to=to, rollout=rollout)
        job = await control.upgrade_gateways(wish)
        if not await finish_job(context, control, job, no_wait=no_wait):
            return exits.DONE
        result = (await control.job(job.id)).result or {}
        failed = result.get("failed") or {}
        context.out.say(f"upgraded: {', '.join(result.get('upgraded') or []) or 'none'}")
        for name, why in failed.items():
            context.out.say(f"{name}: {why}")
    return exits.FAILED if failed else exits.DONE


async def rollback(
    name: str, /, *, force: Annotated[bool, Parameter(negative=())] = False, no_wait: NoWait = False, context: Ctx
) -> int:
    """Go back to the version before the last upgrade, with the data as it was then.

    Args:
        name: The gateway.
        force: Do not ask.
    """
    async with context.control() as control:
        view = await control.gateway(name)
        before = view.instance.previous_image if view.instance is not None else ""
        question = f"Go back to {before or 'what was before'}? What was said since the upgrade is saved as a backup."
        if not force and not context.confirm(question, f"{context.world.program} gateway rollback {name} --force"):
            context.out.say("nothing was changed")
            return exits.FAILED
        job = await control.roll_back_gateway(name)
        if await finish_job(context, control, job, no_wait=no_wait):
            await _show(context, control, job.id)
    return exits.DONE


async def _show(context: Context, control: Control, job_id: str) -> None:
    found = (await control.job(job_id)).result or {}
    context.out.record(found, FIELDS, found)
