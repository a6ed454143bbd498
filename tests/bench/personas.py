"""Sync of many personas into the files of one gateway: the first time, without a change, and after one edit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from profiles.persona import Persona, Skill
from profiles.sync.mounts import Mount
from profiles.sync.once import sync_once
from profiles.sync.openclaw import Merged, Roster, RosterEntry, Shape, merge_config
from profiles.sync.report import Report, Target
from tests.bench.hubs import BenchError
from tests.bench.report import Row
from tests.bench.timing import Samples, time_calls

VERSION = "2026.9.6"
OLDER = "2026.7.35"
SKILLS = 3
SOUL_LINES = 60
"""About 4 KB, as souls that people write have."""
FULL_BUDGET_SECONDS = 10.0
UNCHANGED_BUDGET_MS = 1_000.0
EDIT_BUDGET_MS = 1_500.0
MERGE_BUDGET_MS = 150.0


def personas(folder: Path, count: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """`folder` is on the disk that is measured; every round has a workspace root of its own."""
    section = f"profile sync of {count} personas, {SKILLS} skills each, into workspaces and openclaw.json"
    wanted = [_persona(number) for number in range(count)]
    full: list[float] = []
    edited: list[float] = []
    unchanged: list[float] = []
    files = 0
    for number in range(rounds):
        say(f"{count} personas, round {number + 1} of {rounds}")
        target = _target(folder / f"round-{number}")
        report, seconds = _synced(target, wanted, changes=True)
        files = report.written
        full.append(seconds)
        for _ in range(3):
            unchanged.append(_synced(target, wanted, changes=False)[1])
        edited.append(_synced(target, [_edited(wanted[0]), *wanted[1:]], changes=True)[1])
    return [
        Row(
            section=section,
            name=f"first sync, {files:,} files, each on the disk when it counts",
            unit="s",
            measured=statistics.median(full),
            budget=FULL_BUDGET_SECONDS,
            runs=full,
        ),
        _in_ms(section, "nothing changed, nothing written", unchanged, UNCHANGED_BUDGET_MS),
        _in_ms(section, "one soul edited", edited, EDIT_BUDGET_MS),
        *_merges(section, count),
    ]


def _in_ms(section: str, name: str, seconds: list[float], budget: float) -> Row:
    runs = [each * 1000 for each in seconds]
    return Row(section=section, name=name, unit="ms", measured=statistics.median(runs), budget=budget, runs=runs)


def _merges(section: str, count: int) -> list[Row]:
    """The configuration alone: text in, text out."""
    roster = Roster(entries=tuple(_entry(number) for number in range(count)))
    ours = frozenset(entry.slug for entry in roster.entries)
    text = merge_config(None, roster, Shape.AUTO, VERSION).text
    changed = msgspec.structs.replace(roster, entries=roster.entries[1:])

    def row(name: str, merge: Callable[[], Merged], expect: bool) -> Row:
        if merge().changed is not expect:
            raise BenchError(f"the merge {name} is not what it shall be")
        samples: Samples = time_calls(7, merge, warm_up=1)
        return Row(section=section, name=name, unit="ms", measured=samples.p50_ms, budget=MERGE_BUDGET_MS)

    return [
        row(
            "merge of an unchanged roster, p50",
            lambda: merge_config(text, roster, Shape.AUTO, VERSION, owned=ours),
            expect=False,
        ),
        row(
            "merge that removes one persona, p50",
            lambda: merge_config(text, changed, Shape.AUTO, VERSION, owned=ours),
            expect=True,
        ),
        row(
            "merge into the older shape, p50",
            lambda: merge_config(text, roster, Shape.AUTO, OLDER, owned=ours),
            expect=True,
        ),
    ]


def _synced(target: Target, wanted: Sequence[Persona], *, changes: bool) -> tuple[Report, float]:
    """One sync and its seconds. A run that did not do what it shall is no measurement."""
    started = time.perf_counter()
    report = sync_once(target, wanted, version=VERSION, now=datetime.now(UTC))
    seconds = time.perf_counter() - started
    if report.config_problem or bool(report.written) is not changes:
        raise BenchError(f"the sync wrote {report.written} files: {report.config_problem or 'not what it shall'}")
    return report, seconds


def _target(folder: Path) -> Target:
    folder.mkdir(parents=True)
    mounts = (Mount(host=str(folder), container="/home/node/.openclaw"),)
    return Target(root=folder / "agents", config=folder / "openclaw.json", mounts=mounts)


def _persona(number: int) -> Persona:
    soul = "".join(
        f"{line}. Persona {number} keeps its word and says what it does not know.\n" for line in range(SOUL_LINES)
    )
    skills = tuple(
        Skill(slug=f"skill-{skill}", name=f"Skill {skill}", description="Sorts what comes in", body=soul)
        for skill in range(SKILLS)
    )
    return Persona(slug=f"persona-{number}", name=f"Persona {number}", role="Engineer", soul=soul, skills=skills)


def _edited(persona: Persona) -> Persona:
    return msgspec.structs.replace(persona, soul=f"{persona.soul}\nIt was edited.\n")


def _entry(number: int) -> RosterEntry:
    slug = f"persona-{number}"
    names = tuple(f"skill-{skill}" for skill in range(SKILLS))
    return RosterEntry(slug=slug, name=f"Persona {number}", workspace=f"/agents/{slug}", model="x/y", skills=names)
