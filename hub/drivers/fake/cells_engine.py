"""A container engine in memory, as tests write it: what images do when they are started, what fails, who has a port."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hub.drivers.cells import Capacity, CellHandle, CellPlan, CellState, ImageSeen
from hub.errors import HubError

GATEWAY: Final = "172.30.{}.1"
KILLED: Final = 137


class Answer(enum.StrEnum):
    """What a gateway says when it is asked for its readiness. `HTML`: 200 and a page; `HANG`: nothing, the connection
    stays open; `REFUSED`: nothing listens; `LIVE`: it lives and is not ready."""

    READY = "ready"
    LIVE = "live"
    HTML = "html"
    HANG = "hang"
    REFUSED = "refused"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What a container of an image does. `ready_after`: how many looks find it not ready before it says `answer`.

    `exit_code`: it ends at once with it, also when the engine starts it again; 78 is an invalid configuration.
    `oom_killed`: the kernel ends it at once. `start_error`: the engine cannot start it at all. `log`: what it prints.
    """

    ready_after: int = 0
    answer: Answer = Answer.READY
    exit_code: int | None = None
    oom_killed: bool = False
    start_error: str = ""
    log: tuple[str, ...] = ("[gateway] starting...", "[gateway] ready")


class CellStep(enum.StrEnum):
    """Where a call can be made to fail, or to wait."""

    PULL = "pull"
    BUILD = "build"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    KILL = "kill"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    RENAME = "rename"
    REMOVE = "remove"
    INSPECT = "inspect"
    LOGS = "logs"
    PUT_FILE = "put_file"
    GET_FILE = "get_file"
    ENSURE_NETWORK = "ensure_network"
    REMOVE_NETWORK = "remove_network"
    ENSURE_VOLUME = "ensure_volume"
    REMOVE_VOLUME = "remove_volume"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    CAPACITY = "capacity"


class FakeImage(msgspec.Struct):
    seen: ImageSeen
    behaviour: Behaviour


class FakeObject(msgspec.Struct):
    """A network or a volume. `owner`: hub, instance and uid; None = somebody else's. `files`: a volume's, by path."""

    owner: tuple[str, str, str] | None
    number: int = 0
    files: dict[str, bytes] = {}


class FakeCell(msgspec.Struct):
    """One container. `hub_id` is empty for one that no hub made."""

    hub_id: str
    handle: CellHandle
    name: str
    plan: CellPlan
    image: FakeImage
    behaviour: Behaviour
    created_at: int
    state: CellState = CellState.CREATED
    exit_code: int | None = None
    oom_killed: bool = False
    reason: str = ""
    started_at: int | None = None
    finished_at: int | None = None
    restarts: int = 0
    looks: int = 0
    starts: int = 0
    files: dict[str, bytes] = {}
    log: list[str] = []


class FakeEngine:
    """Shared by the cells of several hubs.

    Tests write to `registry` (what can be pulled), `pull_errors`, `taken_ports`, `failures` (errors that the next calls
    of a step raise, in order) and `before` (awaited at each step with the instance's name, to delay or to observe), and
    read `calls`.
    """

    def __init__(self, capacity: Capacity | None = None, now_ms: Callable[[], int] | None = None) -> None:
        self.capacity = capacity or Capacity(
            cpus=8, memory_bytes=32 * 2**30, version="fake", name="fake-host", platform="linux/amd64"
        )
        self.registry: dict[str, FakeImage] = {}
        self.images: dict[str, FakeImage] = {}
        self.pull_errors: dict[str, HubError] = {}
        self.containers: dict[str, FakeCell] = {}
        self.networks: dict[str, FakeObject] = {}
        self.volumes: dict[str, FakeObject] = {}
        self.taken_ports: set[int] = set()
        self.failures: dict[CellStep, list[HubError]] = {}
        self.before: Callable[[CellStep, str], Awaitable[None]] | None = None
        self.calls: list[tuple[CellStep, str]] = []
        self.built_behaviour = Behaviour()
        """Of images that are built."""
        self._now_ms = now_ms
        self._ticks = 0
        self._numbers = 0

    def now_ms(self) -> int:
        """Return the test's time; without one each look is a millisecond later."""
        if self._now_ms is not None:
            return self._now_ms()
        self._ticks += 1
        return self._ticks

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def offer(
        self, reference: str, behaviour: Behaviour | None = None, *, local: bool = False, platform: str = "linux/amd64"
    ) -> FakeImage:
        """Put an image into the registry, or with `local` onto the engine too."""
        repository = reference.partition("@")[0].rpartition(":")[0] or reference
        digest = f"{self.number():064x}"
        seen = ImageSeen(
            id=f"sha256:{digest}", tags=(reference,), digests=(f"{repository}@sha256:{digest}",), platform=platform,
            created_at=self.now_ms(),
        )  # fmt: skip
        image = FakeImage(seen, behaviour or Behaviour())
        self.registry[reference] = self.registry[seen.digests[0]] = image
        if local:
            self.images[reference] = image
        return image

    def find_image(self, reference: str) -> FakeImage | None:
        for name, image in self.images.items():
            if reference in (name, image.seen.id, *image.seen.digests):
                return image
        return None

    def find(self, reference: str) -> FakeCell | None:
        """Return a container by name or id."""
        named = (one for one in self.containers.values() if reference in (one.name, one.handle.container))
        return next(named, None)

    def cell(self, name: str) -> FakeCell:
        """Raises KeyError."""
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found

    def probe(self, port: int) -> Answer:
        """Return what somebody who asks at this port of the host gets; each call is a look."""
        for one in self.containers.values():
            if one.state is CellState.PAUSED and any(entry.port == port for entry in one.plan.ports):
                return Answer.HANG
            if one.state is CellState.RUNNING and any(entry.port == port for entry in one.plan.ports):
                one.looks += 1
                return one.behaviour.answer if one.looks > one.behaviour.ready_after else Answer.LIVE
        return Answer.REFUSED

    def end(self, name: str, exit_code: int, *, oom_killed: bool = False) -> None:
        """The container's process ends by itself, and stays so."""
        one = self.cell(name)
        one.state, one.exit_code, one.oom_killed, one.finished_at = (
            CellState.EXITED, exit_code, oom_killed, self.now_ms(),
        )  # fmt: skip

    def behave(self, name: str, behaviour: Behaviour) -> None:
        """From now on the container does something else; it has not been looked at yet."""
        one = self.cell(name)
        one.behaviour, one.looks = behaviour, 0

    async def step(self, step: CellStep, what: str) -> None:
        """Count a call, wait where the test says so, and fail where it says so."""
        self.calls.append((step, what))
        if self.before is not None:
            await self.before(step, what)
        errors = self.failures.get(step)
        if errors:
            raise errors.pop(0)
