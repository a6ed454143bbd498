"""Side services of a check: started with Docker Compose of this machine, in a project of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clawtui.migration_check.plan import Beside, is_below, last_words

PULL_SECONDS: Final = 900.0
START_SECONDS: Final = 120.0
END_SECONDS: Final = 120.0
FILE_NAME: Final = "compose.json"


class CannotStart(Exception):
    """A side service does not run. `missing`: because its image, Docker or Compose is not here."""

    def __init__(self, message: str, *, missing: bool) -> None:
        super().__init__(message)
        self.missing = missing


class Sidecars:
    """One Compose project in a folder of its own; `close` removes containers, volumes, network and folder.

    Args:
        project: name of the project, that nobody else has.
    """

    def __init__(self, project: str, beside: Beside) -> None:
        self.project = project
        self._beside = beside
        self._compose = find_compose()
        self._folder: Path | None = None

    @property
    def network(self) -> str:
        """The network that Compose makes for the project."""
        return f"{self.project}_default"

    async def start(self, name: str, image: str) -> None:
        """Start one service.

        Raises:
            CannotStart: with the words of whoever refused.
        """
        if not self._compose:
            raise CannotStart("Docker Compose is not on this machine", missing=True)
        await self._have_image(image)
        folder = await asyncio.to_thread(self._write)
        code, output = await _run(self._arguments(folder, "up", "-d", "--no-deps", name), START_SECONDS)
        if code:
            raise CannotStart(last_words(output) or f"Compose ended with {code}", missing=False)

    async def logs(self, name: str) -> str:
        """Return the end of what a service has printed, on one line."""
        if self._folder is None:
            return ""
        _, output = await _run(self._arguments(self._folder, "logs", "--no-color", "--tail", "5", name), 30)
        return last_words(output)

    async def close(self) -> str:
        """Remove everything of the project; return what went wrong, empty = nothing."""
        folder = self._folder
        if folder is None:
            return ""
        code, output = await _run(self._arguments(folder, "down", "-v", "--remove-orphans", "-t", "2"), END_SECONDS)
        if code:
            return f"{last_words(output)} (project {self.project}, files in {folder})"
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._folder = None
        return ""

    async def _have_image(self, image: str) -> None:
        docker = shutil.which("docker")
        if docker is None:
            raise CannotStart("the docker command is not on this machine", missing=True)
        code, _ = await _run([docker, "image", "inspect", "--format", "there", image], 30)
        if code == 0:
            return
        code, output = await _run([docker, "pull", "-q", image], PULL_SECONDS)
        if code:
            raise CannotStart(last_words(output) or f"docker pull ended with {code}", missing=True)

    def _arguments(self, folder: Path, *words: str) -> list[str]:
        return [*self._compose, "-p", self.project, "-f", str(folder / FILE_NAME), *words]

    def _write(self) -> Path:
        if self._folder is None:
            # In a folder that the engine can read: files of it are mounted.
            self._folder = Path(tempfile.mkdtemp(prefix=f"{self.project}-"))
            self._folder.chmod(0o755)
            (self._folder / FILE_NAME).write_text(self._beside.text)
            for path, content in self._beside.files.items():
                if not is_below(path):
                    raise CannotStart(f"{path!r} is outside the folder of the Compose file", missing=False)
                place = self._folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        return self._folder


def find_compose() -> list[str]:
    """Return the words that start Docker Compose: the plugin, or the program of its own; empty = neither is there."""
    if (old := shutil.which("docker-compose")) is not None:
        return [old]
    docker = shutil.which("docker")
    folders = (
        Path.home() / ".docker/cli-plugins",
        *map(Path, ("/usr/local/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
                    "/usr/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins")),
    )  # fmt: skip
    if docker is not None and any(os.access(folder / "docker-compose", os.X_OK) for folder in folders):
        return [docker, "compose"]
    return []


async def _run(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a program; return its exit code and all that it printed. One that is too slow is ended."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Ctrl-C is for the check, which ends what it started by itself.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        return 124, f"{command[0]} was not done within {seconds:.0f} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")
