"""Images to and from a registry. What a registry asks for is what `docker login` has kept on the hub's machine.

A local image has the registry's name only as long as it is being pushed or pulled; a foreign image
of one of the names is an error, and nothing of it is changed.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import docker.auth
import docker.errors
import msgspec

from hub.drivers.base import Progress
from hub.drivers.docker.engine import NAME, Call, Engine, EngineNotFound
from hub.drivers.docker.image import check_ours, find_image, tag_image
from hub.drivers.docker.labels import IMAGE, PREFIX, is_shared_ours
from hub.drivers.docker.pool import LiveStream, Pool, Streams
from hub.drivers.images import Pushed
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotFound
from hub.keylock import KeyLocks

TRANSFER_DEADLINE_SECONDS: Final = 3_600.0
ASK_SECONDS: Final = 120.0
"""The engine asks a registry far away before it begins to answer."""
_NOT_THERE: Final = re.compile(r"manifest unknown|manifest for .* not found|repository does not exist|name unknown")
_REGISTRY: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:]{2,45}\])(:\d{1,5})?(/[a-z0-9]+(?:[._-][a-z0-9]+)*){0,8}"
)
_NAME: Final = re.compile(rf"{PREFIX}[a-z0-9][a-z0-9-]{{0,39}}:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}")


def remote_reference(name: str, registry: str) -> str:
    """Return where `name` (REPOSITORY:TAG) is in a registry. Raises BadRequest."""
    if _NAME.fullmatch(name) is None:
        raise BadRequest(f"{name[:100]!r} is not the name of an image of ours", field="image")
    plain = registry.strip().rstrip("/")
    if len(plain) > 255 or _REGISTRY.fullmatch(plain) is None or not _is_host(plain.partition("/")[0]):
        hint = "A host with its port and perhaps a folder: localhost:5000, registry.example.com/team."
        raise BadRequest(f"{registry[:100]!r} is not a registry", field="registry", hint=hint)
    return f"{plain}/{name}"


def _is_host(text: str) -> bool:
    """As Docker tells a host from the first folder of a name on Docker Hub."""
    return "." in text or ":" in text or text == "localhost"


class Registries:
    """Pushes and pulls. `environment`: where DOCKER_CONFIG and HOME say what `docker login` has kept."""

    def __init__(self, pool: Pool, streams: Streams, environment: Mapping[str, str]) -> None:
        self._pool = pool
        self._streams = streams
        self._environment = environment
        self._names = KeyLocks()
        """Of a registry's names: a second transfer of one would lose its name when the first one ends."""

    async def push(self, name: str, registry: str, progress: Progress) -> Pushed:
        """See `hub.drivers.images.Images`."""
        reference = remote_reference(name, registry)
        async with self._names.hold(reference):
            return await self._push(name, reference, registry, progress)

    async def _push(self, name: str, reference: str, registry: str, progress: Progress) -> Pushed:
        was_there = await self._pool.run(_lend_name, name, reference)
        try:
            repository, _, tag = reference.rpartition(":")
            call = Call("POST", f"/images/{quote(repository)}/push", {"tag": tag}, headers=await self._login(registry))
            progress(0.0, f"pushing {reference}")
            transfer = Transfer(f"pushing {reference}", progress)
            await self._transfer(call, transfer)
        finally:
            if not was_there:
                await self._pool.run(_remove_name, reference)
        progress(1.0, f"{reference} is in the registry")
        return Pushed(reference, transfer.digest)

    async def pull(self, name: str, registry: str, progress: Progress) -> str:
        """See `hub.drivers.images.Images`."""
        reference = remote_reference(name, registry)
        async with self._names.hold(reference):
            return await self._pull(name, reference, registry, progress)

    async def _pull(self, name: str, reference: str, registry: str, progress: Progress) -> str:
        _, there = await self._pool.run(check_ours, name, reference)
        repository, _, tag = reference.rpartition(":")
        params = {"fromImage": repository, "tag": tag}
        call = Call("POST", "/images/create", params, headers=await self._login(registry))
        progress(0.0, f"pulling {reference}")
        try:
            await self._transfer(call, Transfer(f"pulling {reference}", progress))
            image = await self._pool.run(_take_over, reference, name)
        except EngineNotFound as exc:
            raise NotFound(f"{reference} is not in the registry", hint="clawtui image push puts it there.") from exc
        finally:
            if there is None:
                await self._pool.run(_remove_name, reference)
        progress(1.0, f"{name} is here")
        return image

    async def fetch(self, reference: str, progress: Progress, platform: str) -> None:
        """Get an image, not necessarily one of ours, that keeps its name; `platform` "" = the engine's own.

        Raises:
            NotFound: the registry has no such image (code image_missing).
        """
        repository, tag = split_reference(reference)
        host = repository.partition("/")[0] if "/" in repository else ""
        params = {"fromImage": repository, "tag": tag, **({"platform": platform} if platform else {})}
        # Without a host it is Docker Hub's, whose logins have an empty name here.
        headers = await self._login(host if _is_host(host) else "")
        progress(0.0, f"pulling {reference}")
        transfer = Transfer(f"pulling {reference}", progress)
        try:
            async with self._names.hold(reference):
                await self._transfer(
                    Call("POST", "/images/create", params, timeout_seconds=ASK_SECONDS, headers=headers), transfer
                )
        except EngineNotFound as exc:
            raise _not_there(reference) from exc
        except DriverFailed as exc:
            if _NOT_THERE.search(exc.message):
                raise _not_there(reference) from exc
            if exc.code == "image_transfer_failed":
                raise
            raise transfer.failed(exc.message) from exc
        progress(1.0, f"{reference} is here")

    async def _transfer(self, call: Call, transfer: Transfer) -> None:
        try:
            async with asyncio.timeout(TRANSFER_DEADLINE_SECONDS):
                stream = await self._streams.open(call)
                try:
                    await transfer.follow(stream)
                finally:
                    await stream.close()
        except TimeoutError as exc:
            raise transfer.failed(f"not done within {TRANSFER_DEADLINE_SECONDS:.0f} s") from exc

    async def _login(self, registry: str) -> dict[str, str]:
        # The engine wants the header for a push, also when there is nothing to say.
        config = await self._pool.run(lambda _engine: _credentials(registry.partition("/")[0], self._environment))
        return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(config)).decode()}


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository, and tag or digest."""
    repository, at, digest = reference.partition("@")
    plain, colon, tag = repository.rpartition(":")
    if not colon or "/" in tag:
        plain, tag = repository, "" if at else "latest"
    return plain, digest if at else tag


def _not_there(reference: str) -> NotFound:
    return NotFound(
        f"the registry has no image {reference}", code="image_missing", hint="Look at its name and tag.", driver=NAME
    )


class _Progress(msgspec.Struct):
    current: int = 0
    total: int = 0


class _Aux(msgspec.Struct, rename="pascal"):
    digest: str = ""


class _Message(msgspec.Struct, rename="camel"):
    status: str = ""
    id: str = ""
    error: str = ""
    progress_detail: _Progress = msgspec.field(default_factory=_Progress)
    aux: _Aux = msgspec.field(default_factory=_Aux)


class Transfer:
    """Reads a push's or pull's answer: bytes of all layers as one fraction, and an error that hides in it."""

    def __init__(self, what: str, progress: Progress) -> None:
        self._what = what
        self._progress = progress
        self._layers: dict[str, _Progress] = {}
        self._decoder = msgspec.json.Decoder(_Message)
        self.digest = ""

    async def follow(self, stream: LiveStream) -> None:
        """Read to the end. Raises DriverFailed."""
        rest = b""
        while part := await stream.read():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self.take(line)
        self.take(rest)

    def take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = self._decoder.decode(line)
        except msgspec.MsgspecError as exc:
            raise self.failed("the engine's answer cannot be read") from exc
        if message.error:
            raise self.failed(message.error)
        self.digest = message.aux.digest or self.digest
        if message.id and message.progress_detail.total:
            self._layers[message.id] = message.progress_detail
            total = sum(layer.total for layer in self._layers.values())
            done = sum(min(layer.current, layer.total) for layer in self._layers.values())
            self._progress(0.99 * done / total, f"{self._what}: {done >> 20} of {total >> 20} MiB")

    def failed(self, why: str) -> HubError:
        return DriverFailed(
            f"{self._what}: {why}",
            code="image_transfer_failed",
            hint="`docker login` on the hub's machine keeps what the registry asks for.",
            driver=NAME,
        )


def _lend_name(engine: Engine, name: str, reference: str) -> bool:
    """Give an image its registry's name; return whether it had it before."""
    (image, there) = check_ours(engine, name, reference)
    if image is None:
        raise NotFound(f"there is no image {name}", hint="clawtui image list shows what there is.")
    repository, _, tag = reference.rpartition(":")
    tag_image(engine, name, repository, tag)
    return there is not None


