"""Taking acts back: the offer after an act, as the journal says it, and carrying it out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from clawtui.tui.actions import BY_ID, Grade
from clawtui.tui.journal import act_words
from clawtui.tui.widgets.dialogs import ConfirmDialog
from hub.contract import JournalEntry, PageQuery
from hub.core.model import JobState
from hub.errors import Forbidden, HubError, NotAvailable, NotFound

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

OFFER_SECONDS: Final = 20.0
"""How long the line offers to take the last act back; in the journal it can be taken back as long as it lasts."""
LOOK_SECONDS: Final = 2.0
"""How often the journal is asked whether the way back still leads back, while it is offered."""
ENTRIES: Final = 100
WAIT_SECONDS: Final = 120.0
NAMED: Final = 6


class Offer(NamedTuple):
    """`until`: monotonic seconds of the store's clock."""

    entries: tuple[JournalEntry, ...]
    until: float


class Undoing:
    """One offer at a time: the last act of this screen that the journal can take back."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self._offer: Offer | None = None
        self._looked_at = float("-inf")

    # --- the offer

    @property
    def offer(self) -> Offer | None:
        """What can be taken back now; None when the time is over, or the hub is away."""
        store = self.app.store
        if self._offer is not None and store is not None and store.mono() >= self._offer.until:
            self._offer = None
        return self._offer if store is not None and store.live else None

    def says(self) -> str:
        """The offer for the line, with its seconds; empty without one."""
        offer, store = self.offer, self.app.store
        if offer is None or store is None:
            return ""
        first = offer.entries[0]
        what = f"{first.what.partition('.')[2]} {first.target}"
        if len(offer.entries) > 1:
            what = f"{first.what.partition('.')[2]} of {len(offer.entries)}"
        key = self.app.keymap.first("undo")
        return f"{f'{key} ' if key else ''}undo {what} ({max(offer.until - store.mono(), 0.0):.0f}s)"

    async def after(self, what: str, targets: Sequence[str]) -> None:
        """An act on `targets` has succeeded: offer what the journal says leads back."""
        store = self.app.store
        newest: dict[str, JournalEntry] = {}
        for entry in await self._journal():
            if entry.what == what and entry.target in targets:
                newest.setdefault(entry.target, entry)
        entries = tuple(entry for entry in newest.values() if entry.undo)
        if store is not None:
            self._offer = Offer(entries, store.mono() + OFFER_SECONDS) if entries else None
            self._looked_at = store.mono()
            self.app.refresh_now()

    def watch(self) -> None:
        """Called on each tick: while there is an offer, look whether it still holds."""
        store = self.app.store
        if self.offer is not None and store is not None and store.mono() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = store.mono()
            self.app.run_worker(self._look_again, group="undo", exclusive=True, exit_on_error=False)

    async def _look_again(self) -> None:
        with contextlib.suppress(HubError):  # the bar on top says that the hub is away
            now = {entry.seq: entry for entry in await self._journal()}
            if self._offer is not None:
                left = tuple(now[one.seq] for one in self._offer.entries if one.seq in now and now[one.seq].undo)
                self._offer = self._offer._replace(entries=left) if left else None
                self.app.refresh_now()

    async def _journal(self) -> list[JournalEntry]:
        """The newest entries; none for those who may not read them, and from hubs that keep none."""
        if self.app.store is None:
            return []
        try:
            return (await self.app.store.control.journal(PageQuery(limit=ENTRIES))).journal
        except (Forbidden, NotFound, NotAvailable):
            return []

    # --- doing it

    async def do_undo(self, number: str) -> None:
        """The act with that number in the journal, else the one that is offered."""
        if number:
            await self._by_number(number)
        elif (offer := self.offer) is not None:
            self.take_back(offer.entries)
        else:
            self.app.say("nothing can be taken back now; the journal (F4) shows what can", "warn")

    async def _by_number(self, number: str) -> None:
        found = [entry for entry in await self._journal() if str(entry.seq) == number]
        if not found:
            self.app.say(f"number {number} is not among the newest {ENTRIES} acts: F4 shows them", "warn")
            return
        self.take_back(tuple(found))

    def take_back(self, entries: tuple[JournalEntry, ...]) -> None:
        """Take acts back, after a question where that stops work; says why where it cannot be done."""
        possible = tuple(entry for entry in entries if entry.undo)
        if not possible:
            self.app.say(cannot(entries[0]), "warn")
            return
        if not any(stops(entry) for entry in possible):
            self.app.acting.work(lambda: self._take_back(possible))
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._take_back(possible))

        lines = [entry.undo for entry in possible[:NAMED]]
        if len(possible) > NAMED:
            lines.append(f"… and {len(possible) - NAMED} more")
        lines.append("Running tasks are interrupted; queued ones wait.")
        self.app.push_screen(ConfirmDialog("Take it back? That stops work.", lines, "Undo"), answered)

    async def _take_back(self, entries: tuple[JournalEntry, ...]) -> None:
        """Success is said after the hub observed it, and then this act is offered to be taken back too."""
        control = self.app.acting.control
        self._offer = None
        self.app.say(f"▶ undo: {entries[0].undo} …", "accent")
        answers = [await control.undo(entry.seq) for entry in entries]
        for answer in answers:
            ended = await control.job(answer.job.id, WAIT_SECONDS) if answer.job is not None else None
            if ended is not None and ended.state != JobState.SUCCEEDED:
                why = ended.error.message if ended.error else ended.state
                raise HubError(f"{answer.undone} failed: {why}", code="act_failed")
        if self.app.store is not None:
            self.app.store.touch("audit", "attention")
        more = f" and {len(answers) - 1} more" if len(answers) > 1 else ""
        self.app.say(f"√ taken back: {answers[0].undone}{more}", "ok")
        await self.after(entries[0].undo_act, [entry.target for entry in entries])


def cannot(entry: JournalEntry) -> str:
    """Why there is no way back, as a sentence."""
    about = f"{act_words(entry.what)} {entry.target}".strip()
    return f"{about} cannot be taken back: {entry.why_not or 'this hub does not tell'}"


def stops(entry: JournalEntry) -> bool:
    """Whether the way back stops work, by the grade of the action that it is."""
    action = BY_ID.get(entry.undo_act)
    return action is not None and action.grade >= Grade.STOPS
