"""Profiles in words: as a table, one in full with everything it means, and what its image is doing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from clawtui.cli.output import printable, size_text
from clawtui.tui.presenters import age_cell, bar
from clawtui.tui.widgets.fields import Field, heading
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from hub.contract import ImageView, JobView, ProblemView, ProfileView
from hub.core.model import JobState

PROFILE_COLUMNS: Final = (
    Column("name", "PROFILE", 14, "left"),
    Column("source", "SOURCE", 8, "left"),
    Column("state", "STATE", 7, "left"),
    Column("image", "IMAGE", 14, "left"),
    Column("hides", "HIDES", 8, "left"),
    Column("what", "WHAT", 16, "left", True),
)
PROFILE_KEYS: Final = frozenset({"name", "source", "state", "image", "hides", "what"})
BUILD: Final = "profile.build"
"""The kind of job that builds a profile's image."""
USER, PROJECT, BUILT_IN = "user", "project", "built-in"
BYTES: Final = "_bytes"
SECONDS: Final = "_seconds"
MACHINE: Final = (
    "resources", "concurrency", "capabilities", "labels", "environment", "network", "volumes", "secrets", "gpu", "sudo",
    "restart", "limits", "security", "health",
)  # fmt: skip
"""In the order in which it is shown; what a newer hub knows besides stands behind."""
CONTENTS: Final = ("packages", "setup_tasks", "files", "build_arguments")
PERSONA: Final = ("slug", "name", "role", "model", "soul", "user", "emoji", "theme", "avatar")


class Known(NamedTuple):
    """A profile with what belongs to it. `whole`: with texts and meaning, once it was read. `images`: its own, newest
    first; None when nobody can say. `job`: its newest build among the hub's last jobs."""

    listed: ProfileView
    whole: ProfileView | None = None
    images: tuple[ImageView, ...] | None = None
    job: JobView | None = None

    @property
    def built(self) -> bool | None:
        return self.whole.built if self.whole is not None else None

    @property
    def building(self) -> JobView | None:
        return self.job if self.job is not None and self.job.finished_at is None else None


def newest_build(jobs: Iterable[JobView], profile: ProfileView, started: str = "") -> JobView | None:
    """The newest build of the profile's image among `jobs`, which are newest first. `started`: a job that is known to
    be one; others are known by the image that they speak of."""
    return next((job for job in jobs if job.id == started or _builds(job, profile.repository)), None)


def _builds(job: JobView, repository: str) -> bool:
    return job.kind == BUILD and bool(repository) and _tells_of(job, f"{repository}:")


def _tells_of(job: JobView, text: str) -> bool:
    told = [job.message, *(step.message for step in job.steps), job.error.message if job.error else ""]
    if isinstance(job.result, dict):
        told.append(str(job.result.get("image", "")))
    return any(text in one for one in told)


def own_images(images: Iterable[ImageView], name: str) -> tuple[ImageView, ...]:
    return tuple(image for image in images if image.profile == name)


# --- the table


def image_cell(known: Known) -> Cell:
    """Whether there is an image of the profile as it is now, and its size."""
    if not known.listed.valid:
        return Cell("-", "dim")
    if known.building is not None:
        return Cell(f"▶ building {known.building.progress:.0%}", "accent")
    if known.built:
        return Cell(f"√ built {image_size(known)}".rstrip(), "ok")
    if known.built is False and _failed(known):
        return Cell("× build failed", "bad")
    if known.built is False:
        return Cell("· changed" if known.images else "· not built", "dim")
    return Cell("? unknown" if known.whole is not None else "◔ reading", "dim")


def _failed(known: Known) -> bool:
    """Whether the newest build failed and was, as far as it says, one of the profile as it is now."""
    job, image = known.job, known.whole.image if known.whole is not None else None
    if job is None or job.state != JobState.FAILED:
        return False
    return not image or _tells_of(job, image) or not _tells_of(job, f"{known.listed.repository}:")


def image_size(known: Known) -> str:
    """Of the image of now, as the engine counts: with all layers below it."""
    wanted = known.whole.image if known.whole is not None else None
    sizes = [one.size_bytes for one in known.images or () if f"{one.name}:{one.tag}" == wanted]
    return size_text(sizes[0]) or "" if sizes else ""


