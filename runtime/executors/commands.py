"""From a task's fields to the command that executes it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runtime.executors.errors import TaskFailure
from runtime.executors.paths import Paths
from runtime.executors.process import Command
from runtime.executors.tree import Marks
from runtime.wire import (
    AttemptId,
    Build,
    Exec,
    GitClone,
    GitPull,
    GitPush,
    Interpreter,
    ResponseStatus,
    Script,
    Test,
)

CommandSpec = Exec | Script | Build | Test | GitClone | GitPull | GitPush

MAX_ARGUMENT_BYTES: Final = 100 * 1024
"""Linux refuses one argument of 128 KiB; longer shell texts run from a file."""

_PROGRAMS: Final = {
    Interpreter.NODE: ("node", "nodejs"),
    Interpreter.PYTHON: ("python3", "python"),
    Interpreter.BASH: ("bash",),
}
_GIT_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_EDITOR": "true",
    "GIT_MERGE_AUTOEDIT": "no",
}
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@#=-]*")
"""Branch and remote names that can be neither an option nor a refspec."""
_SCP_LIKE: Final = re.compile(r"[^/:]+:.*")


class Commands:
    """Makes commands for one agent.

    Args:
        scripts: folder for scripts that cannot be passed in another way.
        environment: environment of every child, without secrets.
    """

    def __init__(
        self, paths: Paths, scripts: Path, environment: Mapping[str, str], marks: Marks, *, sudo: bool
    ) -> None:
        self._paths = paths
        self._scripts = scripts
        self._environment = environment
        self.marks = marks
        self._sudo = sudo

    def clear_leftovers(self) -> None:
        """Delete scripts that a former agent process left."""
        shutil.rmtree(self._scripts, ignore_errors=True)

    def make(self, attempt_id: AttemptId, spec: CommandSpec) -> Command:
        """Return the command of a task.

        Raises:
            TaskFailure: the task cannot be executed here, and why.
        """
        match spec:
            case Exec():
                if spec.sudo:
                    return self._with_sudo(attempt_id, spec)
                return self._shell(attempt_id, spec.command, spec.cwd, spec.env)
            case Build() | Test():
                return self._shell(attempt_id, spec.command, spec.cwd, spec.env)
            case Script():
                return self._script(attempt_id, spec)
            case GitClone() | GitPull() | GitPush():
                return self._git(attempt_id, spec)

    def clone_destination(self, spec: GitClone) -> Path:
        """Return where a clone goes: as told, else named after the repository as git does."""
        last = spec.repo.rstrip("/").replace(":", "/").rsplit("/", 1)[-1]
        return self._paths.inside(spec.destination or last.removesuffix(".git"))

    def _environment_of(self, attempt_id: AttemptId, extra: Mapping[str, str]) -> dict[str, str]:
        for name, value in extra.items():
            if not name or "=" in name or "\0" in name or "\0" in value:
                raise TaskFailure("bad_env", f"{name!r} cannot be an environment variable")
        return {**self._environment, **extra, **self.marks.of(attempt_id)}

    def _shell(self, attempt_id: AttemptId, text: str, cwd: str | None, env: Mapping[str, str]) -> Command:
        folder = self._paths.working_folder(cwd)
        environment = self._environment_of(attempt_id, env)
        if len(text) * 4 > MAX_ARGUMENT_BYTES and len(text.encode()) > MAX_ARGUMENT_BYTES:
            return self._from_file("/bin/sh", text, [], folder, environment)
        return Command(argv=["/bin/sh", "-c", text], cwd=folder, environment=environment)

    def _with_sudo(self, attempt_id: AttemptId, spec: Exec) -> Command:
        program = shutil.which("sudo", path=self._environment.get("PATH"))
        if not self._sudo or program is None:
            raise TaskFailure(
                "sudo_unavailable", "this agent's profile does not allow sudo", status=ResponseStatus.REJECTED
            )
        folder = self._paths.working_folder(spec.cwd)
        environment = self._environment_of(attempt_id, spec.env)
        # sudo clears the environment; the marks and the task's own variables go around it.
        assignments = [f"{k}={v}" for k, v in {**spec.env, **self.marks.of(attempt_id)}.items()]
        argv = [program, "-n", "--", "/usr/bin/env", *assignments, "/bin/sh", "-c", spec.command]
        return Command(argv=argv, cwd=folder, environment=environment)

    def _script(self, attempt_id: AttemptId, spec: Script) -> Command:
        names = _PROGRAMS[spec.interpreter]
        environment = self._environment_of(attempt_id, spec.env)
        found = (shutil.which(name, path=environment.get("PATH")) for name in names)
        program = next((path for path in found if path is not None), None)
        if program is None:
            raise TaskFailure("interpreter_missing", f"{names[0]} is not installed on this agent")
        folder = self._paths.working_folder(spec.cwd)
        if spec.interpreter is Interpreter.BASH:
            return self._from_file(program, spec.script, spec.args, folder, environment)
        # Through stdin, so that imports are resolved from the working folder.
        argv = [program, "-", *spec.args]
        return Command(argv=argv, cwd=folder, environment=environment, stdin_fd=self._unlinked(spec.script))

    def _unlinked(self, text: str) -> int:
        self._scripts.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._scripts) as file:
            file.write(text.encode(errors="surrogatepass"))
            file.seek(0)
            return os.dup(file.fileno())

    def _from_file(
        self, program: str, text: str, args: list[str], folder: str, environment: Mapping[str, str]
    ) -> Command:
        self._scripts.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=self._scripts, prefix="script-")
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode(errors="surrogatepass"))
        path = Path(name)
        return Command(
            argv=[program, name, *args],
            cwd=folder,
            environment=environment,
            cleanup=lambda: path.unlink(missing_ok=True),
        )

    def _git(self, attempt_id: AttemptId, spec: GitClone | GitPull | GitPush) -> Command:
        program = shutil.which("git", path=self._environment.get("PATH"))
        if program is None:
            raise TaskFailure("interpreter_missing", "git is not installed on this agent")
        match spec:
            case GitClone():
                argv, folder = self._git_clone(spec), self._paths.working_folder(None)
            case GitPull():
                argv, folder = ["pull", "--no-rebase"], str(self._paths.inside(spec.repo_path))
            case GitPush():
                remote = _reference("remote", spec.remote)
                branch = "HEAD" if spec.branch is None else _reference("branch", spec.branch)
                argv, folder = ["push", "--", remote, branch], str(self._paths.inside(spec.repo_path))
        if not os.path.isdir(folder):
            raise TaskFailure("not_found", f"{folder} is not a folder")
        extra = dict(_GIT_ENVIRONMENT)
        ssh = self._environment.get("GIT_SSH_COMMAND", "ssh")
        extra["GIT_SSH_COMMAND"] = f"{ssh} -oBatchMode=yes"
        environment = self._environment_of(attempt_id, extra)
        return Command(argv=[program, *argv], cwd=folder, environment=environment)

    def _git_clone(self, spec: GitClone) -> list[str]:
        source = spec.repo
        local = urlsplit(source).path if source.startswith("file://") else source
        if "::" in source.split("/", 1)[0]:
            raise TaskFailure("bad_repo", "remote helpers (name::address) are not allowed")
        if source.startswith("file://") or ("://" not in source and not _SCP_LIKE.fullmatch(source)):
            inside = str(self._paths.inside(local))
            source = f"file://{inside}" if source.startswith("file://") else inside
        destination = self.clone_destination(spec)
        branch = [] if spec.branch is None else ["--branch", _reference("branch", spec.branch)]
        return ["clone", *branch, "--", source, str(destination)]


def _reference(field: str, value: str) -> str:
    if not _REFERENCE.fullmatch(value) or ".." in value:
        raise TaskFailure("bad_reference", f"{value!r} cannot be a {field}")
    return value
