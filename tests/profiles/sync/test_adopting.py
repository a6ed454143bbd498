"""A human's text goes from a workspace into the profile it comes from, and nothing else of the profile changes."""

from __future__ import annotations

import json

import pytest
import yaml

from profiles.loader import check_text
from profiles.persona import Persona
from profiles.sync.adopting import adopt_into, cannot_adopt, cannot_change
from profiles.sync.errors import SyncError
from profiles.sync.render import Shared, render

JSON = """{
    "packages": ["git"],
    "persona": {
        "role": "Ängineer",
        "skills": ["plan", {"slug": "triage", "description": "Sorts", "body": "Do it.\\n"}]
    }
}
"""
YAML = """\
packages: [git]
persona:
  role: 'Engineer # 1'
  soul: |
    # I am a heading

    and text.
  skills:
    - plan
    - slug: triage
      body: "no # comment"
"""


def persona_in(text: str, format: str) -> Persona:
    persona = check_text(text, format, "ada").persona
    assert persona is not None
    return persona


def file_of(text: str, format: str, path: str) -> str:
    files = render(persona_in(text, format), Shared()).files
    return next(file.content.decode() for file in files if file.path == path)


@pytest.mark.parametrize(("text", "format"), [(JSON, "json"), (YAML, "yaml")])
@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("SOUL.md", "# New\n\nI am: \"new\" # really\n"),
        ("USER.md", "Somebody.\n"),
        ("skills/triage/SKILL.md", "---\nname: triage\ndescription: other\n---\nBody\n"),
        ("skills/plan/SKILL.md", "---\nname: plan\ndescription: Plans\n---\nBody\n"),
    ],
)  # fmt: skip
def test_what_was_adopted_renders_to_what_stood_on_disk(text: str, format: str, path: str, new: str) -> None:
    changed = adopt_into(text, format, persona_in(text, format), path, new)
    assert file_of(changed, format, path) == new
    for other in ("TOOLS.md", "IDENTITY.md"):
        if not path.startswith("skills/"):
            assert file_of(changed, format, other) == file_of(text, format, other)
    assert check_text(changed, format, "ada").contents.packages == ("git",)


def test_json_keeps_its_indentation_and_order() -> None:
    changed = adopt_into(JSON, "json", persona_in(JSON, "json"), "SOUL.md", "New\n")
    assert list(json.loads(changed)) == ["packages", "persona"]
    assert changed.startswith('{\n    "packages"')
    assert changed.endswith("}\n")
    assert "Ängineer" in changed
    line = '{"persona":{}}'
    assert adopt_into(line, "json", persona_in(line, "json"), "SOUL.md", "N") == '{"persona": {"soul": "N"}}'


def test_yaml_keeps_texts_of_several_lines() -> None:
    changed = adopt_into(YAML, "yaml", persona_in(YAML, "yaml"), "USER.md", "a\nb\n")
    assert "  soul: |\n" in changed
    assert "  user: |\n" in changed
    assert list(yaml.safe_load(changed)) == ["packages", "persona"]


def test_our_own_front_matter_does_not_become_part_of_the_body() -> None:
    path = "skills/triage/SKILL.md"
    on_disk = file_of(JSON, "json", path).replace("Do it.", "Do it well.")
    changed = adopt_into(JSON, "json", persona_in(JSON, "json"), path, on_disk)
    assert json.loads(changed)["persona"]["skills"][1]["body"] == "Do it well.\n"


@pytest.mark.parametrize(
    "text",
    [
        "# on top\npersona: {}\n",
        "persona: {} # behind\n",
        "persona:\n  soul: | # at the header\n    text\n",
        "persona:\n  # between\n  role: x\n",
    ],
)
def test_yaml_with_comments_is_not_rewritten(text: str) -> None:
    assert "comments" in cannot_change(text, "yaml")
    with pytest.raises(SyncError, match="comments, which would be lost") as caught:
        adopt_into(text, "yaml", persona_in(text, "yaml"), "SOUL.md", "x")
    assert "by hand" in caught.value.hint


def test_a_hash_in_a_value_is_no_comment() -> None:
    assert cannot_change(YAML, "yaml") == ""
    assert cannot_change("persona: {role: 'a # b', name: \"c # d\"}\n", "yaml") == ""
    assert cannot_change("# json has none", "json") == ""


@pytest.mark.parametrize("path", ["AGENTS.md", "TOOLS.md", "IDENTITY.md", "skills/a/b/SKILL.md", "notes.txt"])
def test_files_that_are_made_of_several_fields_cannot_be_adopted(path: str) -> None:
    assert path in cannot_adopt(path)
    with pytest.raises(SyncError, match="made of several fields"):
        adopt_into(JSON, "json", persona_in(JSON, "json"), path, "x")


def test_what_no_persona_may_say_is_not_adopted() -> None:
    with pytest.raises(SyncError, match=r"cannot take SOUL\.md: persona\.soul"):
        adopt_into(JSON, "json", persona_in(JSON, "json"), "SOUL.md", "a\0b")
    with pytest.raises(SyncError, match="has no skill gone"):
        adopt_into(JSON, "json", persona_in(JSON, "json"), "skills/gone/SKILL.md", "x")


@pytest.mark.parametrize("path", ["SOUL.md", "USER.md"])
def test_an_empty_text_is_not_adopted(path: str) -> None:
    """The default soul would come in its place, and USER.md would be one that the source does not want."""
    with pytest.raises(SyncError, match=f"{path} is empty"):
        adopt_into(JSON, "json", persona_in(JSON, "json"), path, " \n")
