"""The model map: documented entries, users' own, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.sync.errors import SyncError
from profiles.sync.models import load_models, parse_models, with_overlay


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-5"),
        ("claude-opus-4-20250514", "anthropic/claude-opus-4-5"),
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("gpt-5", None),
        ("", None),
    ],
)
def test_documented_models(name: str, target: str | None) -> None:
    assert load_models().get(name) == target


def test_a_users_file_adds_replaces_and_takes_away(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[models]\n"stub" = "lab/stub-1"\n"gpt-4o" = "openrouter/openai/gpt-4o:free"\n"gpt-4o-mini" = ""\n')
    models = load_models(file)
    assert models["stub"] == models["lab/stub-1"] == "lab/stub-1"
    assert models["gpt-4o"] == "openrouter/openai/gpt-4o:free"
    assert "gpt-4o-mini" not in models
    assert "openai/gpt-4o-mini" not in models
    assert models["claude-opus-4-20250514"] == "anthropic/claude-opus-4-5"


def test_a_target_can_be_renamed() -> None:
    assert with_overlay({"a": "x/a"}, {"x/a": "y/a"}) == {"a": "x/a", "x/a": "y/a", "y/a": "y/a"}


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("")
    assert load_models(tmp_path / "models.toml") == load_models()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models", "is no valid TOML"),
        ("[model]\na = 'x/y'", "has model, and only [models] is known"),
        ("models = 5", "no table"),
        ("[models]\na = 5", "'5' for 'a', which is not like provider/model"),
        ("[models]\na = 'gpt-4o'", "'gpt-4o' for 'a'"),
        ("[models]\na = 'x/${TOKEN}'", "not like provider/model"),
        ("[models]\na = 'x/y\\n'", "not like provider/model"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SyncError) as caught:
        parse_models(text, "mine.toml")
    assert said in caught.value.message
    assert "mine.toml" in caught.value.message
    assert "[models]" in caught.value.hint
    assert caught.value.field == "modelsFile"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b"\xff", "not UTF-8"), (b"#" * (2 << 20), "larger than 1 MiB")],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "models.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SyncError, match=said) as caught:
        load_models(file)
    assert str(file) in caught.value.message


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="Is a directory"):
        load_models(tmp_path)
