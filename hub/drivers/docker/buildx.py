"""One build with BuildKit, through the buildx plugin of Docker's command line, when the hub's machine has it.

Speaking to BuildKit directly takes its gRPC sessions; the plugin is what Docker supports. It is told
the engine's address, so it builds where agents run, whatever context somebody has chosen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Final

from hub.drivers.base import Progress
from hub.drivers.docker.build import BUILD_DEADLINE_SECONDS, BuildHow, BuildReport
from hub.drivers.docker.buildlog import BuildLog
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.image import PIP_CONF, ImageBuild, archive
from hub.drivers.docker.labels import SHARED
from hub.errors import DriverFailed
from profiles.image import PIP_SECRET, instructions

PROBE_SECONDS: Final = 10.0
MAX_LINE_BYTES: Final = 1 << 20
KEPT_VARIABLES: Final = ("PATH", "HOME", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "SSH_AUTH_SOCK",
                         "XDG_RUNTIME_DIR", "TMPDIR")  # fmt: skip

_LINE: Final = re.compile(r"#(\d+) (.*)")
_VERTEX: Final = re.compile(r"\[(?:(\S+) )?(\d+)/(\d+)\] (.*)")
_OUTPUT: Final = re.compile(r"\d+\.\d+ (.*)")
_ERROR: Final = re.compile(r"ERROR: (?:failed to solve: )?(.*)")
_COUNTED: Final = frozenset({"FROM", "RUN", "COPY", "ADD", "WORKDIR"})
"""Instructions that BuildKit counts: those that change files."""


class Buildx:
    """See `hub.drivers.docker.build.Builder`.

    Args:
        command: how the plugin is called, `docker buildx` or the plugin itself.
        url: the engine's address.
        environment: the hub's own, of which the plugin gets KEPT_VARIABLES.
    """

    lends_pip_config = True

    def __init__(self, command: tuple[str, ...], url: str, environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = {name: environment[name] for name in KEPT_VARIABLES if name in environment}
        self._environment["DOCKER_HOST"] = url

    @classmethod
    async def find(cls, url: str, environment: Mapping[str, str]) -> Buildx | None:
        """Return the builder where the plugin answers, else None."""
        docker = shutil.which("docker", path=environment.get("PATH"))
        if docker is None:
            return None
        found = cls((docker, "buildx"), url, environment)
        return found if await found.answers() else None

    async def answers(self) -> bool:
        """Whether the plugin is there and says its version."""
        try:
            async with asyncio.timeout(PROBE_SECONDS), self._running(("version",), b"", {}) as process:
                _, _ = await process.communicate()
                return process.returncode == 0
        except (OSError, TimeoutError):
            return False

    async def build(self, wanted: ImageBuild, how: BuildHow, progress: Progress, log: BuildLog) -> None:
        """See `Builder`."""
        # Lent as a secret; what is not in the context cannot get into the image.
        files = {name: content for name, content in wanted.files.items() if name != PIP_CONF or not wanted.lent}
        data = await asyncio.to_thread(archive, files, wanted.modes)
        report = _Report(wanted, progress, log)
        arguments = {**how.arguments, **wanted.arguments}
        words = self._words(wanted, how, arguments)
        if wanted.lent:
            arguments[_PIP_VARIABLE] = wanted.files[PIP_CONF].decode(errors="replace")
        try:
            async with asyncio.timeout(BUILD_DEADLINE_SECONDS), self._running(words, data, arguments) as process:
                assert process.stdout is not None
                async for line in _lines(process.stdout):
                    report.take(line)
                code = await process.wait()
        except TimeoutError as exc:
            raise report.failed(f"not done within {BUILD_DEADLINE_SECONDS:.0f} s") from exc
        except OSError as exc:
            raise DriverFailed(f"docker buildx cannot be started: {exc.strerror}", driver=NAME) from exc
        if code != 0:
            raise report.failed(report.error or f"docker buildx ended with exit code {code}")

    def _words(self, wanted: ImageBuild, how: BuildHow, arguments: Mapping[str, str]) -> tuple[str, ...]:
        words = ["build", "--progress=plain", "--load", "-t", wanted.name, "-f", wanted.dockerfile]
        words += [f"--label={name}={value}" for name, value in SHARED.items()]
        # By name only: the values, which may hold a proxy's password, are not for everybody who can list processes.
        words += [f"--build-arg={name}" for name in sorted(arguments)]
        if how.platform:
            words.append(f"--platform={how.platform}")
        if how.without_cache:
            words.append("--no-cache")
        if wanted.lent:
            words.append(f"--secret=id={PIP_SECRET},env={_PIP_VARIABLE}")
        return (*words, "-")

    @contextlib.asynccontextmanager
    async def _running(
        self, words: tuple[str, ...], data: bytes, variables: Mapping[str, str]
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The plugin in a session of its own, ended with everything it started when the caller leaves early."""
        process = await asyncio.create_subprocess_exec(
            *self._command, *words,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**self._environment, **variables}, start_new_session=True, limit=MAX_LINE_BYTES,
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                feeder = group.create_task(_feed(process, data))
                try:
                    yield process
                finally:
                    feeder.cancel()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


