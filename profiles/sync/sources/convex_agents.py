"""From the agents that Convex lists to personas. Pure.

Read tolerantly: what is not known is ignored, what is missing has its default. What is there and wrong is a problem of
that one agent, which then stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from profiles.errors import ProfileError
from profiles.persona import MAX_DESCRIPTION, SLUG_PATTERN, Persona, parse_persona, parted
from profiles.sync.sources.base import Loaded, SourceProblem
from profiles.sync.sources.convex_answer import ConvexError

_HINT: Final = "Correct it where the agents are kept; until then this persona stays as it is."
_SOURCE_FIELDS: Final = {
    "slug": "slug", "name": "name", "role": "role", "soul": "effectiveSoulContent", "user": "effectiveUserMd",
    "model": "openclawConfig.model", "skills": "resolvedSkills",
}  # fmt: skip
"""From a persona's field to where it stands in an agent."""


def read_agents(value: object) -> Loaded:
    """Return personas and problems of a list of agents. Raises ConvexError when it is none."""
    if not isinstance(value, list):
        raise ConvexError("the function did not answer with a list of agents", "Is it another version of the function?")
    right: list[tuple[str, Persona]] = []
    problems: list[SourceProblem] = []
    for number, raw in enumerate(cast("list[object]", value)):
        where = _where(number, raw)
        try:
            right.append((where, _persona(raw)))
        except ProfileError as exc:
            problems += _problems(where, _slug(raw), exc)
    personas, twice = parted(right)
    problems += [SourceProblem(slug=slug, message=why, hint="Change one of them.") for slug, why in twice.items()]
    wrong = {problem.slug for problem in problems}
    return Loaded(tuple(each for each in personas if each.slug not in wrong), tuple(problems))


def _persona(raw: object) -> Persona:
    if not isinstance(raw, dict):
        raise ProfileError("", "is not an object")
    agent = cast("dict[str, object]", raw)
    config = agent.get("openclawConfig")
    given = {
        "slug": agent.get("slug"),
        "name": agent.get("name"),
        "role": agent.get("role"),
        "soul": _said(agent.get("effectiveSoulContent")),
        "user": _said(agent.get("effectiveUserMd")),
        "model": _said(cast("Mapping[str, object]", config).get("model") if isinstance(config, dict) else None),
        "skills": _skills(agent.get("resolvedSkills")),
    }
    present = {name: value for name, value in given.items() if value is not None}
    return parse_persona("", present)


def _skills(raw: object) -> object:
    """Something else than a list is left to the strict parser, which says so."""
    return [_skill(each) for each in cast("list[object]", raw)] if isinstance(raw, list) else raw


def _skill(raw: object) -> object:
    if not isinstance(raw, dict):
        return raw
    skill = cast("dict[str, Any]", raw)
    description = skill.get("description")
    given = {
        "slug": skill.get("slug"),
        "name": _said(skill.get("name")),
        "description": _clipped(description) if isinstance(description, str) else description,
        "body": _said(skill.get("contentMarkdown")),
        "enabled": skill.get("enabled", skill.get("isEnabled")),
    }
    return {name: value for name, value in given.items() if value is not None}


def _said(value: object) -> object:
    """What is blank is not given."""
    return None if isinstance(value, str) and not value.strip() else value


def _clipped(description: str) -> str:
    """A long one is no reason to leave the agent out."""
    line = " ".join(description.split()).encode(errors="replace")
    return description if len(line) <= MAX_DESCRIPTION else f"{line[: MAX_DESCRIPTION - 3].decode(errors='ignore')}..."


def _problems(where: str, slug: str, error: ProfileError) -> Iterator[SourceProblem]:
    for problem in error.problems:
        first, dot, rest = problem.field.partition(".")
        first, bracket, index = first.partition("[")
        field = f"{_SOURCE_FIELDS.get(first, first)}{bracket}{index}{dot}{rest.replace('body', 'contentMarkdown')}"
        yield SourceProblem(slug=slug, where=where, field=field, message=problem.message, hint=problem.hint or _HINT)


def _where(number: int, raw: object) -> str:
    """Name an agent as people know it."""
    known = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
    for key in ("slug", "name", "_id"):
        if isinstance(name := known.get(key), str) and name.isprintable() and name.strip():
            return f"agent {name[:80]}"
    return f"agent number {number + 1}"


def _slug(raw: object) -> str:
    """Return the slug where it is one: then only this persona waits. Else nobody can say which one is meant."""
    slug = cast("dict[str, object]", raw).get("slug") if isinstance(raw, dict) else None
    return slug if isinstance(slug, str) and re.fullmatch(SLUG_PATTERN, slug) else ""
