"""Realistic VM profiles, each with everything that shall become of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from profiles.image import BASE, extend
from profiles.loader import Origin, Source, check_text, find_profiles
from profiles.migrate import Migration, migrate_text
from profiles.migrate.report import files

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in (HERE / "vm").glob("*.json"))
RIGHT = [name for name in NAMES if name != "fleet-docker"]


def text_of(name: str) -> str:
    return (HERE / "vm" / f"{name}.json").read_text()


def migrated(name: str) -> Migration:
    return migrate_text(text_of(name), "json", name)


def described(migration: Migration) -> dict[str, Any]:
    """Everything that is expected of a migration, as plain data that people can read."""
    return {
        "verdict": migration.verdict.value,
        "unchanged": migration.unchanged,
        "findings": [[one.severity.value, one.area.value, one.field, one.message] for one in migration.findings],
        "profile": migration.profile,
        "dockerfile": (migration.dockerfile or "").splitlines(),
        "compose": (migration.compose or "").splitlines(),
        "context": {path: content.decode().splitlines() for path, content in migration.context.items()},
        "sidecar_files": {path: content.decode().splitlines() for path, content in migration.sidecar_files.items()},
        "probes": [[one.kind.value, one.subject, one.command] for one in migration.probes],
    }


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= 30
    assert sorted(path.stem for path in (HERE / "expected").glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_exactly_what_is_expected_becomes_of_it(name: str) -> None:
    expected = json.loads((HERE / "expected" / f"{name}.json").read_text())
    assert described(migrated(name)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_says_why_and_those_that_need_somebody_what_to_do(name: str) -> None:
    for found in migrated(name).findings:
        assert found.message
        assert found.reason
        assert found.todo or found.severity.value != "needs-you", found


@pytest.mark.parametrize("name", NAMES)
def test_what_it_becomes_is_a_profile_and_passes_through_unchanged(name: str) -> None:
    first = migrated(name)
    assert check_text(first.text, first.format, first.name).name == name
    again = migrate_text(first.text, first.format, first.name)
    assert again.unchanged
    assert again.text == first.text


@pytest.mark.parametrize("name", [name for name in NAMES if migrated(name).dockerfile])
def test_its_dockerfile_extends_the_base_image(name: str) -> None:
    migration = migrated(name)
    assert migration.dockerfile is not None
    context = extend(migration.dockerfile, migration.context, {}, f"{BASE}:tag")
    assert f"FROM {BASE}:tag\n" in context.dockerfile


def test_the_loader_finds_what_was_written(tmp_path: Path) -> None:
    for name in RIGHT:
        for path, content in files(migrated(name)).items():
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    found = find_profiles([Source(Origin.USER, tmp_path)])
    assert {name for name, (one, *_) in found.items() if one.origin is Origin.USER} == set(RIGHT)
    assert [one.problems for (one, *_) in found.values() if one.problems] == []
    assert [name for name, (one, *_) in found.items() if one.origin is Origin.USER and one.notes] == []
    assert found["workers"][0].context.keys() == migrated("workers").context.keys()


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize("name", [name for name in NAMES if migrated(name).compose])
def test_compose_accepts_the_file(name: str, tmp_path: Path) -> None:
    for path, content in files(migrated(name)).items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    command = ["docker-compose", "-f", f"{name}.compose.yml", "--profile", "agent", "config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    services = done.stdout
    for sidecar in migrated(name).sidecars:
        assert f"image: {sidecar.image}" in services
