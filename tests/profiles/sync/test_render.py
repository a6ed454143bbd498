"""What is written into a workspace."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from profiles.persona import Persona, Skill
from profiles.sync.files import Workspace
from profiles.sync.render import NO_SKILLS, Shared, body_of, front_matter_problem, name_of, render

ADA = Persona(
    slug="ada",
    name="Ada",
    role="Engineer",
    emoji="🛠",
    theme="calm",
    avatar="ada.png",
    skills=(
        Skill(slug="triage", name="Triage", description="Sorts: all of it", body="Do it.\n"),
        Skill(slug="plan", name="Plan"),
        Skill(slug="off", name="Off", body="Never.", enabled=False),
    ),
)


def texts(workspace: Workspace) -> dict[str, str]:
    return {file.path: file.content.decode() for file in workspace.files}


def test_every_file_of_a_workspace() -> None:
    workspace = render(ADA, Shared("# Rules\n\nBe kind.\n\n"))
    found = texts(workspace)
    assert list(found) == [
        "SOUL.md", "AGENTS.md", "TOOLS.md", "IDENTITY.md", "skills/triage/SKILL.md", "MEMORY.md", "memory/WORKING.md",
    ]  # fmt: skip
    assert [file.path for file in workspace.files if file.once] == ["MEMORY.md", "memory/WORKING.md"]
    assert workspace.folders == ("deliverables", "memory")
    assert found["AGENTS.md"].startswith("# Rules\n\nBe kind.\n\n<!-- clawtui:tools begin")
    listed = (
        "- **Triage** (triage) — Sorts: all of it (read skills/triage/SKILL.md before you use it)\n- **Plan** (plan)\n"
    )
    assert f"## Tools\n\n{listed}" in found["AGENTS.md"]
    assert found["TOOLS.md"] == f"# Assigned skills\n\n{listed}"
    assert found["IDENTITY.md"] == (
        "# Identity\n\n- Name: Ada\n- Role: Engineer\n- Theme: calm\n- Emoji: 🛠\n- Avatar: ada.png\n"
    )
    assert "off" not in "".join(found.values()).lower().replace("off-", "")


def test_a_default_soul_is_made_of_name_and_role() -> None:
    for soul in (None, "", "  \n"):
        text = texts(render(Persona(slug="a", name="Ada", role="Engineer", soul=soul), Shared()))["SOUL.md"]
        assert text.startswith("# Ada\n\nYou are Ada, Engineer.\n")
    assert "You are Ada.\n" in texts(render(Persona(slug="a", name="Ada"), Shared()))["SOUL.md"]
    assert texts(render(Persona(slug="a", name="Ada", soul="Own"), Shared()))["SOUL.md"] == "Own\n"


def test_without_skills_that_is_said() -> None:
    found = texts(render(Persona(slug="a", name="Ada", skills=(Skill(slug="b", enabled=False),)), Shared()))
    assert found["TOOLS.md"] == f"# Assigned skills\n\n{NO_SKILLS}\n"
    assert f"## Tools\n\n{NO_SKILLS}\n" in found["AGENTS.md"]
    assert "USER.md" not in found


def test_the_user_is_written_where_there_is_something_to_say() -> None:
    assert texts(render(Persona(slug="a", name="A", user="Likes tea."), Shared()))["USER.md"] == "Likes tea.\n"
    assert "USER.md" not in texts(render(Persona(slug="a", name="A", user=" "), Shared()))


def test_the_same_persona_gives_the_same_bytes() -> None:
    assert render(ADA, Shared("x")) == render(ADA, Shared("x"))
    assert render(ADA, Shared("x")).sha256 != render(ADA, Shared("y")).sha256


def test_shared_instructions_that_were_a_file_of_ours_have_one_section_of_tools() -> None:
    whole = texts(render(ADA, Shared("# Rules")))["AGENTS.md"]
    again = texts(render(Persona(slug="b", name="B"), Shared(whole)))["AGENTS.md"]
    assert again.count("## Tools") == 1
    assert NO_SKILLS in again


def skill_text(**fields: Any) -> str:
    skill = Skill(slug="triage", **fields)
    return texts(render(Persona(slug="a", name="A", skills=(skill,)), Shared()))["skills/triage/SKILL.md"]


@pytest.mark.parametrize(
    "description", ["Sorts", "Sorts: all # of it", 'Says "no"', "yes", "ä — ö", "- x", "1.5", "a: b"]
)
def test_front_matter_is_added_and_says_what_was_given(description: str) -> None:
    text = skill_text(name="Triage", description=description, body="Do it.\n")
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header) == {"name": "triage", "description": description}
    assert body == "\nDo it.\n"


def test_front_matter_of_the_author_is_kept_and_completed() -> None:
    whole = "---\nname: Own\ndescription: mine\nmetadata: {a: 1}\n---\nBody\n"
    assert skill_text(body=whole, description="other") == whole
    half = skill_text(body="---\r\nmetadata: 1\r\n---\r\nBody\n", description="Sorts")
    assert half == "---\nname: triage\ndescription: Sorts\nmetadata: 1\r\n---\r\nBody\n"
    assert skill_text(body="---\n---\nBody\n", description="Sorts").startswith(
        "---\nname: triage\ndescription: Sorts\n---\n"
    )
    assert skill_text(body="\ufeff" + whole) == whole
    assert skill_text(body="--- a line of dashes\nBody").startswith(
        "---\nname: triage\ndescription: triage\n---\n\n--- a"
    )


def test_the_gateway_knows_a_skill_by_the_name_in_its_front_matter() -> None:
    assert name_of(Skill(slug="triage", name="Triage", body="text")) == "triage"
    assert name_of(Skill(slug="triage")) == "triage"
    assert name_of(Skill(slug="triage", body="---\nname: sorter\n---\nx")) == "sorter"
    assert name_of(Skill(slug="triage", body="---\nname: [1]\n---\nx")) == "triage"
    assert front_matter_problem(Skill(slug="t", body="---\nname: sorter\n---\nx")) == ""
    assert "not YAML" in front_matter_problem(Skill(slug="t", body="---\nname: [\n---\nx"))


def test_a_body_comes_back_out_of_its_file() -> None:
    skill = Skill(slug="triage", name="T", description="Sorts", body="Do it.\n")
    assert body_of(skill_text(name="T", description="Sorts", body="Do it.\n"), skill) == "\nDo it.\n".lstrip("\n")
    assert body_of("---\nname: own\n---\nBody", skill) == "---\nname: own\n---\nBody"