def problem_text(problem: ProblemView) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


def profile_row(known: Known, stale: bool) -> tuple[Mapping[str, str], Row]:
    profile = known.listed
    image = image_cell(known)
    state = Cell("√ valid", "ok") if profile.valid else Cell("× wrong", "bad")
    wrong = problem_text(profile.problems[0]) if profile.problems else ""
    what = Cell(printable(wrong or profile.description), "bad" if wrong else "dim")
    hides = ", ".join(profile.shadows)
    cells = (Cell(profile.name, "bold"), Cell(profile.source), state, image, Cell(hides, "warn"), what)
    fields = {
        "name": profile.name, "source": profile.source, "state": state.text, "image": image.text, "hides": hides,
        "what": what.text,
    }  # fmt: skip
    return fields, Row(profile.name, cells, stale)


# --- one in full


def profile_detail(known: Known, now: datetime, keys: Mapping[str, str]) -> list[Field]:
    """Everything; `keys`: what helps, by action id."""
    profile = known.listed
    fields = [Field("Profile", profile.name, "bold", profile.source), *_state(profile, keys)]
    if profile.description:
        fields.append(Field("About", printable(profile.description)))
    fields += [
        Field(label, path) for label, path in (("File", profile.path), ("Dockerfile", profile.dockerfile)) if path
    ]
    if profile.shadows:
        fields.append(Field("Hides", ", ".join(profile.shadows), "", "the stronger source wins as a whole"))
    fields += [Field("Note", printable(note), "warn") for note in profile.notes]
    fields += _image(known, now, keys)
    if known.whole is None:
        return [*fields, Field("Means", "being read …", "dim")]
    return [*fields, *effective_fields(known.whole), *_dockerfile(known.whole)]


def _state(profile: ProfileView, keys: Mapping[str, str]) -> list[Field]:
    if profile.valid:
        return [Field("State", "√ valid", "ok")]
    mend = keys.get("profile.edit", "") if profile.source == USER else ""
    count = len(profile.problems)
    wrong = f"× {count} {'thing is' if count == 1 else 'things are'} wrong; nothing can be made from it"
    fields = [Field("State", wrong, "bad", f"{mend} opens it" if mend else "")]
    return [*fields, *(Field(one.field or "file", printable(one.message), "bad", one.hint) for one in profile.problems)]


def _image(known: Known, now: datetime, keys: Mapping[str, str]) -> list[Field]:
    if not known.listed.valid:
        return []
    whole, cell = known.whole, image_cell(known)
    build = keys.get("profile.build", "")
    fields: list[Field] = []
    if known.building is not None:
        share = f"{bar(known.building.progress, 16)} {known.building.progress:.0%} {printable(known.building.message)}"
        fields.append(Field("Build", share, "accent", f"{keys.get('profile.cancel', '')} cancels it".strip()))
    more = f"{build} builds it" if known.built is False and known.building is None and build else ""
    if whole is not None:
        unknown = "the hub cannot tell: no docker driver of it answers"
        fields.append(Field("Image", whole.image or unknown, "" if whole.image else "dim", more))
    fields.append(Field("State of it", cell.text, cell.style))
    if known.job is not None and known.job.error is not None and known.building is None:
        why = "\n".join(map(printable, known.job.error.message.split("\n")))
        log = keys.get("profile.log", "")
        fields.append(Field("Last build", f"× {why}", "bad", f"{log} shows its output" if log else ""))
    older = [one for one in known.images or () if whole is None or f"{one.name}:{one.tag}" != whole.image]
    fields += [
        Field("Older image", one.tag, "dim", f"{size_text(one.size_bytes)}, {age_cell(one.created_at, now)} old")
        for one in older
    ]
    return fields


def effective_fields(whole: ProfileView) -> list[Field]:
    """What a profile means, defaults included: the machine, then what is in the image."""
    if not isinstance(whole.effective, dict):
        return []
    return [heading("Machine"), *machine_fields(whole.effective.get("machine")), *contents_fields(whole)]


def machine_fields(machine: Any) -> list[Field]:
    """CPUs, memory and all else that a machine is given, in a profile's words."""
    return _part(_mapping(machine), MACHINE)