_PIP_VARIABLE: Final = "CLAWTUI_BUILD_PIP_CONF"


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    # A plugin that refuses its arguments reads nothing.
    with contextlib.suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                yield exc.partial.decode(errors="replace").rstrip()
            return
        except asyncio.LimitOverrunError as exc:
            line = await stream.readexactly(exc.consumed)
        yield line.decode(errors="replace").rstrip()


class _Report:
    """Reads what `--progress=plain` prints."""

    def __init__(self, wanted: ImageBuild, progress: Progress, log: BuildLog) -> None:
        self._titles = _counted(wanted)
        self._report = BuildReport(wanted, progress, log)
        self._log = log
        self._vertices: dict[str, tuple[int, int, str]] = {}
        self._current = ""
        self.error = ""

    def take(self, line: str) -> None:
        match = _LINE.fullmatch(line)
        if match is None:
            self._log.line(line)
            if found := _ERROR.fullmatch(line):
                self.error = found[1]
            return
        number, text = match[1], match[2]
        if vertex := _VERTEX.fullmatch(text):
            self._log.line(line)
            title = self._titles.get((vertex[1] or "", int(vertex[2])), vertex[4])
            self._vertices[number] = (int(vertex[2]), int(vertex[3]), title)
            self._enter(number)
        elif output := _OUTPUT.fullmatch(text):
            self._enter(number)
            self._report.add(output[1])
        else:
            if text.startswith("ERROR: "):
                self._enter(number)
            self._log.line(line)

    def failed(self, why: str) -> DriverFailed:
        return self._report.failed(why)

    def _enter(self, number: str) -> None:
        """Stages are built side by side; what is printed belongs to the step that printed last."""
        if number != self._current and number in self._vertices:
            self._current = number
            at, of, title = self._vertices[number]
            self._report.begin(at, of, title)


def _counted(wanted: ImageBuild) -> dict[tuple[str, int], str]:
    """The titles of instructions by stage and number, as BuildKit names them."""
    text = wanted.files[wanted.dockerfile].decode(errors="replace")
    titles: dict[tuple[str, int], str] = {}
    stages: list[list[str]] = []
    names: list[str] = []
    for title, (_, instruction) in zip(wanted.titles, instructions(text), strict=False):
        words = instruction.split()
        if words[0].upper() == "FROM":
            alias = words[-1] if len(words) > 3 and words[-2].upper() == "AS" else ""
            names.append(alias)
            stages.append([])
        if words[0].upper() in _COUNTED and stages:
            stages[-1].append(title)
    for index, stage in enumerate(stages):
        name = names[index] or (f"stage-{index}" if len(stages) > 1 else "")
        titles |= {(name, number): title for number, title in enumerate(stage, 1)}
    return titles
