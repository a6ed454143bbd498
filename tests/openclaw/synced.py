"""A real gateway, a hub of its own process that keeps the gateway's files in step with a folder of personas, and the
command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.end_to_end.harness import HubProcess, eventually
from tests.openclaw.gateway import RealGateway, ended
from tests.openclaw.installation import CURRENT
from tests.openclaw.stub_model import StubModel

GATEWAY: Final = "lab"
"""The name under which the hub knows the gateway."""
IN_STEP_SECONDS: Final = 90.0
"""A reload takes a second or two; a gateway that answers a turn meanwhile takes its time."""
CLI_SECONDS: Final = 120.0
FileMarks = dict[Path, tuple[int, int]]


class Personas:
    """A folder of profile files, as people keep them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def write(self, slug: str, soul: str | None = None, **fields: Any) -> None:
        """Write a persona whose soul and only skill say whose they are; the file is replaced in one step."""
        skill = {"slug": "triage", "description": skill_of(slug), "body": f"How {slug} sorts bugs.\n"}
        persona = {"name": slug.title(), "role": "Tester", "soul": soul or soul_of(slug), "skills": [skill], **fields}
        part = self.folder.parent / f"{slug}.part"
        part.write_bytes(msgspec.json.encode({"name": slug, "persona": persona}))
        part.replace(self.folder / f"{slug}.json")

    def remove(self, slug: str) -> None:
        (self.folder / f"{slug}.json").unlink()


def soul_of(slug: str) -> str:
    return f"You are the one and only {slug}, and you say so.\n"


def skill_of(slug: str) -> str:
    return f"Sorts bugs the way of {slug}."


class Synced:
    """`root` holds the workspaces; `hub` and `gateway` are started and ended by the test, at the latest with it."""

    def __init__(self, folder: Path, stub: StubModel, version: str) -> None:
        self.stub = stub
        self.root = folder / "agents"
        self.personas = Personas(folder / "personas")
        self.gateway = RealGateway(folder / "gateway", version)
        self.hub = HubProcess(folder / "s")
        self.models_file = folder / "models.toml"
        self.models_file.write_text('[models]\n"house-model" = "stub/stub-2"\n')

    # --- what a person does

    async def add(self, **settings: Any) -> None:
        """Name the gateway to the hub, and keep its files in step with the folder of personas."""
        added = await self.clawtui(
            "gateway", "add", GATEWAY, "--url", self.gateway.url, "--token-file", str(self.gateway.token_file)
        )
        assert added.returncode == 0, added.stderr
        await self.hub.call("PUT", f"/gateways/{GATEWAY}/sync", self.settings(**settings))

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "source": "folder",
            "folder": str(self.personas.folder),
            "workspaceRoot": str(self.root),
            "configPath": str(self.gateway.config_path),
            "modelsFile": str(self.models_file),
            "intervalSeconds": 1,
            **more,
        }

    async def clawtui(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own, until it ends."""
        process = await self.open_clawtui(*words)
        async with asyncio.timeout(CLI_SECONDS):
            out, err = await process.communicate()
        assert process.returncode is not None
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())

    async def open_clawtui(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "clawtui",
            *words,
            env={**os.environ, "CLAWTUI_HOME": str(self.hub.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    # --- what can be seen

    async def status(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The sync's target and its personas by slug, as the API tells them."""
        status = await self.hub.call("GET", f"/sync?gateway={GATEWAY}")
        (target,) = status["targets"]
        return target, {one["slug"]: one for one in status["personas"]}

    async def until_states(self, wanted: Mapping[str, str], *, seconds: float = IN_STEP_SECONDS) -> None:
        """Wait until exactly these personas are in these states."""
        seen: Any = None

        async def so() -> bool:
            nonlocal seen
            seen = await self.status()
            return {slug: one["state"] for slug, one in seen[1].items()} == dict(wanted)

        try:
            await eventually(so, seconds=seconds)
        except AssertionError as exc:
            raise AssertionError(
                f"never {dict(wanted)}; last seen: {seen}; the hub said:\n{self.hub.log[-3000:]}"
            ) from exc

    async def until_in_step(self, slugs: Collection[str], *, seconds: float = IN_STEP_SECONDS) -> None:
        """Wait until these are all personas and the gateway has shown them."""
        await self.until_states(dict.fromkeys(slugs, "in-step"), seconds=seconds)

    async def until_ran(self, times: int) -> None:
        """Wait until the sync has run so often from now on."""
        for _ in range(times):
            before = (await self.status())[0]["lastRunAt"]

            async def again(before: str = before) -> bool:
                return (await self.status())[0]["lastRunAt"] != before

            await eventually(again, what="the sync runs again")

    async def until_reads(self, path: Path, text: str) -> None:
        """Wait until a file contains a text."""

        async def so() -> bool:
            return path.exists() and text in path.read_text()

        await eventually(so, what=f"{path} says {text!r}")

    def marks(self) -> FileMarks:
        """Inode and time of change of the config and of everything below the workspaces' root."""
        paths = [self.gateway.config_path, self.root, *self.root.rglob("*")]
        return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths}

    def workspace(self, slug: str) -> Path:
        return self.root / slug


@contextlib.asynccontextmanager
async def synced(version: str = CURRENT) -> AsyncIterator[Synced]:
    """Everything but started: the test decides the order. Whatever runs at the end is ended."""
    folder = Path(tempfile.mkdtemp(prefix="ct"))
    try:
        async with StubModel().running() as stub:
            lab = Synced(folder, stub, version)
            lab.gateway.write_config(stub.url)
            with ended(lab.gateway):
                try:
                    yield lab
                finally:
                    if lab.hub._process is not None:
                        lab.hub.stop()
    finally:
        shutil.rmtree(folder)
