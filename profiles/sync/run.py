"""The steps of one sync, in their order. The order is what makes a killed run harmless: see profiles/sync/once.py."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

import msgspec

from profiles.sync import manifest as manifests
from profiles.sync.apply import Applier
from profiles.sync.beneath import READ_FLAGS, Hook, hint_for, is_temporary
from profiles.sync.config_file import ConfigFile
from profiles.sync.errors import ConfigError, SyncError, WorkspaceProblem
from profiles.sync.manifest import Manifest
from profiles.sync.openclaw import Merged, Roster, check_config, merge_config
from profiles.sync.openclaw_json5 import parse, plain
from profiles.sync.plan import CHANGES, Decisions, Step, make_plan, marks_after, marks_before
from profiles.sync.report import Target, Validate
from profiles.sync.scan import Seen, scan
from profiles.sync.wishes import Wishes

MANIFEST_MODE = 0o600


class Run:
    """One sync beneath the open folder `root`; None: there is none yet, which only a dry run finds.

    `failed`: why a persona's workspace could not be written. `roster`: SHA-256 of our entries in the configuration.
    """

    def __init__(
        self, target: Target, wishes: Wishes, root: int | None, *, version: str | None, decisions: Decisions,
        hook: Hook, keep_last_good: bool,
    ) -> None:  # fmt: skip
        self._target = target
        self._wishes = wishes
        self._root = root
        self._version = version
        self._hook = hook
        self._config = ConfigFile(target.config, target.stamp, hook, keep=keep_last_good)
        self.manifest = manifests.EMPTY if root is None else load_manifest(root, target.root)
        self.seen: Seen = {} if root is None else scan(root, target.root, wishes.workspaces, self.manifest)
        self._held = wishes.held(self.manifest.workspaces)
        self.plan = make_plan(wishes.workspaces, self.manifest, self.seen, decisions, self._held)
        self.failed: dict[str, WorkspaceProblem] = {
            slug: WorkspaceProblem(self.seen[slug].problem, self.seen[slug].hint)
            for slug in wishes.wishes
            if slug in self.seen and self.seen[slug].problem
        }
        self.roster = dict(self.manifest.roster)
        self._skills = self.manifest.skills
        self.config_changed = False
        self.config_problem = ""
        self.config_hint = ""
        self.archived: list[str] = []
        self.notes: list[str] = []
        self.written = 0

    def pretend(self) -> None:
        """Find out what would be done; nothing is written."""
        self.written = sum(step.action in CHANGES for step in self.plan.steps)
        self._configure(None, pretend=True)
        if not self.config_problem:
            self.archived += [slug for slug in self.plan.archive if self.seen[slug].exists]

    def do(self, validate: Validate | None, now: datetime) -> None:
        """Do it. Raises SyncError, OSError when the root itself cannot be written."""
        assert self._root is not None
        stamp = self._target.stamp
        stamp_text = msgspec.json.encode(stamp).decode()
        renew = bool(self.manifest.stamp) and self.manifest.stamp != stamp_text
        applier = Applier(self._root, self._target.root, stamp, self._hook, renew=renew)
        self._clean()
        before = self._manifest_before()
        self._save(applier, before, self.manifest)
        self._write(applier)
        self._configure(validate, pretend=False)
        gone = self._archive(applier, now)
        # Permissions that could not be set everywhere are tried again.
        after = self._manifest_after(before, gone, self.manifest.stamp if self.failed else stamp_text)
        self._save(applier, after, before)

    def _clean(self) -> None:
        """Remove what a run that was killed has left in the root."""
        assert self._root is not None
        for name in os.listdir(self._root):
            if is_temporary(name):
                self._hook(f"remove {self._target.root / name}")
                os.unlink(name, dir_fd=self._root)

    def _steps(self) -> dict[str, list[Step]]:
        steps: dict[str, list[Step]] = {slug: [] for slug in self._wishes.wishes}
        for step in self.plan.steps:
            steps[step.slug].append(step)
        return steps

    def _write(self, applier: Applier) -> None:
        steps = self._steps()
        for slug, wish in self._wishes.wishes.items():
            if slug in self.failed:
                continue
            try:
                self.written += applier.apply(wish.workspace, steps[slug], self.seen[slug])
            except WorkspaceProblem as exc:
                self.failed[slug] = exc
        applier.flush()

    def _archive(self, applier: Applier, now: datetime) -> set[str]:
        """Move away who is gone from the configuration. Returns whom to forget."""
        gone: set[str] = set()
        if self.config_problem:
            # The configuration may still name them.
            return gone
        for slug in self.plan.archive:
            try:
                if applier.archive(slug, now) is not None:
                    self.archived.append(slug)
                gone.add(slug)
            except WorkspaceProblem as exc:
                self.failed[slug] = exc
        return gone

    # --- the configuration ---------------------------------------------------------------------------

    def _configure(self, validate: Validate | None, *, pretend: bool) -> None:
        entries = {slug: wish for slug, wish in self._wishes.wishes.items() if slug not in self.failed}
        # Who failed or whose source is wrong stays in the configuration as he is: neither written nor removed.
        kept = (self.failed.keys() | self._held) - self._wishes.disabled
        owned = frozenset(self.manifest.roster.keys() - kept)
        if not entries and not owned:
            return
        names = self._skill_names()
        roster = Roster(
            entries=tuple(wish.entry for wish in entries.values()), system_slug=self._target.system_slug, skills=names
        )
        file = self._config
        try:
            text = file.read()
            merged = self._merged(text, roster, owned)
            if not pretend:
                file.clean()
                if merged.changed:
                    file.replace(merged.text, text, self._version, validate)
            elif merged.changed and (problems := check_config(merged.text, self._version)):
                raise ConfigError(f"{self._target.config} would not be valid: {'; '.join(problems[:5])}")
        except ConfigError as exc:
            self.config_problem, self.config_hint = str(exc), exc.hint
            return
        self.config_changed = merged.changed
        self.notes += merged.notes
        self.notes += [f"{slug}: the gateway had an agent of this name; it is ours now" for slug in merged.taken]
        stays = {slug: mark for slug, mark in self.manifest.roster.items() if slug in kept}
        self.roster = stays | {slug: wish.entry_hash for slug, wish in entries.items()}
        self._skills = tuple(sorted(_added(text, names, self.manifest.skills)))

    def _skill_names(self) -> tuple[str, ...]:
        """Of all personas that can be written."""
        written = (wish for slug, wish in self._wishes.wishes.items() if slug not in self.failed)
        return tuple(dict.fromkeys(name for wish in written for name in wish.entry.skills or ()))

    def _merged(self, text: str | None, roster: Roster, owned: frozenset[str]) -> Merged:
        return merge_config(
            text, roster, self._target.shape, self._version, owned=owned, owned_skills=frozenset(self.manifest.skills)
        )

    # --- the manifest --------------------------------------------------------------------------------

    def _manifest_before(self) -> Manifest:
        """Everything that is ours in any state between now and the end of this run."""
        workspaces = dict(self.manifest.workspaces)
        for slug, steps in self._steps().items():
            if slug not in self.failed:
                workspaces[slug] = marks_before(steps, workspaces.get(slug, {}))
        roster = dict(self.manifest.roster)
        for slug, wish in self._wishes.wishes.items():
            if roster.get(slug) != wish.entry_hash:
                roster[slug] = ""
        return msgspec.structs.replace(
            self.manifest, workspaces=workspaces, roster=roster, skills=self._skills_before()
        )

    def _skills_before(self) -> tuple[str, ...]:
        names = self._skill_names()
        if set(names) <= set(self.manifest.skills):
            return self.manifest.skills
        try:
            added = _added(self._config.read(), names, self.manifest.skills)
        except ConfigError:
            # It is told when the configuration's turn comes; until it can be read, nothing in it becomes ours.
            return self.manifest.skills
        return tuple(sorted(added | set(self.manifest.skills)))

    def _manifest_after(self, before: Manifest, gone: set[str], stamp: str) -> Manifest:
        workspaces = {slug: marks for slug, marks in before.workspaces.items() if slug not in gone}
        for slug, steps in self._steps().items():
            if slug not in self.failed:
                workspaces[slug] = marks_after(steps, self.manifest.workspaces.get(slug, {}))
        roster = before.roster if self.config_problem else self.roster
        return Manifest(workspaces=workspaces, roster=roster, skills=self._skills, stamp=stamp)

    def _save(self, applier: Applier, manifest: Manifest, known: Manifest) -> None:
        if manifest == known:
            return
        try:
            applier.replace(manifests.NAME, manifests.encode(manifest), MANIFEST_MODE)
        except OSError as exc:
            path = self._target.root / manifests.NAME
            raise SyncError(f"{path} cannot be written: {exc.strerror}", hint_for(exc)) from exc


def load_manifest(root: int, place: Path) -> Manifest:
    """Return the manifest of the open folder `root`, an empty one where there is none. Raises SyncError."""
    path = place / manifests.NAME
    try:
        with open(os.open(manifests.NAME, READ_FLAGS, dir_fd=root), "rb") as file:
            return manifests.decode(file.read(), path)
    except FileNotFoundError:
        return manifests.EMPTY
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise SyncError(f"{path} is a symbolic link", "Look where it leads, and remove it.") from exc
        raise SyncError(f"{path} cannot be read: {exc.strerror}", hint_for(exc)) from exc


def _added(text: str | None, names: tuple[str, ...], ours: tuple[str, ...]) -> set[str]:
    """The names in `skills.entries` that are ours: what was there before somebody gave us a reason is not."""
    found: object = plain(parse(text).root) if text and text.strip() else {}
    for key in ("skills", "entries"):
        found = found.get(key) if isinstance(found, dict) else None
    there = set(found) if isinstance(found, dict) else set[str]()
    return {name for name in names if name in ours or name not in there}