def contents_fields(whole: ProfileView) -> list[Field]:
    """What is in the image, and who works there."""
    if not isinstance(whole.effective, dict):
        return []
    inside = _part(_mapping(whole.effective.get("contents")), CONTENTS, leave_out=("environment",))
    fields = [heading("In the image"), *(inside or [Field("", "nothing beyond the base image", "dim")])]
    if persona := whole.effective.get("persona"):
        fields += [heading("Persona"), *persona_fields(persona)]
    return fields


def persona_fields(persona: Any) -> list[Field]:
    """Who works there. Of whole texts only how they begin: they are read where they are written."""
    told = _mapping(persona)
    for key in ("soul", "user"):
        if text := told.get(key):
            first = next((line.strip() for line in str(text).splitlines() if line.strip()), "")
            told[key] = f"{first[:80]} ({len(str(text))} characters)"
    skills = [_mapping(one) for one in told.pop("skills", None) or []]
    named = [f"{one.get('name') or one.get('slug')}{'' if one.get('enabled', True) else ' (off)'}" for one in skills]
    return [*_part(told, PERSONA), Field("Skills", printable(", ".join(named)) or "none")]


def changed_fields(made: Any, whole: ProfileView) -> list[Field]:
    """How the profile's machine of now is unlike the one `made`, in all that is known of that."""
    known = _mapping(made)
    now = _mapping(whole.effective.get("machine")) if isinstance(whole.effective, dict) else {}
    now = {key: value for key, value in now.items() if key in known}
    before, after = ({one.label: one.text for one in machine_fields(machine)} for machine in (made, now))
    return [
        Field(label, after.get(label, "nothing"), "warn", f"this agent: {before.get(label, 'nothing')}")
        for label in dict.fromkeys((*before, *after))
        if before.get(label) != after.get(label)
    ]


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def _part(values: dict[str, Any], order: tuple[str, ...], leave_out: tuple[str, ...] = ()) -> list[Field]:
    keys = [*(key for key in order if key in values), *(key for key in values if key not in order)]
    fields: list[Field] = []
    for key in keys:
        if key not in leave_out and (text := _said(key, values[key])):
            fields.append(Field(_label(key), text))
    return fields


def _label(key: str) -> str:
    bare = key.removesuffix(BYTES).removesuffix(SECONDS)
    return {"gpu": "GPU", "cpus": "CPUs", "concurrency": "Tasks at once"}.get(bare, bare.replace("_", " ").capitalize())


def _said(key: str, value: Any) -> str:
    """A value in words; empty when there is nothing to say of it."""
    if value is None or value == "" or value == [] or value == {} or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, dict):
        return ", ".join(_inside(_mapping(value)))
    if isinstance(value, (list, tuple)):
        return _listed(key, list(value))
    return printable(_number(key, value))


def _inside(values: dict[str, Any]) -> list[str]:
    return [
        f"{key.removesuffix(BYTES).removesuffix(SECONDS)} {text}"
        for key, one in values.items()
        if (text := _said(key, one))
    ]


def _number(key: str, value: Any) -> str:
    if key.endswith(BYTES) and isinstance(value, int):
        return "unlimited" if value < 0 else size_text(value) or ""
    if key.endswith(SECONDS):
        return f"{value:g}s"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(key: str, values: list[Any]) -> str:
    if key == "setup_tasks":
        lines = [
            f"{n}. {one.get('description') or one.get('command')}" for n, one in enumerate(map(_mapping, values), 1)
        ]
        return "\n".join(map(printable, lines))
    if key == "files":
        return "\n".join(printable(str(_mapping(one).get("path", one))) for one in values)
    if key == "volumes":
        return "\n".join(
            printable(f"{one.get('source')} at {one.get('target')}{', read-only' if one.get('read_only') else ''}")
            for one in map(_mapping, values)
        )
    texts = [", ".join(_inside(_mapping(one))) if isinstance(one, dict) else str(one) for one in values]
    return ", ".join(map(printable, texts))


def _dockerfile(whole: ProfileView) -> list[Field]:
    if not whole.dockerfile_text:
        return []
    lines = [printable(line) for line in whole.dockerfile_text.rstrip("\n").split("\n")]
    return [heading("Dockerfile"), Field("", "\n".join(lines), "dim")]
