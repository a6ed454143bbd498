"""What every act on gateways that the hub runs stands on: who is meant, and seeing it done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from clawtui.tui.gateways_possible import why_not
from clawtui.tui.widgets.credentials import CredentialsDialog
from hub.contract import Credentials, GatewayView, JobView
from hub.core.model import JobState
from hub.errors import Conflict, HubError, NotFound

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

NAMED: Final = 6
"""So many names stand in a sentence; the rest is counted."""
NOBODY: Final = "no gateway is meant: put the cursor on one, or name it"
Start = Callable[[str], Awaitable[JobView]]


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class GatewayWork:
    """Base of the handlers of actions on gateways that the hub runs."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    # --- who is meant

    async def _possible(self, act: str, words: str) -> tuple[list[GatewayView], str]:
        """The named gateways, else the marked ones, else the one under the cursor: those that `act` can be done to, and
        why not the others. Raises NotFound, Conflict where it can be done to none."""
        meant = tuple(words.replace(",", " ").split()) or self.app.main.pane.addresses()
        if not meant:
            raise NotFound(NOBODY)
        known = {one.name: one for one in (await self.app.acting.control.gateways()).gateways}
        missing = next((name for name in meant if name not in known), None)
        if missing is not None:
            raise NotFound(f"there is no gateway {missing!r}", hint="F11 shows those there are")
        reasons = {name: why_not(act, known[name]) for name in meant}
        left_out = "; ".join(f"{name} {why}" for name, why in reasons.items() if why)
        found = [known[name] for name, why in reasons.items() if not why]
        if not found:
            raise Conflict(f"nothing to {act}: {left_out}", code="gateway_not_possible")
        return found, left_out

    async def _one(self, act: str, words: str) -> GatewayView:
        found, _ = await self._possible(act, words)
        if len(found) > 1:
            raise Conflict(f"{act} is of one gateway: esc clears the marks", code="one_gateway")
        return found[0]

    def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        self.app.acting.work(run)

    # --- seeing it done

    async def _ended(self, verb: str, name: str, job: JobView) -> JobView:
        """The job when it has ended well. Raises HubError with what helps."""
        self._touch()
        ended = await self.app.acting.ended(job)
        self._touch()
        if ended.state == JobState.SUCCEEDED:
            return ended
        why = ended.error.message if ended.error else ended.state
        raise HubError(f"{verb} {name} failed: {why}", code="act_failed", hint=f"clawtui gateway logs {name}")

    async def _many(self, verb: str, names: Sequence[str], start: Start, left_out: str, *options: str) -> None:
        """Start all, then see each to its end: success is said only after the hub observed it."""
        app = self.app
        app.say(f"▶ {verb} {listed(names)} …", "accent")
        failed: list[str] = []
        jobs: list[tuple[str, JobView]] = []
        for name in names:
            try:
                jobs.append((name, await start(name)))
            except HubError as error:
                failed.append(f"{name}: {error.message}{f' ({error.hint})' if error.hint else ''}")
        for name, job in jobs:
            try:
                await self._ended(verb, name, job)
            except HubError as error:
                failed.append(error.message)
        if failed:
            key = app.keymap.first("gateway.log")
            raise HubError("; ".join(failed), code="act_failed", hint=f"{key} shows its log" if key else "")
        but = f"; left out: {left_out}" if left_out else ""
        app.say(f"√ {verb} {listed(names)} — {app.acting.equivalent('gateway', verb, names[0], *options)}{but}", "ok")

    def _touch(self) -> None:
        if self.app.store is not None:
            self.app.store.touch("gateway", "job")

    def _job(self, job: JobView) -> JobView:
        """As the screen knows it now."""
        jobs = self.app.store.jobs if self.app.store is not None else []
        return next((one for one in jobs if one.id == job.id), job)

    def _show_credentials(self, title: str, credentials: Credentials, job: JobView) -> None:
        self.app.push_screen(CredentialsDialog(title, credentials, partial(self._job, job)))
