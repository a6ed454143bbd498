"""Runs the checklist of one migrated profile after the other, each in a throw-away agent that is removed again."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import yaml

from clawtui.migration_check import plan
from clawtui.migration_check.agent import AgentChecks
from clawtui.migration_check.model import CheckReport, CheckRow, Outcome, Step, has_passed
from clawtui.migration_check.rows import Rows
from clawtui.migration_check.sidecars import CannotStart, Sidecars
from clawtui.migration_check.waiting import ONLINE_SECONDS, end_of, end_work_on, online, persistently
from hub.contract import BuildImage, CreateAgent
from hub.control import Control
from hub.core.model import AgentStatus
from hub.errors import HubError, NotFound
from profiles.migrate import Migration

DRIVER: Final = "docker"


class Tell(Protocol):
    """Hears of a check while it runs."""

    def begin(self, profile: str) -> None: ...

    def say(self, text: str) -> None:
        """What goes on, such as a step of a build."""
        ...

    def row(self, row: CheckRow) -> None: ...

    def end(self, report: CheckReport) -> None: ...


class _Stopped(Exception):
    """A step failed that everything after it needs; its row is there already."""


class Checker:
    """Checks profiles one at a time: builds and agents share the same few cores.

    Args:
        against: an agent of the hub that runs in the VM, whose answers are compared; empty = nothing is compared.
        patience_seconds: how long an agent may take to be online.
    """

    def __init__(
        self,
        control: Control,
        tell: Tell,
        *,
        against: str = "",
        patience_seconds: float = ONLINE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._control = control
        self._tell = tell
        self._against = against
        self._patience_seconds = patience_seconds
        self._now = now

    async def check(self, migration: Migration) -> CheckReport:
        """Run the whole list for one profile; a failure is a row and ends nothing but this profile.

        Raises only CancelledError, after everything is removed.
        """
        began, at = time.monotonic(), self._now().isoformat(timespec="seconds")
        self._tell.begin(migration.name)
        rows, one = Rows(self._tell.row), _One(migration)
        try:
            async with self._cleaned_up(one, rows):
                with contextlib.suppress(_Stopped):
                    await self._steps(one, rows)
        except HubError as exc:
            rows.add(Step.PROFILE, "the check", Outcome.FAILED, exc.message)
        report = CheckReport(
            profile=migration.name,
            at=at,
            passed=has_passed(rows.rows),
            rows=tuple(rows.rows),
            image=one.image,
            seconds=round(time.monotonic() - began, 1),
        )
        self._tell.end(report)
        return report

    async def _steps(self, one: _One, rows: Rows) -> None:
        await self._save(one, rows)
        await self._build(one, rows)
        await self._start(one, rows)
        await self._connect(one, rows)
        running = await self._start_sidecars(one, rows)
        checks = AgentChecks(self._control, one.name, rows, self._against)
        await checks.reach(one.migration.sidecars, running, self._words_of(one))
        await checks.probe(one.migration.probes, running)
        await checks.sample()
        await checks.resources(one.wanted, one.notes)
        await checks.companion(one.migration.dockerfile)

    # --- the steps ---

    async def _save(self, one: _One, rows: Rows) -> None:
        text, left_out = plan.profile_text(one.migration, one.name)
        async with self._step(rows, Step.PROFILE, "is right for the hub") as told:
            # Said before it is done: what a cancel leaves in the middle is removed too.
            one.saved = True
            await self._control.save_profile(one.name, text)
            one.wanted = plan.wanted_of((await self._control.profile(one.name)).effective)
            told.detail = f"saved as {one.name}"
        for what in left_out:
            rows.add(Step.PROFILE, what, Outcome.NOT_RUN, "a throw-away agent has no volumes that outlive it")

    async def _build(self, one: _One, rows: Rows) -> None:
        async with self._step(rows, Step.IMAGE, "is built") as told:
            one.built = True
            job = await self._control.build_profile(one.name, BuildImage(driver=DRIVER))
            done = await end_of(self._control, job, self._tell.say)
            one.image = str((done.result or {}).get("image", ""))
            size = next((one_.size_bytes for one_ in (await self._control.images()).images
                         if f"{one_.name}:{one_.tag}" == one.image), 0)  # fmt: skip
            told.detail = f"{one.image}, {size >> 20} MiB"

    async def _start(self, one: _One, rows: Rows) -> None:
        async with self._step(rows, Step.AGENT, "is made and started") as told:
            one.made = True
            try:
                await self._create(one)
            except HubError as exc:
                if "gpu" not in one.migration.profile or "GPU" not in exc.message:
                    raise
                rows.add(Step.RESOURCES, "GPU", Outcome.NOT_RUN, f"there is none here: {exc.message}")
                await self._control.save_profile(one.name, plan.profile_text(one.migration, one.name, gpu=False)[0])
                await self._create(one)
            told.detail = f"agent {one.name}"

    async def _create(self, one: _One) -> None:
        job = await self._control.create_agent(CreateAgent(name=one.name, driver=DRIVER, profile=one.name))
        done = await end_of(self._control, job, self._tell.say)
        one.notes = [step.message for step in done.steps]

    async def _connect(self, one: _One, rows: Rows) -> None:
        async with self._step(rows, Step.HUB, "the agent is online") as told:
            shown = await online(self._control, one.name, self._patience_seconds)
            if shown.status != AgentStatus.ONLINE:
                raise HubError(f"it is {shown.status}{f': {shown.reason}' if shown.reason else ''}")
            told.detail = f"runtime {shown.version} on {shown.platform}"

    async def _start_sidecars(self, one: _One, rows: Rows) -> set[str]:
        """Return the names of those that run."""
        migration = one.migration
        if not migration.sidecars:
            return set()
        running: set[str] = set()
        try:
            beside = plan.beside(migration, yaml.safe_load(migration.compose or "{}"))
        except yaml.YAMLError as exc:
            rows.add(Step.SIDECAR, "the Compose file", Outcome.FAILED, f"cannot be read: {exc}")
            return running
        one.sidecars = Sidecars(one.name, beside)
        for sidecar in migration.sidecars:
            self._tell.say(f"starting the side service {sidecar.name} ({sidecar.image})")
            began = time.monotonic()
            try:
                await one.sidecars.start(sidecar.name, sidecar.image)
            except OSError as exc:
                rows.add(Step.SIDECAR, sidecar.name, Outcome.FAILED, f"cannot be started here: {exc}")
                continue
            except CannotStart as exc:
                why = f"{sidecar.image} cannot be had here: {exc}" if exc.missing else str(exc)
                outcome = Outcome.NOT_RUN if exc.missing else Outcome.FAILED
                rows.add(Step.SIDECAR, sidecar.name, outcome, why, seconds=time.monotonic() - began)
                continue
            running.add(sidecar.name)
            rows.add(Step.SIDECAR, sidecar.name, Outcome.PASSED, f"{sidecar.image} started")
        if running:
            async with self._step(rows, Step.SIDECAR, "the agent is in their network"):
                await self._control.connect_network(one.sidecars.network, one.name)
        return running

    def _words_of(self, one: _One) -> Callable[[str], Awaitable[str]]:
        async def words(name: str) -> str:
            return await one.sidecars.logs(name) if one.sidecars is not None else ""

        return words

    @contextlib.asynccontextmanager
    async def _step(self, rows: Rows, step: Step, subject: str) -> AsyncIterator[_Told]:
        """One step that all later ones need: its row, and the end of this profile's check when it fails."""
        began, told = time.monotonic(), _Told()
        try:
            yield told
        except HubError as exc:
            hint = f" ({exc.hint})" if exc.hint else ""
            rows.add(step, subject, Outcome.FAILED, f"{exc.message}{hint}", seconds=time.monotonic() - began)
            raise _Stopped from exc
        rows.add(step, subject, Outcome.PASSED, told.detail, seconds=time.monotonic() - began)

    # --- the end ---

    @contextlib.asynccontextmanager
    async def _cleaned_up(self, one: _One, rows: Rows) -> AsyncIterator[None]:
        """Whatever happens inside, nothing of the throw-away things is left, or it is named."""
        try:
            yield
        finally:
            self._tell.say("cleaning up")
            left, interrupted = await persistently(lambda: self._clean_up(one))
            outcome = Outcome.FAILED if left else Outcome.PASSED
            rows.add(Step.CLEANUP, "nothing is left behind", outcome, "; ".join(left))
            if interrupted:
                raise asyncio.CancelledError

    async def _clean_up(self, one: _One) -> list[str]:
        """Return what could not be removed, and why."""
        left: list[str] = []
        if one.built:
            await _attempt(left, "work that goes on", end_work_on(self._control, one.name))
        if one.made:
            await _attempt(left, f"agent {one.name}", self._destroy(one.name))
        if one.sidecars is not None and (problem := await one.sidecars.close()):
            left.append(f"side services: {problem}")
        if one.built:
            await _attempt(left, f"image of {one.name}", self._control.remove_image(one.name))
        if one.saved:
            await _attempt(left, f"profile {one.name}", self._control.delete_profile(one.name))
        return left

    async def _destroy(self, name: str) -> None:
        await end_of(self._control, await self._control.destroy(name), self._tell.say)


class _Told:
    """What a step says of itself when it went well."""

    detail: str = ""


class _One:
    """One check under way: what there is of it that must go again."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.name = plan.throw_away_name(migration.name, secrets.token_hex(3))
        self.wanted = plan.Wanted()
        self.notes: list[str] = []
        self.image = ""
        self.saved = self.built = self.made = False
        self.sidecars: Sidecars | None = None


async def _attempt(left: list[str], what: str, removal: Awaitable[None]) -> None:
    try:
        await removal
    except NotFound:
        return
    except HubError as exc:
        left.append(f"{what}: {exc.message}")
