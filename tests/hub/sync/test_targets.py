"""From a gateway's settings to what a run works on, and the hub's own profiles as a source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.config import Openclaw
from hub.contract import MountMapping, ProfileText, SyncSettings
from hub.gateways.book import Gateway
from hub.profiles import ProfileBook
from hub.sync.built import Built, config_facts
from hub.sync.runner import fingerprint_of
from hub.sync.sources import RegistrySource
from hub.sync.targets import builder
from profiles.persona import Persona, Skill
from profiles.sync.errors import SyncError
from profiles.sync.sources.convex import ConvexSource
from profiles.sync.sources.folder import FolderSource


def built(state: Path, **fields: object) -> Built:
    settings = SyncSettings(workspace_root="/w", config_path="/c/openclaw.json", **fields)  # pyright: ignore[reportArgumentType]
    build = builder(ProfileBook(state, None), Openclaw())
    return build(Gateway(name="g", url="http://127.0.0.1:1", sync=settings))


def test_every_setting_reaches_its_place(tmp_path: Path) -> None:
    (tmp_path / "agents.md").write_text("Be kind.\n")
    (tmp_path / "models.toml").write_text('[models]\n"house" = "a/b"\n')
    one = built(
        tmp_path, source="folder", folder="/p", personas=["ann"], reload="hot", restart_command=["x", "y"],
        mounts=[MountMapping(host="/w", container="/in")], shape="list", file_mode="0640", folder_mode="750",
        owner="1000:1001", system_agent="ann", agents_file=str(tmp_path / "agents.md"),
        models_file=str(tmp_path / "models.toml"),
    )  # fmt: skip
    target = one.target
    assert (target.root, target.config, target.shape.value) == (Path("/w"), Path("/c/openclaw.json"), "list")
    assert (target.file_mode, target.folder_mode, target.uid, target.gid) == (0o640, 0o750, 1000, 1001)
    assert (target.shared.agents, target.models["house"], target.models["gpt-4o"]) == (
        "Be kind.\n", "a/b", "openai/gpt-4o",
    )  # fmt: skip
    assert (target.mounts[0].container, target.system_slug) == ("/in", "ann")
    assert (one.reload.value, one.restart_command, one.personas) == ("hot", ("x", "y"), {"ann"})
    assert isinstance(one.source, FolderSource)
    assert one.folders == (Path("/p"),)
    assert set(one.files) == {tmp_path / "agents.md", tmp_path / "models.toml"}
    assert built(tmp_path, owner="7").target.gid is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"agents_file": "{0}/none"}, "shared instructions .* cannot be read"),
        ({"agents_file": "{0}/latin"}, "not UTF-8 text"),
        ({"agents_file": "{0}/large"}, "longer than 1 MiB"),
        ({"models_file": "{0}/none"}, "model map .* cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, fields: dict[str, str], says: str) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(SyncError, match=says):
        built(tmp_path, **{name: value.format(tmp_path) for name, value in fields.items()})


async def test_the_token_of_convex_is_read_when_it_is_needed(tmp_path: Path) -> None:
    token = tmp_path / "token"
    fields = {"convex_url": "http://127.0.0.1:9", "convex_account": "a", "convex_token_file": str(token)}
    one = built(tmp_path, source="convex", **fields)
    assert isinstance(one.source, ConvexSource)
    with pytest.raises(SyncError, match="token file"):
        await one.source.load()


def test_settings_that_differ_are_another_config_and_texts_in_files_are_not(tmp_path: Path) -> None:
    skill = Skill(slug="s", body="one")
    ann = Persona(slug="ann", name="Ann", soul="one", skills=(skill,))
    one, other = built(tmp_path), built(tmp_path, shape="list")
    assert fingerprint_of(one, [ann]) != fingerprint_of(other, [ann])
    same = Persona(slug="ann", name="Ann", soul="two", skills=(Skill(slug="s", body="two"),))
    assert fingerprint_of(one, [ann]) == fingerprint_of(one, [same])
    for changed in ({"model": "m"}, {"name": "Anna"}, {"enabled": False}, {"skills": ()}):
        different = Persona(**{"slug": "ann", "name": "Ann", "skills": (skill,), **changed})
        assert fingerprint_of(one, [ann]) != fingerprint_of(one, [different]), changed


# --- the config


@pytest.mark.parametrize(
    ("text", "agents", "watches"),
    [
        ('{agents: {entries: {a: {}, b: {}}}}', {"a", "b"}, True),
        ('{"agents": {"list": [{"id": "a"}, {}, 7]}, "gateway": {"reload": {"mode": "off"}}}', {"a"}, False),
        ('{"$include": "x", "agents": {"list": [{"id": "a"}]}}', None, True),
        ('{"agents": []}', None, True),
        ("{", None, True),
        ("", None, True),
    ],
)  # fmt: skip
def test_what_a_config_says(tmp_path: Path, text: str, agents: set[str] | None, watches: bool) -> None:
    path = tmp_path / "openclaw.json"
    path.write_text(text)
    facts = config_facts(path)
    assert (facts.agents, facts.watches) == (agents, watches)
    assert config_facts(tmp_path / "none").agents is None


# --- the hub's profiles


async def test_the_hubs_profiles_are_a_source(tmp_path: Path) -> None:
    book = ProfileBook(tmp_path, tmp_path / "project")
    source = RegistrySource(book)
    assert (await source.load()).personas == ()
    (tmp_path / "project").mkdir()
    for where, name in ((book.user_folder, "User's"), (tmp_path / "project", "Project's")):
        where.mkdir(exist_ok=True)
        (where / "ann.json").write_text(json.dumps({"persona": {"name": name}}))
    (persona,) = (await source.load()).personas
    assert persona.name == "Project's"
    assert source.why_not("ann", "SOUL.md") == ""
    assert "several fields" in source.why_not("ann", "AGENTS.md")
    assert "no profile" in source.why_not("zoe", "SOUL.md")
    await source.adopt("ann", "SOUL.md", "Mine.\n")
    adopted = json.loads((tmp_path / "project" / "ann.json").read_text())
    assert adopted["persona"] == {"name": "Project's", "soul": "Mine.\n"}
    assert json.loads((book.user_folder / "ann.json").read_text())["persona"] == {"name": "User's"}
    with pytest.raises(SyncError, match="several fields"):
        await source.adopt("ann", "AGENTS.md", "x")


async def test_a_folder_of_profiles_that_is_gone_is_no_empty_one(tmp_path: Path) -> None:
    book = ProfileBook(tmp_path / "state", tmp_path / "project")
    (tmp_path / "project").mkdir()
    source = RegistrySource(book)
    assert (await source.load()).personas == ()
    (tmp_path / "project").rename(tmp_path / "away")
    with pytest.raises(SyncError, match="project is gone"):
        await source.load()


async def test_a_folder_of_profiles_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "project").write_text("a file")
    with pytest.raises(SyncError, match="cannot be read"):
        await RegistrySource(ProfileBook(tmp_path / "state", tmp_path / "project")).load()


async def test_a_profile_that_is_saved_or_deleted_is_told(tmp_path: Path) -> None:
    book, told = ProfileBook(tmp_path, None), []
    book.on_change(lambda: told.append(1))
    await book.save("ann", ProfileText(text="{}"))
    assert len(told) == 1
    await book.delete("ann")
    assert len(told) == 2
