"""The agents' base image: built from the runtime of this very installation when it is missing.

Its tag is the hash of what it is made of, so an upgrade of clawtui builds a new one and an
unchanged one never builds again; `latest` follows the newest.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
import io
import json
import re
import tarfile
from collections import deque
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from hub.drivers.base import Progress
from hub.drivers.docker.answers import Image, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineNotFound, EngineUnreachable
from hub.drivers.docker.labels import IMAGE, SHARED, is_shared_ours
from hub.drivers.docker.pool import LiveStream, Pool, Streams
from hub.errors import Conflict, DriverFailed

DOCKERFILE: Final = "runtime/image/Dockerfile"
BUILD_DEADLINE_SECONDS: Final = 1_200.0
"""A first build pulls Debian and installs packages: 20 s on a good line."""
KEPT_LINES: Final = 15
"""The end of a failed build's output, which says why."""
PROXY_VARIABLES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
EXTRA_CA: Final = "extra.crt"
PIP_CONF: Final = "pip.conf"

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of this host's surroundings.

    `extra_ca`: PEM certificates of a private CA or an intercepting proxy, trusted in the build and
    by the agents. `pip_config`: pip's configuration for the build, never part of the image.
    """

    extra_ca: Path | None = None
    pip_config: Path | None = None
    build_arguments: dict[str, str] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> BuildOptions:
        """Read CLAWTUI_EXTRA_CA, CLAWTUI_PIP_CONFIG and the usual proxy variables."""
        extra_ca, pip_config = environment.get("CLAWTUI_EXTRA_CA"), environment.get("CLAWTUI_PIP_CONFIG")
        return cls(
            extra_ca=Path(extra_ca) if extra_ca else None,
            pip_config=Path(pip_config) if pip_config else None,
            build_arguments={name: environment[name] for name in PROXY_VARIABLES if environment.get(name)},
        )


def context_files(runtime: Traversable, options: BuildOptions) -> dict[str, bytes]:
    """Return the build's files by path; raises DriverFailed when an option's file cannot be read."""
    files = {f"runtime/{path}": content for path, content in _walk(runtime)}
    for name, path in ((EXTRA_CA, options.extra_ca), (PIP_CONF, options.pip_config)):
        if path is None:
            continue
        try:
            files[name] = path.read_bytes()
        except OSError as exc:
            raise DriverFailed(
                f"{path} for the build of agents' images cannot be read: {exc.strerror}",
                hint="Look at CLAWTUI_EXTRA_CA and CLAWTUI_PIP_CONFIG.",
                retryable=False,
                driver=NAME,
            ) from exc
    return files


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".pyc"):
            yield f"{prefix}{entry.name}", entry.read_bytes()


def content_hash(files: Mapping[str, bytes]) -> str:
    """Return the hash of what gets into the image: pip's configuration does not."""
    digest = hashlib.sha256()
    for name in sorted(files.keys() - {PIP_CONF}):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()[:12]


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive that depends on the files only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o644
            target.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def prepare(options: BuildOptions) -> tuple[str, dict[str, bytes]]:
    """Return the image's full name and its files. Blocks: reads the runtime's folder."""
    files = context_files(importlib.resources.files("runtime"), options)
    return f"{IMAGE}:{content_hash(files)}", files


def find_image(engine: Engine, name: str) -> Image | None:
    try:
        return decode(engine.call(Call("GET", f"/images/{quote(name)}/json")), Image)
    except EngineNotFound:
        return None


def image_ready(engine: Engine, name: str) -> bool:
    """Whether the image is there; raises Conflict when a foreign one has a name that is ours."""
    for reference in (name, f"{IMAGE}:latest"):
        found = find_image(engine, reference)
        if found is not None and not is_shared_ours(found.config.labels if found.config else None):
            raise Conflict(
                f"the image {reference} exists and was not made by clawtui",
                hint=f"Give it another name (docker tag, then docker rmi {reference}).",
                driver=NAME,
            )
    return find_image(engine, name) is not None


class BaseImage:
    """Builds the image when it is missing; creates at the same moment share one build."""

    def __init__(self, pool: Pool, streams: Streams, options: BuildOptions) -> None:
        self._pool = pool
        self._streams = streams
        self._options = options
        self._lock = asyncio.Lock()

    async def ensure(self, progress: Progress) -> str:
        """Return the image's full name. `progress` gets 0..1 of the build, if there is one.

        Raises:
            DriverFailed: with the end of the build's output.
        """
        name, files = await self._pool.run(lambda _engine: prepare(self._options))
        if await self._pool.run(image_ready, name):
            return name
        if self._lock.locked():
            progress(0.0, f"waiting for {name}, which is being built for another agent")
        async with self._lock:
            if not await self._pool.run(image_ready, name):
                await self._build(name, files, progress)
        return name

    async def _build(self, name: str, files: Mapping[str, bytes], progress: Progress) -> None:
        progress(0.0, f"building {name}")
        params = {
            "dockerfile": DOCKERFILE,
            "rm": "1",
            "forcerm": "1",
            "labels": json.dumps(SHARED),
            "buildargs": json.dumps(self._options.build_arguments),
        }
        # The engine takes several names as one parameter given twice; the second one is put on afterwards.
        call = Call("POST", "/build", {**params, "t": name}, data=archive(files), timeout_seconds=60)
        report = BuildReport(name, progress)
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
            raise report.failed(exc.message) from exc
        await self._pool.run(_tag_latest, name)


def _tag_latest(engine: Engine, name: str) -> None:
    engine.call(Call("POST", f"/images/{quote(name)}/tag", {"repo": IMAGE, "tag": "latest"}))


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
