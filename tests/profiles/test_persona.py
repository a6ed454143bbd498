"""Personas: what they may say, and that every mistake is named by its field and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.errors import ProfileError
from profiles.persona import (
    MAX_TEXT_BYTES,
    PERSONA_FIELDS,
    SKILL_FIELDS,
    Persona,
    Skill,
    parse_persona,
    parted,
    remarks,
)

FULL: dict[str, Any] = {
    "slug": "squad-lead",
    "name": "Squad Lead",
    "role": "Leads the squad",
    "soul": "# Lead\n\nI lead.\n",
    "user": "Likes tea.",
    "model": "anthropic/claude-sonnet-4-5",
    "skills": [
        {"slug": "triage", "name": "Triage", "description": "Sorts\n  things", "body": "Do it.", "enabled": False},
        "plan",
    ],
    "emoji": "🦞",
    "theme": "calm",
    "avatar": "lead.png",
    "enabled": False,
}


def test_everything_at_once() -> None:
    assert set(FULL) == set(PERSONA_FIELDS)
    assert set(FULL["skills"][0]) == set(SKILL_FIELDS)
    assert parse_persona("persona", FULL, "other") == Persona(
        slug="squad-lead",
        name="Squad Lead",
        role="Leads the squad",
        soul="# Lead\n\nI lead.\n",
        user="Likes tea.",
        model="anthropic/claude-sonnet-4-5",
        skills=(
            Skill(slug="triage", name="Triage", description="Sorts things", body="Do it.", enabled=False),
            Skill(slug="plan", name="plan"),
        ),
        emoji="🦞",
        theme="calm",
        avatar="lead.png",
        enabled=False,
    )


def test_a_profile_gives_its_name_to_a_persona_that_says_none() -> None:
    assert parse_persona("persona", {}, "builder") == Persona(slug="builder", name="builder")
    assert parse_persona("persona", {"soul": None, "user": None, "model": None}, "b").soul is None


@pytest.mark.parametrize(
    ("slug", "message", "hint"),
    [
        ("a/b", "path separator", "a-z"),
        ("a\\b", "path separator", "a-z"),
        ("/etc", "path separator", "a-z"),
        ("..", "leads out of its folder", "a-z"),
        ("../x", "leads out of its folder", "a-z"),
        ("a..b", "leads out of its folder", "a-z"),
        (".", "character '.'", "a-z"),
        ("Engineer", "upper case", "Write engineer."),
        ("x" * 300, "it has 300 characters", "64"),
        ("x" * 65, "it has 65 characters", "64"),
        ("", "it is empty", "a-z"),
        ("-x", "begins with -", "-"),
        ("a b", "character ' '", "a-z"),
        ("a\n", "character '\\n'", "a-z"),
        ("ä", "character 'ä'", "a-z"),
        (7, "is not a slug", "a-z"),
        ("default", "reserved", "default-1"),
        ("openclaw", "reserved", "openclaw-1"),
        ("cron", "session keys", "cron-1"),
        ("__proto__", "reserved by the language", "a-z"),
        ("constructor", "reserved by the language", "a-z"),
    ],
)
def test_a_wrong_slug_says_what_is_wrong_with_it(slug: object, message: str, hint: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_persona("persona", {"slug": slug})
    assert [problem.field for problem in caught.value.problems] == ["persona.slug"]
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("slug", ["a", "_", "0", "main", "x" * 64, "a_b-c9"])
def test_slugs_that_a_gateway_takes(slug: str) -> None:
    assert parse_persona("", {"slug": slug}).slug == slug


@pytest.mark.parametrize(
    ("raw", "field", "text"),
    [
        ({}, "persona.slug", "is missing"),
        ({"slug": "x", "soul": b"\0\1"}, "persona.soul", "binary data is not text"),
        ({"slug": "x", "soul": 5}, "persona.soul", "5 is not text"),
        ({"slug": "x", "soul": "a\nb\0"}, "persona.soul", "0x00 in line 2"),
        ({"slug": "x", "soul": "\ud800"}, "persona.soul", "not UTF-8"),
        ({"slug": "x", "soul": "x" * (MAX_TEXT_BYTES + 1)}, "persona.soul", "1048577 bytes, at most 1048576"),
        ({"slug": "x", "user": "ä" * (MAX_TEXT_BYTES // 2 + 1)}, "persona.user", "1048578 bytes"),
        ({"slug": "x", "skills": [{"slug": "y", "body": b"\xff\xfe"}]}, "persona.skills[0].body", "binary"),
        ({"slug": "x", "skills": [{"slug": "y", "body": "\x7fELF\0"}]}, "persona.skills[0].body", "0x7f in line 1"),
        ({"slug": "x", "skills": [{"slug": "../y"}]}, "persona.skills[0].slug", "leads out"),
        ({"slug": "x", "skills": ["a", "b", "a"]}, "persona.skills[2].slug", "a is the slug of persona.skills[0] too"),
        ({"slug": "x", "skills": [{"name": "y"}]}, "persona.skills[0].slug", "is missing"),
        ({"slug": "x", "skills": [5]}, "persona.skills[0]", "not a mapping"),
        ({"slug": "x", "name": " "}, "persona.name", "is empty"),
        ({"slug": "x", "role": "two\nlines"}, "persona.role", "one line"),
        ({"slug": "x", "model": "a b"}, "persona.model", "not a model"),
        ({"slug": "x", "enabled": "yes"}, "persona.enabled", "neither true nor false"),
        ({"slug": "x", "souls": ""}, "persona.souls", "is not known"),
    ],
)
def test_a_mistake_is_named_by_its_path(raw: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_persona("persona", raw)
    assert caught.value.field == field
    assert text in caught.value.message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_persona("persona", {"slug": "A/B", "soul": 1, "skills": ["..", {"slug": "b", "body": "\0"}]})
    assert [problem.field for problem in caught.value.problems] == [
        "persona.slug", "persona.soul", "persona.skills[0]", "persona.skills[1].body",
    ]  # fmt: skip


def test_a_soul_of_a_megabyte_is_taken_and_remarked() -> None:
    persona = parse_persona("", {"slug": "x", "soul": "y" * MAX_TEXT_BYTES, "user": "z" * 4001, "skills": [
        {"slug": "a", "body": "b"},
    ]})  # fmt: skip
    found = {remark.field: remark.message for remark in remarks(persona)}
    assert list(found) == ["soul", "user", "skills[0].description"]
    assert "first 20000 only" in found["soul"]
    assert list(remarks(parse_persona("", {"slug": "x", "soul": "y" * 20_000}))) == []


def test_of_two_personas_of_one_slug_neither_is_used_and_both_are_named() -> None:
    one, two, other = Persona(slug="x", name="X"), Persona(slug="x", name="Y"), Persona(slug="y", name="Y")
    personas, twice = parted([("a.json", one), ("c.json", other), ("b.yaml", two)])
    assert personas == [other]
    assert twice == {"x": "a.json and b.yaml both say that they are x"}
    assert parted([("1", one), ("2", one), ("3", one)])[1] == {"x": "1, 2 and 3 all say that they are x"}
