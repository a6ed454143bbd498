"""Transfers and measurements on engines that tests play: what two at once, or a refusal, must not do."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from urllib.parse import unquote

from hub.drivers.docker.disk import STILL, DockerDisk
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, EngineNotFound, EngineStream
from hub.drivers.docker.labels import SHARED
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.docker.registry import Registries
from tests.drivers.contract import no_progress
from tests.drivers.test_docker_parts import http_engine, wait_set
from tests.drivers.test_docker_upkeep import Known

IMAGE = "openclaw-agent-base:1"
REGISTRY = "localhost:5000"


class Shelf:
    """An engine with images by name. A push goes on when the test says so, and needs its name to the end."""

    def __init__(self) -> None:
        self.names = {IMAGE}
        self.pushing = [_Push(self), _Push(self)]
        self._waiting = list(self.pushing)

    def __call__(self) -> Shelf:
        return self

    def call(self, call: Call) -> bytes:
        name, _, verb = unquote(call.path).removeprefix("/images/").rpartition("/")
        if call.method == "POST" and verb == "tag":
            self.names.add(f"{call.params['repo']}:{call.params['tag']}")
        elif call.method == "DELETE":
            self.names.discard(unquote(call.path).removeprefix("/images/"))
        elif name not in self.names:
            raise EngineNotFound(name, engine_status=404)
        return json.dumps({"Id": "sha256:1", "Config": {"Labels": SHARED}}).encode()

    def open(self, call: Call) -> EngineStream:
        push = self._waiting.pop(0)
        push.begun.set()
        return push

    def close(self) -> None:
        """Shared by all."""


class _Push:
    def __init__(self, engine: Shelf) -> None:
        self._engine = engine
        self._told = False
        self.begun = threading.Event()
        self.go = threading.Event()

    def read(self) -> bytes:
        assert self.go.wait(20)
        if self._told or f"{REGISTRY}/{IMAGE}" in self._engine.names:
            return b""
        self._told = True
        return b'{"error": "no such image"}'

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        self.go.set()

    def close(self) -> None:
        """Nothing to give back."""


async def test_two_pushes_of_one_image_do_not_take_its_lent_name_from_each_other(tmp_path: Path) -> None:
    engine = Shelf()
    pool, streams = Pool(engine), Streams(engine)
    registries = Registries(pool, streams, {"HOME": str(tmp_path)})
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(registries.push(IMAGE, REGISTRY, no_progress)) for _ in range(2))
        await wait_set(engine.pushing[0].begun)
        # Room for the second one to do what it must not do yet.
        await asyncio.wait([second], timeout=0.2)
        engine.pushing[0].go.set()
        await first
        engine.pushing[1].go.set()
    assert second.result().reference == f"{REGISTRY}/{IMAGE}"
    assert engine.names == {IMAGE}, "only lent"
    await streams.close()
    await pool.close()


async def test_an_engine_that_refuses_to_measure_is_not_said_to_be_measuring(tmp_path: Path) -> None:
    answers = {"/containers/json": b"[]", "/images/json": b"[]", "/volumes": b"{}", "/version": b"{}"}
    refusals = [b'{"message": "a disk usage operation is already running"}', b'{"message": "no such driver"}']

    def answer(path: str) -> tuple[int, bytes]:
        plain = path.partition("?")[0]
        if plain.endswith("/system/df"):
            return 500, refusals.pop(0) if len(refusals) > 1 else refusals[0]
        if plain.endswith("/version"):
            return 200, b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10"}'
        return 200, next((body for end, body in answers.items() if plain.endswith(end)), b"OK")

    with http_engine(tmp_path / "e", answer) as url:
        connector = Connector(url, {})
        pool = Pool(connector)
        disk = DockerDisk(pool, connector, "hub")
        survey = await disk.survey(Known(), 20)
        await disk.close()
        await pool.close()
    assert set(survey.unknown.values()) == {"no such driver"}
    assert STILL not in survey.unknown.values()
