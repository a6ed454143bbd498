"""The verb `compose`: agents as a Compose file in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.folder import OutFolder, as_yaml
from clawtui.cli.output import Column, Mode
from clawtui.cli.progress import finish_job
from clawtui.cli.values import seconds
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import BuildImage, ComposeExport, ComposeImage, CreateAgent, ExportCompose
from hub.control import Control
from profiles.errors import ProfileError
from profiles.reading import FORMATS, read_text

FILE: Final = "docker-compose.yml"
TOKENS: Final = "tokens"
HEADER: Final = """\
# Made by clawtui compose. Start it with `docker-compose up -d` (or `docker compose up -d`) in this folder.
# The hub must run: agents dial it at the gateway of their network, and join with the files in tokens/.
"""
MOST: Final = 1_000


async def compose(
    *names: str, out: Path, select: str = "", planned: Path | None = None, profile: str = "", count: int = 0,
    prefix: str = "", token_lifetime: str = "24h",
    no_build: Annotated[bool, Parameter(help="Do not build the images that are missing.")] = False,
    context: Ctx,
) -> int:  # fmt: skip
    """Write agents as a Compose file that starts the same agents: same names, labels, volumes and limits.

    Args:
        names: Agents that there are, or that were planned before.
        out: The folder to write to; it is made, or must hold an earlier export only.
        select: More agents that there are, e.g. "type=builder".
        planned: A JSON or YAML file with a list of agents to plan, each as in POST /agents.
        profile: The profile of planned agents.
        count: How many agents to plan.
        prefix: Their names are PREFIX-1, PREFIX-2 …; without it made of the profile's.
        token_lifetime: Until when the file must have been started once, e.g. 90m, 24h, 7d.
    """
    plans = [*(planned_in(planned) if planned else []), *numbered(profile, count, prefix)]
    if not names and not select and not plans:
        hint = "clawtui compose NAME… --out FOLDER, or --select EXPR, --planned FILE, --profile P --count N"
        raise UsageError("no agent was named or planned", hint=hint)
    request = ExportCompose(
        agents=list(names), selector=select, planned=plans, token_seconds=seconds(token_lifetime, "--token-lifetime")
    )
    # Looked at first: planned agents are records of the hub as soon as it has answered.
    folder = OutFolder(out, HEADER, FILE, {TOKENS})
    folder.check()
    async with context.control() as control:
        export = await control.export_compose(request)
        write(folder, export)
        _tell(context, export, out)
        if not no_build:
            for image in export.images:
                if not image.built:
                    await _build(context, control, image)
    return exits.DONE


def write(folder: OutFolder, export: ComposeExport) -> None:
    """Write the file and the tokens. Raises UsageError."""
    with folder.writing() as made:
        for name, secret in export.tokens.items():
            made.secret(name, secret)
        made.main(HEADER + as_yaml(export.document))


def planned_in(path: Path) -> list[CreateAgent]:
    """The create requests in a file: a list, or a mapping with the list as `agents`. Raises UsageError."""
    try:
        data: Any = read_text(path.read_text(encoding="utf-8-sig"), FORMATS.get(path.suffix, "json"))
        if isinstance(data, dict):
            data = data.get("agents", data)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return msgspec.convert(data, list[CreateAgent])
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", field="planned") from exc
    except (ProfileError, msgspec.ValidationError, UnicodeDecodeError) as exc:
        hint = 'A list such as [{"name": "web", "profile": "builder"}]; fields as in POST /agents.'
        raise UsageError(f"{path}: {exc}", field="planned", hint=hint) from exc


def numbered(profile: str, count: int, prefix: str) -> list[CreateAgent]:
    """`count` requests with numbered names. Raises UsageError."""
    if not count and not prefix and not profile:
        return []
    if not 1 <= count <= MOST:
        raise UsageError(f"--count is a number between 1 and {MOST}", field="count")
    if not (prefix or profile):
        raise UsageError("--count needs --prefix or --profile", field="count", hint="e.g. --prefix worker")
    return [CreateAgent(name=f"{prefix or profile}-{number}", profile=profile) for number in range(1, count + 1)]


async def _build(context: Context, control: Control, image: ComposeImage) -> None:
    """Build an image that the file needs: Compose would look for it in a registry."""
    context.out.say(f"building {image.image}")
    request = BuildImage(sudo=image.sudo)
    building = control.build_profile(image.profile, request) if image.profile else control.build_image(request)
    await finish_job(context, control, await building, no_wait=False)


def _tell(context: Context, export: ComposeExport, out: Path) -> None:
    for note in export.notes:
        context.out.say(f"note: {note}")
    if context.out.mode is Mode.JSON:
        # Not the tokens: what is printed is kept by terminals and logs.
        context.out.body(msgspec.structs.replace(export, tokens=dict.fromkeys(export.tokens, "")))
        return
    rows = [(agent, f"{TOKENS}/{agent}") for agent in export.agents]
    columns = (Column("AGENT", lambda row: row[0]), Column("TOKEN", lambda row: row[1]))
    context.out.listing(export, columns, rows)
    context.out.say(f"start it: cd {out} && docker-compose up -d")
