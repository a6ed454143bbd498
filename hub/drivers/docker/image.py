"""The agents' base image: built from the runtime of this very installation when it is missing.

Its tag is the hash of what it is made of, so an upgrade of clawtui builds a new one and an
unchanged one never builds again; `latest` follows the newest.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
import io
import tarfile
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from hub.drivers.base import Progress
from hub.drivers.docker.answers import Image, decode
from hub.drivers.docker.build import build_image
from hub.drivers.docker.engine import NAME, Call, Engine, EngineNotFound
from hub.drivers.docker.labels import IMAGE, is_shared_ours
from hub.drivers.docker.pool import Pool, Streams
from hub.errors import Conflict, DriverFailed

DOCKERFILE: Final = "runtime/image/Dockerfile"
PROXY_VARIABLES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CA_VARIABLES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
EXTRA_CA: Final = "extra.crt"
PIP_CONF: Final = "pip.conf"

SUDO_DOCKERFILE: Final = """\
FROM {base}
USER root
RUN apt-get update \\
 && apt-get install -y --no-install-recommends sudo \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \\
 && echo 'agent ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/agent \\
 && chmod 0440 /etc/sudoers.d/agent
USER agent
"""
"""For agents with `sudo` only: the others' image has no program that could make them root."""


class Recipe(msgspec.Struct, frozen=True):
    """One image: its full name, and its files by path."""

    name: str
    dockerfile: str
    files: dict[str, bytes]


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
        """Read CLAWTUI_EXTRA_CA, CLAWTUI_PIP_CONFIG and the usual proxy variables.

        Without CLAWTUI_EXTRA_CA the certificates count that this host's own tools are told to
        trust (CA_VARIABLES): where they need these, a build needs them too. Empty = none.
        """
        pip_config = environment.get("CLAWTUI_PIP_CONFIG")
        return cls(
            extra_ca=_extra_ca(environment),
            pip_config=Path(pip_config) if pip_config else None,
            build_arguments={name: environment[name] for name in PROXY_VARIABLES if environment.get(name)},
        )


def _extra_ca(environment: Mapping[str, str]) -> Path | None:
    if (own := environment.get("CLAWTUI_EXTRA_CA")) is not None:
        return Path(own) if own else None
    paths = (Path(environment[name]) for name in CA_VARIABLES if environment.get(name))
    return next((path for path in paths if path.is_file()), None)


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


def prepare(options: BuildOptions, *, sudo: bool = False) -> list[Recipe]:
    """Return what must be built, in this order; the last one is what the agent runs. Blocks: reads the runtime."""
    files = context_files(importlib.resources.files("runtime"), options)
    base = Recipe(f"{IMAGE}:{content_hash(files)}", DOCKERFILE, files)
    if not sudo:
        return [base]
    extended = {"Dockerfile": SUDO_DOCKERFILE.format(base=base.name).encode()}
    return [base, Recipe(f"{IMAGE}:{content_hash(extended)}-sudo", "Dockerfile", extended)]


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

    async def ensure(self, progress: Progress, *, sudo: bool = False) -> str:
        """Return the image's full name. `progress` gets 0..1 of the build, if there is one.

        Raises:
            Conflict: a foreign image has the name.
            DriverFailed: with the end of the build's output.
        """
        recipes = await self._pool.run(lambda _engine: prepare(self._options, sudo=sudo))
        for number, recipe in enumerate(recipes):
            await self._ensure(recipe, part(progress, number, len(recipes)))
        return recipes[-1].name

    async def _ensure(self, recipe: Recipe, progress: Progress) -> None:
        if await self._pool.run(image_ready, recipe.name):
            return
        if self._lock.locked():
            progress(0.0, f"waiting for {recipe.name}, which is being built for another agent")
        async with self._lock:
            if await self._pool.run(image_ready, recipe.name):
                return
            context = await self._pool.run(lambda _engine: archive(recipe.files))
            arguments = self._options.build_arguments
            await build_image(self._streams, recipe.name, recipe.dockerfile, context, arguments, progress)
            if recipe.dockerfile == DOCKERFILE:
                await self._pool.run(_tag_latest, recipe.name)


def part(progress: Progress, number: int, of: int) -> Progress:
    """Return the progress of one of several equal parts."""
    return lambda fraction, line: progress((number + fraction) / of, line)


def _tag_latest(engine: Engine, name: str) -> None:
    engine.call(Call("POST", f"/images/{quote(name)}/tag", {"repo": IMAGE, "tag": "latest"}))
