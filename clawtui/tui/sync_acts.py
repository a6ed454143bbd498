"""Acts on personas: sync now, say what that would do, and decide about files that somebody changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from clawtui.errors import UsageError
from clawtui.tui import sync as words
from clawtui.tui.actions import Where
from clawtui.tui.sync_difference import DECIDED
from clawtui.tui.widgets.dialogs import ConfirmDialog, TypeNameDialog
from clawtui.tui.widgets.sync_plan import SyncPlanScreen
from hub.contract import FileDifference, PersonaSync, ResolveSync, SyncReport, SyncRun
from hub.errors import Conflict, HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

Decision = Literal["keep", "apply", "adopt"]
NOBODY: Final = "no persona is meant: put the cursor on one, or name it: GATEWAY/SLUG"
NOTHING: Final = "nothing of it waits for a decision"
SHOWN: Final = 12
"""So many personas stand in a question with their files; the rest is counted."""


class Meant(NamedTuple):
    """A persona and the files of it that a decision is about. `whole`: all that wait, as the hub finds them then.
    `files`: their differences, as far as they were read."""

    persona: PersonaSync
    paths: tuple[str, ...]
    whole: bool = False
    files: tuple[FileDifference, ...] = ()


class Syncing:
    """Handlers of actions on personas."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    # --- places

    async def do_show_sync(self, persona: str) -> None:
        about = persona or next(iter(self.app.main.pane.addresses()), "")
        pane = await self.app.main.go(Where.SYNC)
        if about:
            pane.point_at(about)

    async def do_sync_personas(self, _: str) -> None:
        await self.app.main.go(Where.SYNC)

    async def do_sync_gateways(self, _: str) -> None:
        await self.app.main.go(Where.GATEWAYS)

    async def do_sync_open(self, persona: str) -> None:
        about = persona or next(iter(self.app.main.pane.addresses()), "")
        if "/" not in about:
            raise UsageError(f"{about!r} is no persona" if about else NOBODY, hint="personas are named GATEWAY/SLUG")
        pane = await self.app.main.go(Where.PERSONA)
        pane.point_at(about)

    # --- runs

    async def do_sync_run(self, gateway: str) -> None:
        chosen = gateway or self.app.main.pane.gateway()
        self.app.acting.work(lambda: self._run(chosen))

    async def _run(self, gateway: str, *, accept_empty: bool = False) -> None:
        self.app.say(f"▶ syncing {gateway or 'all gateways'} …", "accent")
        request = SyncRun(gateway=gateway, accept_empty=accept_empty)
        reports = (await self.app.acting.control.sync_run(request)).reports
        self._touch()
        said = "; ".join(map(words.report_said, reports)) or "no gateway is synced"
        _refuse_problems(reports)
        waits = any(step.action in words.WAITING for report in reports for step in report.steps)
        more = [*([gateway] if gateway else []), *(["--accept-empty"] if accept_empty else [])]
        command = self.app.acting.equivalent("sync", "run", *more)
        self.app.say(f"√ {said} — {command}", "warn" if waits or not reports else "ok")

    async def do_sync_accept_empty(self, gateway: str) -> None:
        chosen = gateway or self.app.main.pane.gateway()
        if not chosen:
            raise UsageError("which gateway?", hint="name it: :accept-empty GATEWAY")
        lines = [
            "Its source has no persona any more. A run archives the workspaces of all that it had,",
            "and takes them out of the gateway's config. Without this, an empty source counts as broken.",
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._run(chosen, accept_empty=True))

        self.app.push_screen(TypeNameDialog(f"Archive all personas of {chosen}?", lines, chosen, "Archive"), answered)

    async def do_sync_plan(self, gateway: str) -> None:
        chosen = gateway or self.app.main.pane.gateway()
        self.app.acting.work(lambda: self._plan(chosen))

    async def _plan(self, gateway: str) -> None:
        self.app.say("▶ looking what a run would do …", "accent")
        reports = (await self.app.acting.control.sync_run(SyncRun(gateway=gateway, dry_run=True))).reports
        if not reports:
            self.app.say("no gateway is synced", "warn")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._run(gateway))
            else:
                self.app.say("nothing was written", "ok")

        self.app.say("; ".join(map(words.report_said, reports)))
        self.app.push_screen(SyncPlanScreen(reports, may_run=not self.app.read_only), answered)

    # --- decisions

    async def do_sync_apply(self, text: str) -> None:
        self.app.acting.work(lambda: self._ask(text, "apply"))

    async def do_sync_keep(self, text: str) -> None:
        self.app.acting.work(lambda: self._keep(text))

    async def do_sync_adopt(self, text: str) -> None:
        self.app.acting.work(lambda: self._ask(text, "adopt"))

    async def _keep(self, text: str) -> None:
        await self._decide(await self._meant(text), "keep")

    async def _meant(self, text: str) -> list[Meant]:
        """`GATEWAY/SLUG [PATH]`, else what is marked or under the cursor. Raises when nothing of it waits."""
        if text:
            about, _, path = text.partition(" ")
            gateway, slash, slug = about.partition("/")
            if not slash:
                raise UsageError(f"{about!r} is no persona", hint="personas are named GATEWAY/SLUG")
            found = await self.app.acting.control.sync_diff(gateway, slug)
            files = tuple(one for one in found.files if one.action in DECIDED and path.strip() in ("", one.path))
            meant = [Meant(found.persona, tuple(one.path for one in files), files=files)]
        else:
            meant = list(self.app.main.pane.personas())
        waiting = [one for one in meant if one.paths]
        if not waiting:
            raise Conflict(NOTHING if meant else NOBODY, hint="the difference shows what is not as the source says")
        return waiting

    async def _ask(self, text: str, decision: Decision) -> None:
        meant = await self._meant(text)
        if decision == "adopt":
            meant = [await self._with_files(one) for one in meant]
            _refuse_adoption(meant)
        count = sum(len(one.paths) for one in meant)
        files = "1 file" if count == 1 else f"{count} files"
        if decision == "apply":
            title, verb = f"Overwrite {files} with the source's text?", "Overwrite"
            last = "The text that stands there now is kept in:"
            lines = [*_named(meant), last, *sorted({f"  {words.archive_of(one.persona)}" for one in meant})[:SHOWN]]
        else:
            title, verb = f"Take {files} into the source?", "Adopt"
            lines = [*_named(meant), "What the source says there now is replaced by the text on the disk."]

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._decide(meant, decision))

        self.app.push_screen(ConfirmDialog(title, lines, verb), answered)

    async def _with_files(self, meant: Meant) -> Meant:
        """With the differences: whether the source can take them."""
        if meant.files:
            return meant
        found = await self.app.acting.control.sync_diff(meant.persona.gateway, meant.persona.slug)
        files = tuple(one for one in found.files if one.path in meant.paths)
        return Meant(found.persona, tuple(one.path for one in files), files=files)

    async def _decide(self, meant: list[Meant], decision: Decision) -> None:
        """One after the other; of several every refusal is told."""
        failed: list[str] = []
        done = 0
        for one in meant:
            for path in ("",) if one.whole and decision != "adopt" else one.paths:
                request = ResolveSync(decision=decision, path=path)
                try:
                    await self.app.acting.control.sync_resolve(one.persona.gateway, one.persona.slug, request)
                    done += len(one.paths) if not path else 1
                except HubError as error:
                    what = f"{words.address(one.persona)} {path}".strip()
                    failed.append(f"{what}: {error.message}{f' ({error.hint})' if error.hint else ''}")
        self._touch()
        if failed:
            raise HubError(f"{decision}: {'; '.join(failed)}", code="sync_not_resolved")
        self.app.say(f"√ {_said(meant, done, decision)} — {self._command(meant[0], decision)}", "ok")

    def _command(self, meant: Meant, decision: Decision) -> str:
        path = [] if meant.whole or len(meant.paths) != 1 else ["--path", meant.paths[0]]
        return self.app.acting.equivalent("sync", "resolve", words.address(meant.persona), decision, *path)

    def _touch(self) -> None:
        if self.app.store is not None:
            self.app.store.touch("sync")


