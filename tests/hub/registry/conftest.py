"""A registry in a folder of its own, closed after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.registry import Registry


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
async def registry(database: Path) -> AsyncIterator[Registry]:
    opened = await Registry.open(database)
    yield opened
    await opened.close()
