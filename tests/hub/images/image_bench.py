"""Images of tests on a real engine: names that nobody else has, and nothing of them left afterwards."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, Connect, Engine, EngineNotFound, EngineStream, unreachable
from hub.drivers.docker.image import BuildOptions, archive
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.labels import SHARED
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.images import Ensured, ImageOrder
from profiles.image import Recipe, image_name
from profiles.model import parse_profile
from tests.drivers.docker_bench import Outside, build_options


def new_name() -> str:
    """A name of this test alone; in a comment of a setup task it keeps the builder's cache out."""
    return f"test-{uuid.uuid4().hex[:10]}"


class Steps:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[float, str]] = []

    def __call__(self, fraction: float, line: str) -> None:
        self.said.append((fraction, line))

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.said)


class Breaking:
    """A way to the engine on which every stream breaks off as soon as a word was read."""

    def __init__(self, word: bytes) -> None:
        self._inner = Connector(None, os.environ)
        self._word = word

    def __call__(self) -> Engine:
        return _BreakingEngine(self._inner(), self._word)


class _BreakingEngine:
    def __init__(self, inner: Engine, word: bytes) -> None:
        self._inner = inner
        self._word = word

    def call(self, call: Call) -> bytes:
        return self._inner.call(call)

    def open(self, call: Call) -> EngineStream:
        return _BreakingStream(self._inner.open(call), self._word)

    def close(self) -> None:
        self._inner.close()


class _BreakingStream:
    def __init__(self, inner: EngineStream, word: bytes) -> None:
        self._inner = inner
        self._word = word
        self._seen = b""

    def read(self) -> bytes:
        if self._word in self._seen:
            raise unreachable("the test's engine", ConnectionResetError(104, "reset"))
        part = self._inner.read()
        self._seen += part
        return part

    def write(self, data: bytes) -> None:
        self._inner.write(data)

    def cancel(self) -> None:
        self._inner.cancel()

    def close(self) -> None:
        self._inner.close()


class ImageBench:
    """One driver's images on the real engine."""

    def __init__(
        self,
        folder: Path,
        options: BuildOptions | None = None,
        environment: Mapping[str, str] = {},
        connect: Connect | None = None,
    ) -> None:
        self.folder = folder
        self.outside = Outside()
        self.names: list[str] = []
        connector = Connector(None, os.environ)
        self._pool, self._streams = Pool(connector), Streams(connect or connector)
        self.images = DockerImages(
            self._pool, self._streams, options or build_options(), folder / "builds", connector.url,
            {"HOME": str(folder), **environment},
        )  # fmt: skip

    def recipe(self, name: str = "", **raw: Any) -> Recipe:
        """What a profile of a name of its own says."""
        name = name or new_name()
        self.names.append(image_name(name))
        return Recipe(profile=name, contents=parse_profile(raw, name).contents)

    def custom(self, dockerfile: str, files: Mapping[str, bytes] = {}) -> Recipe:
        return Recipe(profile=self.recipe().profile, dockerfile=dockerfile, files=dict(files))

    async def build(self, recipe: Recipe, progress: Steps | None = None, **order: Any) -> Ensured:
        return await self.images.ensure(ImageOrder(recipe=recipe, **order), progress or Steps())

    async def log(self, recipe: Recipe) -> list[str]:
        return [line async for line in self.images.log(image_name(recipe.profile), None, 0, False)]

    def inspect(self, image: str) -> Any:
        return self.outside.get(f"/images/{image}/json")

    def tags(self, repository: str) -> set[str]:
        """The tags of a repository on the engine."""
        found = self.outside.get("/images/json", filters=f'{{"reference":["{repository}"]}}')
        return {tag.rpartition(":")[2] for entry in found for tag in entry["RepoTags"] or []}

    def run(self, image: str, *command: str) -> str:
        """Run a program in a new container of the image; return what it printed."""
        body = {"Image": image, "Entrypoint": list(command), "Tty": True}
        made = self.outside.make_container(new_name(), **body)
        try:
            self.outside.post(f"/containers/{made}/start")
            self.outside.post(f"/containers/{made}/wait")
            call = Call("GET", f"/containers/{made}/logs", {"stdout": "1", "stderr": "1"})
            return self.outside.engine.call(call).decode().replace("\r\n", "\n")
        finally:
            self.outside.remove_container(made)

    def containers_of(self, word: str) -> list[str]:
        """Containers, also ended ones, whose command holds the word."""
        found = self.outside.get("/containers/json", all="1")
        return [one["Id"] for one in found if word in one["Command"]]

    def remove_tag(self, reference: str) -> None:
        try:
            self.outside.engine.call(Call("DELETE", f"/images/{reference}"))
        except EngineNotFound:
            return

    async def tiny(self, recipe: Recipe) -> str:
        """Put a few bytes under the name that the recipe's image would have: what a registry does not look into."""
        name = await self.images.wanted(ImageOrder(recipe=recipe))
        self.make_tiny(name, SHARED)
        repository, _, _ = name.rpartition(":")
        self.outside.post(f"/images/{name}/tag", repo=repository, tag="latest")
        return name

    def make_tiny(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an image of a few bytes that no other has."""
        data = archive({"Dockerfile": b"FROM scratch\nCOPY x /\n", "x": uuid.uuid4().bytes})
        params = {"t": name, "labels": json.dumps(labels)}
        assert b'"error"' not in self.outside.engine.call(Call("POST", "/build", params, data=data))

    def push_foreign(self, reference: str) -> None:
        """Push an image as somebody else would."""
        repository, _, tag = reference.rpartition(":")
        call = Call("POST", f"/images/{repository}/push", {"tag": tag}, headers={"X-Registry-Auth": "e30="})
        assert b'"error"' not in self.outside.engine.call(call)

    async def close(self) -> None:
        for repository in self.names:
            for tag in self.tags(repository):
                self.remove_tag(f"{repository}:{tag}")
        await self._streams.close()
        await self._pool.close()
        self.outside.close()
