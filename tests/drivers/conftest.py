"""The contract's assertions are explained on failure like those of the tests that use it."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.drivers.contract",
    "tests.drivers.cells_contract",
    "tests.drivers.containers_contract",
    "tests.drivers.snapshots_contract",
)
