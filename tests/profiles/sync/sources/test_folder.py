"""A folder of profiles as a source: whom it has, what is wrong, and what is written back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from profiles.sync.errors import SyncError
from profiles.sync.sources.folder import FolderSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "profiles"
    place.mkdir()
    return place


def write(folder: Path, name: str, **raw: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(raw, indent=2))
    return path


async def test_every_profile_with_a_persona_is_one(folder: Path) -> None:
    write(folder, "ada.json", persona={"role": "Engineer"})
    write(folder, "machine.json", packages=["git"])
    (folder / "bob.yaml").write_text("persona:\n  slug: robert\n  name: Bob\n")
    (folder / "notes.txt").write_text("no profile")
    (folder / ".hidden.json").write_text("{")
    loaded = await FolderSource(folder).load()
    assert [(one.slug, one.name) for one in loaded.personas] == [("ada", "ada"), ("robert", "Bob")]
    assert loaded.problems == ()


async def test_a_folder_that_cannot_be_listed_is_an_error_and_not_empty(folder: Path) -> None:
    with pytest.raises(SyncError, match="No such file") as caught:
        await FolderSource(folder / "none").load()
    assert "mount" in caught.value.hint
    (folder / "file").write_text("")
    with pytest.raises(SyncError, match="Not a directory"):
        await FolderSource(folder / "file").load()


async def test_a_wrong_profile_is_named_with_its_persona(folder: Path) -> None:
    write(folder, "ada.json", persona={"soul": 5, "nme": "x"})
    write(folder, "bob.json", persona={"slug": "robert"}, packages=["a b"])
    write(folder, "cleo.json", persona={})
    loaded = await FolderSource(folder).load()
    assert [one.slug for one in loaded.personas] == ["cleo"]
    assert [(one.slug, one.where, one.field) for one in loaded.problems] == [
        ("ada", "ada.json", "persona.nme"),
        ("ada", "ada.json", "persona.soul"),
        ("robert", "bob.json", "packages[0]"),
    ]
    assert str(loaded.problems[1]) == "ada.json: persona.soul: 5 is not text"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ada.json", "{"),
        ("ada.json", '{"persona": {"slug": "../x"}}'),
        ("ada.yaml", "persona: ["),
        ("ada.json", "[]"),
    ],
)
async def test_where_nobody_can_say_who_it_is_the_problem_is_nobodys(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (problem,) = (await FolderSource(folder).load()).problems
    assert (problem.where, bool(problem.message)) == (name, True)
    assert problem.slug == ("ada" if text == "[]" else "")


async def test_a_wrong_profile_without_a_persona_is_nobodys_business(folder: Path) -> None:
    write(folder, "ada.json", packages=5)
    loaded = await FolderSource(folder).load()
    assert (loaded.personas, loaded.problems) == ((), ())


async def test_a_link_that_leads_nowhere_is_a_problem_and_not_nothing(folder: Path) -> None:
    (folder / "ada.json").symlink_to(folder / "gone")
    (problem,) = (await FolderSource(folder).load()).problems
    assert (problem.slug, problem.where) == ("", "ada.json")


async def test_two_of_one_slug_are_both_named(folder: Path) -> None:
    write(folder, "ada.json", persona={"slug": "x"})
    write(folder, "bob.json", persona={"slug": "x"})
    loaded = await FolderSource(folder).load()
    assert loaded.personas == ()
    assert [(one.slug, one.message) for one in loaded.problems] == [
        ("x", "ada.json and bob.json both say that they are x")
    ]


async def test_adopted_text_is_in_the_file_which_keeps_its_permissions(folder: Path) -> None:
    path = write(folder, "ada.json", packages=["git"], persona={"soul": "Old"})
    path.chmod(0o640)
    source = FolderSource(folder)
    await source.load()
    assert source.why_not("ada", "SOUL.md") == ""
    await source.adopt("ada", "SOUL.md", "New\n")
    assert json.loads(path.read_text()) == {"packages": ["git"], "persona": {"soul": "New\n"}}
    assert path.stat().st_mode & 0o777 == 0o640
    assert (await source.load()).personas[0].soul == "New\n"
    assert os.listdir(folder) == ["ada.json"]


async def test_what_cannot_be_adopted_is_said(folder: Path) -> None:
    (folder / "bob.yaml").write_text("# mine\npersona: {}\n")
    real = write(folder.parent, "real.json", persona={})
    (folder / "cleo.json").symlink_to(real)
    source = FolderSource(folder)
    await source.load()
    assert "comments" in source.why_not("bob", "SOUL.md")
    assert "AGENTS.md" in source.why_not("cleo", "AGENTS.md")
    assert "no persona eve" in source.why_not("eve", "SOUL.md")
    with pytest.raises(SyncError, match="no persona eve"):
        await source.adopt("eve", "SOUL.md", "x")
    with pytest.raises(SyncError, match="comments"):
        await source.adopt("bob", "SOUL.md", "x")
    with pytest.raises(SyncError, match="link to a profile"):
        await source.adopt("cleo", "SOUL.md", "x")
    assert json.loads(real.read_text()) == {"persona": {}}
