"""Which tags go with a profile's image, and who keeps it: judged from lists, without an engine."""

from __future__ import annotations

import pytest

from hub.core.model import AgentId, AgentUid
from hub.drivers.docker import labels
from hub.drivers.docker.disk_judge import ContainerLine, ImageLine, Listing
from hub.drivers.docker.engine import Call, Engine, EngineConflict, EngineNotFound, EngineStream
from hub.drivers.docker.image_removal import Removal, find_removal, remove_image
from hub.errors import Conflict

REPOSITORY = "openclaw-agent-web"


def image(number: int, *tags: str, parent: int = 0, found: dict[str, str] | None = None) -> ImageLine:
    return ImageLine(
        id=f"sha256:{number}", parent_id=f"sha256:{parent}" if parent else "",
        repo_tags=list(tags) or ["<none>:<none>"], labels=labels.SHARED if found is None else found, created=number,
    )  # fmt: skip


def container(name: str, image_number: int, found: dict[str, str] | None = None) -> ContainerLine:
    return ContainerLine(id=f"c-{name}", names=[f"/{name}"], image_id=f"sha256:{image_number}", labels=found)


def owned(agent: str, hub: str) -> dict[str, str]:
    return labels.Identity(hub, AgentId(agent), AgentUid(f"u-{agent}")).labels()


def found(images: list[ImageLine], containers: list[ContainerLine] | None = None) -> Removal:
    return find_removal(Listing(containers or [], images, []), REPOSITORY, "hub-1")


def test_every_tag_of_ours_goes_and_nothing_else() -> None:
    images = [
        image(1, "openclaw-agent-base:a", "openclaw-agent-base:latest"),
        image(2, f"{REPOSITORY}:old", parent=1),
        image(3, f"{REPOSITORY}:new", f"{REPOSITORY}:latest", "somebody/else:1", parent=1),
        image(4, f"{REPOSITORY}-2:x", parent=1),
        image(5, f"{REPOSITORY}:foreign", found={}),
    ]
    tags = (f"{REPOSITORY}:new", f"{REPOSITORY}:latest", f"{REPOSITORY}:old")
    assert found(images) == Removal(tags, ())


def test_nothing_is_there() -> None:
    assert found([image(1, "openclaw-agent-base:a")]) == Removal((), ())


def test_agents_keep_it_running_or_not_of_every_hub() -> None:
    images = [image(2, f"{REPOSITORY}:old"), image(3, f"{REPOSITORY}:new"), image(9, "openclaw-agent-x:1")]
    containers = [
        container("openclaw-agent-a", 2, owned("a", "hub-1")),
        container("openclaw-agent-b", 3, owned("b", "hub-2")),
        container("by-hand", 3),
        container("openclaw-agent-c", 9, owned("c", "hub-1")),
    ]
    assert found(images, containers).users == ("agent a", "agent b of another hub", "container by-hand")


def test_what_is_built_on_it_keeps_it() -> None:
    kept = {**labels.SHARED, labels.SNAPSHOT: "sn_1", labels.HUB: "hub-1"}
    images = [
        image(2, f"{REPOSITORY}:a"),
        image(3, parent=2),
        image(4, "openclaw-agent-snapshot:sn_1", parent=3, found=kept),
        image(5, "team/app:1", parent=3, found={}),
        image(6, parent=3),
    ]
    assert found(images).users == ("image team/app:1", "snapshot sn_1")


def test_an_image_of_its_own_on_another_of_its_own_is_no_hindrance() -> None:
    images = [image(2, f"{REPOSITORY}:a"), image(3, f"{REPOSITORY}:b", parent=2)]
    assert found(images) == Removal((f"{REPOSITORY}:b", f"{REPOSITORY}:a"), ())


class Recorder:
    """An engine that keeps what it is asked, and refuses the tags that it is told to."""

    def __init__(self, gone: str = "", used: str = "") -> None:
        self.paths: list[str] = []
        self._gone, self._used = gone, used

    def call(self, call: Call) -> bytes:
        self.paths.append(f"{call.method} {call.path}")
        if self._gone and call.path.endswith(self._gone):
            raise EngineNotFound("no such image", engine_status=404)
        if self._used and call.path.endswith(self._used):
            raise EngineConflict("container 1 is using it")
        return b"[]"

    def open(self, call: Call) -> EngineStream:
        raise AssertionError(f"no stream is needed for {call.path}")

    def close(self) -> None:
        """Nothing is open."""


def test_one_that_is_needed_stays_whole_and_its_users_are_named() -> None:
    engine = Recorder()
    users = tuple(f"agent a{number}" for number in range(7))
    with pytest.raises(Conflict, match="agent a4 and 2 more") as refused:
        remove_image(engine, Removal((f"{REPOSITORY}:a",), users))
    assert (refused.value.code, engine.paths) == ("image_in_use", [])


def test_what_is_gone_meanwhile_is_fine_and_what_came_into_use_is_said() -> None:
    engine: Engine = Recorder(gone="%3Aa")
    remove_image(engine, Removal((f"{REPOSITORY}:a", f"{REPOSITORY}:b"), ()))
    with pytest.raises(Conflict, match="is using it"):
        remove_image(Recorder(used="b"), Removal((f"{REPOSITORY}:b",), ()))