def _said(meant: list[Meant], done: int, decision: Decision) -> str:
    what = meant[0].paths[0] if done == 1 else f"{done} files"
    of = words.address(meant[0].persona) if len(meant) == 1 else f"{len(meant)} personas"
    match decision:
        case "apply":
            where = words.archive_of(meant[0].persona) if len(meant) == 1 else f"{words.ARCHIVE}/ of each workspace"
            return f"{what} of {of} applied; the other text is in {where}"
        case "keep":
            return f"{what} of {of} kept until either side changes"
        case "adopt":
            return f"{what} of {of} adopted: it is in the source now"


def _named(meant: list[Meant]) -> list[str]:
    lines = [f"{words.address(one.persona)}: {words.listed(one.paths)}" for one in meant[:SHOWN]]
    return [*lines, *([f"… and {len(meant) - SHOWN} personas more"] if len(meant) > SHOWN else [])]


def _refuse_adoption(meant: list[Meant]) -> None:
    """Raises Conflict with the reason, where the source cannot take one of the files."""
    unable = [(one, file) for one in meant for file in one.files if not file.can_adopt]
    if unable:
        one, file = unable[0]
        more = f" (and {len(unable) - 1} more)" if len(unable) > 1 else ""
        why = file.why_not or "the source does not say why"
        raise Conflict(
            f"{words.address(one.persona)} {file.path} cannot be adopted{more}: {why}", code="not_adoptable",
            hint="keep it, or apply the source's text",
        )  # fmt: skip


def _refuse_problems(reports: Iterable[SyncReport]) -> None:
    """Raises what a run could not do, of every gateway."""
    problems = [f"{report.gateway}: {report.problem}" for report in reports if report.problem]
    if problems:
        raise HubError("; ".join(problems), code="sync_problem", hint="F10 shows it in full")
