"""Realistic VM profiles are migrated and proved on a real engine: all that need nobody pass.

Their side services are not started here: official images come from a registry (see test_on_engine for one that runs).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from clawtui.migration_check import Checker, Outcome, Step
from hub.drivers.docker import DockerDriver
from profiles.migrate import Migration, Severity, migrate_text
from tests.clawtui.migration_check.checked_hub import Heard
from tests.hub.running import RunningHub, running_hub, short_folder

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FOLDER = Path(__file__).parents[2] / "profiles" / "migrate" / "vm"
ALWAYS = frozenset({"hardened", "web-nginx", "workers"})
"""The others take half a minute each: packages are fetched and installed for every one."""


def migrated(name: str) -> Migration:
    return migrate_text((FOLDER / f"{name}.json").read_text(), "json", name)


NEED_NOBODY = [
    pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.soak])
    for name in sorted(path.stem for path in FOLDER.glob("*.json"))
    if migrated(name).verdict is not Severity.NEEDS_YOU
]


@pytest.fixture
async def running() -> AsyncIterator[RunningHub]:
    with short_folder() as folder:
        async with running_hub(folder / "s", drivers=lambda reach: [DockerDriver(reach)]) as running:
            yield running


def out_of_reach(migration: Migration) -> Migration:
    """The same with images of side services that no machine can pull, so that every machine says the same."""
    away = tuple(replace(one, image=f"localhost:1/{one.image}") for one in migration.sidecars)
    return replace(migration, sidecars=away)


@pytest.mark.parametrize("name", NEED_NOBODY)
async def test_what_needs_nobody_passes(running: RunningHub, name: str) -> None:
    migration = out_of_reach(migrated(name))
    report = await Checker(running.control, Heard()).check(migration)
    assert [row for row in report.rows if row.outcome is Outcome.FAILED] == []
    assert report.passed
    steps = {row.step for row in report.rows if row.outcome is Outcome.PASSED}
    assert {Step.IMAGE, Step.HUB, Step.SAMPLE, Step.RESOURCES, Step.CLEANUP} <= steps
    not_run = {row.step for row in report.rows if row.outcome is Outcome.NOT_RUN}
    beside = {Step.SIDECAR, Step.SERVICE, Step.TASK} if migration.sidecars else set[Step]()
    assert not_run <= beside | {Step.COMPARISON, Step.RESOURCES, Step.PROFILE}
