"""Where profiles are found, which one of a name is effective, and that wrong files are shown and never used."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from profiles.errors import ProfileError
from profiles.loader import MAX_CONTEXT_BYTES, Found, Origin, Source, find_profiles

BUILT_IN = {"builder", "minimal", "nodejs", "python", "researcher", "tester"}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The user's and the project's."""
    for name in ("user", "project"):
        (tmp_path / name).mkdir()
    return tmp_path / "user", tmp_path / "project"


def write(folder: Path, name: str, **raw: Any) -> None:
    (folder / name).write_text(json.dumps(raw))


def found(folders: tuple[Path, Path], name: str | None = None) -> dict[str, list[Found]]:
    user, project = folders
    return find_profiles([Source(Origin.USER, user), Source(Origin.PROJECT, project)], name)


def test_every_built_in_profile_is_right_and_says_what_it_is() -> None:
    profiles = find_profiles([])
    assert set(profiles) == BUILT_IN
    for (one,) in profiles.values():
        assert one.valid().description
        assert (one.origin, one.shadows, one.notes) == (Origin.BUILT_IN, (), ())
        assert one.recipe().build("base:1").dockerfile.startswith("FROM base:1\n")
    assert profiles["minimal"][0].valid().contents.packages == ()


def test_the_stronger_one_wins_as_a_whole(folders: tuple[Path, Path]) -> None:
    user, project = folders
    write(user, "builder.json", packages=["git"])
    write(user, "own.json", description="mine")
    write(project, "builder.json", description="the project's")
    profiles = found(folders)
    assert set(profiles) == BUILT_IN | {"own"}
    first, second, third = profiles["builder"]
    assert [one.origin for one in (first, second, third)] == [Origin.PROJECT, Origin.USER, Origin.BUILT_IN]
    assert first.shadows == (Origin.USER, Origin.BUILT_IN)
    assert first.valid().contents.packages == (), "nothing is mixed"
    assert profiles["own"][0].path == str(user / "own.json")


def test_one_name_reads_only_its_own_files(folders: tuple[Path, Path]) -> None:
    write(folders[0], "a.json")
    write(folders[0], "b.json")
    assert set(found(folders, "a")) == {"a"}
    assert found(folders, "nope") == {}
    assert set(found(folders, "minimal")) == {"minimal"}


def test_folders_need_not_exist(tmp_path: Path) -> None:
    assert set(find_profiles([Source(Origin.USER, tmp_path / "nowhere")])) == BUILT_IN


def test_a_wrong_file_hides_the_built_in_one_and_cannot_be_used(folders: tuple[Path, Path]) -> None:
    write(folders[1], "builder.json", pakages=[])
    first = found(folders)["builder"][0]
    assert (first.origin, first.profile) == (Origin.PROJECT, None)
    assert [problem.field for problem in first.problems] == ["pakages"]
    for use in (first.valid, first.recipe):
        with pytest.raises(ProfileError, match="pakages"):
            use()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Big.json", b"{}", "is not a name"),
        ("base.json", b"{}", "another image of ours"),
        ("snapshot.yaml", b"{}", "another image of ours"),
        ("x.json", b'{"name": "y"}', "the profile is called x"),
        ("x.json", b"\xff", "UTF-8"),
        ("x.json", b"[]", "not a mapping"),
        ("x.yaml", b" " * (2 << 20), "longer"),
    ],
)
def test_what_is_wrong_with_a_file(folders: tuple[Path, Path], name: str, content: bytes, message: str) -> None:
    (folders[0] / name).write_bytes(content)
    (one,) = found(folders)[name.partition(".")[0]]
    assert message in "; ".join(map(str, one.problems))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_a_mistake_and_is_not_waited_for(
    folders: tuple[Path, Path], make: Callable[[Path], None]
) -> None:
    make(folders[0] / "own.Dockerfile")
    with ThreadPoolExecutor(1) as aside:
        # A reader of a pipe would wait for ever for somebody who writes.
        looking = aside.submit(found, folders)
        try:
            (one,) = looking.result(20)["own"]
        finally:
            unblock(folders[0] / "own.Dockerfile")
    assert "not a regular file" in "; ".join(map(str, one.problems))
    with pytest.raises(ProfileError, match="not a regular file"):
        one.recipe()


