"""The container that a gateway runs in: what it mounts decides the paths in its config, the program in it checks a new
one, and it is restarted where there is no command for that.

The engine's answer is never needed for the workspaces: while it is away, mounts are as they were seen last, or as they
were named. Where neither is known the config waits, because its paths would be wrong.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

import msgspec

from hub.drivers.containers import Containers, ContainerSeen, Executed
from hub.errors import HubError
from hub.sync.commands import MOST_ISSUES, VALIDATE_SECONDS, Check, Outcome, read_answer
from profiles.sync.errors import ConfigError, SyncError
from profiles.sync.mounts import check_mounts, container_path
from profiles.sync.mounts_seen import Judged, SeenMount, judge_mounts
from profiles.sync.report import Report, Target

GRACE_SECONDS: Final = 330.0
"""A gateway lets turns end for up to 315 s; an engine's usual 10 s would cut them."""
PATIENCE_SECONDS: Final = 50.0
"""That a restart takes longer is no failure: whether the gateway came back is seen at the gateway."""
SLACK_SECONDS: Final = 60.0
"""What the engine may take beside the program itself."""
VARIABLES: Final = ("OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR")
NOT_SEEN, NOT_READ, NO_PROGRAM = 113, 114, 115
VALIDATE: Final = f"""\
[ -e "$OPENCLAW_CONFIG_PATH" ] || exit {NOT_SEEN}
[ -r "$OPENCLAW_CONFIG_PATH" ] || exit {NOT_READ}
command -v openclaw >/dev/null 2>&1 && exec openclaw config validate --json
command -v node >/dev/null 2>&1 && [ -f dist/index.js ] && exec node dist/index.js config validate --json
exit {NO_PROGRAM}
"""
"""Run in the image's working directory: the official image has the program only there, as a file for Node.js."""
_WHY_SILENT: Final = {
    NOT_SEEN: "it does not see the file; is the engine's machine another one?",
    NOT_READ: "its user cannot read the file; look at its mode and at the owner in the sync's settings",
    NO_PROGRAM: "it has neither openclaw nor dist/index.js",
    126: "it has no shell",
    127: "it has no shell",
}


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the container before a run. `target`: with the mounts to map by. `unmapped`: why the config must
    not be written, empty = it may. `silence`: why the container cannot check a config, empty = it may be able to."""

    target: Target
    problems: tuple[str, ...] = ()
    hint: str = ""
    notes: tuple[str, ...] = ()
    unmapped: str = ""
    silence: str = ""


class GatewayContainer:
    """One gateway's container, empty `name` = it has none. Belongs to the gateway's loop.

    Args:
        containers: None where no driver of this hub has an engine.
        seconds: for one check of a config.
    """

    def __init__(self, name: str, containers: Containers | None, *, seconds: float = VALIDATE_SECONDS) -> None:
        self._name = name
        self._containers = containers
        self._seconds = seconds
        self._seen: ContainerSeen | None = None
        self._unchecked = ""
        """Why the config that was written last was not checked in the container."""

    async def look(self, target: Target) -> Sight:
        """Raises SyncError: the gateway does not see its workspaces."""
        if not self._name:
            return Sight(target=target)
        try:
            if self._containers is None:
                raise SyncError("no driver of this hub has containers", "Switch on the driver docker, or name none.")
            self._seen = await self._containers.look(self._name, VARIABLES)
        except (HubError, SyncError) as exc:
            return self._as_known(target, exc.message, exc.hint)
        return seen_sight(target, self._seen)

    def _as_known(self, target: Target, why: str, hint: str) -> Sight:
        problem = f"container: {why}"
        if self._seen is not None:
            known = seen_sight(target, self._seen)
            return msgspec.structs.replace(known, problems=(problem,), hint=hint, silence=why)
        unmapped = "" if target.mounts else f"where {self._name} has the workspaces is not known: {why}"
        return Sight(target=target, problems=(problem,), hint=hint, unmapped=unmapped, silence=why)

    def check(self, sight: Sight, otherwise: Check) -> Check:
        """Return the check of a new config, in the container where that can be, else `otherwise`. For a thread; the
        loop that calls this one has to go on meanwhile."""
        if not self._name:
            return otherwise
        loop = asyncio.get_running_loop()

        def wait(work: Coroutine[object, object, Executed]) -> Executed:
            future = asyncio.run_coroutine_threadsafe(work, loop)
            try:
                return future.result(self._seconds + SLACK_SECONDS)
            finally:
                future.cancel()

        def check(path: Path) -> tuple[str, ...]:
            if sight.unmapped:
                config = sight.target.config
                raise ConfigError(f"{config} is left as it was: {sight.unmapped}", sight.hint)
            found, self._unchecked = self._issues(sight, path, wait)
            return found if not self._unchecked else otherwise(path)

        return check

    def _issues(self, sight: Sight, path: Path, wait: _Wait) -> tuple[tuple[str, ...], str]:
        """Return what is wrong with a config and was not before; and why nothing is known of it."""
        if sight.silence:
            return (), sight.silence
        found, silence = self._ask(sight, path, wait)
        if silence or not found or not sight.target.config.exists():
            return found, silence
        known, silence = self._ask(sight, sight.target.config, wait)
        return tuple(issue for issue in found if issue not in known)[:MOST_ISSUES], silence

    def _ask(self, sight: Sight, path: Path, wait: _Wait) -> tuple[tuple[str, ...], str]:
        assert self._containers is not None
        try:
            inside = container_path(path, sight.target.mounts)
            environment = {"OPENCLAW_CONFIG_PATH": inside, "OPENCLAW_CONFIG_READONLY": "1"}
            argv = ("/bin/sh", "-c", VALIDATE)
            ended = wait(self._containers.execute(self._name, argv, environment, self._seconds))
        except (HubError, SyncError) as exc:
            return (), exc.message
        except (TimeoutError, concurrent.futures.CancelledError):
            return (), "the engine did not answer in time"
        if ended.code is None:
            return (), f"the check did not end within {self._seconds:g} s, or said too much"
        if (why := _WHY_SILENT.get(ended.code)) is not None:
            return (), why
        issues = read_answer(ended.output)
        return (issues, "") if issues is not None else ((), f"its check ended with {ended.code} and without an answer")

    def told(self, report: Report, sight: Sight) -> Report:
        """Return the report with what the container adds. What is only guessed from mounts has been told better."""
        if not self._name:
            return report
        target = sight.target
        guesses = check_mounts(target.root, target.config, target.mounts)
        notes = [note for note in report.notes if note not in guesses]
        if self._unchecked:
            notes.append(f"the config was not validated in the container {self._name}: {self._unchecked}")
        if report.config_problem:
            # That is the gateway's problem then, and these would not be seen.
            notes += sight.problems
        return msgspec.structs.replace(report, notes=(*notes, *sight.notes))

    async def restart(self) -> Outcome:
        """Restart the container, which lets turns end first."""
        if self._containers is None:
            return Outcome(None, "no driver of this hub has containers")
        try:
            done = await self._containers.restart(self._name, GRACE_SECONDS, PATIENCE_SECONDS)
        except HubError as exc:
            return Outcome(None, exc.message)
        return Outcome(0, "" if done else "it lets its turns end first")


_Wait = Callable[[Coroutine[object, object, Executed]], Executed]


def seen_sight(target: Target, seen: ContainerSeen) -> Sight:
    """PURE: what a container means for a gateway's files. Raises SyncError: it does not see the workspaces."""
    judged = _judged(target, seen)
    problems = [finding for finding in judged.findings if not finding.harmless]
    if not judged.sees_root:
        first = next((one for one in problems if one.field == "workspaceRoot"), problems[0])
        others = [str(one) for one in problems if one is not first]
        raise SyncError("; ".join([str(first), *others]), first.hint, field=first.field)
    told, hint = [str(one) for one in problems], next((one.hint for one in problems), "")
    silence = "" if judged.config is not None else "it does not see the config"
    if not seen.running:
        silence = f"it does not run, it is {seen.state}"
        told.insert(0, f"container: {seen.name} does not run, it is {seen.state}")
        hint = f"docker logs {seen.name} says why; docker start {seen.name}"
    return Sight(
        target=msgspec.structs.replace(target, mounts=judged.mounts),
        problems=tuple(told),
        hint=hint,
        notes=tuple(str(finding) for finding in judged.findings if finding.harmless),
        silence=silence,
    )


def _judged(target: Target, seen: ContainerSeen) -> Judged:
    mounts = [
        SeenMount(source=one.source, destination=one.destination, volume=one.volume, writable=one.writable)
        for one in seen.mounts
    ]
    return judge_mounts(seen.name, target.root, target.config, target.mounts, mounts, _reads(seen))


def _reads(seen: ContainerSeen) -> str:
    """The config that the gateway reads, empty where its environment does not say."""
    path, state = (seen.variables.get(name, "") for name in VARIABLES)
    return path or (f"{state.rstrip('/')}/openclaw.json" if state else "")
