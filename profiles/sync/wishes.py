"""From personas to everything that shall be: workspaces, roster entries, and who stays as he is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from profiles.persona import Persona, parted, remarks
from profiles.sync.files import Workspace, digest
from profiles.sync.mounts import container_path
from profiles.sync.openclaw_roster import RosterEntry
from profiles.sync.render import assigned, front_matter_problem, name_of, render
from profiles.sync.report import Target
from profiles.sync.sources.base import SourceProblem


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What one persona shall be."""

    persona: Persona
    workspace: Workspace
    entry: RosterEntry
    notes: tuple[str, ...] = ()

    @property
    def entry_hash(self) -> str:
        return digest(msgspec.json.encode(self.entry))

    @property
    def sha256(self) -> str:
        return digest(f"{self.workspace.sha256} {self.entry_hash}".encode())


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """`wrong`: slugs whose source is wrong at the moment; they stay as they are. `disabled` ones leave the roster, and
    keep their workspace. `uncertain`: nobody knows whether a persona that is not here is gone."""

    wishes: dict[str, Wish]
    wrong: dict[str, SourceProblem]
    disabled: frozenset[str]
    uncertain: bool

    @property
    def workspaces(self) -> list[Workspace]:
        return [wish.workspace for wish in self.wishes.values()]

    def held(self, known: Mapping[str, object]) -> set[str]:
        """Return the slugs that are not here and not gone either; `known` are all that there have been."""
        absent = set(known) - self.wishes.keys() if self.uncertain else set[str]()
        return absent | self.wrong.keys() | self.disabled


def wishes_of(target: Target, personas: Sequence[Persona], problems: Sequence[SourceProblem]) -> Wishes:
    """Return what shall be. Raises SyncError where the gateway cannot see the workspace root."""
    wrong = {problem.slug: problem for problem in reversed(problems) if problem.slug}
    alone, twice = parted((persona.name, persona) for persona in personas)
    wrong |= {slug: SourceProblem(slug=slug, message=why) for slug, why in twice.items()}
    present = [persona for persona in alone if persona.slug not in wrong]
    return Wishes(
        wishes={each.slug: _wish(target, each) for each in present if each.enabled},
        wrong=wrong,
        disabled=frozenset(each.slug for each in present if not each.enabled),
        uncertain=any(not problem.slug for problem in problems),
    )


def _wish(target: Target, persona: Persona) -> Wish:
    skills = assigned(persona)
    entry = RosterEntry(
        slug=persona.slug,
        name=persona.name,
        workspace=container_path(target.root / persona.slug, target.mounts),
        theme=persona.theme,
        emoji=persona.emoji,
        avatar=persona.avatar,
        model=target.models.get(persona.model) if persona.model else None,
        skills=tuple(dict.fromkeys(name_of(skill) for skill in skills)),
    )
    notes = [str(remark) for remark in remarks(persona)]
    if persona.model and entry.model is None:
        notes.append(f"model: {persona.model} is not in the model map, so the gateway's own default is used")
    notes += [f"skills.{skill.slug}: {why}" for skill in skills if (why := front_matter_problem(skill))]
    return Wish(persona=persona, workspace=render(persona, target.shared), entry=entry, notes=tuple(notes))
