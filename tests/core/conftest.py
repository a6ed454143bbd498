"""Hypothesis profiles of the machines: `dev` in every run, `deep` with HYPOTHESIS_PROFILE=deep or CLAWTUI_SOAK=1.

The quick profile always draws the same programs, so that a run says the same thing twice; the deep one draws new ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DEEP_TIMEOUT_SECONDS = 1_800

deep = os.environ.get("HYPOTHESIS_PROFILE") == "deep" or bool(os.environ.get("CLAWTUI_SOAK"))
slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "core-dev",
    deadline=None,
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    suppress_health_check=slow,
)
settings.register_profile(
    "core-deep", deadline=None, max_examples=5_000, stateful_step_count=80, suppress_health_check=slow
)
settings.register_profile("core", settings.get_profile("core-deep" if deep else "core-dev"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The deep versions of the machines belong to `make soak`, and take their time."""
    here = Path(__file__).parent
    for item in items:
        if deep and item.path.parent == here and item.path.stem.endswith("_machine"):
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(DEEP_TIMEOUT_SECONDS))
