"""Which paths a task may name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.executors.errors import TaskFailure


class Paths:
    """Resolves the paths of tasks: relative ones are relative to the workspace.

    Args:
        opened: further roots that `file:*` and `git:*` may use (AGENT_OPEN_PATHS).
    """

    def __init__(self, workspace: Path, opened: Sequence[Path] = ()) -> None:
        self.workspace = workspace
        self._opened = opened

    def inside(self, path: str) -> Path:
        """Return the real path, symbolic links resolved, if it is in the workspace or an open root.

        Raises:
            TaskFailure: `path_outside_workspace`, `bad_path`.
        """
        if not path or "\0" in path:
            raise TaskFailure("bad_path", f"{path!r} is not a path")
        try:
            real = Path(os.path.realpath(self.workspace / path))
        except (OSError, UnicodeError) as exc:
            raise TaskFailure("bad_path", f"{path!r} cannot be resolved") from exc
        for root in (self.workspace, *self._opened):
            if real.is_relative_to(os.path.realpath(root)):
                return real
        raise TaskFailure("path_outside_workspace", f"{path} is outside the workspace {self.workspace}")

    def working_folder(self, path: str | None) -> str:
        """Return where a command runs; commands may run anywhere.

        Raises:
            TaskFailure: `bad_cwd`.
        """
        folder = str(self.workspace) if path is None else os.path.join(self.workspace, path)
        if "\0" in folder or not os.path.isdir(folder):
            raise TaskFailure("bad_cwd", f"{folder} is not a folder")
        return folder
