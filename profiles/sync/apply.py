"""Doing what a plan says: every file is the old one or the new one, whenever the process ends."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from profiles.sync.beneath import FOLDER_FLAGS, Hook, Tree, hint_for, name_of, parent_of, restamp, temporary, write_new
from profiles.sync.errors import WorkspaceProblem
from profiles.sync.files import Stamp, Workspace
from profiles.sync.plan import CHANGES, Action, Step
from profiles.sync.scan import SeenWorkspace

RESCUED: Final = ".clawtui-archive"
"""In a workspace: texts of humans that gave way to the source's, by path and the beginning of their SHA-256."""
ARCHIVE: Final = ".archive"
"""In the workspace root: workspaces of personas that the source no longer has."""


class Applier:
    """Writes beneath the open folder `root`, which is at `place`.

    `renew`: permissions and owner are set anew on everything, because other ones are wanted than last time.
    """

    def __init__(self, root: int, place: Path, stamp: Stamp, hook: Hook, *, renew: bool = False) -> None:
        self._root = root
        self._place = place
        self._stamp = stamp
        self._hook = hook
        self._renew = renew
        self._made = False
        """Whether there are new workspaces: the root's list of names is not on the disk yet."""

    def apply(self, workspace: Workspace, steps: Sequence[Step], there: SeenWorkspace) -> int:
        """Make one workspace what the steps say. Returns how many files were written or deleted.

        Raises WorkspaceProblem; then every file is what it was, or already what it shall be.
        """
        changes = [step for step in steps if step.action in CHANGES]
        missing = [folder for folder in (".", *workspace.folders) if folder not in there.folders]
        emptied = _emptied(steps, there)
        if not (changes or missing or emptied or there.leftovers or self._renew):
            return 0
        with Tree(self._root, self._place, workspace.slug) as tree:
            try:
                self._clean(tree, there)
                for folder in missing:
                    tree.make(folder, self._stamp, self._hook)
                self._write(tree, workspace, changes)
                self._delete(tree, changes)
                for folder in emptied:
                    tree.remove_empty(folder, self._hook)
                if self._renew:
                    self._set_anew(tree, workspace, steps, there)
                tree.flush(self._hook)
                self._made |= ".." in tree.touched
            except OSError as exc:
                what = exc.filename if isinstance(exc.filename, str) else ""
                message = f"{tree.place} cannot be written: {exc.strerror}{f' ({what})' if what else ''}"
                raise WorkspaceProblem(message, hint_for(exc)) from exc
        return len(changes)

    def flush(self) -> None:
        """Make new workspaces last, once for all of them. Raises OSError."""
        if self._made:
            self._hook(f"flush {self._place}")
            os.fsync(self._root)

    def archive(self, slug: str, now: datetime) -> str | None:
        """Move a workspace away, as it is. Returns where it is now, beneath the root; None where there was none."""
        try:
            found = os.stat(slug, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return None
        place = self._place / slug
        if not stat.S_ISDIR(found.st_mode):
            raise WorkspaceProblem(f"{place} is no folder, so it is not archived", "Look at it, and remove it.")
        try:
            return self._move(slug, now)
        except OSError as exc:
            raise WorkspaceProblem(f"{place} cannot be archived: {exc.strerror}", hint_for(exc)) from exc

    def replace(self, name: str, content: bytes, mode: int) -> None:
        """Write a file of the root itself, which stays ours whoever owns the workspaces. Raises OSError."""
        write_new(self._root, temporary(name), content, mode, Stamp(), self._hook, str(self._place / name))
        self._hook(f"rename {self._place / name}")
        os.replace(temporary(name), name, src_dir_fd=self._root, dst_dir_fd=self._root)
        self._hook(f"flush {self._place}")
        os.fsync(self._root)

    def _clean(self, tree: Tree, there: SeenWorkspace) -> None:
        for path in there.leftovers:
            tree.remove(path, self._hook)

    def _write(self, tree: Tree, workspace: Workspace, changes: Sequence[Step]) -> None:
        """All temporary files first: where there is no room for one, nothing has changed yet."""
        contents = {file.path: file.content for file in workspace.files}
        writes = [step for step in changes if step.action is not Action.DELETE]
        begun: list[str] = []
        try:
            for step in writes:
                self._rescue(tree, step)
                begun.append(step.path)
                tree.put(step.path, contents[step.path], self._stamp, self._hook)
            for step in writes:
                _still(tree, step)
                tree.settle(step.path, self._hook)
                begun.remove(step.path)
        except (OSError, WorkspaceProblem):
            for path in begun:
                with contextlib.suppress(OSError, WorkspaceProblem):
                    # What is left is found by the next run.
                    tree.remove(_temporary_of(path), self._hook)
            raise

    def _delete(self, tree: Tree, changes: Sequence[Step]) -> None:
        for step in changes:
            if step.action is Action.DELETE:
                self._rescue(tree, step)
                _still(tree, step)
                tree.remove(step.path, self._hook)

    def _rescue(self, tree: Tree, step: Step) -> None:
        if not step.rescue or step.seen is None:
            return
        path = f"{RESCUED}/{step.path}.{step.seen[:12]}"
        content = tree.content(step.path)
        if content is not None and tree.digest(path) != step.seen:
            tree.put(path, content, self._stamp, self._hook)
            tree.settle(path, self._hook)
            tree.flush(self._hook)

    def _set_anew(self, tree: Tree, workspace: Workspace, steps: Sequence[Step], there: SeenWorkspace) -> None:
        self._hook(f"permissions of {tree.place}")
        for folder in sorted({".", *workspace.folders, *there.folders}):
            tree.restamp(folder, self._stamp.folder_mode, self._stamp, folder=True)
        for step in steps:
            tree.restamp(step.path, self._stamp.file_mode, self._stamp)

    def _move(self, slug: str, now: datetime) -> str:
        archive = self._archive_folder()
        try:
            name = _free_name(archive, f"{slug}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
            self._hook(f"archive {self._place / slug}")
            os.rename(slug, name, src_dir_fd=self._root, dst_dir_fd=archive)
            self._hook(f"flush {self._place / ARCHIVE}")
            os.fsync(archive)
            os.fsync(self._root)
        finally:
            os.close(archive)
        return f"{ARCHIVE}/{name}"

    def _archive_folder(self) -> int:
        with contextlib.suppress(FileExistsError):
            self._hook(f"make {self._place / ARCHIVE}")
            os.mkdir(ARCHIVE, 0o700, dir_fd=self._root)
        opened = os.open(ARCHIVE, FOLDER_FLAGS, dir_fd=self._root)
        restamp(opened, self._stamp.folder_mode, self._stamp)
        return opened


def _emptied(steps: Sequence[Step], there: SeenWorkspace) -> list[str]:
    """The folders of removed skills, also those whose file a run removed that was killed then. That of all skills
    stays."""
    gone = [step.path for step in steps if step.action is Action.DELETE or (step.release and step.seen is None)]
    return sorted({parent_of(path) for path in gone if path.count("/") > 1} & there.folders)


def _still(tree: Tree, step: Step) -> None:
    """Raises WorkspaceProblem when a file has changed since it was looked at: somebody works there right now."""
    now = tree.digest(step.path) if not step.own else ("" if tree.look(step.path) else None)
    if now != step.seen:
        raise WorkspaceProblem(f"{tree.place / step.path} was changed just now", "The next sync looks at it again.")


def _temporary_of(path: str) -> str:
    folder = parent_of(path)
    name = temporary(name_of(path))
    return name if folder == "." else f"{folder}/{name}"


def _free_name(folder: int, name: str) -> str:
    """A name that nothing in the folder has: a second archive of the same second gets a number."""
    taken = set(os.listdir(folder))
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)
