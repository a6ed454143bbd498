"""One run: the source is read, the gateway's files are brought in step. What the gateway makes of it comes after."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hub.sync.built import Built, ConfigFacts, config_facts
from hub.sync.changes import Aim, Stamp, stamps
from hub.sync.commands import Validator, refusing
from hub.sync.container import GatewayContainer
from hub.sync.policy import Look, is_suspicious
from profiles.persona import Persona
from profiles.sync.beneath import open_folder
from profiles.sync.errors import SyncError
from profiles.sync.manifest import EMPTY
from profiles.sync.once import difference, sync_once
from profiles.sync.plan import CHANGES, Decision
from profiles.sync.report import FileDifference, Report
from profiles.sync.run import load_manifest
from profiles.sync.sources.base import Loaded, SourceProblem

MOST_SOURCE_FILES: Final = 20_000
GONE_SECONDS: Final = 0.3
"""How long a persona must be gone from its source to count as gone."""
Decisions = Mapping[tuple[str, str], Decision]
Build = Callable[[], Built]


class Held(NamedTuple):
    """A config that the gateway did not take: what it was made of, the SHA-256 of its text, why, and what to do."""

    fingerprint: str
    refused: str
    why: str
    hint: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is special about one run. `adopt`: files whose text goes into the source first."""

    dry_run: bool = False
    accept_empty: bool = False
    decisions: Decisions = {}
    adopt: Sequence[tuple[str, str]] = ()


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `problems`: of the gateway's container and of the source, as sentences.

    `fingerprint`: of everything of which the config is made. `aim`: files that the next change counts for.
    """

    built: Built
    report: Report
    config: ConfigFacts
    problems: tuple[str, ...] = ()
    hint: str = ""
    fingerprint: str = ""
    aim: Aim = Aim()


class Runner:
    """Runs of one gateway, one at a time; the caller sees to that."""

    def __init__(
        self, build: Build, validator: Validator, now_ms: Callable[[], int], container: GatewayContainer
    ) -> None:
        self._build = build
        self._validator = validator
        self._container = container
        self._now_ms = now_ms
        self._known: dict[Path, Stamp | None] = {}
        self._written = False
        """Something of ours was in the workspace root at the last run."""

    async def run(self, look: Look | None, wish: Wish, held: Held | None, *, unproven: bool = False) -> Ran:
        """`unproven`: the gateway has not shown that it takes the config that is there.

        Raises SyncError: nothing, or not all, could be done.
        """
        built = await asyncio.to_thread(self._build)
        sight = await self._container.look(built.target)
        built = msgspec.structs.replace(built, target=sight.target)
        for slug, path in wish.adopt:
            await self._adopt(built, slug, path)
        # Before it is read: what changes while it is read counts the next time.
        source = await asyncio.to_thread(_source_stamps, built)
        before = await asyncio.to_thread(stamps, self._known)
        loaded = await self.load(built, accept_empty=wish.accept_empty)
        fingerprint = fingerprint_of(built, loaded.personas)
        validate = self._container.check(sight, self._validator.for_config(built.target.config))
        if held is not None and held.fingerprint == fingerprint:
            validate = refusing(held.why, held.refused, validate)
        report = await asyncio.to_thread(
            sync_once,
            built.target,
            loaded.personas,
            version=look.version if look is not None else None,
            dry_run=wish.dry_run,
            decisions=wish.decisions,
            validate=validate,
            now=datetime.fromtimestamp(self._now_ms() / 1000, UTC),
            problems=loaded.problems,
            keep_last_good=not unproven,
        )
        report = self._noted(self._container.told(_named(report, built.target.config), sight), built)
        if not wish.dry_run:
            self._written = bool(report.personas)
            self._known = await asyncio.to_thread(_after, built, report, before)
        aim = await asyncio.to_thread(Aim.at, built.folders, {**source, **self._known})
        return Ran(
            built=built,
            report=report,
            config=await asyncio.to_thread(config_facts, built.target.config),
            problems=(*sight.problems, *map(str, loaded.problems), *_missing(built, loaded)),
            hint=next((one for one in (sight.hint, *(problem.hint for problem in loaded.problems)) if one), ""),
            fingerprint=fingerprint,
            aim=aim,
        )

    def _noted(self, report: Report, built: Built) -> Report:
        """With what the check of the config had to say of itself."""
        if not self._validator.note or built.container:
            return report
        return msgspec.structs.replace(report, notes=(*report.notes, self._validator.note))

    async def load(self, built: Built, *, accept_empty: bool) -> Loaded:
        """Return the personas that are meant for this gateway. Raises SyncError."""
        loaded = _chosen(built, await built.source.load())
        known = await asyncio.to_thread(known_slugs, built.target.root)
        if self._written and known is None and not accept_empty:
            raise SyncError(
                f"{built.target.root} has lost everything that was written there: nothing was changed",
                "Is its volume mounted? If it was emptied on purpose: clawtui sync run GATEWAY --accept-empty",
            )
        if known and not known <= set(_about(loaded)):
            # An editor that saves takes the file away for a moment, and whoever is gone leaves its memory behind.
            await asyncio.sleep(GONE_SECONDS)
            loaded = _chosen(built, await built.source.load())
        about = _about(loaded)
        if is_suspicious(known or (), about, accepted=accept_empty):
            raise SyncError(
                f"the source has no persona any more, and {len(known or ())} are here: nothing was changed",
                "Look at the source's address, account or folder. If it is meant that all of them go: "
                "clawtui sync run GATEWAY --accept-empty",
            )
        return loaded

    async def differences(self, slug: str) -> tuple[Built, tuple[FileDifference, ...]]:
        """Return how a persona's files differ from the source. Raises SyncError."""
        built = await asyncio.to_thread(self._build)
        loaded = await built.source.load()
        # Files are the same wherever a container has them, and mounts that were named may be wrong.
        target = msgspec.structs.replace(built.target, mounts=()) if built.container else built.target
        return built, await asyncio.to_thread(difference, target, loaded.personas, slug)

    async def _adopt(self, built: Built, slug: str, path: str) -> None:
        loaded = await built.source.load()
        found = await asyncio.to_thread(difference, built.target, loaded.personas, slug)
        text = next((one.before for one in found if one.path == path), None)
        if text is None:
            raise SyncError(f"{path} of {slug} has no text that could be adopted", "Keep it, or apply the source's.")
        await built.source.adopt(slug, path, text)


