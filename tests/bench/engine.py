"""The Docker engine as its own users have it: the `docker` command, and labels by which all of a run is found again."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from hub.drivers.docker.labels import HUB, IMAGE, OWNER, OWNER_NAME, SHARED_NETWORK
from tests.bench.hubs import BenchError
from tests.bench.peers import docker_peer

T = TypeVar("T")

COMMAND_SECONDS = 600.0
LABEL = "clawtui.bench"


def missing() -> str | None:
    """Say why nothing can be measured with Docker here, or None."""
    return docker_peer.missing()


async def docker(*words: str) -> str:
    """Run the `docker` command and return what it printed. Raises BenchError."""
    process = await asyncio.create_subprocess_exec(
        "docker", *words,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            printed, errors = await process.communicate()
    except TimeoutError as exc:
        raise BenchError(f"docker {words[0]}: not done within {COMMAND_SECONDS:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise BenchError(f"docker {words[0]}: {errors.decode(errors='replace').strip()[-300:]}")
    return printed.decode()


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all at once and return their results in order; raises the first error alone."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    return [task.result() for task in tasks]


class Traces:
    """What this run makes on the engine: by its own label, by its hub's, and base images that were not there before."""

    def __init__(self) -> None:
        self.label = f"{LABEL}={uuid.uuid4().hex[:12]}"
        self.hub_id = ""
        self._images_before = set(_base_images())

    def sweep(self) -> None:
        """Remove all of it that is left, also what a hub that was killed could not. Blocks."""
        for label in (self.label, *([f"{HUB}={self.hub_id}"] if self.hub_id else [])):
            chosen = ["--filter", f"label={label}"]
            _remove(["rm", "--force", "--volumes"], _lines("ps", "--all", "--quiet", *chosen))
            _remove(["volume", "rm", "--force"], _lines("volume", "ls", "--quiet", *chosen))
            _remove(["image", "rm", "--force"], sorted(set(_lines("image", "ls", "--quiet", *chosen))))
        # Without force: what somebody else began to use meanwhile stays.
        _remove(["image", "rm"], [name for name in _base_images() if name not in self._images_before])
        if not _lines("ps", "--all", "--quiet", "--filter", f"network={SHARED_NETWORK}"):
            ours = ["--filter", f"name=^{SHARED_NETWORK}$", "--filter", f"label={OWNER}={OWNER_NAME}"]
            _remove(["network", "rm"], _lines("network", "ls", "--quiet", *ours))


@contextlib.contextmanager
def traces() -> Iterator[Traces]:
    """Remove at the end, however it comes, what the engine has got meanwhile."""
    made = Traces()
    try:
        yield made
    finally:
        made.sweep()


def _base_images() -> list[str]:
    return _lines("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={IMAGE}")


def _lines(*words: str) -> list[str]:
    done = subprocess.run(
        ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    return done.stdout.split()


def _remove(words: list[str], things: list[str]) -> None:
    """What cannot be removed stays and is named by the engine on stderr."""
    if things:
        subprocess.run(
            ["docker", *words, *things], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=COMMAND_SECONDS,
            start_new_session=True,
        )  # fmt: skip
