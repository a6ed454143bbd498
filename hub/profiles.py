"""The hub's profiles: where they are, what they say, and changing the user's own. Files are read at every call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.contract import ProblemView, ProfileCheck, ProfileList, ProfileText, ProfileView
from hub.errors import BadRequest, Conflict, NotFound, StorageFull
from hub.profile_context import context_of, remove_context, write_context, write_file
from profiles.errors import ProfileError
from profiles.image import BASE, image_name
from profiles.loader import DOCKERFILE_SUFFIX, Found, Origin, Source, check_text, find_profiles
from profiles.reading import FORMATS
from profiles.values import parse_name

FOLDER: Final = "profiles"
"""Of the user's profiles, in the state folder."""


class ProfileBook:
    """Profiles by name: built-in, the user's (in the state folder) and the project's, weakest first."""

    def __init__(self, state_folder: Path, project: Path | None) -> None:
        self.user_folder = state_folder / FOLDER
        sources = [Source(Origin.USER, self.user_folder)]
        if project is not None:
            sources.append(Source(Origin.PROJECT, project.absolute()))
        self._sources = tuple(sources)
        self._changing = asyncio.Lock()
        """Two who save a profile at the same time: the last one counts, as a whole."""
        self._observers: list[Callable[[], None]] = []

    @property
    def folders(self) -> list[Path]:
        """Where files of profiles are; they need not exist."""
        return [source.folder for source in self._sources]

    def on_change(self, observer: Callable[[], None]) -> None:
        """`observer` is called after a profile was saved or deleted here; it must not block."""
        self._observers.append(observer)

    def _tell(self) -> None:
        for observer in self._observers:
            observer()

    async def all(self) -> dict[str, list[Found]]:
        """Return every profile by name, the effective one first."""
        return await asyncio.to_thread(find_profiles, self._sources)

    async def find(self, name: str) -> Found:
        """Return the effective profile, right or wrong. Raises NotFound."""
        found = await asyncio.to_thread(find_profiles, self._sources, name)
        if name not in found:
            known = ", ".join(await self.all())
            raise NotFound(f"there is no profile {name[:60]!r}", code="no_such_profile", hint=f"profiles here: {known}")
        return found[name][0]

    async def usable(self, name: str, field: str = "profile") -> Found:
        """Return a profile that is right. Raises BadRequest with everything that is wrong with it, or NotFound."""
        found = await self.find(name)
        try:
            found.valid()
        except ProfileError as exc:
            where = found.path or found.dockerfile_path
            raise BadRequest(
                f"profile {name} cannot be used: {exc} ({where})",
                code="bad_profile",
                field=field,
                hint=exc.hint or f"clawtui profile validate {name}",
            ) from exc
        return found

    async def listing(self, *, all: bool) -> ProfileList:
        """Return the effective profiles; with `all` also those that stronger ones hide."""
        entries: list[ProfileView] = []
        for found in (await self.all()).values():
            entries += [view(one, hidden=index > 0) for index, one in enumerate(found) if all or index == 0]
        return ProfileList(profiles=entries)

    async def save(self, name: str, text: ProfileText) -> ProfileView:
        """Write a profile of the user's; nothing is changed when it is wrong. Raises BadRequest, StorageFull."""
        check_right(text, name)
        async with self._changing:
            try:
                await asyncio.to_thread(self._write, name, text)
            except OSError as exc:
                raise StorageFull(f"profile {name} cannot be written: {exc.strerror}") from exc
            self._tell()
            return view(await self.find(name))

    async def delete(self, name: str) -> None:
        """Remove the user's profile of this name; a weaker one of the name becomes effective. Raises NotFound."""
        async with self._changing:
            if await asyncio.to_thread(self._remove, name):
                self._tell()
                return
        found = await self.find(name)
        raise Conflict(
            f"profile {name} is not the user's, it is {found.origin.value}: {found.path or found.dockerfile_path}",
            hint=f"Only files in {self.user_folder} are removed.",
        )

    def _write(self, name: str, text: ProfileText) -> None:
        self.user_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        context = context_of(text)
        if context is not None:
            write_context(self.user_folder, name, context)
        path = self.user_folder / f"{name}.{text.format}"
        write_file(path, text.text.encode())
        if text.dockerfile is not None:
            # Last: it is nothing without the files that it copies.
            write_file(self.user_folder / f"{name}{DOCKERFILE_SUFFIX}", text.dockerfile.encode())
        for ending in FORMATS:
            if ending != path.suffix:
                path.with_suffix(ending).unlink(missing_ok=True)

    def _remove(self, name: str) -> bool:
        if not _is_name(name):
            return False
        paths = [self.user_folder / f"{name}{ending}" for ending in (*FORMATS, DOCKERFILE_SUFFIX)]
        there = [path for path in paths if path.is_file()]
        for path in there:
            path.unlink()
        remove_context(self.user_folder, name)
        return bool(there)


def check(text: ProfileText, name: str = "") -> ProfileCheck:
    """Return what is wrong with a text and what belongs to it; nothing is a good answer."""
    problems: list[ProblemView] = []
    try:
        check_text(text.text, text.format, parse_name("name", name) if name else "")
    except ProfileError as exc:
        problems += _problems(exc.problems)
    try:
        context_of(text)
    except BadRequest as exc:
        problems.append(ProblemView(field=exc.field or "", message=exc.message, hint=exc.hint))
    return ProfileCheck(valid=not problems, problems=problems)


def check_right(text: ProfileText, name: str) -> None:
    """Raises BadRequest with the first thing that is wrong with a text, or with what belongs to it."""
    checked = check(text, name)
    if checked.problems:
        first = checked.problems[0]
        raise BadRequest(first.message, code="bad_profile", field=first.field or "text", hint=first.hint)


def check_name(name: str) -> None:
    """Raises BadRequest for what cannot be the name of a profile."""
    try:
        parse_name("name", name)
    except ProfileError as exc:
        raise BadRequest(exc.problems[0].message, field="name", hint=exc.hint) from exc


def view(found: Found, *, hidden: bool = False, whole: bool = False) -> ProfileView:
    """Return a profile as front ends show it; `whole` with its text and everything it means."""
    profile = found.profile
    return ProfileView(
        name=found.name,
        source=found.origin.value,
        valid=profile is not None and not found.problems,
        description=profile.description if profile else "",
        path=found.path,
        dockerfile=found.dockerfile_path,
        shadows=[origin.value for origin in found.shadows],
        hidden=hidden,
        repository=image_name(found.name),
        problems=_problems(found.problems),
        notes=list(found.notes),
        text=found.text if whole else None,
        format=found.format,
        dockerfile_text=_dockerfile(found) if whole else None,
        effective=_effective(found) if whole and profile else None,
    )


def _dockerfile(found: Found) -> str | None:
    """What its image is built from; for a wrong one what somebody wrote, if anything."""
    try:
        return found.recipe().build(BASE).dockerfile
    except ProfileError:
        return found.dockerfile or None


def _effective(found: Found) -> dict[str, Any]:
    """Everything a profile means, defaults included."""
    return msgspec.to_builtins(found.profile)


def _problems(problems: tuple[Any, ...]) -> list[ProblemView]:
    return [ProblemView(field=one.field, message=one.message, hint=one.hint) for one in problems]


def _is_name(name: str) -> bool:
    try:
        parse_name("name", name)
    except ProfileError:
        return False
    return True
