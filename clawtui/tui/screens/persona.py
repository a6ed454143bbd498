"""Every file of a persona that is not as its source says, and the one under the cursor line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.presenters import age_cell
from clawtui.tui.screens.listing import Listing
from clawtui.tui.store import FleetStore
from clawtui.tui.sync import address, archive_of, state_cell
from clawtui.tui.sync_acts import Meant
from clawtui.tui.sync_difference import COLUMNS, DECIDED, KEYS, LEGEND, Difference, difference_of, file_row
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.fields import broken
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.lines_view import LinesView
from clawtui.tui.widgets.paper import Paper
from clawtui.tui.widgets.table_layout import HEADER_LINES, Row
from clawtui.tui.widgets.topbar import Line
from hub.contract import FileDifference, PersonaDifference, SyncState
from hub.errors import HubError

LEAST_FILES, MOST_SHARE = 3, 3
"""The list of files has room for so many, and at most a third of the place."""


class PersonaPane(Listing):
    place = Where.PERSONA
    title = "Difference"
    columns = COLUMNS
    kinds = ("sync",)
    keys = KEYS
    empty = "√ Every file is as the source says."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._found: PersonaDifference | None = None
        self._failed = ""
        self._differences: dict[FileDifference, Difference] = {}
        self._front: FileDifference | None = None

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="persona-title")
        yield Paper(id="persona-about")
        with Vertical(id="persona-files"):
            yield FleetTable(self.columns, empty="Waiting for the hub …")
        yield Line(id="persona-legend")
        yield LinesView(id="persona-text")

    def on_mount(self) -> None:
        self.query_one("#persona-legend", Line).set_pieces([(f" {LEGEND}", "dim")])

    @property
    def text(self) -> LinesView:
        return self.query_one(LinesView)

    # --- reading

    def point_at(self, key: str) -> None:
        if key != self._about:
            self._about, self._found, self._failed, self._front = key, None, "", None
            self.remove_class("zoomed")
            self.set_filter("")
        self.changed()

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._about, *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        if not self._about:
            return
        about = self._about
        gateway, _, slug = about.partition("/")
        try:
            found = await store.control.sync_diff(gateway, slug)
            # Long texts take long to compare: beside the loop, and once only.
            known, self._differences = self._differences, {}
            for file in found.files:
                self._differences[file] = known.get(file) or await asyncio.to_thread(difference_of, file)
            self._found, self._failed = found, ""
        except HubError as error:
            if not store.live:
                raise
            self._found, self._failed = None, f"{error.message}. {error.hint}".strip()
            self.ui.problem(error)
        self.changed()

    # --- showing

    def show(self) -> None:
        super().show()
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        self.query_one("#persona-about", Paper).set_pieces(self._what(store))
        most = max(self.size.height // MOST_SHARE, LEAST_FILES + HEADER_LINES)
        files = self.query_one("#persona-files")
        files.styles.height = min(max(len(self.table.rows), LEAST_FILES) + HEADER_LINES, most)
        file = self._file()
        if file != self._front:
            self._front = file
            self.text.set_lines(self._differences[file].lines if file is not None else (), anew=True)
        self.query_one("#persona-legend").display = file is not None and not file.binary

    def _file(self) -> FileDifference | None:
        files = self._found.files if self._found is not None else []
        return next((one for one in files if one.path == self.table.cursor_key), None)

    def _what(self, store: FleetStore) -> list[Piece]:
        if self._found is None:
            return [(f" {printable(self._about)}", "dim")]
        persona = self._found.persona
        state = state_cell(persona, not store.live)
        since = f" since {age_cell(persona.at, store.now())}" if persona.at else ""
        head: list[Piece] = [
            (f" {address(persona)} ", "bold"), (f"{printable(persona.name)} ", ""), (state.text, state.style),
            (since, "dim"),
        ]  # fmt: skip
        for line in broken(printable(persona.reason), max(self.app.size.width - 2, 20)) if persona.reason else ():
            head.append((f"\n {line}", "warn"))
        file = self._file()
        if file is not None and file.why_not:
            for line in broken(f"Not to be adopted: {printable(file.why_not)}", max(self.app.size.width - 2, 20)):
                head.append((f"\n {line}", "dim"))
        return head

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        files = self._found.files if self._found is not None else []
        return [file_row(file, self._differences.get(file), not store.live) for file in files]

    def heading(self) -> str:
        return f"{self.title} of {printable(self._about)} · files" if self._about else self.title

    def empty_text(self) -> str:
        if self._failed:
            return self._failed
        if not self._about:
            return f"No persona is looked at. {self.ui.keymap.first('show.sync')} shows them: Enter opens one."
        if self._found is None:
            return "Comparing …"
        settled = self._found.persona.state in (SyncState.IN_STEP, SyncState.PENDING)
        return self.empty if settled else "No file is known to differ; what is wrong stands above."

    # --- moving

    def on_fleet_table_chosen(self, _: FleetTable.Chosen) -> None:
        self.add_class("zoomed")
        self.text.focus()

    def back(self) -> bool:
        if self.text.has_focus or self.has_class("zoomed"):
            self.remove_class("zoomed")
            self.table.focus()
            return True
        return super().back()

    # --- for actions

    def _files_meant(self) -> tuple[FileDifference, ...]:
        keys = set(self.meant())
        return tuple(one for one in (self._found.files if self._found is not None else ()) if one.path in keys)

    def personas(self) -> tuple[Meant, ...]:
        if self._found is None:
            return ()
        files = tuple(one for one in self._files_meant() if one.action in DECIDED)
        return (Meant(self._found.persona, tuple(one.path for one in files), files=files),)

    def addresses(self) -> tuple[str, ...]:
        return (self._about,) if self._about else ()

    def gateway(self) -> str:
        return self._about.partition("/")[0]

    def has(self, needs: str) -> bool:
        if needs == "waiting":
            return any(one.paths for one in self.personas())
        return needs == "persona" and bool(self._about)

    def why_not(self, needs: str) -> str:
        if needs == "waiting" and self._files_meant():
            return f"nobody changed this file: the next run writes it ({self.ui.keymap.first('sync.run')} runs now)"
        return ""

    def copied(self) -> str:
        if self.text.has_focus:
            return self.text.plain
        where = archive_of(self._found.persona) if self._found is not None else ""
        return where if not self.meant() else "\n".join(self.meant())
