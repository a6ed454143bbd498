from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.executors.commands import Commands
from runtime.executors.errors import TaskFailure
from runtime.executors.paths import Paths
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
)

ONE = AttemptId("t:1")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    return folder


def commands_in(work: Path, *, sudo: bool = False, path: str | None = None) -> Commands:
    environment = {"PATH": os.environ["PATH"] if path is None else path, "KEEP": "1"}
    return Commands(Paths(work), work.parent / "scripts", environment, Marks("here"), sudo=sudo)


def failure(code: str) -> pytest.RaisesExc[TaskFailure]:
    return pytest.raises(TaskFailure, check=lambda exc: exc.code == code)


def test_a_command_runs_in_the_workspace_with_its_marker(work: Path) -> None:
    command = commands_in(work).make(ONE, Exec(command="ls", env={"A": "b"}))
    assert command.argv == ["/bin/sh", "-c", "ls"]
    assert command.cwd == str(work)
    assert {"KEEP": "1", "A": "b", "CLAWTUI_ATTEMPT": "t:1"}.items() <= command.environment.items()


def test_a_task_cannot_replace_its_marker(work: Path) -> None:
    command = commands_in(work).make(ONE, Exec(command="ls", env={"CLAWTUI_ATTEMPT": "other"}))
    assert command.environment["CLAWTUI_ATTEMPT"] == "t:1"


def test_folders(work: Path) -> None:
    commands = commands_in(work)
    assert commands.make(ONE, Build(command="make", cwd="sub")).cwd == str(work / "sub")
    assert commands.make(ONE, Build(command="make", cwd="/")).cwd == "/"
    for cwd in ("none", "a\0b"):
        with failure("bad_cwd"):
            commands.make(ONE, Exec(command="ls", cwd=cwd))


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_impossible_variables(work: Path, name: str) -> None:
    with failure("bad_env"):
        commands_in(work).make(ONE, Exec(command="ls", env={name: "x"}))


def test_sudo_only_where_it_is_allowed(work: Path, tmp_path: Path) -> None:
    with failure("sudo_unavailable") as caught:
        commands_in(work).make(ONE, Exec(command="ls", sudo=True))
    assert caught.value.status is ResponseStatus.REJECTED
    (tmp_path / "bin").mkdir()
    sudo = tmp_path / "bin/sudo"
    with failure("sudo_unavailable"):
        commands_in(work, sudo=True, path=str(tmp_path / "bin")).make(ONE, Exec(command="ls", sudo=True))
    sudo.write_text("#!/bin/sh\n")
    sudo.chmod(0o755)
    command = commands_in(work, sudo=True, path=str(tmp_path / "bin")).make(
        ONE, Exec(command="ls", sudo=True, env={"A": "b"})
    )
    assert command.argv == [
        *(str(sudo), "-n", "--", "/usr/bin/env", "A=b", "CLAWTUI_ATTEMPT=t:1", "CLAWTUI_SCOPE=here"),
        *("/bin/sh", "-c", "ls"),
    ]


def test_a_missing_interpreter_says_so(work: Path, tmp_path: Path) -> None:
    for interpreter in Interpreter:
        with failure("interpreter_missing"):
            commands_in(work, path=str(tmp_path)).make(ONE, Script(script="", interpreter=interpreter))
    with failure("interpreter_missing"):
        commands_in(work, path=str(tmp_path)).make(ONE, GitClone(repo="https://h/x"))


def test_long_commands_run_from_a_file_that_is_removed(work: Path) -> None:
    text = "true #" + "x" * 200_000
    command = commands_in(work).make(ONE, Exec(command=text))
    program, file = command.argv
    assert program == "/bin/sh"
    assert Path(file).read_text() == text
    assert command.cleanup is not None
    command.cleanup()
    assert not Path(file).exists()


def test_git_is_not_interactive(work: Path) -> None:
    command = commands_in(work).make(ONE, GitPull())
    assert command.argv[1:] == ["pull", "--no-rebase"]
    assert command.environment["GIT_TERMINAL_PROMPT"] == "0"
    assert "BatchMode=yes" in command.environment["GIT_SSH_COMMAND"]


def test_clone_names_its_folder_as_git_does(work: Path) -> None:
    commands = commands_in(work)
    for repo, name in {
        "https://h/group/project.git": "project",
        "https://h/project/": "project",
        "git@h:group/project.git": "project",
        "git@h:project": "project",
    }.items():
        command = commands.make(ONE, GitClone(repo=repo, branch="main"))
        assert command.argv[1:] == ["clone", "--branch", "main", "--", repo, str(work / name)]
    assert commands.make(ONE, GitClone(repo="https://h/x", destination="sub/y")).argv[-1] == str(work / "sub/y")


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (GitClone(repo="https://h/x", destination="../out"), "path_outside_workspace"),
        (GitClone(repo="https://h/.."), "path_outside_workspace"),
        (GitClone(repo="/etc"), "path_outside_workspace"),
        (GitClone(repo="file:///etc"), "path_outside_workspace"),
        (GitClone(repo="ext::sh -c id"), "bad_repo"),
        (GitClone(repo="https://h/x", branch="--upload-pack=id"), "bad_reference"),
        (GitPull(repo_path="/"), "path_outside_workspace"),
        (GitPull(repo_path="none"), "not_found"),
        (GitPush(remote="--receive-pack=id"), "bad_reference"),
        (GitPush(branch="--all"), "bad_reference"),
        (GitPush(branch=":main"), "bad_reference"),
        (GitPush(branch="a..b"), "bad_reference"),
    ],
)
def test_git_takes_neither_options_nor_ways_out(work: Path, spec: GitClone | GitPull | GitPush, code: str) -> None:
    with failure(code):
        commands_in(work).make(ONE, spec)


def test_push_sends_the_current_branch_by_default(work: Path) -> None:
    commands = commands_in(work)
    assert commands.make(ONE, GitPush()).argv[1:] == ["push", "--", "origin", "HEAD"]
    assert commands.make(ONE, GitPush(branch="feature/x")).argv[1:] == ["push", "--", "origin", "feature/x"]
