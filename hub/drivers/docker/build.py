"""One build at the engine's classic builder: its answer is a stream of messages, in which an error hides like any
other line."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from hub.drivers.base import Progress
from hub.drivers.docker.buildlog import BuildLog
from hub.drivers.docker.engine import Call, EngineUnreachable
from hub.drivers.docker.failures import PROXY_HINT, build_failed
from hub.drivers.docker.image import ImageBuild, archive
from hub.drivers.docker.labels import SHARED
from hub.drivers.docker.pool import LiveStream, Streams
from hub.errors import DriverFailed, NotAvailable

BUILD_DEADLINE_SECONDS: Final = 3_600.0
"""A first build pulls Debian and installs packages: a minute on a good line, and a profile may compile."""
KEPT_STEP_LINES: Final = 400
"""Of the step that runs, for the error."""

_STEP: Final = re.compile(r"Step (\d+)/(\d+) : (.*)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
"""The classic builder paints what a step prints to stderr."""
_BUILDERS_OWN: Final = re.compile(r" ?--->|Removing intermediate container ")


class Builder(Protocol):
    """Builds one image; ended early, the engine ends its build too."""

    @property
    def lends_pip_config(self) -> bool:
        """Whether a setup task can be lent pip's configuration without the image keeping it."""
        ...

    async def build(self, wanted: ImageBuild, how: BuildHow, progress: Progress, log: BuildLog) -> None:
        """Build and tag it. Raises DriverFailed, which says what failed and how that ended."""
        ...


class BuildHow(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one build beside its contents. `arguments` are this host's, such as proxies."""

    arguments: Mapping[str, str] = {}
    platform: str = ""
    without_cache: bool = False


class ClassicBuilder:
    """The builder inside of every engine."""

    lends_pip_config = False

    def __init__(self, streams: Streams, engine_platform: str) -> None:
        self._streams = streams
        self._platform = engine_platform

    async def build(self, wanted: ImageBuild, how: BuildHow, progress: Progress, log: BuildLog) -> None:
        """See `Builder`. Raises NotAvailable for another platform than the engine's."""
        if how.platform and how.platform != self._platform:
            raise NotAvailable(
                f"the engine's classic builder makes images for {self._platform} only, not for {how.platform}",
                hint="Install Docker's buildx plugin on the hub's machine, and emulation for that platform.",
                driver="docker",
            )
        params = {
            "t": wanted.name,
            "dockerfile": wanted.dockerfile,
            "rm": "1",
            "forcerm": "1",
            "nocache": "1" if how.without_cache else "0",
            "labels": json.dumps(SHARED),
            "buildargs": json.dumps({**how.arguments, **wanted.arguments}),
        }
        data = await asyncio.to_thread(archive, wanted.files, wanted.modes)
        report = BuildReport(wanted, progress, log)
        call = Call("POST", "/build", params, data=data, timeout_seconds=60)
        try:
            async with asyncio.timeout(BUILD_DEADLINE_SECONDS):
                stream = await self._streams.open(call)
                try:
                    await report.follow(stream)
                finally:
                    await stream.close()
        except TimeoutError as exc:
            raise report.failed(f"not done within {BUILD_DEADLINE_SECONDS:.0f} s") from exc
        except EngineUnreachable as exc:
            raise report.gone(exc) from exc


class _Detail(msgspec.Struct):
    message: str = ""


class _Message(msgspec.Struct, rename="camel"):
    """One message of a build's answer. An error comes in the stream of a successful answer."""

    stream: str = ""
    status: str = ""
    error: str = ""
    error_detail: _Detail = msgspec.field(default_factory=_Detail)


class BuildReport:
    """Reads a build's answer: progress per step, every line for the log, the last ones for an error."""

    def __init__(self, wanted: ImageBuild, progress: Progress, log: BuildLog) -> None:
        self._wanted = wanted
        self._progress = progress
        self._log = log
        self._step = ""
        self._line = ""
        self._output: deque[str] = deque(maxlen=KEPT_STEP_LINES)
        self._decoder = msgspec.json.Decoder(_Message)

    async def follow(self, stream: LiveStream) -> None:
        """Read to the end; raises DriverFailed when the build failed."""
        rest = b""
        while part := await stream.read():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._take(line)
        self._take(rest)
        self._print("\n")

    def begin_step(self, number: int, of: int, text: str) -> None:
        """The builder is at the instruction `number` (from 1), whose words are `text`."""
        titles = self._wanted.titles
        self.begin(number, of, titles[number - 1] if number <= len(titles) else text)

    def begin(self, number: int, of: int, title: str) -> None:
        """A step begins, by the name that people know it by."""
        self._step = title
        self._output.clear()
        title = title if len(title) <= 100 else f"{title[:97]}..."
        self._progress((number - 1) / max(of, 1), f"building {self._wanted.name}, step {number} of {of}: {title}")

    def add(self, line: str) -> None:
        """Something was printed."""
        self._log.line(line)
        self._output.append(line)

    def failed(self, why: str) -> DriverFailed:
        self._finish_line()
        self._log.line(f"failed: {why}")
        return build_failed(self._wanted.name, self._step, why, self._output)

    def gone(self, why: EngineUnreachable) -> EngineUnreachable:
        """The engine went away in the middle."""
        self._finish_line()
        where = f", in {self._step}" if self._step else ""
        self._log.line(f"failed: {why.message}")
        message = f"the image {self._wanted.name} cannot be built{where}: {why.message}"
        return EngineUnreachable(message, hint=why.hint or PROXY_HINT, driver="docker")

    def _finish_line(self) -> None:
        """What was printed last may be the beginning of a step: the builder sends its line's end later."""
        if self._line:
            self._print("\n")

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = self._decoder.decode(line)
        except msgspec.MsgspecError as exc:
            raise self.failed("its output cannot be read") from exc
        if message.error or message.error_detail.message:
            raise self.failed(message.error_detail.message or message.error)
        self._print(message.stream or f"{message.status}\n")

    def _print(self, chunk: str) -> None:
        """Take what was printed: programs write parts of lines."""
        *lines, self._line = (self._line + _COLOUR.sub("", chunk)).split("\n")
        for line in lines:
            # Of a progress bar that was drawn again and again, the last one.
            text = line.rstrip().rpartition("\r")[2]
            if step := _STEP.match(text):
                self.begin_step(int(step[1]), int(step[2]), step[3].strip())
                self._log.line(text)
            elif _BUILDERS_OWN.match(text):
                self._log.line(text)
            elif text.strip():
                self.add(text)