def unblock(path: Path) -> None:
    """Let a reader of a pipe go, so that a failed test ends."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_a_dockerfile_that_is_too_long_is_a_mistake(folders: tuple[Path, Path]) -> None:
    (folders[0] / "own.Dockerfile").write_text(DOCKERFILE + "#" * (1 << 20))
    (one,) = found(folders)["own"]
    assert "longer than" in one.problems[0].message


def test_two_files_of_one_name_are_a_mistake(folders: tuple[Path, Path]) -> None:
    write(folders[0], "x.json")
    (folders[0] / "x.yaml").write_text("{}")
    (one,) = found(folders)["x"]
    assert "x.json and x.yaml" in one.problems[0].message


def test_other_files_are_not_looked_at(folders: tuple[Path, Path]) -> None:
    for name in ("model.py", ".hidden.json", "README.md", "x.json.bak"):
        (folders[0] / name).write_text("{}")
    (folders[0] / "folder.json").mkdir()
    assert set(found(folders)) == BUILT_IN


# --- custom Dockerfiles --------------------------------------------------------------------------------

DOCKERFILE = "FROM openclaw-agent-base\nCOPY a.txt /\n"


def test_a_dockerfile_replaces_the_image_and_keeps_the_machine(folders: tuple[Path, Path]) -> None:
    _, project = folders
    (project / "builder.Dockerfile").write_text(DOCKERFILE)
    (project / "builder").mkdir()
    (project / "builder" / "a.txt").write_text("a")
    (project / "builder" / "link").symlink_to("/etc/passwd")
    first = found(folders)["builder"][0]
    assert (first.origin, first.shadows) == (Origin.PROJECT, (Origin.BUILT_IN,))
    assert first.valid().machine.resources.cpus == 4.0, "the built-in builder's"
    assert any("packages, setup_tasks" in note for note in first.notes)
    context = first.recipe().build("base:1")
    assert (context.dockerfile, context.files) == ("FROM base:1\nCOPY a.txt /\n", {"a.txt": b"a"})


def test_a_dockerfile_alone_is_a_profile(folders: tuple[Path, Path]) -> None:
    (folders[0] / "own.Dockerfile").write_text(DOCKERFILE)
    (one,) = found(folders)["own"]
    assert one.recipe().dockerfile == DOCKERFILE
    assert (one.path, one.dockerfile_path) == ("", str(folders[0] / "own.Dockerfile"))


def test_data_of_a_stronger_source_hides_a_weaker_ones_dockerfile(folders: tuple[Path, Path]) -> None:
    user, project = folders
    (user / "own.Dockerfile").write_text(DOCKERFILE)
    write(project, "own.json", packages=["git"])
    assert found(folders)["own"][0].recipe().dockerfile is None


def test_build_arguments_belong_to_the_profile(folders: tuple[Path, Path]) -> None:
    (folders[0] / "own.Dockerfile").write_text(DOCKERFILE)
    write(folders[0], "own.json", build_args={"VERSION": "2"})
    assert found(folders)["own"][0].recipe().build("base:1").arguments == {"VERSION": "2"}


@pytest.mark.parametrize("text", ["FROM debian\n", 'FROM openclaw-agent-base\nENTRYPOINT ["x"]\n'])
def test_a_dockerfile_without_the_runtime_is_a_mistake(folders: tuple[Path, Path], text: str) -> None:
    (folders[0] / "own.Dockerfile").write_text(text)
    (one,) = found(folders)["own"]
    assert [problem.field for problem in one.problems] == ["dockerfile"]


def test_a_folder_that_is_too_large_is_a_mistake(folders: tuple[Path, Path]) -> None:
    (folders[0] / "own.Dockerfile").write_text(DOCKERFILE)
    (folders[0] / "own").mkdir()
    with (folders[0] / "own" / "big").open("wb") as file:
        file.truncate(MAX_CONTEXT_BYTES + 1)
    (one,) = found(folders)["own"]
    assert "too much" in one.problems[0].message
