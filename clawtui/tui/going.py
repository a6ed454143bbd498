"""Going to a link, and telling the link of what is in front."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from clawtui.errors import UsageError
from clawtui.settings import COMMAND_LINE
from clawtui.tui.actions import Where
from clawtui.tui.links import Link, parse_link, verb_words
from clawtui.tui.screens.fleet import FleetPane
from clawtui.tui.screens.pane import Pane
from clawtui.tui.screens.profiles import ProfilesPane
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.detail import TABS
from hub.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

REACHED_BY: Final = {"home": "--home", "token_file": "--token-file", "ca_file": "--ca-file"}
"""Options that another `clawtui` needs to reach the same hub, where they were given to this one."""

PATTERN: Final = frozenset("*?[]=!")


class Going:
    """Handlers of `go` and `link`."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    async def do_go(self, text: str) -> None:
        if text:
            await self.open(parse_link(text))
        else:
            self.app.doing.ask_words("go ")

    async def open(self, link: Link) -> None:
        """Show what the link is about.

        Raises:
            HubError: it is not there, or the hub does not answer; the screen stays where it is then.
        """
        store = self.app.store
        if store is None:
            raise Unavailable("the hub is not there yet")
        await self._look_for(link, store)
        if link.tab and link.tab not in TABS:
            raise UsageError(f"an agent has no {link.tab!r} here", field="link", hint=f"it has {', '.join(TABS)}")
        await self._show(link)

    async def _look_for(self, link: Link, store: FleetStore) -> None:
        """Raises HubError when what the link is about is not there."""
        match link.place:
            case Where.FLEET | Where.LOGS:
                # Logs are chosen by patterns and selectors too; what those fit is said there.
                names = [name for name in link.keys if link.place is Where.FLEET or not PATTERN & set(name)]
                missing = [name for name in names if name not in store.agents]
                if missing and store.loaded:
                    raise NotFound(f"there is no agent {missing[0]!r}", hint="F1 shows those there are")
            case Where.OUTPUT:
                await store.control.get_task(link.keys[0])
            case Where.ROLLOUT:
                await store.control.dispatch_status(link.keys[0])
            case Where.SNAPSHOTS | Where.DIFFERENCE:
                for key in link.keys:
                    await store.control.snapshot(key)
            case Where.PROFILES | Where.BUILD:
                for key in link.keys:
                    await store.control.profile(key)
            case _:
                await _look_for_persona(link, store)

    async def _show(self, link: Link) -> None:
        pane = await self.app.main.go(link.place)
        if link.place is Where.LOGS and link.keys:
            pane.choose(link.keys)
        elif link.keys:
            pane.point_at(",".join(link.keys) if link.place is Where.DIFFERENCE else link.keys[0])
        if isinstance(pane, FleetPane) and link.tab:
            pane.detail.show_tab(link.tab)

    def front(self) -> Link:
        """The link of what is in front."""
        pane = self.app.main.pane
        subject = pane.subject()
        match pane.place:
            case Where.FLEET:
                cursor = pane.table.cursor_key if isinstance(pane, FleetPane) else None
                tab = pane.detail.tab if isinstance(pane, FleetPane) and pane.detail.tab != TABS[0] else ""
                return Link(pane.place, (cursor,), tab) if cursor else Link(pane.place)
            case Where.LOGS:
                return Link(pane.place, subject.agents)
            case Where.OUTPUT if subject.tasks:
                return Link(pane.place, subject.tasks[:1])
            case Where.ROLLOUT if pane.rollout():
                return Link(pane.place, (pane.rollout(),))
            case Where.SNAPSHOTS | Where.DIFFERENCE if saved := pane.snapshots():
                return Link(pane.place, tuple(one.id for one in saved[: 1 if pane.place is Where.SNAPSHOTS else 2]))
            case Where.DIFFERENCE:
                return Link(Where.SNAPSHOTS)
            case Where.PROFILES:
                cursor = pane.table.cursor_key if isinstance(pane, ProfilesPane) else None
                return Link(pane.place, (cursor,)) if cursor else Link(pane.place)
            case Where.BUILD:
                return Link(pane.place, pane.profiles_meant()) if pane.profiles_meant() else Link(Where.PROFILES)
            case Where.OUTPUT | Where.ROLLOUT:
                return Link(Where.TASKS)
            case _:
                return _front_of_sync(pane)

    async def do_link(self, _: str) -> None:
        link = self.front()
        lines = [self._command([], ["--open", str(link)], "--attach")]
        lines += [self._command(words, [], "--hub") for words in verb_words(link)]
        self.app.copy_to_clipboard("\n".join(lines))
        same = "".join(f" and clawtui {shlex.join(words)}" for words in verb_words(link)[:1])
        self.app.say(f"copied: the link {link}{same}", "ok")

    def _command(self, verb: list[str], options: list[str], hub: str) -> str:
        """A command line that reaches this hub; what the surroundings say to any `clawtui` needs no option."""
        settings = self.app.settings
        reach: list[str] = []
        if settings.hub and settings.origin("hub") == COMMAND_LINE:
            reach += [hub, settings.hub]
        for name, option in REACHED_BY.items():
            if settings.origin(name) == COMMAND_LINE:
                reach += [option, str(getattr(settings, name))]
        return shlex.join(["clawtui", *verb, *reach, *options])


async def _look_for_persona(link: Link, store: FleetStore) -> None:
    """Or for a gateway. Raises HubError when it is not there."""
    for key in link.keys:
        gateway, _, slug = key.partition("/")
        if link.place is Where.PERSONA:
            await store.control.sync_diff(gateway, slug)
        elif link.place in (Where.GATEWAYS, Where.MESSAGES, Where.GATEWAY_LOG):
            await store.control.gateway(gateway)


def _front_of_sync(pane: Pane) -> Link:
    """Of a place of gateways and personas, or of one that is nothing but itself."""
    if pane.place in (Where.PERSONA, Where.GATEWAYS, Where.MESSAGES, Where.GATEWAY_LOG) and pane.addresses():
        return Link(pane.place, pane.addresses()[:1])
    if pane.place is Where.GATEWAY_LOG:
        return Link(Where.GATEWAYS)
    return Link(Where.SYNC if pane.place in (Where.PERSONA, Where.MESSAGES) else pane.place)
