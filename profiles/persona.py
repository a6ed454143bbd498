"""A persona: who an agent of an OpenClaw gateway is. Strict parsing, every mistake with its field.

The slug becomes the name of a folder and a key of the gateway's configuration, so it is checked before anything else
is made of it. The rule for slugs is OpenClaw's own rule for the ids of agents; the limits on text are its too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from profiles.errors import Problem, ProfileError, Table, at, entries, shown
from profiles.values import parse_flag, parse_text

SLUG_PATTERN: Final = r"[a-z0-9_][a-z0-9_-]{0,63}"
MAX_SLUG: Final = 64
RESERVED_SLUGS: Final = {
    "default": "the gateway's own address for the agent that answers where none is named",
    "openclaw": "the gateway's own address in requests",
    "agent": "the first word of session keys",
    "cron": "a namespace of the gateway's session keys",
    "subagent": "a namespace of the gateway's session keys",
    "acp": "a namespace of the gateway's session keys",
}
"""Of personas. OpenClaw would take them, and then answer as somebody else or refuse the request."""
JAVASCRIPT_NAMES: Final = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that are no data for the program which reads the configuration: refused for personas and skills."""

MAX_TEXT_BYTES: Final = 1 << 20
"""Of a soul, of what is said about the user and of a skill's body."""
SHOWN_TO_MODEL: Final = 20_000
"""Characters of one workspace file that OpenClaw puts into a prompt; the rest is cut off."""
USER_SHOWN_TO_MODEL: Final = 4_000
"""The same for USER.md."""
MAX_DESCRIPTION: Final = 1_000
MAX_SKILLS: Final = 200

PERSONA_FIELDS: Final = (
    "slug", "name", "role", "soul", "user", "model", "skills", "emoji", "theme", "avatar", "enabled",
)  # fmt: skip
SKILL_FIELDS: Final = ("slug", "name", "description", "body", "enabled")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MODEL_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a persona can do. `body`: the text of its SKILL.md, None = it is only named. `name` is the slug
    where none is given."""

    slug: str
    name: str = ""
    description: str = ""
    body: str | None = None
    enabled: bool = True


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a gateway's roster.

    `soul` None: a default one is made from name and role. `user`: what the persona knows of the human it works for.
    `model`: as the source calls it; the model map says what the gateway calls it. A persona that is not `enabled` is
    in no roster; its workspace stays as it is.
    """

    slug: str
    name: str
    role: str = ""
    soul: str | None = None
    user: str | None = None
    model: str | None = None
    skills: tuple[Skill, ...] = ()
    emoji: str = ""
    theme: str = ""
    avatar: str = ""
    enabled: bool = True


def parse_persona(field: str, raw: object, slug: str = "") -> Persona:
    """Return the persona that the mapping `raw` describes; `field` is the path that leads to it.

    `slug`: what it is called where it does not say so itself; a persona without a name is called as its slug.

    Raises:
        ProfileError: with every wrong field.
    """
    given = Table(field, raw, PERSONA_FIELDS)
    said = given.required("slug", parse_slug, "") if given.has("slug") or not slug else _inherited(given, slug)
    persona = Persona(
        slug=said,
        name=given.get("name", _parse_title, "") or said,
        role=given.get("role", parse_text, ""),
        soul=given.get("soul", _optional, None),
        user=given.get("user", _optional, None),
        model=given.get("model", _parse_model, None),
        skills=given.get("skills", _parse_skills, ()),
        emoji=given.get("emoji", parse_text, ""),
        theme=given.get("theme", parse_text, ""),
        avatar=given.get("avatar", parse_text, ""),
        enabled=given.get("enabled", parse_flag, True),
    )
    given.check()
    return persona


def parse_slug(field: str, value: object) -> str:
    """Return the slug of a persona. Raises ProfileError."""
    slug = _checked_slug(field, value)
    if slug in RESERVED_SLUGS:
        raise ProfileError(field, f"{slug} is reserved: it is {RESERVED_SLUGS[slug]}", f"Choose another: {slug}-1")
    return slug


def parse_skill(field: str, raw: object) -> Skill:
    """Return a skill from a mapping, or from its slug alone. Raises ProfileError."""
    if isinstance(raw, str):
        slug = _checked_slug(field, raw)
        return Skill(slug=slug, name=slug)
    given = Table(field, raw, SKILL_FIELDS)
    slug = given.required("slug", _checked_slug, "")
    skill = Skill(
        slug=slug,
        name=given.get("name", _parse_title, "") or slug,
        description=given.get("description", _parse_description, ""),
        body=given.get("body", _optional, None),
        enabled=given.get("enabled", parse_flag, True),
    )
    given.check()
    return skill


