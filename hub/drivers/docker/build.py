"""One build at the engine: its answer is a stream of messages, in which an error hides like any other line."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from typing import Final

import msgspec

from hub.drivers.base import Progress
from hub.drivers.docker.engine import NAME, Call, EngineUnreachable
from hub.drivers.docker.labels import SHARED
from hub.drivers.docker.pool import LiveStream, Streams
from hub.errors import DriverFailed

BUILD_DEADLINE_SECONDS: Final = 1_200.0
"""A first build pulls Debian and installs packages: 20 s on a good line."""
KEPT_LINES: Final = 15
"""The end of a failed build's output, which says why."""

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")


async def build_image(
    streams: Streams, name: str, dockerfile: str, context: bytes, arguments: dict[str, str], progress: Progress
) -> None:
    """Build and tag `name`. Ended early, the engine ends its build too.

    Raises:
        DriverFailed: with the end of the build's output.
    """
    progress(0.0, f"building {name}")
    params = {
        "t": name,
        "dockerfile": dockerfile,
        "rm": "1",
        "forcerm": "1",
        "labels": json.dumps(SHARED),
        "buildargs": json.dumps(arguments),
    }
    call = Call("POST", "/build", params, data=context, timeout_seconds=60)
    report = BuildReport(name, progress)
    try:
        async with asyncio.timeout(BUILD_DEADLINE_SECONDS):
            stream = await streams.open(call)
            try:
                await report.follow(stream)
            finally:
                await stream.close()
    except TimeoutError as exc:
        raise report.failed(f"not done within {BUILD_DEADLINE_SECONDS:.0f} s") from exc
    except EngineUnreachable as exc:
        raise report.failed(exc.message) from exc


class _Detail(msgspec.Struct):
    message: str = ""


class _Message(msgspec.Struct, rename="camel"):
    """One message of a build's answer. An error comes in the stream of a successful answer."""

    stream: str = ""
    status: str = ""
    error: str = ""
    error_detail: _Detail = msgspec.field(default_factory=_Detail)


class BuildReport:
    """Reads a build's answer: one line of progress per step, and the end of the output for an error."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._decoder = msgspec.json.Decoder(_Message)

    async def follow(self, stream: LiveStream) -> None:
        """Read to the end; raises DriverFailed when the build failed."""
        rest = b""
        while part := await stream.read():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._take(line)
        self._take(rest)

    def failed(self, why: str) -> DriverFailed:
        output = "\n".join(self._last)
        return DriverFailed(
            f"the image {self._name} cannot be built: {why}" + (f"\n{output}" if output else ""),
            hint="Behind a proxy with a CA of its own, set CLAWTUI_EXTRA_CA to its PEM file;"
            " http_proxy and https_proxy are passed on; CLAWTUI_PIP_CONFIG names a pip.conf for the build.",
            driver=NAME,
        )

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = self._decoder.decode(line)
        except msgspec.MsgspecError as exc:
            raise self.failed("its output cannot be read") from exc
        if message.error or message.error_detail.message:
            raise self.failed(message.error_detail.message or message.error)
        for text in (message.stream or message.status).splitlines():
            if text.strip():
                self._last.append(text.rstrip())
            if step := _STEP.match(text):
                self._progress((int(step[1]) - 1) / int(step[2]), f"building {self._name}: {text.strip()}")
