"""Personas from a folder of profile files: every profile there that has a persona part."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from profiles.errors import ProfileError
from profiles.loader import Found, Origin, read_folder
from profiles.loader import Source as Folder
from profiles.persona import Persona, parse_slug, parted
from profiles.reading import FORMATS, read_text
from profiles.sync.adopting import adopt_into, cannot_adopt, cannot_change
from profiles.sync.beneath import hint_for, no_hook, write_new
from profiles.sync.errors import SyncError
from profiles.sync.files import Stamp
from profiles.sync.sources.base import Loaded, SourceProblem


class FolderSource:
    """The profiles in `folder`. What is adopted is written into their files."""

    kind = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Found] = {}
        """Of the last look, by the persona's slug."""

    async def load(self) -> Loaded:
        """Return everything there is. Raises SyncError when the folder cannot be listed: an empty answer would mean
        that every persona is gone."""
        found, stray = await asyncio.to_thread(self._read)
        self._found = {each.profile.persona.slug: each for each in found if each.profile and each.profile.persona}
        personas, problems = personas_of(found)
        return Loaded(tuple(personas), (*problems, *stray))

    async def adopt(self, slug: str, path: str, text: str) -> None:
        """Write the text into the profile's file. Raises SyncError."""
        await self.load()
        found = self._found.get(slug)
        if found is None:
            raise SyncError(f"{self._folder} has no persona {slug}", f"Look at the files in {self._folder}.")
        await asyncio.to_thread(_adopt, found, path, text)

    def why_not(self, slug: str, path: str) -> str:
        """Return why a file's text cannot be adopted, empty = it can. As of the last load."""
        if why := cannot_adopt(path):
            return why
        found = self._found.get(slug)
        return cannot_change(found.text, found.format) if found else f"{self._folder} has no persona {slug}"

    def _read(self) -> tuple[list[Found], list[SourceProblem]]:
        try:
            found = list(read_folder(Folder(Origin.PROJECT, self._folder)))
            names = [name for name in sorted(os.listdir(self._folder)) if _is_profile(name)]
        except OSError as exc:
            hint = "Make it, or mount what belongs there." if isinstance(exc, FileNotFoundError) else hint_for(exc)
            raise SyncError(f"the folder {self._folder} cannot be read: {exc.strerror}", hint) from exc
        stray = [
            SourceProblem(where=name, message="is no file that can be read", hint="Look where it leads, or remove it.")
            for name in names
            if not (self._folder / name).is_file()
        ]
        return [each for each in found if each.path], stray


def personas_of(profiles: list[Found]) -> tuple[list[Persona], list[SourceProblem]]:
    """Return the personas of profiles that are right, and what is wrong with the others.

    A wrong profile that has no persona part is nobody's here.
    """
    right: list[tuple[str, Persona]] = []
    problems: list[SourceProblem] = []
    for found in profiles:
        where = Path(found.path).name or found.name
        if found.problems or found.profile is None:
            problems += _problems(found, where)
        elif found.profile.persona is not None:
            right.append((where, found.profile.persona))
    personas, twice = parted(right)
    problems += [SourceProblem(slug=slug, message=why, hint="Change one of them.") for slug, why in twice.items()]
    wrong = {problem.slug for problem in problems}
    return [persona for persona in personas if persona.slug not in wrong], problems


def _problems(found: Found, where: str) -> Iterator[SourceProblem]:
    slug = _slug_in(found)
    if slug is None:
        return
    for problem in found.problems:
        yield SourceProblem(
            slug=slug, where=where, field=problem.field, message=problem.message, hint=problem.hint
        )  # fmt: skip


def _slug_in(found: Found) -> str | None:
    """The slug of the persona in a wrong profile: empty where nobody can say, None where it has none."""
    try:
        data = read_text(found.text, found.format)
    except ProfileError:
        return ""
    whole = cast("dict[str, object]", data) if isinstance(data, dict) else None
    if whole is not None and "persona" not in whole:
        return None
    raw = whole["persona"] if whole else None
    said = cast("dict[str, object]", raw).get("slug", found.name) if isinstance(raw, dict) else found.name
    try:
        return parse_slug("slug", said)
    except ProfileError:
        return ""


def _is_profile(name: str) -> bool:
    return os.path.splitext(name)[1] in FORMATS and not name.startswith(".")


def _adopt(found: Found, path: str, text: str) -> None:
    persona = found.valid().persona
    assert persona is not None
    changed = adopt_into(found.text, found.format, persona, path, text)
    file = Path(found.path)
    try:
        _replace(file, changed.encode(), found.text)
    except OSError as exc:
        raise SyncError(f"{file} cannot be written: {exc.strerror}", hint_for(exc)) from exc


def _replace(file: Path, content: bytes, before: str) -> None:
    """Put a new text into a profile's file, which keeps its permissions and owner. Raises OSError, SyncError."""
    there = os.stat(file, follow_symlinks=False)
    if not stat.S_ISREG(there.st_mode):
        raise SyncError(f"{file} is a link to a profile that belongs elsewhere", "Change the profile by hand.")
    if file.read_text(encoding="utf-8-sig") != before:
        raise SyncError(f"{file} was changed just now", "Try again.")
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    new = f".{file.name}.new"
    try:
        stamp = Stamp(uid=there.st_uid, gid=there.st_gid)
        write_new(folder, new, content, stat.S_IMODE(there.st_mode), stamp, no_hook, str(file))
        os.replace(new, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)
        os.close(folder)
