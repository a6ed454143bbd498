"""What is built for agents: the base image from the runtime of this very installation, and profiles' images on it.

A tag is the hash of what the image is made of, so an upgrade of clawtui builds a new one and an
unchanged one never builds again; `latest` follows the newest.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import io
import tarfile
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

import msgspec

from hub.drivers.docker.answers import Image, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineNotFound
from hub.drivers.docker.labels import IMAGE, is_shared_ours
from hub.errors import BadRequest, Conflict, DriverFailed
from profiles.errors import ProfileError
from profiles.image import Recipe, image_name, instructions
from profiles.image import content_hash as recipe_hash

DOCKERFILE: Final = "runtime/image/Dockerfile"
PLAIN_DOCKERFILE: Final = "Dockerfile"
"""Of a build that has no other; no file of a context is called so."""
PROXY_VARIABLES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CA_VARIABLES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
EXTRA_CA: Final = "extra.crt"
PIP_CONF: Final = "pip.conf"
NPM_CONF: Final = "npmrc"

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


class ImageBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One image to build: its full name, its files by path, and which of them is the Dockerfile.

    `titles` name the Dockerfile's instructions for people. `latest`: whether the tag `latest` follows
    it. `arguments` belong to the image and are part of its tag.
    """

    name: str
    dockerfile: str
    files: dict[str, bytes]
    modes: dict[str, int] = {}
    titles: tuple[str, ...] = ()
    arguments: dict[str, str] = {}
    latest: bool = False
    lent: bool = False
    """Setup tasks are lent pip's configuration, which is among the files and never gets into the image."""

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of this host's surroundings.

    `extra_ca`: PEM certificates of a private CA or an intercepting proxy, trusted in the build and
    by the agents. `pip_config`: pip's configuration for the build, never part of the image; `npm_config`: npm's, the
    same, for gateways' images.
    """

    extra_ca: Path | None = None
    pip_config: Path | None = None
    npm_config: Path | None = None
    build_arguments: dict[str, str] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> BuildOptions:
        """Read CLAWTUI_EXTRA_CA, CLAWTUI_PIP_CONFIG, CLAWTUI_NPM_CONFIG and the usual proxy variables.

        Without CLAWTUI_EXTRA_CA the certificates count that this host's own tools are told to
        trust (CA_VARIABLES): where they need these, a build needs them too. Empty = none.
        """
        pip_config, npm_config = environment.get("CLAWTUI_PIP_CONFIG"), environment.get("CLAWTUI_NPM_CONFIG")
        arguments = {name: environment[name] for name in PROXY_VARIABLES if environment.get(name)}
        return cls(
            extra_ca=_extra_ca(environment),
            pip_config=Path(pip_config) if pip_config else None,
            npm_config=Path(npm_config) if npm_config else None,
            build_arguments=arguments,
        )


def _extra_ca(environment: Mapping[str, str]) -> Path | None:
    if (own := environment.get("CLAWTUI_EXTRA_CA")) is not None:
        return Path(own) if own else None
    paths = (Path(environment[name]) for name in CA_VARIABLES if environment.get(name))
    return next((path for path in paths if path.is_file()), None)


def context_files(runtime: Traversable, options: BuildOptions) -> dict[str, bytes]:
    """Return the build's files by path; raises DriverFailed when an option's file cannot be read."""
    files = {f"runtime/{path}": content for path, content in _walk(runtime)}
    return files | host_files({EXTRA_CA: options.extra_ca, PIP_CONF: options.pip_config})


def host_files(wanted: Mapping[str, Path | None]) -> dict[str, bytes]:
    """Return the contents of these files of the hub's machine by name; raises DriverFailed when one cannot be read."""
    files: dict[str, bytes] = {}
    for name, path in wanted.items():
        if path is None:
            continue
        try:
            files[name] = path.read_bytes()
        except OSError as exc:
            raise DriverFailed(
                f"{path} for the build of images cannot be read: {exc.strerror}",
                hint="Look at CLAWTUI_EXTRA_CA, CLAWTUI_PIP_CONFIG and CLAWTUI_NPM_CONFIG.",
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
    """Return the hash of what gets into the image: pip's and npm's configuration do not."""
    digest = hashlib.sha256()
    for name in sorted(files.keys() - {PIP_CONF, NPM_CONF}):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()[:12]


def archive(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """Return a tar archive that depends on the files only. Folders are in it, so that no builder invents their mode."""
    buffer = io.BytesIO()
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name in sorted({*files, *folders}):
            entry = tarfile.TarInfo(name)
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                target.addfile(entry)
                continue
            entry.size, entry.mode = len(files[name]), (modes or {}).get(name, 0o644)
            target.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def prepare(
    options: BuildOptions,
    *,
    sudo: bool = False,
    recipe: Recipe | None = None,
    platform: str = "",
    pip_secret: bool = False,
) -> list[ImageBuild]:
    """Return what must be built, in this order; the last one is what is wanted. Blocks: reads the runtime.

    Raises:
        BadRequest: the profile's Dockerfile cannot be built on.
    """
    suffix = f"-{platform.replace('/', '-')}" if platform else ""
    files = context_files(importlib.resources.files("runtime"), options)
    titles = tuple(text[:120] for _, text in instructions(files[DOCKERFILE].decode()))
    name = f"{IMAGE}:{content_hash(files)}{suffix}"
    chain = [ImageBuild(name=name, dockerfile=DOCKERFILE, files=files, titles=titles, latest=not suffix)]
    if sudo:
        extended = {PLAIN_DOCKERFILE: SUDO_DOCKERFILE.format(base=name).encode()}
        name = f"{IMAGE}:{content_hash(extended)}-sudo{suffix}"
        chain.append(ImageBuild(name=name, dockerfile=PLAIN_DOCKERFILE, files=extended))
    if recipe is not None:
        chain.append(_of_recipe(recipe, name, suffix, files.get(PIP_CONF) if pip_secret else None))
    return chain


def _of_recipe(recipe: Recipe, base: str, suffix: str, pip_config: bytes | None) -> ImageBuild:
    pip_secret = pip_config is not None and recipe.dockerfile is None
    try:
        plain, context = recipe.build(base), recipe.build(base, pip_secret=pip_secret)
    except ProfileError as exc:
        raise BadRequest(str(exc), field=exc.field, hint=exc.hint) from exc
    return ImageBuild(
        name=f"{image_name(recipe.profile)}:{recipe_hash(plain)}{suffix}",
        dockerfile=PLAIN_DOCKERFILE,
        files={
            **context.files,
            PLAIN_DOCKERFILE: context.dockerfile.encode(),
            **({PIP_CONF: pip_config or b""} if pip_secret else {}),
        },
        lent=pip_secret,
        modes=context.modes,
        titles=context.titles,
        arguments=context.arguments,
        latest=not suffix,
    )


def find_image(engine: Engine, name: str) -> Image | None:
    try:
        return decode(engine.call(Call("GET", f"/images/{quote(name)}/json")), Image)
    except EngineNotFound:
        return None


def check_ours(engine: Engine, *references: str) -> list[str | None]:
    """Return the ids of these images, None for what is not there.

    Raises:
        Conflict: a foreign one has a name that is ours.
    """
    ids: list[str | None] = []
    for reference in references:
        found = find_image(engine, reference)
        if found is not None and not is_shared_ours(found.config.labels if found.config else None):
            raise Conflict(
                f"the image {reference} exists and was not made by clawtui",
                hint=f"Give it another name (docker tag, then docker rmi {reference}).",
                driver=NAME,
            )
        ids.append(found.id if found is not None else None)
    return ids


def tag_image(engine: Engine, name: str, repository: str, tag: str) -> None:
    """Give the image one more name; the caller has checked that it is free or ours."""
    engine.call(Call("POST", f"/images/{quote(name)}/tag", {"repo": repository, "tag": tag}))
