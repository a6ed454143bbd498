"""A gateway's files in a folder of a test: a workspace root, a configuration, and personas to sync into them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from profiles.persona import Persona, Skill
from profiles.sync.mounts import Mount
from profiles.sync.once import PersonaReport, Report, Target, sync_once
from profiles.sync.sources.base import SourceProblem

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
VERSION = "2026.9.6"
TRIAGE = Skill(slug="triage", name="Triage", description="Sorts what comes in", body="Read it, then sort it.\n")


def persona(slug: str, **fields: Any) -> Persona:
    told: dict[str, Any] = {"name": slug.title(), "role": "Tester", "soul": f"I am {slug}.\n", "skills": (TRIAGE,)}
    return Persona(slug=slug, **(told | fields))


class Place:
    """Everything is below `folder`; the gateway sees the workspaces at /workspaces."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "agents"
        self.config = folder / "openclaw.json"
        self.target = Target(
            root=self.root, config=self.config, mounts=(Mount(host=str(self.root), container="/workspaces"),)
        )

    def sync(self, personas: Sequence[Persona], **options: Any) -> Report:
        target: Target = options.pop("target", self.target)
        return sync_once(target, personas, **({"version": VERSION, "now": NOW} | options))

    def file(self, path: str) -> Path:
        return self.root / path

    def read(self, path: str) -> str:
        return self.file(path).read_text()

    def roster(self) -> dict[str, Any]:
        return msgspec.json.decode(self.config.read_bytes())["agents"]["entries"]

    def facts(self) -> dict[str, tuple[int, int, bytes]]:
        """Inode, time of change and content of every file, and what a folder is."""
        found: dict[str, tuple[int, int, bytes]] = {}
        for path in sorted([*self.root.rglob("*"), self.config]):
            there = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(there.st_mode) else b""
            found[str(path)] = (there.st_ino, there.st_mtime_ns, content)
        return found


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with what it holds; None for a folder."""
    found: dict[str, bytes | None] = {}
    for parent, folders, names in os.walk(folder):
        for name in folders:
            found[str(Path(parent, name).relative_to(folder))] = None
        for name in names:
            if not name.endswith(".lock"):
                found[str(Path(parent, name).relative_to(folder))] = Path(parent, name).read_bytes()
    return found


def by_slug(report: Report) -> dict[str, PersonaReport]:
    return {each.slug: each for each in report.personas}


def states(report: Report) -> dict[str, str]:
    return {each.slug: each.state.value for each in report.personas}


def trouble(slug: str, message: str = "cannot be read") -> SourceProblem:
    return SourceProblem(slug=slug, where="a.json", message=message)
