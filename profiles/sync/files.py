"""What shall be on disk: the files of one persona's workspace."""

from __future__ import annotations

import hashlib

import msgspec


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content in hex digits."""
    return hashlib.sha256(content).hexdigest()


class WantedFile(msgspec.Struct, frozen=True):
    """`path`: relative to the workspace, with `/`. `once`: the persona's own from the moment it was made: created when
    it is missing, never touched again."""

    path: str
    content: bytes
    once: bool = False

    @property
    def sha256(self) -> str:
        return digest(self.content)


class Workspace(msgspec.Struct, frozen=True):
    """The folder of one persona. `folders` are made where they are missing, beside those that files need."""

    slug: str
    files: tuple[WantedFile, ...]
    folders: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Of everything that the persona shall be; what is its own does not count."""
        parts = (f"{file.path}\0{file.sha256}\n" for file in sorted(self.files, key=_path) if not file.once)
        return digest("".join(parts).encode())


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Permissions and owner of what is written; `uid` and `gid` None = whoever writes."""

    file_mode: int = 0o644
    folder_mode: int = 0o755
    uid: int | None = None
    gid: int | None = None


def _path(file: WantedFile) -> str:
    return file.path
