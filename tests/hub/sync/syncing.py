"""One gateway's sync in front of a gateway that a test plays; files, source and loop are real."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from hub.contract import GatewayState, PersonaSync, SyncReport, SyncSettings
from hub.drivers.containers import Containers
from hub.gateways.book import Gateway
from hub.sync.built import Built, config_facts
from hub.sync.changes import Changes
from hub.sync.commands import Outcome, Validator
from hub.sync.loop import Needs, TargetLoop
from hub.sync.policy import Look, Reload, Rules
from hub.sync.runner import Wish
from profiles.sync.errors import SyncError
from profiles.sync.mounts import Mount
from profiles.sync.report import Target
from profiles.sync.sources.base import Loaded
from profiles.sync.sources.folder import FolderSource
from tests.end_to_end.harness import eventually
from tests.hub.running import RunningHub, running_hub

FAST = Rules(
    debounce_seconds=0.05, most_debounce_seconds=0.3, first_look_seconds=0.02, most_look_seconds=0.05,
    take_seconds=0.3, take_seconds_each=0.0, back_seconds=0.3, drain_seconds=2.0,
    first_restart_seconds=0.1, most_restart_seconds=0.2, rewrite_gap_seconds=0.1, answer_seconds=0.0,
)  # fmt: skip
"""The rules' proportions, a hundred times as fast."""
SLOW_TICK = 3_600


class PlayedGateway:
    """Reads its config as OpenClaw does: a valid one at once, one that it `refuses` never; a start with that fails."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.state = GatewayState.READY
        self.version: str | None = "2026.9.6"
        self.roster: frozenset[str] | None = frozenset()
        self.hot = True
        self.reachable = True
        self.refuses: Callable[[frozenset[str]], bool] = lambda agents: False
        self.restarts: list[tuple[str, ...]] = []
        self.restart_fails = ""
        self.looks = 0

    async def look(self, gateway: Gateway) -> Look | None:
        self.looks += 1
        if not self.reachable:
            return None
        if self.hot and self.state is GatewayState.READY:
            self._load()
        roster = self.roster if self.state is GatewayState.READY else None
        reason = "connection refused" if self.state is GatewayState.DOWN else ""
        return Look(state=self.state, roster=roster, version=self.version, reason=reason)

    async def restart(self, argv: Sequence[str]) -> Outcome:
        self.restarts.append(tuple(argv))
        if self.restart_fails:
            return Outcome(1, self.restart_fails)
        self.start()
        return Outcome(0, "")

    def start(self) -> None:
        self.state = GatewayState.READY if self._load() else GatewayState.DOWN

    def _load(self) -> bool:
        agents = config_facts(self.config).agents or frozenset()
        if self.refuses(agents):
            return False
        self.roster = agents
        return True


class PlayedSource(FolderSource):
    """A folder whose reading may fail or answer with nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.error: SyncError | None = None
        self.empty = False
        self.saving: set[str] = set()
        """Slugs whose files an editor has taken away for the moment of one look."""
        self.gate: asyncio.Event | None = None
        self.loads = 0
        self.at_once = self.most_at_once = 0

    async def load(self) -> Loaded:
        self.loads += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            loaded = Loaded() if self.empty else await super().load()
            saving, self.saving = self.saving, set()
            return Loaded(tuple(one for one in loaded.personas if one.slug not in saving), loaded.problems)
        finally:
            self.at_once -= 1


class HeardChanges(Changes):
    """Remembers of which paths it was told."""

    def __init__(self, hub: RunningHub) -> None:
        super().__init__(hub.kernel.notices, hub.kernel.now)
        self.heard: list[Path] = []

    def tell(self, paths: Sequence[Path]) -> None:
        self.heard += paths
        super().tell(paths)


class Syncing:
    """A loop that runs, with everything around it."""

    def __init__(
        self, hub: RunningHub, folder: Path, rules: Rules, containers: Containers | None = None, **settings: object
    ) -> None:
        self.hub = hub
        self.root, self.config, self.personas = folder / "agents", folder / "openclaw.json", folder / "personas"
        self.personas.mkdir(exist_ok=True)
        self.gateway = PlayedGateway(self.config)
        self.source = PlayedSource(self.personas)
        self.changes = HeardChanges(hub)
        fields = {"interval_seconds": SLOW_TICK, "restart_command": ["restart-it"], **settings}
        self.settings = SyncSettings(
            source="folder", folder=str(self.personas), workspace_root=str(self.root), config_path=str(self.config),
            **fields,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        self.needs = Needs(
            kernel=hub.kernel, build=self._build, look=self.gateway.look, changes=self.changes,
            validator=Validator("/nonexistent/openclaw"), command=self.gateway.restart, rules=rules,
            containers=containers,
        )  # fmt: skip
        self.loop = TargetLoop(Gateway(name="g", url="http://127.0.0.1:1", sync=self.settings), self.needs)

    def _build(self, gateway: Gateway) -> Built:
        return Built(
            target=Target(
                root=self.root,
                config=self.config,
                mounts=tuple(Mount(host=one.host, container=one.container) for one in self.settings.mounts),
            ),
            source=self.source,
            reload=Reload(self.settings.reload),
            restart_command=tuple(self.settings.restart_command),
            container=self.settings.container,
            personas=frozenset(self.settings.personas),
            folders=(self.personas,),
            settings=msgspec.json.encode(self.settings).decode(),
        )

    def write(self, slug: str, **fields: object) -> None:
        """A persona's profile in the source."""
        text = json.dumps({"persona": {"name": slug.title(), **fields}})
        new = self.personas / f".{slug}.tmp"
        new.write_text(text)
        new.rename(self.personas / f"{slug}.json")

    def soul(self, slug: str) -> Path:
        return self.root / slug / "SOUL.md"

    def states(self) -> dict[str, str]:
        return {slug: one.view.state.value for slug, one in self.loop.state.personas.items()}

    def view(self, slug: str) -> PersonaSync:
        return self.loop.persona(slug)

    async def run(self, **wish: object) -> SyncReport:
        return await self.loop.run_now(Wish(**wish))  # pyright: ignore[reportArgumentType]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        async def holds() -> object:
            return condition()

        await eventually(holds, seconds=15, what=f"{what}; {self.loop.state}")

    async def until_after_runs(self, condition: Callable[[], object], what: str) -> None:
        """Run again and again until it holds."""

        async def holds() -> object:
            await self.run()
            return condition()

        await eventually(holds, seconds=15, what=f"{what}; {self.loop.state}")

    async def until_states(self, **wanted: str) -> None:
        await self.until(lambda: self.states() == wanted, f"personas are {wanted}")


@contextlib.asynccontextmanager
async def syncing(
    folder: Path, *personas: str, rules: Rules = FAST, prepare: Callable[[Syncing], None] | None = None,
    watch: bool = False, containers: Containers | None = None, **settings: object,
) -> AsyncIterator[Syncing]:  # fmt: skip
    """Run a loop; `prepare` is called before its first run."""
    async with running_hub() as hub:
        one = Syncing(hub, folder, rules, containers, **settings)
        for slug in personas:
            one.write(slug)
        if prepare is not None:
            prepare(one)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.loop.run())]
            if watch:
                tasks.append(group.create_task(one.changes.run()))
            try:
                async with asyncio.timeout(15):
                    await one.loop.first_run.wait()
                yield one
            finally:
                for task in tasks:
                    task.cancel()
