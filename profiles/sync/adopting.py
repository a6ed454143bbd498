"""Taking a human's text from a workspace into the profile that the persona comes from. Pure: text in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from profiles.errors import ProfileError
from profiles.loader import check_text
from profiles.persona import Persona, Skill
from profiles.reading import read_text
from profiles.sync.errors import SyncError
from profiles.sync.render import body_of

FIELDS: Final = {"SOUL.md": "soul", "USER.md": "user"}
_SKILL: Final = re.compile(r"skills/([^/]+)/SKILL\.md")
_INDENT: Final = re.compile(r"\n([ \t]+)\S")


def cannot_adopt(path: str) -> str:
    """Return why no profile can take the text of this file of a workspace, empty = it can."""
    if path in FIELDS or _SKILL.fullmatch(path):
        return ""
    return f"{path} is made of several fields: change the persona's name, role and skills, or the shared instructions"


def adopt_into(profile: str, format: str, persona: Persona, path: str, text: str) -> str:
    """Return the text of a profile whose persona says what stands in the file `path` of its workspace.

    `format`: json or yaml. Raises SyncError where it cannot say that, or would lose something.
    """
    if why := cannot_adopt(path) or cannot_change(profile, format):
        raise SyncError(why, "Change the profile by hand, then decide `apply`; or decide `keep`.")
    if path in FIELDS and not text.strip():
        hint = "Write what it shall say, and adopt that; or decide `apply` or `keep`."
        raise SyncError(f"{path} is empty, and a persona's {FIELDS[path]} that is empty counts as not given", hint)
    try:
        data = cast("dict[str, Any]", read_text(profile, format))
        entry = cast("dict[str, Any]", data["persona"])
        if path in FIELDS:
            entry[FIELDS[path]] = text
        else:
            _put_body(entry, persona, path, text)
        changed = _json(data, profile) if format == "json" else _yaml(data)
        name = data.get("name")
        check_text(changed, format, name if isinstance(name, str) else persona.slug)
    except ProfileError as exc:
        raise SyncError(f"the profile cannot take {path}: {exc}", exc.hint) from exc
    return changed


def cannot_change(profile: str, format: str) -> str:
    """Return why a profile's text is not rewritten, empty = it is."""
    if format == "json" or not _has_comments(profile):
        return ""
    return "the profile is YAML with comments, which would be lost"


def _put_body(entry: dict[str, Any], persona: Persona, path: str, text: str) -> None:
    found = _SKILL.fullmatch(path)
    slug = found[1] if found else ""
    index = next((index for index, skill in enumerate(persona.skills) if skill.slug == slug), None)
    if index is None:
        raise SyncError(f"the persona {persona.slug} has no skill {slug}", "Add it to the profile first.")
    skill: Skill = persona.skills[index]
    skills = cast("list[object]", entry["skills"])
    told = skills[index]
    # A skill may be told by its slug alone.
    fields = cast("dict[str, object]", told) if isinstance(told, dict) else {"slug": slug}
    skills[index] = fields | {"body": body_of(text, skill)}


def _json(data: dict[str, Any], before: str) -> str:
    """As it was written: with its indentation, on one line where it was on one."""
    found = _INDENT.search(before)
    indent = found[1] if found else None
    end = "\n" if before.endswith("\n") else ""
    return json.dumps(data, indent=indent, ensure_ascii=False) + end


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines stay such."""

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def _has_comments(text: str) -> bool:
    """Tell whether there is a # that belongs to no value."""
    import yaml

    rest = list(text)
    tokens = cast("Iterator[Any]", yaml.scan(text))  # pyright: ignore[reportUnknownMemberType]
    for token in tokens:
        if not isinstance(token, yaml.ScalarToken):
            continue
        begin, end = token.start_mark.index, token.end_mark.index
        if token.style in ("|", ">"):
            # The first line is the header of the value; a comment may stand there.
            begin = text.find("\n", begin, end) if "\n" in text[begin:end] else begin
        rest[begin:end] = " " * (end - begin)
    return "#" in "".join(rest)
