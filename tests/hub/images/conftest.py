"""A bench per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hub.images.image_bench import ImageBench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ImageBench]:
    bench = ImageBench(tmp_path)
    yield bench
    await bench.close()
