"""What is on disk: of every file that is wanted or that we wrote, what it holds. Never follows a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from profiles.sync.beneath import Tree, hint_for, is_temporary, parent_of
from profiles.sync.errors import WorkspaceProblem
from profiles.sync.files import Workspace
from profiles.sync.manifest import Manifest, Mark


class SeenWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """`exists` false: there is no folder. `files`: SHA-256 by relative path, empty for a file that is the persona's own
    and was not read. `folders` that are there, as far as they were looked for.

    `leftovers`: temporary files of a run that was killed. `problem`: why it cannot be synced, `hint`: what to do.
    """

    exists: bool = False
    files: dict[str, str] = {}
    folders: frozenset[str] = frozenset()
    leftovers: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""


Seen = dict[str, SeenWorkspace]
"""By slug."""


def scan(root: int, place: Path, wanted: Sequence[Workspace], manifest: Manifest) -> Seen:
    """Return what is beneath the open folder `root`, which is at `place`.

    Of every wanted workspace, and of every other one in the manifest whether it is there. What is wrong with one
    workspace is said in it and keeps nobody from looking at the others.
    """
    seen = {each.slug: _look(root, place, each, manifest.workspaces.get(each.slug, {})) for each in wanted}
    for slug in manifest.workspaces.keys() - seen.keys():
        seen[slug] = _look(root, place, Workspace(slug, ()), {})
    return seen


def _look(root: int, place: Path, wanted: Workspace, marks: Mapping[str, Mark]) -> SeenWorkspace:
    with Tree(root, place, wanted.slug) as tree:
        try:
            return _look_into(tree, wanted, marks)
        except WorkspaceProblem as exc:
            return SeenWorkspace(exists=True, problem=exc.message, hint=exc.hint)
        except OSError as exc:
            message = f"{tree.place} cannot be read: {exc.strerror}"
            return SeenWorkspace(exists=True, problem=message, hint=hint_for(exc))


def _look_into(tree: Tree, wanted: Workspace, marks: Mapping[str, Mark]) -> SeenWorkspace:
    if tree.folder() is None:
        return SeenWorkspace()
    own = {file.path for file in wanted.files if file.once}
    paths = own | marks.keys() | {file.path for file in wanted.files}
    folders = {folder for folder in _around(paths, wanted.folders) if tree.folder(folder) is not None}
    files: dict[str, str] = {}
    for path in sorted(paths):
        found = ("" if tree.look(path) else None) if path in own else tree.digest(path)
        if found is not None:
            files[path] = found
    leftovers = [
        name if folder == "." else f"{folder}/{name}"
        for folder in sorted(folders)
        for name in tree.names(folder)
        if is_temporary(name)
    ]
    return SeenWorkspace(exists=True, files=files, folders=frozenset(folders), leftovers=tuple(sorted(leftovers)))


def _around(paths: Iterable[str], folders: Iterable[str]) -> set[str]:
    """Every folder on the way to the paths, and the workspace's own."""
    found = {".", *folders}
    for path in paths:
        while (path := parent_of(path)) != ".":
            found.add(path)
    return found
