"""The hub's own profiles as a source of personas."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from hub.profiles import ProfileBook
from profiles.loader import Found, Origin
from profiles.sync.adopting import cannot_adopt, cannot_change
from profiles.sync.beneath import hint_for
from profiles.sync.errors import SyncError
from profiles.sync.sources.base import Loaded
from profiles.sync.sources.folder import FolderSource, personas_of


class RegistrySource:
    """Every effective profile of the hub that has a persona part. What is adopted is written into its file."""

    kind = "registry"

    def __init__(self, book: ProfileBook, seen: set[Path] | None = None) -> None:
        """`seen`: folders that were there once; one that is gone then is no empty one."""
        self._book = book
        self._seen = seen if seen is not None else set[Path]()
        self._found: dict[str, Found] = {}

    async def load(self) -> Loaded:
        """Return everything there is. Raises SyncError when a folder of profiles cannot be read any more."""
        await asyncio.to_thread(self._check)
        found = [layers[0] for layers in (await self._book.all()).values()]
        self._found = {each.profile.persona.slug: each for each in found if each.profile and each.profile.persona}
        personas, problems = personas_of(found)
        return Loaded(tuple(personas), tuple(problems))

    async def adopt(self, slug: str, path: str, text: str) -> None:
        """Write the text into the profile's file. Raises SyncError."""
        await self.load()
        if why := self.why_not(slug, path):
            raise SyncError(why, "Change the profile by hand, then decide `apply`; or decide `keep`.")
        await FolderSource(Path(self._found[slug].path).parent).adopt(slug, path, text)

    def why_not(self, slug: str, path: str) -> str:
        """Return why a file's text cannot be adopted, empty = it can. As of the last load."""
        found = self._found.get(slug)
        if found is None:
            return f"no profile of the hub has the persona {slug}"
        if found.origin is Origin.BUILT_IN:
            return f"the profile {found.name} is built in; save a copy of it first: clawtui profile save"
        return cannot_adopt(path) or cannot_change(found.text, found.format)

    def _check(self) -> None:
        for folder in self._book.folders:
            try:
                os.listdir(folder)
            except FileNotFoundError as exc:
                if folder in self._seen:
                    hint = "Make it again, or mount what belongs there; then its personas are known again."
                    raise SyncError(f"the folder of profiles {folder} is gone", hint) from exc
            except OSError as exc:
                message = f"the folder of profiles {folder} cannot be read: {exc.strerror}"
                raise SyncError(message, hint_for(exc)) from exc
            else:
                self._seen.add(folder)
