"""What a build says when it fails, in the words of both builders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from hub.drivers.docker.build import BuildReport
from hub.drivers.docker.buildlog import BuildLogs
from hub.drivers.docker.failures import KEPT_LINES, build_failed
from hub.drivers.docker.image import ImageBuild
from hub.errors import DriverFailed
from tests.hub.images.image_bench import Steps

NAME = "openclaw-agent-x:0123456789ab"


@pytest.mark.parametrize(
    ("step", "error", "output", "code", "words"),
    [
        ('setup task 1 "Make"', "The command 'x' returned a non-zero code: 2", ["no rule"], "setup_task_failed",
         ['setup task 1 "Make" failed (exit code 2)', "no rule"]),
        ('setup task 1 "Make"', 'process "x" did not complete successfully: exit code: 127', [], "setup_task_failed",
         ["(exit code 127)"]),
        ("packages: a b", "returned a non-zero code: 100", ["E: Unable to locate package b"], "unknown_package",
         ["no package b"]),
        ("packages: a", "x", ["E: Package 'a' has no installation candidate"], "unknown_package", ["no package a"]),
        ("packages: a=9", "x", ["E: Version '9' for 'a' was not found"], "unknown_package", ["no package a"]),
        ('setup task 1 "apt"', "x", ["E: Unable to locate package b"], "setup_task_failed", ["E: Unable"]),
        ("packages: a", "write /var/lib/docker/x: no space left on device", [], "engine_disk_full", ["packages: a"]),
        ("the files", "x", ["cp: error: No space left on device"], "engine_disk_full", ["the files"]),
        ("packages: a", "returned a non-zero code: 100", ["E: Failed"], "build_failed", ["E: Failed"]),
        ("", "pull access denied for x", [], "build_failed", ["pull access denied"]),
    ],
)  # fmt: skip
def test_why_a_build_failed(step: str, error: str, output: list[str], code: str, words: list[str]) -> None:
    failed = build_failed(NAME, step, error, output)
    assert failed.code == code
    assert NAME in failed.message
    assert all(word in failed.message for word in words), failed.message
    assert "clawtui image log x" in failed.hint


@pytest.mark.parametrize(
    "step", ["FROM debian:bookworm-slim AS system", "FROM --platform=linux/arm64 debian:bookworm-slim"]
)
def test_an_image_to_begin_with_that_cannot_be_had_is_named_with_ways_to_get_it(step: str) -> None:
    failed = build_failed(NAME, step, 'Get "https://registry.example/v2/": no such host', [])
    assert "the engine does not have debian:bookworm-slim and cannot get it: Get" in failed.message
    assert "docker pull debian:bookworm-slim, or docker load" in failed.hint
    assert "clawtui image log x" in failed.hint


def test_only_the_end_of_a_long_output_is_in_the_message() -> None:
    failed = build_failed(NAME, "the files", "x", [f"line {number}" for number in range(1000)])
    assert failed.message.splitlines()[1:] == [f"line {number}" for number in range(1000 - KEPT_LINES, 1000)]


class Played:
    """A build's answer, in the parts that a test cuts it into."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = [*parts, b""]

    async def read(self) -> bytes:
        return self._parts.pop(0)


def message(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\r\n"


async def report(tmp_path: Path, steps: Steps, *parts: bytes) -> list[str]:
    """Read a whole answer; returns the log."""
    logs = BuildLogs(tmp_path)
    wanted = ImageBuild(name=NAME, dockerfile="Dockerfile", files={}, titles=("the base image", 'setup task 1 "A"'))
    log = logs.start(NAME)
    try:
        await BuildReport(wanted, steps, log).follow(cast("Any", Played(*parts)))
    finally:
        log.close()
        lines = [line async for line in logs.read("openclaw-agent-x", None, 0, follow=False)]
    return lines


async def test_output_comes_in_pieces_and_is_kept_in_lines(tmp_path: Path) -> None:
    steps = Steps()
    whole = b"".join(
        (
            message(status="Pulling from library/debian"),
            message(stream="Step 1/3 : FROM b"),
            message(stream="\n"),
            message(stream=" ---> 123\n"),
            message(stream="Step 2/3 : RUN [\"x\"]\n"),
            message(stream="\x1b[91mdd: \x1b[0m\x1b[91merror\x1b[0m"),
            message(stream="\nbar  10%\rbar 100%\n"),
            message(stream="Step 3/3 : LABEL x\n"),
            message(aux={"ID": "sha256:1"}),
            message(stream="no newline at the end"),
        )
    )  # fmt: skip
    parts = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    assert await report(tmp_path, steps, *parts) == [
        "Pulling from library/debian", "Step 1/3 : FROM b", " ---> 123", 'Step 2/3 : RUN ["x"]', "dd: error",
        "bar 100%", "Step 3/3 : LABEL x", "no newline at the end",
    ]  # fmt: skip
    assert [line.rpartition(", ")[2] for _, line in steps.said] == [
        "step 1 of 3: the base image",
        'step 2 of 3: setup task 1 "A"',
        "step 3 of 3: LABEL x",
    ]
    assert [round(fraction, 2) for fraction, _ in steps.said] == [0.0, 0.33, 0.67]


@pytest.mark.parametrize("last", [message(error="it broke"), message(errorDetail={"message": "it broke"}), b"{{"])
async def test_an_error_hides_in_the_answer(tmp_path: Path, last: bytes) -> None:
    with pytest.raises(DriverFailed) as caught:
        await report(tmp_path, Steps(), message(stream="Step 2/3 : RUN x\nmade it half-way\n"), last)
    assert 'setup task 1 "A" failed' in caught.value.message
    assert "made it half-way" in caught.value.message
