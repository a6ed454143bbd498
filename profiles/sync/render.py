"""From a persona to the files of its workspace. Pure: the same persona gives the same bytes.

What a real gateway puts into a model's prompt decides where things stand: from OpenClaw 2026.8 on TOOLS.md is not read
any more, so the assigned skills are a section of AGENTS.md too; TOOLS.md is still written for older gateways. Of a
SKILL.md only name and description of its front matter reach the prompt; the body is read when the skill is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from profiles.persona import Persona, Skill
from profiles.sync.files import WantedFile, Workspace

FOLDERS: Final = ("deliverables", "memory")
"""Of the persona itself; made once, and nothing in them is ours."""
TOOLS_BEGIN: Final = "<!-- clawtui:tools begin: written from the persona's skills -->"
TOOLS_END: Final = "<!-- clawtui:tools end -->"
NO_SKILLS: Final = "No assigned skills"

DEFAULT_AGENTS: Final = """\
# Working here

You are one of several agents. Your identity is in SOUL.md and IDENTITY.md.

- Keep what you must remember beyond this conversation in MEMORY.md, what you are doing now in memory/WORKING.md.
- Put finished work into deliverables/, and say its path.
- Say plainly what you could not do.
"""
MEMORY: Final = "# Memory\n\nWhat is worth remembering for a long time.\n"
WORKING: Final = "# Working on\n\nNothing yet.\n"

_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_MANAGED: Final = re.compile(r"<!-- clawtui:tools begin.*?<!-- clawtui:tools end -->", re.DOTALL)
_FIELD: Final = r"(?m)^{}[ \t]*:"
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _./()+-]*")


class Shared(msgspec.Struct, frozen=True):
    """What all personas of a gateway have in common. `agents`: instructions for every AGENTS.md; empty = a short
    default."""

    agents: str = ""


def render(persona: Persona, shared: Shared) -> Workspace:
    """Return the workspace of a persona."""
    skills = assigned(persona)
    texts: dict[str, str | None] = {
        "SOUL.md": persona.soul if _said(persona.soul) else _default_soul(persona),
        "AGENTS.md": _agents(shared, skills),
        "TOOLS.md": _tools(skills),
        "IDENTITY.md": _identity(persona),
    }
    if _said(persona.user):
        texts["USER.md"] = persona.user
    for skill in skills:
        if skill.body is not None:
            texts[skill_path(skill.slug)] = _skill(skill, skill.body)
    files = [WantedFile(path, _content(text)) for path, text in texts.items()]
    files.append(WantedFile("MEMORY.md", _content(MEMORY), once=True))
    files.append(WantedFile("memory/WORKING.md", _content(WORKING), once=True))
    return Workspace(persona.slug, tuple(files), FOLDERS)


def assigned(persona: Persona) -> tuple[Skill, ...]:
    """Return the skills that a persona has; disabled ones are none."""
    return tuple(skill for skill in persona.skills if skill.enabled)


def skill_path(slug: str) -> str:
    return f"skills/{slug}/SKILL.md"


def body_of(text: str, skill: Skill) -> str:
    """Return the body that renders to the text of a SKILL.md: without the front matter that we add ourselves."""
    return text.removeprefix(_front_matter(skill))


def name_of(skill: Skill) -> str:
    """Return the name by which the gateway knows a skill: what the front matter of its body says, else the slug."""
    found = _FRONT_MATTER.match(skill.body or "")
    said = _data(found[1]).get("name") if found else None
    return said if isinstance(said, str) and said.strip() else skill.slug


def front_matter_problem(skill: Skill) -> str:
    """Return why the gateway will not see a skill that has a body, empty = it will."""
    found = _FRONT_MATTER.match(skill.body or "")
    if found is None or _data(found[1]) or not found[1].strip():
        return ""
    return "its front matter is not YAML of names and values: OpenClaw will not see the skill"


def _data(front_matter: str) -> dict[str, object]:
    import yaml

    try:
        data: object = yaml.safe_load(front_matter)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", data) if isinstance(data, dict) else {}


def _said(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _content(text: str | None) -> bytes:
    text = text or ""
    return (text if not text or text.endswith("\n") else f"{text}\n").encode()


def _default_soul(persona: Persona) -> str:
    role = f", {persona.role}" if persona.role else ""
    lines = [f"# {persona.name}", "", f"You are {persona.name}{role}."]
    if persona.role:
        lines += ["", f"Everything you do serves your role: {persona.role}."]
    lines += ["", "Be accurate, brief and honest about what you do not know. Ask when a decision is not yours.", ""]
    return "\n".join(lines)


def _agents(shared: Shared, skills: Sequence[Skill]) -> str:
    # Somebody may have taken a whole AGENTS.md of ours as the shared instructions.
    instructions = _MANAGED.sub("", shared.agents) if _said(shared.agents) else DEFAULT_AGENTS
    section = [TOOLS_BEGIN, "## Tools", "", *_list_of(skills), TOOLS_END]
    return "\n".join([instructions.rstrip(), "", *section, ""])


def _tools(skills: Sequence[Skill]) -> str:
    return "\n".join(["# Assigned skills", "", *_list_of(skills), ""])


def _list_of(skills: Sequence[Skill]) -> Iterator[str]:
    if not skills:
        yield NO_SKILLS
    for skill in skills:
        described = f" — {skill.description}" if skill.description else ""
        where = f" (read {skill_path(skill.slug)} before you use it)" if skill.body is not None else ""
        yield f"- **{skill.name or skill.slug}** ({skill.slug}){described}{where}"


def _identity(persona: Persona) -> str:
    said = [
        ("Name", persona.name), ("Role", persona.role), ("Theme", persona.theme), ("Emoji", persona.emoji),
        ("Avatar", persona.avatar),
    ]  # fmt: skip
    return "\n".join(["# Identity", "", *(f"- {label}: {text}" for label, text in said if text), ""])


def _skill(skill: Skill, body: str) -> str:
    """Its front matter is its author's; name and description are added where they are missing."""
    body = body.removeprefix("\ufeff")
    found = _FRONT_MATTER.match(body)
    if found is None:
        return _front_matter(skill) + body
    missing = [line for name, line in _fields(skill) if not re.search(_FIELD.format(name), found[1])]
    if not missing:
        return body
    return "---\n" + "".join(f"{line}\n" for line in missing) + body[found.start(1) :]


def _front_matter(skill: Skill) -> str:
    return "".join(["---\n", *(f"{line}\n" for _, line in _fields(skill)), "---\n\n"])


def _fields(skill: Skill) -> tuple[tuple[str, str], ...]:
    description = skill.description or skill.name or skill.slug
    return ("name", f"name: {_scalar(skill.slug)}"), ("description", f"description: {_scalar(description)}")


def _scalar(text: str) -> str:
    """A YAML value: plain where that cannot be read as anything else, else as JSON, which YAML reads too."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else msgspec.json.encode(text).decode()


_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