def fingerprint_of(built: Built, personas: Sequence[Persona]) -> str:
    """Return a text that is another one when the config would be: what is only in files does not count."""
    bare = [
        msgspec.structs.replace(
            one,
            soul=None,
            user=None,
            skills=tuple(msgspec.structs.replace(skill, body=None, description="") for skill in one.skills),
        )
        for one in sorted(personas, key=lambda one: one.slug)
    ]
    return hashlib.sha256(msgspec.json.encode([built.settings, bare])).hexdigest()


def known_slugs(root: Path) -> frozenset[str] | None:
    """Return the personas that were written here before, None where nothing was. Blocks.

    Raises SyncError for a manifest that is none.
    """
    if not os.path.lexists(root):
        return None
    # As the sync itself reads it: agents may write there, and a link or a pipe in its place must not be followed.
    folder = open_folder(root)
    try:
        manifest = load_manifest(folder, root)
    finally:
        os.close(folder)
    return None if manifest is EMPTY else frozenset(manifest.workspaces)


def _named(report: Report, config: Path) -> Report:
    """With the file's name in what is wrong with it: a hub has many."""
    if not report.config_problem or str(config) in report.config_problem:
        return report
    return msgspec.structs.replace(report, config_problem=f"{config}: {report.config_problem}")


def _about(loaded: Loaded) -> list[str]:
    return [one.slug for one in (*loaded.personas, *loaded.problems)]


def _chosen(built: Built, loaded: Loaded) -> Loaded:
    """Without what is about other personas than the chosen ones; what is about nobody in particular stays."""
    if not built.personas:
        return loaded
    return Loaded(
        tuple(one for one in loaded.personas if one.slug in built.personas),
        tuple(one for one in loaded.problems if not one.slug or one.slug in built.personas),
    )


def _missing(built: Built, loaded: Loaded) -> list[str]:
    there = {one.slug for one in loaded.personas} | {one.slug for one in loaded.problems}
    missing = sorted(built.personas - there)
    return [f"the source has no persona {', '.join(missing)}"] if missing else []


def _source_stamps(built: Built) -> dict[Path, Stamp | None]:
    paths = list(built.files)
    for folder in built.folders:
        try:
            paths += list(folder.iterdir())[:MOST_SOURCE_FILES]
        except OSError:
            # Not there, or not for us: the source says so itself where that matters.
            continue
    return stamps(paths)


def _after(built: Built, report: Report, before: Mapping[Path, Stamp | None]) -> dict[Path, Stamp | None]:
    """How our files are, with a change that somebody else made during the run left to be found."""
    wrote = {built.target.config} if report.config_changed else set()
    ours = {built.target.config}
    for one in report.personas:
        for step in one.steps:
            path = built.target.root / step.slug / step.path
            ours.add(path)
            if step.action in CHANGES:
                wrote.add(path)
    now = stamps(ours)
    return {path: now[path] if path in wrote else before.get(path, now[path]) for path in ours}


__all__ = ["Held", "Ran", "Runner", "SourceProblem", "Wish", "fingerprint_of", "known_slugs"]
