"""Tiers: the built-in ones as documented, a user's own, and every mistake of a file told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import BadRequest
from hub.gateways.tiers import TierShelf, parse_tier
from profiles.errors import ProfileError

MIB = 2**20


def test_the_built_in_tiers_are_the_documented_ones(tmp_path: Path) -> None:
    found = {one.name: one.tier for one in TierShelf(tmp_path).all()}
    assert list(found) == ["free", "pro", "enterprise"]
    figures = {
        name: (tier.cpus, tier.memory_bytes // MIB, tier.sessions, tier.browser, tier.channels, tier.cost_per_month)
        for name, tier in found.items()
        if tier is not None
    }
    assert figures == {
        "free": (0.5, 1536, 5, False, (), 0.5),
        "pro": (2.0, 2048, None, False, ("telegram",), 7.0),
        "enterprise": (4.0, 4096, None, True, ("telegram",), 15.0),
    }
    assert found["free"] is not None
    assert found["free"].workspace_bytes == 100 * MIB


def test_a_users_file_hides_a_built_in_tier_and_is_in_force_at_once(tmp_path: Path) -> None:
    shelf = TierShelf(tmp_path)
    shelf.folder.mkdir()
    (shelf.folder / "pro.toml").write_text('cpus = 1\nmemory = "3GiB"\nimage_kind = "npm"\n')
    assert shelf.usable("pro").memory_bytes == 3072 * MIB
    assert [one.source for one in shelf.all() if one.name == "pro"] == ["user"]
    (shelf.folder / "pro.toml").unlink()
    assert shelf.usable("pro").memory_bytes == 2048 * MIB


def test_every_mistake_is_told_with_its_field() -> None:
    raw = {
        "cpus": "many",
        "memory": -1,
        "image_kind": "vm",
        "model": "opus",
        "sesions": 4,
        "channels": "x",
        "browser": 1,
    }
    with pytest.raises(ProfileError) as caught:
        parse_tier("gold", raw)
    fields = {one.field for one in caught.value.problems}
    assert fields == {"cpus", "memory", "image_kind", "model", "sesions", "channels", "browser"}


@pytest.mark.parametrize("text", ["cpus = ", "\xff", "cpus = 1"])
def test_a_wrong_file_is_listed_and_cannot_be_used(tmp_path: Path, text: str) -> None:
    shelf = TierShelf(tmp_path)
    shelf.folder.mkdir()
    (shelf.folder / "gold.toml").write_bytes(text.encode("latin-1"))
    (found,) = [one for one in shelf.all() if one.name == "gold"]
    assert found.tier is None
    assert found.problems
    assert not found.view().valid
    with pytest.raises(BadRequest) as caught:
        shelf.usable("gold")
    assert (caught.value.code, caught.value.field) == ("tier_wrong", "tier")


def test_an_unknown_tier_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        TierShelf(tmp_path).usable("gold")
    assert "free, pro, enterprise" in caught.value.hint
