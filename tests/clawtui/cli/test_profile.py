"""profile and image verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from hub.contract import (
    BuildImage,
    BuildLogQuery,
    ProblemView,
    ProfileList,
    ProfileQuery,
    ProfileText,
    TransferImage,
)
from hub.core.model import JobState
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB, PROFILE, WHEN

Answers = Callable[..., None]
WRONG = replace(
    PROFILE,
    name="mine",
    source="user",
    valid=False,
    shadows=["built-in"],
    problems=[ProblemView(field="packages[1]", message="'a b' is not a package", hint="The name of …")],
)
BUILT = replace(
    JOB, kind="profile.build", state=JobState.SUCCEEDED, finished_at=WHEN,
    result={"image": "openclaw-agent-builder:abc", "built": ["openclaw-agent-builder:abc"]},
)  # fmt: skip
FAILED = replace(
    JOB, id="j-2", kind="profile.build", state=JobState.FAILED, finished_at=WHEN,
    error=TaskError("setup_task_failed", 'setup task 1 "A" failed\nits output\nThe whole output: …'),
)  # fmt: skip


def test_profiles_are_listed_with_what_is_wrong(cli: CommandLine, answers: Answers) -> None:
    answers(profiles=ProfileList(profiles=[PROFILE, WRONG, replace(PROFILE, hidden=True)]))
    called = cli("profile", "list", "--all", "--plain")
    assert called.out.splitlines() == [
        "builder\tbuilt-in\tok\t\tBuilds",
        "mine\tuser\twrong\tbuilt-in\tpackages[1]: 'a b' is not a package",
        "builder\tbuilt-in\thidden\t\tBuilds",
    ]
    assert cli.last("profiles") == (ProfileQuery(all=True),)


def test_a_profile_is_shown(cli: CommandLine, answers: Answers) -> None:
    called = cli("profile", "show", "builder")
    assert called.code == 0
    assert "openclaw-agent-builder:abc" in called.out
    assert cli("profile", "show", "builder", "--text").out == "{}\n"
    assert cli("profile", "show", "builder", "--dockerfile").out == "FROM b\n"
    assert cli("profile", "show", "builder", "--json").json["repository"] == ""
    answers(profile=replace(PROFILE, built=False))
    assert "(not built yet)" in cli("profile", "show", "builder").out
    answers(profile=replace(WRONG, text=None))
    assert cli("profile", "show", "mine").code == 1
    assert "has no file" in cli("profile", "show", "mine", "--text").stderr


def test_a_file_is_checked_without_a_hub(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("resorces: {}\npackages: [git, a b]\n")
    called = cli("profile", "validate", str(file))
    assert called.code == 1
    assert "resorces: is not known\n    Did you mean resources?\n" in called.out
    assert "packages[1]: 'a b' is not a package" in called.out
    assert "2 problems" in called.stderr
    assert cli("profile", "validate", str(file), "--json").json["valid"] is False
    assert cli("profile", "validate", str(file), "--plain").out.startswith("resorces\tis not known\t")
    file.write_text("packages: [git]\n")
    assert "ok" in cli("profile", "validate", str(file)).stderr
    dockerfile = tmp_path / "mine.Dockerfile"
    dockerfile.write_text("FROM debian\n")
    assert "does not extend openclaw-agent-base" in cli("profile", "validate", str(dockerfile)).out
    assert cli("profile", "validate", str(tmp_path / "no.json")).code == 2
    assert cli("profile", "validate", "-", stdin='{"name": "x"}').code == 0
    assert cli("profile", "validate", str(tmp_path / "x.txt")).code == 2
    assert cli.control.calls == []


def test_a_name_is_checked_at_the_hub(cli: CommandLine, answers: Answers) -> None:
    assert cli("profile", "validate", "builder").code == 0
    answers(profile=WRONG)
    called = cli("profile", "validate", "mine")
    assert (called.code, cli.last("profile")) == (1, ("mine",))
    assert "packages[1]" in called.out


def test_saving_and_deleting(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text("sudo: true\n")
    assert cli("profile", "save", str(file)).code == 0
    assert cli.last("save_profile") == ("mine", ProfileText(text="sudo: true\n", format="yaml"))
    cli("profile", "save", "-", "--name", "other", stdin="{}")
    assert cli.last("save_profile") == ("other", ProfileText(text="{}"))
    assert cli("profile", "save", "-", stdin="{}").code == 2
    assert "removed" in cli("profile", "delete", "mine").stderr
    assert cli.last("delete_profile") == ("mine",)


def test_a_dockerfile_beside_the_file_is_saved_too(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "web.json").write_text("{}")
    (tmp_path / "web.Dockerfile").write_text("FROM openclaw-agent-base\n")
    (tmp_path / "web" / "conf").mkdir(parents=True)
    (tmp_path / "web" / "conf" / "x").write_bytes(b"\xff")
    assert cli("profile", "save", str(tmp_path / "web.json")).code == 0
    whole = ProfileText(text="{}", dockerfile="FROM openclaw-agent-base\n", context={"conf/x": "/w=="})
    assert cli.last("save_profile") == ("web", whole)
    (tmp_path / "web" / "Dockerfile").write_text("")
    refused = cli("profile", "save", str(tmp_path / "web.json"))
    assert (refused.code, "must not have a Dockerfile" in refused.stderr) == (2, True)


def test_one_build_is_waited_for(cli: CommandLine, answers: Answers) -> None:
    answers(build_profile=JOB, job=BUILT)
    called = cli("profile", "build", "builder", "--rebuild", "--platform", "linux/arm64", "--build-arg", "A=1")
    assert (called.code, called.out) == (0, "openclaw-agent-builder:abc\n")
    request = BuildImage(rebuild=True, platform="linux/arm64", build_args={"A": "1"})
    assert cli.last("build_profile") == ("builder", request)
    answers(job=replace(BUILT, result={"image": "i", "built": []}))
    assert "nothing to build" in cli("image", "build").stderr
    assert cli.last("build_image") == (BuildImage(),)


def test_a_build_that_fails_shows_its_output_in_lines(cli: CommandLine, answers: Answers) -> None:
    answers(build_profile=JOB, job=FAILED)
    called = cli("profile", "build", "builder")
    assert called.code == 1
    assert 'error: setup task 1 "A" failed\n    its output\n' in called.stderr


def test_several_builds_run_side_by_side(cli: CommandLine, answers: Answers) -> None:
    answers(build_profile=BUILT)
    called = cli("profile", "build", "a", "b", "a", "--json")
    assert (called.code, len(json.loads(called.stdout)["jobs"])) == (0, 2)
    answers(build_profile=FAILED)
    called = cli("image", "build", "a", "b")
    assert called.code == 1
    assert "its output" in called.stderr
    answers(profiles=ProfileList(profiles=[PROFILE, WRONG]), build_profile=BUILT, job=BUILT)
    assert cli("profile", "build", "--all").code == 0
    assert cli.last("build_profile") == ("builder", BuildImage())
    assert "j-1" in cli("profile", "build", "a", "b", "--no-wait").out
    for words in (("profile", "build"), ("profile", "build", "a", "--all")):
        assert cli(*words).code == 2


def test_an_image_is_removed(cli: CommandLine) -> None:
    called = cli("image", "remove", "builder")
    assert (called.code, cli.last("remove_image")) == (0, ("builder",))
    assert "no image of builder is there now" in called.stderr


def test_images_are_listed_pushed_and_pulled(cli: CommandLine, answers: Answers) -> None:
    assert "openclaw-agent-builder\tabc\tyes\tbuilder\t300 MiB" in cli("image", "list", "--plain").out
    pushed = {"image": "i", "reference": "localhost:5000/i:t", "digest": "sha256:1"}
    answers(job=replace(BUILT, result=pushed))
    assert cli("image", "push", "builder", "localhost:5000").out == "localhost:5000/i:t@sha256:1\n"
    transfer = TransferImage(image="builder", registry="localhost:5000")
    assert cli.last("push_image") == (transfer,)
    assert cli("image", "pull", "builder", "localhost:5000").out == "i\n"
    assert cli.last("pull_image") == (transfer,)
    assert "j-1" in cli("image", "pull", "builder", "localhost:5000", "--no-wait").out


def test_a_builds_log(cli: CommandLine) -> None:
    assert cli("image", "log", "builder", "--tag", "abc", "--lines", "5", "-f").out == "Step 1/4 : FROM b\n"
    assert cli.last("build_log") == ("builder", BuildLogQuery(tag="abc", lines=5, follow=True))
