"""What agents are made from: every profile with its image, and the one under the cursor with all that it means."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.tui.actions import Where
from clawtui.tui.profiles import (
    PROFILE_COLUMNS,
    PROFILE_KEYS,
    Known,
    own_images,
    profile_detail,
    profile_row,
)
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Row
from hub.contract import ImageView, ProfileQuery, ProfileView
from hub.errors import HubError, NotAvailable, NotFound

AGAIN_SECONDS = 5.0
"""Files change without a word in the feed: so often they are read again while somebody looks."""
HELPS = ("profile.edit", "profile.build", "profile.cancel", "profile.log")
EMPTY = "No profiles.\n\nThe hub offers none, not even built-in ones: an older hub may not have them."


class ProfilesPane(DetailedListing):
    """The list first; then what each means, and whether its image is there, which takes the engine's word."""

    place = Where.PROFILES
    title = "Profiles"
    columns = PROFILE_COLUMNS
    kinds = ("job",)
    keys = PROFILE_KEYS
    empty = EMPTY

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._listed: dict[str, ProfileView] = {}
        self._whole: dict[str, ProfileView] = {}
        self._images: tuple[ImageView, ...] | None = None
        self._no_images = ""
        self._pointed = ""
        self._asked = 0

    # --- reading

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._asked, int(store.mono() / AGAIN_SECONDS), *super().wants(store))

    def look_again(self) -> None:
        """Something was changed from here."""
        self._asked += 1
        self.ui.refresh_now()

    async def read(self, store: FleetStore) -> None:
        before, images_before = self._listed, self._images
        self._listed = {one.name: one for one in (await store.control.profiles(ProfileQuery())).profiles}
        self.table.keep_marks(self._listed)
        await self._read_images(store)
        self._whole = {name: one for name, one in self._whole.items() if name in self._listed}
        self.changed()
        cursor = self.table.cursor_key or ""
        anew = images_before != self._images
        stale = [
            name
            for name, one in self._listed.items()
            if anew or name in (cursor, self._pointed) or name not in self._whole or one != before.get(name)
        ]
        # The one that is looked at first.
        for name in sorted(stale, key=lambda name: name not in (cursor, self._pointed)):
            try:
                self._whole[name] = await store.control.profile(name)
            except NotFound:
                self._listed.pop(name, None)  # it was deleted in between
            if name == cursor:
                self.changed()
        self.changed()

    async def _read_images(self, store: FleetStore) -> None:
        try:
            self._images = tuple((await store.control.images()).images)
            self._no_images = ""
        except NotAvailable as error:
            self._images, self._no_images = None, "no images: the hub has no docker driver"
            self._no_images = f"no images: {error.message}" if error.code != "no_images" else self._no_images
        except HubError as error:
            if not store.live:
                raise
            self._images, self._no_images = None, f"no images: {error.message}"

    # --- showing

    def show(self) -> None:
        super().show()
        if self.is_mounted and any(row.key == self._pointed for row in self.table.rows):
            self.table.cursor_key, self._pointed = self._pointed, ""

    def _known(self, store: FleetStore, name: str) -> Known:
        images = own_images(self._images, name) if self._images is not None else None
        return Known(self._listed[name], self._whole.get(name), images, self.ui.building.job_of(name))

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        return [profile_row(self._known(store, name), not store.live) for name in sorted(self._listed)]

    def notes(self) -> tuple[str, ...]:
        wrong = sum(not one.valid for one in self._listed.values())
        drafts = sum(self.ui.editing.draft(name) for name in self._listed)
        found = (
            f"{wrong} wrong" if wrong else "", f"{drafts} with a draft" if drafts else "", self._no_images,
        )  # fmt: skip
        return tuple(note for note in found if note)

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        if key not in self._listed:
            return []
        helps = {} if self.ui.read_only else {action: self.ui.keymap.first(action) for action in HELPS}
        fields = profile_detail(self._known(store, key), store.now(), helps)
        if self.ui.editing.draft(key):
            fields.insert(
                1, Field("Draft", "not saved yet", "warn", f"{self.ui.keymap.first('profile.change')} opens it")
            )
        return fields

    def point_at(self, key: str) -> None:
        self._pointed = key
        self.look_again()

    # --- for actions

    def profiles_meant(self) -> tuple[str, ...]:
        return self.meant()

    def has(self, needs: str) -> bool:
        if needs == "build":
            return any(self.ui.building.running(name) is not None for name in self.meant())
        return needs == "profile" and bool(self.meant())

    def copied(self) -> str:
        name = self.table.cursor_key
        if name is None:
            return ""
        return self.detail.plain if self.detail.has_focus else f"clawtui profile show {name}"
