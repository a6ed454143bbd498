"""The output of a profile's newest build, while it runs and after, with how far it is on top."""

from __future__ import annotations

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.build_log import NOTHING, BuildLog
from clawtui.tui.jobs import job_took, job_what
from clawtui.tui.presenters import bar
from clawtui.tui.profiles import newest_build
from clawtui.tui.screens.log_place import LogPlace
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.words import job_sign
from hub.contract import JobView, ProfileView
from profiles.image import image_name


class BuildPane(LogPlace):
    place = Where.BUILD

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._reads: tuple[object, ...] = ()

    def point_at(self, key: str) -> None:
        if key != self._about:
            self._about, self._reads = key, ()
        self.ui.refresh_now()

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        job = self._job(store)
        # Another build writes another output, from its beginning.
        reads = (self._about, job.id if job is not None else "")
        if self._about and reads != self._reads and store.live:
            self._reads = reads
            self.read(BuildLog(store.control, self._about))
        self.keep_reading(store)
        self.view.set_empty(self.nothing(self._empty(job)))
        self.title.set_pieces([(" Build ", "bold"), (self.log_filter.says(), "")])
        self.about.set_pieces(self._what(store, job))

    def _empty(self, job: JobView | None) -> str:
        if not self._about:
            key = self.ui.keymap.first("show.profiles")
            return f"No build was chosen.\n\n{key} shows the profiles; their builds' outputs open from there."
        return "No output yet" if job is not None and job.finished_at is None else NOTHING

    def _job(self, store: FleetStore) -> JobView | None:
        profile = ProfileView(name=self._about, source="", valid=True, repository=image_name(self._about))
        return newest_build(store.jobs, profile, self.ui.building.started(self._about)) if self._about else None

    def _what(self, store: FleetStore, job: JobView | None) -> list[Piece]:
        pieces: list[Piece] = [(f" {printable(self._about)} ", "bold")]
        if job is None:
            return [*pieces, ("its newest build", "dim")]
        sign = job_sign(job.state)
        share = f" {bar(job.progress)} {job.progress:.0%}" if job.finished_at is None else ""
        style = "bad" if job.error is not None else "dim"
        return [
            *pieces, (f"{sign.glyph} {job.state}{share} {job_took(job, store.now())}", sign.style),
            (f"  {job_what(job)}", style),
        ]  # fmt: skip

    # --- for actions

    def selection(self) -> str:
        return f"build-{self._about}"

    def has(self, needs: str) -> bool:
        store = self.ui.store
        if needs == "build":
            job = self._job(store) if store is not None else None
            return job is not None and job.finished_at is None
        return super().has(needs) or (needs == "profile" and bool(self._about))

    def profiles_meant(self) -> tuple[str, ...]:
        return (self._about,) if self._about else ()

    @property
    def profile(self) -> str:
        """Whose build is looked at."""
        return self._about