def _take_over(engine: Engine, reference: str, name: str) -> str:
    """Give a pulled image of ours its local name."""
    found = find_image(engine, reference)
    if found is None or not is_shared_ours(found.config.labels if found.config else None):
        raise Conflict(f"{reference} was not made by clawtui: it stays out", code="foreign_image", driver=NAME)
    repository, _, tag = name.rpartition(":")
    tag_image(engine, reference, repository, tag)
    if repository != IMAGE and tag != "latest":
        check_ours(engine, f"{repository}:latest")
        tag_image(engine, reference, repository, "latest")
    return found.id


def _remove_name(engine: Engine, reference: str) -> None:
    """Take a name away; the image stays as long as it has another."""
    try:
        engine.call(Call("DELETE", f"/images/{quote(reference)}", {"noprune": "1"}))
    except EngineNotFound:
        return


def _credentials(host: str, environment: Mapping[str, str]) -> dict[str, str]:
    folder = environment.get("DOCKER_CONFIG") or str(Path(environment.get("HOME", "/"), ".docker"))
    path = Path(folder, "config.json")
    if not path.is_file():
        return {}
    try:
        found = docker.auth.resolve_authconfig(docker.auth.load_config(config_path=str(path)), host)
    except (docker.errors.DockerException, OSError) as exc:
        raise DriverFailed(
            f"the login for {host} in {path} cannot be read: {exc}", retryable=False, driver=NAME
        ) from exc
    known = {"username": "Username", "password": "Password", "identitytoken": "IdentityToken"}
    config = {ours: str((found or {}).get(ours) or (found or {}).get(theirs) or "") for ours, theirs in known.items()}
    return {name: value for name, value in config.items() if value} | ({"serveraddress": host} if found else {})
