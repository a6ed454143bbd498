"""Images of profiles: building with progress, cancelling, pushing and pulling."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from clawtui.tui.actions import Where
from clawtui.tui.presenters import reason
from clawtui.tui.profiles import newest_build
from clawtui.tui.widgets.dialogs import ConfirmDialog
from hub.contract import BuildImage, JobView, ProfileView, TransferImage
from hub.core.model import JobState
from hub.errors import HubError
from profiles.image import image_name

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

NO_PROFILE: Final = "no profile is meant: put the cursor on one, or name it"


class Building:
    """Handlers of actions on images."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self._started: dict[str, str] = {}
        """Jobs that were started here: they are known before they have said what they build."""

    def started(self, profile: str) -> str:
        return self._started.get(profile, "")

    def job_of(self, profile: str) -> JobView | None:
        """The newest build of the profile's image that the hub speaks of."""
        about = ProfileView(name=profile, source="", valid=True, repository=image_name(profile))
        jobs = self.app.store.jobs if self.app.store is not None else []
        return newest_build(jobs, about, self.started(profile))

    def running(self, profile: str) -> JobView | None:
        job = self.job_of(profile)
        return job if job is not None and job.finished_at is None else None

    def meant(self, words: str = "") -> tuple[str, ...]:
        return tuple(words.replace(",", " ").split()) or self.app.main.pane.profiles_meant()

    # --- builds

    async def do_profile_build(self, words: str) -> None:
        self._build(self.meant(words), rebuild=False)

    async def do_profile_rebuild(self, words: str) -> None:
        self._build(self.meant(words), rebuild=True)

    def _build(self, names: tuple[str, ...], *, rebuild: bool) -> None:
        if not names:
            self.app.say(NO_PROFILE, "warn")
            return
        self.app.acting.work(lambda: self._build_all(names, rebuild=rebuild))

    async def _build_all(self, names: tuple[str, ...], *, rebuild: bool) -> None:
        """Start all, then see each to its end; of several every failure is told."""
        control, key = self.app.acting.control, self.app.keymap.first
        jobs: list[JobView] = []
        for name in names:
            job = await control.build_profile(name, BuildImage(rebuild=rebuild))
            self._started[name] = job.id
            jobs.append(job)
        self._look_again()
        keys = f": {key('profile.log')} shows its output, {key('profile.cancel')} cancels it" if len(names) == 1 else ""
        self.app.say(f"▶ building {', '.join(names)}{keys}", "accent")
        ended = [await self.app.acting.ended(job) for job in jobs]
        self._look_again()
        failed = [f"{name}: {_why(job)}" for name, job in zip(names, ended, strict=True) if _failed(job)]
        if failed:
            raise HubError(
                f"build failed: {'; '.join(failed)}", code="build_failed",
                hint=f"{key('profile.log')} shows the output; clawtui image log {names[0]}",
            )  # fmt: skip
        cancelled = [name for name, job in zip(names, ended, strict=True) if job.state == JobState.CANCELLED]
        if cancelled:
            self.app.say(f"- the build of {', '.join(cancelled)} was cancelled", "warn")
            return
        words = ["clawtui", "profile", "build", *names, *(["--rebuild"] if rebuild else [])]
        self.app.say(f"√ {_built(names, ended)} — {shlex.join(words)}", "ok")

    def _look_again(self) -> None:
        if self.app.store is not None:
            self.app.store.touch("job")

    async def do_profile_cancel(self, words: str) -> None:
        found = [(name, job) for name in self.meant(words) if (job := self.running(name)) is not None]
        if not found:
            self.app.say("no build of it runs", "warn")
            return

        async def cancel() -> None:
            for name, job in found:
                said, style = _cancel_said(await self.app.acting.control.cancel_job(job.id))
                self.app.say(f"{said.format(name)} — clawtui jobs cancel {job.id}", style)
            self._look_again()

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: cancel())

        names = ", ".join(name for name, _ in found)
        title = "Cancel the build?" if len(found) == 1 else f"Cancel {len(found)} builds?"
        lines = [names, "Layers that are done stay in the engine's cache: the next build goes on from there."]
        self.app.push_screen(ConfirmDialog(title, lines, "Cancel build"), answered)

    async def do_profile_log(self, words: str) -> None:
        names = self.meant(words)
        if not names:
            self.app.say(NO_PROFILE, "warn")
            return
        pane = await self.app.main.go(Where.BUILD)
        pane.point_at(names[0])

    # --- registries

    async def do_image_push(self, registry: str) -> None:
        self._transfer("push", registry)

    async def do_image_pull(self, registry: str) -> None:
        self._transfer("pull", registry)

    def _transfer(self, verb: str, registry: str) -> None:
        names = self.meant()
        if not names:
            self.app.say(NO_PROFILE, "warn")
        elif not registry:
            self.app.doing.ask_words(f"{verb} ")
        else:
            self.app.acting.work(lambda: self._carry(verb, names, registry))

    async def _carry(self, verb: str, names: Sequence[str], registry: str) -> None:
        control = self.app.acting.control
        for name in names:
            request = TransferImage(image=name, registry=registry)
            job = await (control.push_image(request) if verb == "push" else control.pull_image(request))
            self.app.say(f"▶ {verb} {name} …", "accent")
            ended = await self.app.acting.ended(job)
            if ended.state != JobState.SUCCEEDED:
                raise HubError(f"{verb} {name} failed: {_why(ended)}", code="act_failed")
            self.app.say(f"√ {verb} {name} — {shlex.join(['clawtui', 'image', verb, name, registry])}", "ok")
        self._look_again()


def _failed(job: JobView) -> bool:
    return job.state not in (JobState.SUCCEEDED, JobState.CANCELLED)


def _cancel_said(job: JobView) -> tuple[str, str]:
    """What became of the build of `{}` that was to be cancelled, and its style."""
    if job.state == JobState.CANCELLED:
        return "√ the build of {} is cancelled", "ok"
    if job.finished_at is None:
        return "▶ the build of {} is still being ended", "accent"
    return f"- the build of {{}} had ended already: {job.state}", "warn"


def _why(job: JobView) -> str:
    return reason(job.error.message or job.error.code) if job.error else job.state


def _built(names: Sequence[str], jobs: Sequence[JobView]) -> str:
    if len(names) > 1:
        return f"{', '.join(names)} are built"
    result = jobs[0].result if isinstance(jobs[0].result, dict) else {}
    image = str(result.get("image", names[0]))
    return f"{image} is built" if result.get("built", True) else f"{image} was there already"
