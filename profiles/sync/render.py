"""From a persona to the files of its workspace. Pure and deterministic."""

from __future__ import annotations

import msgspec


class Shared(msgspec.Struct, frozen=True):
    """`agents`: instructions for every AGENTS.md."""

    agents: str = ""