def parse_document(field: str, value: object, most: int = MAX_TEXT_BYTES) -> str:
    """Return a text of any number of lines, as it is. Raises ProfileError where it is no text, or too long."""
    if not isinstance(value, str):
        what = "binary data" if isinstance(value, (bytes, bytearray)) else shown(value)
        raise ProfileError(field, f"{what} is not text", "Write UTF-8 text.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        raise ProfileError(field, "is not UTF-8 text", "Binary data has no place in a persona.") from exc
    if size > most:
        hint = f"OpenClaw shows a model the first {SHOWN_TO_MODEL} characters of a file."
        raise ProfileError(field, f"has {size} bytes, at most {most} are allowed", hint)
    if found := _CONTROL.search(value):
        line = value.count("\n", 0, found.start()) + 1
        message = f"is binary: it has the control character {ord(found[0]):#04x} in line {line}"
        raise ProfileError(field, message, "Write UTF-8 text.")
    return value


def remarks(persona: Persona) -> Iterator[Problem]:
    """What is no mistake and yet will not do what its author thinks."""
    texts = [("soul", persona.soul, SHOWN_TO_MODEL), ("user", persona.user, USER_SHOWN_TO_MODEL)]
    for field, text, most in texts:
        if text is not None and len(text) > most:
            yield Problem(field, f"has {len(text)} characters: OpenClaw shows a model the first {most} only")
    for index, skill in enumerate(persona.skills):
        if skill.enabled and skill.body is not None and not skill.description:
            yield Problem(f"skills[{index}].description", "is empty: a model chooses skills by their description")


def parted(found: Iterable[tuple[str, Persona]]) -> tuple[list[Persona], dict[str, str]]:
    """Return the personas whose slug is theirs alone, and for every other slug why it is not used.

    `found`: where a persona stands, and the persona. Nobody can say which one of two was meant, so neither is used.
    """
    places: dict[str, list[str]] = {}
    personas: dict[str, Persona] = {}
    for where, persona in found:
        places.setdefault(persona.slug, []).append(where)
        personas[persona.slug] = persona
    twice = {slug: _named_twice(slug, at) for slug, at in places.items() if len(at) > 1}
    return [persona for slug, persona in personas.items() if slug not in twice], twice


def _named_twice(slug: str, places: list[str]) -> str:
    every = "both" if len(places) == 2 else "all"
    return f"{', '.join(places[:-1])} and {places[-1]} {every} say that they are {slug}"


def _inherited(given: Table, slug: str) -> str:
    """The slug that a persona has from its profile's name."""
    try:
        return parse_slug(at(given.field, "slug"), slug)
    except ProfileError as exc:
        given.problems += exc.problems
        return slug


def _checked_slug(field: str, value: object) -> str:
    hint = f"1 to {MAX_SLUG} characters: a-z, 0-9, _ and -, not starting with -."
    if not isinstance(value, str):
        raise ProfileError(field, f"{shown(value)} is not a slug", hint)
    if re.fullmatch(SLUG_PATTERN, value):
        if value in JAVASCRIPT_NAMES:
            raise ProfileError(field, f"{value} is reserved by the language that OpenClaw is written in", hint)
        return value
    raise ProfileError(field, f"{shown(value)} is not a slug: {_wrong_with(value)}", _hint_for(value, hint))


def _wrong_with(slug: str) -> str:
    """The first thing that is wrong with it, in words."""
    if not slug:
        return "it is empty"
    if ".." in slug:
        return "it has `..`, which leads out of its folder"
    if "/" in slug or "\\" in slug:
        return "it has a path separator"
    if len(slug) > MAX_SLUG:
        return f"it has {len(slug)} characters"
    if slug != slug.lower():
        return "it has upper case letters"
    if slug.startswith("-"):
        return "it begins with -"
    wrong = next((char for char in slug if not re.fullmatch(r"[a-z0-9_-]", char)), "")
    return f"it has the character {wrong!r}"


def _hint_for(slug: str, rule: str) -> str:
    lower = slug.lower()
    return f"Write {lower}." if re.fullmatch(SLUG_PATTERN, lower) else rule


def _parse_title(field: str, value: object) -> str:
    title = parse_text(field, value)
    if not title.strip():
        raise ProfileError(field, "is empty", "Leave it out, and the slug is the name.")
    return title


def _parse_description(field: str, value: object) -> str:
    """One line, also where it was written on several."""
    return " ".join(parse_document(field, value, MAX_DESCRIPTION).split())


def _parse_model(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(_MODEL_PATTERN, value):
        raise ProfileError(field, f"{shown(value)} is not a model", "Write it like anthropic/claude-sonnet-4-5.")
    return value


def _optional(field: str, value: object) -> str | None:
    return None if value is None else parse_document(field, value)


def _parse_skills(field: str, raw: object) -> tuple[Skill, ...]:
    skills = entries(parse_skill, MAX_SKILLS)(field, raw)
    slugs = [skill.slug for skill in skills]
    problems = [
        Problem(f"{field}[{index}].slug", f"{slug} is the slug of {field}[{slugs.index(slug)}] too")
        for index, slug in enumerate(slugs)
        if slugs.index(slug) < index
    ]
    if problems:
        raise ProfileError.of(problems)
    return skills
