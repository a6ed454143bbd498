"""Verbs for profiles: list, show, validate, save, delete, build."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from msgspec.structs import replace

from clawtui.cli import exits
from clawtui.cli.image import PLAIN_BUILD, BuildOptions, build_all
from clawtui.cli.output import Column, Mode, printable
from clawtui.cli.words import STDIN
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from hub.contract import ProblemView, ProfileCheck, ProfileQuery, ProfileText, ProfileView
from hub.control import Control
from hub.errors import HubError

profile = App(name="profile", help="List, show, check, save, build and migrate profiles: what agents are made from.")
profile.command("clawtui.cli.migrate:migrate", name="migrate")

DOCKERFILE_SUFFIX: Final = ".Dockerfile"

COLUMNS: Final = (
    Column("NAME", lambda one: one.name),
    Column("SOURCE", lambda one: one.source),
    Column("STATE", lambda one: state_of(one)),
    Column("SHADOWS", lambda one: one.shadows),
    Column("DESCRIPTION", lambda one: problem_text(one.problems[0]) if one.problems else one.description),
)


@profile.command(name="list")
async def list_profiles(*, all: bool = False, context: Ctx) -> int:
    """List profiles; project files are stronger than your own, and those than built-in ones.

    Args:
        all: Also those that stronger ones hide.
    """
    async with context.control() as control:
        answer = await control.profiles(ProfileQuery(all=all))
    context.out.listing(answer, COLUMNS, answer.profiles, "no profiles")
    return exits.DONE


@profile.command(name="show")
async def show_profile(
    name: str,
    /,
    *,
    text: Annotated[bool, Parameter(help="Print its file, and nothing else.")] = False,
    dockerfile: Annotated[bool, Parameter(help="Print the Dockerfile of its image, and nothing else.")] = False,
    context: Ctx,
) -> int:
    """Show a profile: where it is, what it means, and its image."""
    async with context.control() as control:
        shown = await control.profile(name)
    if text or dockerfile:
        content = shown.dockerfile_text if dockerfile else shown.text
        if not content:
            problem = f"; {problem_text(shown.problems[0])}" if shown.problems else ""
            raise HubError(f"profile {name} has no {'Dockerfile' if dockerfile else 'file'}{problem}")
        context.out.line(content.rstrip("\n"))
        return exits.DONE
    context.out.record(shown, _fields(shown), shown)
    return exits.DONE if shown.valid else exits.FAILED


@profile.command(name="validate")
async def validate(what: str, /, *, context: Ctx) -> int:
    """Say everything that is wrong with a profile; ends with 1 when something is.

    A file (or - for stdin) is checked here, without a hub; a name is looked up at the hub.

    Args:
        what: A profile's name, a .json, .yaml or .Dockerfile file, or - for stdin.
    """
    if what == STDIN or "/" in what or Path(what).suffix:
        return _report(context, "stdin" if what == STDIN else what, _checked_here(context, what))
    async with context.control() as control:
        shown = await control.profile(what)
    where = shown.path or shown.dockerfile or what
    return _report(context, where, ProfileCheck(valid=shown.valid, problems=shown.problems))


@profile.command(name="save")
async def save(file: str, /, *, name: str = "", context: Ctx) -> int:
    """Put a file into the hub's folder of your profiles; a wrong one changes nothing.

    A FILE.Dockerfile beside it goes along, with the folder of that name, which holds what it copies.

    Args:
        file: A .json or .yaml file, or - for stdin (JSON).
        name: What the profile is called; otherwise as the file.
    """
    called = name or (Path(file).stem if file != STDIN else "")
    if not called:
        raise UsageError("a profile from stdin needs a name", field="name", hint="--name NAME")
    async with context.control() as control:
        saved = await control.save_profile(called, whole_text(context, file))
    context.out.listing(saved, COLUMNS, [saved])
    return exits.DONE


@profile.command(name="delete")
async def delete(name: str, /, *, context: Ctx) -> int:
    """Remove one of your profiles; a built-in one of the same name is back then.

    Args:
        name: The profile.
    """
    async with context.control() as control:
        await control.delete_profile(name)
    context.out.say(f"your profile {name} is removed")
    return exits.DONE


@profile.command(name="build")
async def build(*names: str, options: BuildOptions = PLAIN_BUILD, all: bool = False, context: Ctx) -> int:
    """Build profiles' images, several at once; one that is there already is not built again.

    Args:
        names: Profiles.
        all: All that are right.
    """
    if bool(names) == all:
        raise UsageError("name profiles, or say --all", hint="clawtui profile list")
    async with context.control() as control:
        wanted = names or await _all_right(control)
        return await build_all(context, control, wanted, options)


async def _all_right(control: Control) -> tuple[str, ...]:
    return tuple(one.name for one in (await control.profiles(ProfileQuery())).profiles if one.valid)


# --- checking here -----------------------------------------------------------------------------------


def _checked_here(context: Context, file: str) -> ProfileCheck:
    # Loaded here: a verb that does not read profiles need not pay for it.
    from profiles.errors import ProfileError
    from profiles.image import BASE, extend
    from profiles.loader import check_text
    from profiles.values import parse_name

    try:
        if file.endswith(DOCKERFILE_SUFFIX):
            extend(_read(context, file), {}, {}, BASE)
        else:
            given = _text(context, file)
            check_text(given.text, given.format, "" if file == STDIN else parse_name("name", Path(file).stem))
    except ProfileError as exc:
        problems = [ProblemView(field=one.field, message=one.message, hint=one.hint) for one in exc.problems]
        return ProfileCheck(valid=False, problems=problems)
    return ProfileCheck(valid=True)


def _report(context: Context, where: str, check: ProfileCheck) -> int:
    out = context.out
    if out.mode is Mode.JSON:
        out.body(check)
    elif out.mode is Mode.PLAIN:
        for one in check.problems:
            out.line("\t".join(map(printable, (one.field, one.message, one.hint))))
    else:
        for one in check.problems:
            out.line(printable(problem_text(one)))
            if one.hint:
                out.line(printable(f"    {one.hint}"))
        count = len(check.problems)
        out.say(f"{where}: ok" if check.valid else f"{where}: {count} problem{'s' if count != 1 else ''}")
    return exits.DONE if check.valid else exits.FAILED


def _text(context: Context, file: str) -> ProfileText:
    ending = Path(file).suffix
    if file != STDIN and ending not in (".json", ".yaml", ".yml"):
        raise UsageError(f"{file} is no profile by its name", hint="A profile's file ends with .json, .yaml or .yml.")
    return ProfileText(text=_read(context, file), format="yaml" if ending in (".yaml", ".yml") else "json")


def whole_text(context: Context, file: str) -> ProfileText:
    """Return a file's text with the Dockerfile beside it, if there is one, and what that can copy."""
    from profiles.errors import ProfileError
    from profiles.loader import context_of

    text = _text(context, file)
    dockerfile = Path(file).with_suffix(DOCKERFILE_SUFFIX)
    if file == STDIN or not dockerfile.is_file():
        return text
    try:
        found = context_of(Path(file).with_suffix(""))
    except ProfileError as exc:
        raise UsageError(str(exc), hint=exc.hint) from exc
    copied = {path: base64.b64encode(content).decode() for path, content in found.items()}
    return replace(text, dockerfile=_read(context, str(dockerfile)), context=copied)


