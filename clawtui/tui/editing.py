"""Profiles of the user's own: new, copied, edited outside or in place, deleted. A draft is kept until it is saved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from clawtui.errors import UsageError
from clawtui.tui.building import NO_PROFILE
from clawtui.tui.editor import edit_outside
from clawtui.tui.profile_text import Format, first_text, renamed
from clawtui.tui.profiles import BUILT_IN, PROJECT, USER
from clawtui.tui.screens.profiles import ProfilesPane
from clawtui.tui.widgets.asking import AskDialog
from clawtui.tui.widgets.dialogs import TypeNameDialog
from clawtui.tui.widgets.profile_editor import Edited, ProfileEditor, Verb
from hub.contract import ProfileCheck, ProfileQuery, ProfileText, ProfileView
from hub.errors import Conflict, HubError, NotFound

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

NAMED: Final = 6
"""So many agents stand in a question; the rest is counted."""
ENDINGS: Final[dict[Format, str]] = {"json": ".json", "yaml": ".yaml"}


class Editing:
    """Handlers of actions on profiles' files. All of them go through the hub, which may be on another machine."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self._drafts: dict[str, ProfileText] = {}
        """What was written and is not saved yet, by profile."""

    def draft(self, name: str) -> bool:
        return name in self._drafts

    def _one(self, words: str) -> str:
        names = self.app.building.meant(words)
        if not names:
            self.app.say(NO_PROFILE, "warn")
        elif len(names) > 1:
            self.app.say("one profile at a time: clear the marks with esc", "warn")
        return names[0] if len(names) == 1 else ""

    # --- editing

    async def do_profile_edit(self, words: str) -> None:
        await self._edit(self._one(words), outside=True)

    async def do_profile_change(self, words: str) -> None:
        await self._edit(self._one(words), outside=False)

    async def _edit(self, name: str, *, outside: bool) -> None:
        if not name:
            return
        if name in self._drafts:
            await self._write(name, self._drafts[name], outside=outside, before=await self._saved(name))
            return
        known = await self.app.acting.control.profile(name)
        if known.source == PROJECT:
            where = known.path or known.dockerfile
            raise Conflict(f"{name} is the project's: it is edited where it is, {where} on the hub's machine")
        if known.source == BUILT_IN:
            self._ask_copy(known, lambda copy: self._edit(copy, outside=outside))
            return
        text = ProfileText(text=known.text or first_text(name), format=_format(known), name=name)
        await self._write(name, text, outside=outside, before=known.text or "")

    async def _saved(self, name: str) -> str:
        """What its file says; empty for one that was never saved."""
        try:
            return (await self.app.acting.control.profile(name)).text or ""
        except NotFound:
            return ""

    async def _write(self, name: str, text: ProfileText, *, outside: bool, before: str) -> None:
        """Let the person write, and save what is right. `before`: what is in the file now."""
        if outside:
            written = await edit_outside(self.app, text.text, f"{name}{ENDINGS[text.format]}")
            if written is None:
                self.app.say("there is no terminal to give away here: edit in place", "warn")
            else:
                if written == before:
                    self._drafts.pop(name, None)
                    self.app.say("nothing was changed", "ok")
                    return
                text = self._keep(name, text, written)
                if (await self._check(text)).valid:
                    await self._save(name, text)
                    return
        self._open(name, text, before)

    def _keep(self, name: str, text: ProfileText, written: str) -> ProfileText:
        kept = ProfileText(text=written, format=text.format, name=name)
        self._drafts[name] = kept
        return kept

    async def _check(self, text: ProfileText) -> ProfileCheck:
        return await self.app.acting.control.validate_profile(text)

    def _open(self, name: str, text: ProfileText, before: str) -> None:
        """In place, with what is wrong beside the lines."""

        def check(written: str) -> Coroutine[Any, Any, ProfileCheck]:
            return self._check(ProfileText(text=written, format=text.format, name=name))

        def answered(edited: Edited | None) -> None:
            if edited is None or edited.text == before:
                self._drafts.pop(name, None)
                self._look_again()
                return
            kept = self._keep(name, text, edited.text)
            match edited.verb:
                case Verb.SAVE:
                    self.app.acting.work(lambda: self._save(name, kept))
                case Verb.OUTSIDE:
                    self.app.acting.work(lambda: self._write(name, kept, outside=True, before=before))
                case Verb.LEAVE:
                    key = self.app.keymap.first("profile.change")
                    self.app.say(f"the draft of {name} is kept until clawtui ends: {key} opens it again", "warn")
                    self._look_again()

        self.app.push_screen(ProfileEditor(name, text.text, text.format, check), answered)

    async def _save(self, name: str, text: ProfileText) -> None:
        try:
            saved = await self.app.acting.control.save_profile(name, text)
        except HubError as error:
            key = self.app.keymap.first("profile.change")
            raise HubError(
                f"{name} is not saved: {error.message}", code=error.code, hint=f"nothing is lost: {key} opens the draft"
            ) from error
        self._drafts.pop(name, None)
        hidden = f"; the {saved.source} one hides it" if saved.source != USER else ""
        self.app.say(f"√ {name} is saved{hidden} — clawtui profile show {name}", "ok")
        await self._show(name)

    # --- new ones

    async def do_profile_new(self, name: str) -> None:
        async def begin(chosen: str) -> None:
            await self._free(chosen)
            text = ProfileText(text=first_text(chosen), name=chosen)
            self._open(chosen, self._drafts.get(chosen, text), "")

        self._ask_name("New profile", "Called", name, "", begin)

    async def do_profile_copy(self, words: str) -> None:
        """`NAME`: what the copy of the profile under the cursor is called."""
        pane = self.app.main.pane
        names = pane.profiles_meant()
        if len(names) != 1:
            self.app.say(NO_PROFILE if not names else "one profile at a time: clear the marks with esc", "warn")
            return
        known = await self.app.acting.control.profile(names[0])
        if words:
            await self._copy(known, words)
        else:
            self._ask_copy(known)

    def _ask_copy(self, known: ProfileView, then: Callable[[str], Coroutine[Any, Any, None]] | None = None) -> None:
        async def copy(chosen: str) -> None:
            await self._copy(known, chosen)
            if then is not None:
                await then(chosen)

        about = (
            f"{known.name} is {known.source}. A copy of your own is yours to change; with the same name it hides it."
        )
        self._ask_name(f"Copy {known.name}", "Called", f"my-{known.name}", about, copy)

    async def _copy(self, known: ProfileView, name: str) -> None:
        if known.text is None:
            raise Conflict(f"{known.name} has only a Dockerfile: copy {known.dockerfile} on the hub's machine")
        if not (known.source == BUILT_IN and name == known.name):
            await self._free(name)
        format = _format(known)
        text = ProfileText(text=renamed(known.text, format, known.name, name), format=format, name=name)
        await self.app.acting.control.save_profile(name, text)
        left = "; its Dockerfile stays behind" if known.dockerfile else ""
        self.app.say(
            f"√ {name} is a copy of {known.name}{left} — clawtui profile show {name}", "warn" if left else "ok"
        )
        await self._show(name)

    async def _free(self, name: str) -> None:
        """Raises Conflict when there is such a profile of the user's or the project's already."""
        listed = (await self.app.acting.control.profiles(ProfileQuery(all=True))).profiles
        taken = next((one for one in listed if one.name == name and one.source != BUILT_IN), None)
        if taken is not None:
            raise Conflict(
                f"there is a profile {name} already: {taken.source}, {taken.path}", hint="choose another name"
            )

    def _ask_name(
        self, title: str, label: str, value: str, about: str, then: Callable[[str], Coroutine[Any, Any, None]]
    ) -> None:
        def answered(name: str | None) -> None:
            if name:
                self.app.acting.work(lambda: then(name))

        self.app.push_screen(AskDialog(title, label, value, about), answered)

    # --- deleting

    async def do_profile_delete(self, words: str) -> None:
        name = self._one(words)
        if not name:
            return
        known = await self.app.acting.control.profile(name)
        if USER not in (known.source, *known.shadows):
            raise UsageError(f"{name} is {known.source}: only your own are deleted", hint="those have the source user")
        lines = self._losses(known)

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.acting.work(lambda: self._delete(name))

        self.app.push_screen(TypeNameDialog(f"Delete the profile {name}?", lines, name, "Delete"), answered)

    def _losses(self, known: ProfileView) -> list[str]:
        file = f"{known.path or known.dockerfile} on the hub's machine"
        lines = [f"{file}." if known.source == USER else "Your own file, which the project's hides."]
        if BUILT_IN in known.shadows:
            lines.append(f"The built-in {known.name} is back then.")
        agents = self.app.store.agents.values() if self.app.store is not None else ()
        made = sorted(agent.id for agent in agents if agent.profile == known.name)
        if made:
            more = f" and {len(made) - NAMED} more" if len(made) > NAMED else ""
            lines.append(f"Made from it: {', '.join(made[:NAMED])}{more}. They go on with what they were made from.")
        return [*lines, "Its images stay. The file cannot be brought back."]

    async def _delete(self, name: str) -> None:
        await self.app.acting.control.delete_profile(name)
        self._drafts.pop(name, None)
        self.app.say(f"√ {name} is deleted — {shlex.join(['clawtui', 'profile', 'delete', name])}", "ok")
        self._look_again()

    # --- agents from it

    async def do_profile_create(self, words: str) -> None:
        name = self._one(words)
        if not name:
            return
        known = await self.app.acting.control.profile(name)
        if not known.valid:
            raise Conflict(f"{name} is wrong: no agent can be made from it", hint=known.problems[0].message)
        self.app.acting.ask_create(profile=name)

    # --- showing

    def _look_again(self) -> None:
        pane = self.app.main.pane
        if isinstance(pane, ProfilesPane):
            pane.look_again()

    async def _show(self, name: str) -> None:
        pane = self.app.main.pane
        if isinstance(pane, ProfilesPane):
            pane.point_at(name)


def _format(known: ProfileView) -> Format:
    return "yaml" if known.format == "yaml" else "json"
