"""Values of a check: one row for each thing that was looked at, and how it went."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Outcome(enum.StrEnum):
    """`DIFFERS`: VM and container work and answer differently, as two versions do; for a person to look at.

    `NOT_RUN`: it could not be tried here, which `detail` explains; no proof, and no failure either.
    """

    PASSED = "passed"
    FAILED = "failed"
    DIFFERS = "differs"
    NOT_RUN = "not run"


class Step(enum.StrEnum):
    """What a row is about, in the order of the checklist."""

    PROFILE = "profile"
    IMAGE = "image"
    AGENT = "agent"
    HUB = "hub"
    SIDECAR = "side service"
    PACKAGE = "package"
    TASK = "setup task"
    FILE = "file"
    ENVIRONMENT = "environment"
    SERVICE = "service"
    SAMPLE = "sample task"
    RESOURCES = "resources"
    COMPARISON = "comparison"
    CLEANUP = "clean-up"


class CheckRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that was looked at. `field`: where it comes from in the VM profile, empty = nowhere in particular."""

    step: Step
    subject: str
    outcome: Outcome
    detail: str = ""
    field: str = ""
    seconds: float = 0.0


class CheckReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The check of one profile. `at`: when it began, RFC 3339; `image` empty = none was built.

    `passed`: nothing failed; what could not be run here is no failure.
    """

    profile: str
    at: str
    passed: bool
    rows: tuple[CheckRow, ...]
    image: str = ""
    seconds: float = 0.0

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome is outcome for row in self.rows)


def has_passed(rows: Iterable[CheckRow]) -> bool:
    """Whether nothing failed; what could not be run here is no failure."""
    return all(row.outcome is not Outcome.FAILED for row in rows)
