"""Images of gateways through the hub: built as a job with an entry in the audit, listed with what they are."""

from __future__ import annotations

from typing import Any

import pytest

from hub.contract import BuildGatewayImage, GatewayImageQuery
from hub.core.model import JobState
from hub.drivers.base import Driver
from hub.drivers.fake import CellStep, FakeCells, FakeDriver, FakeEngine, FakePlatform
from hub.errors import BadRequest, DriverFailed, NotAvailable
from tests.hub.running import running_hub


class Engines:
    """Makes drivers with one engine for gateways, which the test keeps."""

    def __init__(self) -> None:
        self.engine = FakeEngine()

    def __call__(self, reach: Any) -> list[Driver]:
        return [FakeDriver(reach.hub_id, FakePlatform(), cells=FakeCells(reach.hub_id, self.engine))]


async def test_an_image_is_built_once_and_listed_with_those_of_other_kinds() -> None:
    engines = Engines()
    engines.engine.offer("ghcr.io/openclaw/openclaw:2026.9.6-slim", local=True)
    engines.engine.offer("somebody/else:1", local=True)
    async with running_hub(drivers=engines) as hub:
        job = await hub.control.build_gateway_image(BuildGatewayImage(version="2026.8.2"))
        done = await hub.job(job.id)
        assert done.state is JobState.SUCCEEDED
        assert done.result["built"] is True
        again = await hub.job((await hub.control.build_gateway_image(BuildGatewayImage(version="2026.8.2"))).id)
        assert again.result == {"image": done.result["image"], "built": False}
        found = {one.name: one for one in (await hub.control.gateway_images(GatewayImageQuery())).images}
        assert set(found) == {done.result["image"], "ghcr.io/openclaw/openclaw:2026.9.6-slim"}
        built = found[done.result["image"]]
        assert (built.kind, built.version) == ("npm", "2026.8.2")
        official = found["ghcr.io/openclaw/openclaw:2026.9.6-slim"]
        assert (official.kind, official.version) == ("official", "2026.9.6")


async def test_what_cannot_be_built_is_an_answer_or_a_failed_job() -> None:
    engines = Engines()
    engines.engine.failures[CellStep.BUILD] = [DriverFailed("npm has no such version", code="build_failed")]
    async with running_hub(drivers=engines) as hub:
        for request, kind in (
            (BuildGatewayImage(version="latest"), BadRequest),
            (BuildGatewayImage(host="nowhere"), NotAvailable),
        ):
            with pytest.raises(kind):
                await hub.control.build_gateway_image(request)
        failed = await hub.job((await hub.control.build_gateway_image(BuildGatewayImage())).id)
        assert failed.state is JobState.FAILED
        assert failed.error is not None
        assert failed.error.code == "build_failed"


async def test_without_containers_there_are_no_images() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotAvailable):
            await hub.control.gateway_images(GatewayImageQuery())
