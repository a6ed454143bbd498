"""The fault tests use the end-to-end tests' hub."""

from __future__ import annotations

from tests.end_to_end.conftest import hub

__all__ = ["hub"]