def _read(context: Context, file: str) -> str:
    if file == STDIN:
        return context.world.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"{file} cannot be read: {exc}") from exc


# --- showing -----------------------------------------------------------------------------------------


def state_of(one: ProfileView) -> str:
    if not one.valid:
        return "wrong"
    return "hidden" if one.hidden else "ok"


def problem_text(problem: ProblemView) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


def _fields(shown: ProfileView) -> tuple[Column, ...]:
    machine: dict[str, Any] = (shown.effective or {}).get("machine", {})
    contents: dict[str, Any] = (shown.effective or {}).get("contents", {})
    resources: dict[str, Any] = machine.get("resources", {})
    values: list[tuple[str, Any]] = [
        ("NAME", shown.name),
        ("STATE", state_of(shown)),
        ("DESCRIPTION", shown.description),
        ("SOURCE", shown.source),
        ("FILE", shown.path),
        ("DOCKERFILE", shown.dockerfile),
        ("SHADOWS", shown.shadows),
        ("PROBLEM", "; ".join(map(problem_text, shown.problems))),
        ("NOTE", "; ".join(shown.notes)),
        ("IMAGE", _image_of(shown)),
        ("CPUS", resources.get("cpus")),
        ("MEMORY", _gib(resources.get("memory_bytes"))),
        ("DISK", _gib(resources.get("disk_bytes"))),
        ("CAPABILITIES", machine.get("capabilities")),
        ("ENVIRONMENT", machine.get("environment")),
        ("NETWORK", machine.get("network")),
        ("SUDO", machine.get("sudo") or None),
        ("PACKAGES", contents.get("packages")),
        ("SETUP TASKS", [task["description"] or task["command"] for task in contents.get("setup_tasks", ())]),
        ("FILES", [file["path"] for file in contents.get("files", ())]),
    ]
    return tuple(Column(title, lambda _, value=value: value or None) for title, value in values)


def _image_of(shown: ProfileView) -> str | None:
    if shown.image is None:
        return None
    return shown.image if shown.built else f"{shown.image} (not built yet)"


def _gib(size: int | None) -> str | None:
    return None if size is None else f"{size / (1 << 30):g} GiB"
