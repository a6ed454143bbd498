"""Saying something to a persona: whom, in which session, and hearing the answer while other places are looked at."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.worker import Worker

from clawtui.errors import UsageError
from clawtui.follow import closed
from clawtui.tui.actions import Where
from clawtui.tui.messages import SESSION, UNFINISHED, Conversation
from clawtui.tui.widgets.asking import AskDialog
from clawtui.tui.widgets.dialogs import Choice, Picker
from hub.contract import SendMessage
from hub.errors import Conflict, HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

ABOUT_SESSIONS = "The same name goes on with the same conversation; another one begins anew. The gateway keeps them."


class Messaging:
    """Handlers of messages. Conversations are kept until the screen ends."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self._known: dict[tuple[str, str], Conversation] = {}
        self._sessions: dict[str, str] = {}
        self._workers: dict[Conversation, Worker[None]] = {}

    def conversation(self, to: str) -> Conversation:
        """The one that goes on with the persona `to`."""
        key = (to, self._sessions.get(to, SESSION))
        return self._known.setdefault(key, Conversation(*key))

    # --- whom

    async def do_message_open(self, words: str) -> None:
        to, _, text = words.partition(" ")
        pane = self.app.main.pane
        if not to:
            found = (*(one for one in pane.addresses() if "/" in one), *pane.roster())
            if len(found) > 1 and pane.place is Where.GATEWAYS:
                self._choose(found)
                return
            to = next(iter(found), "")
        await self._open(to, text.strip())

    def _choose(self, addresses: tuple[str, ...]) -> None:
        async def chosen(address: str | None) -> None:
            if address:
                await self._open(address)

        self.app.push_screen(Picker("Message to", [Choice(one, one) for one in addresses]), chosen)

    async def _open(self, to: str, text: str = "") -> None:
        gateway, slash, slug = to.partition("/")
        if not slash or not gateway or not slug:
            raise UsageError(f"{to!r} is no persona", hint="personas are named GATEWAY/SLUG; F10 shows them")
        pane = await self.app.main.go(Where.MESSAGES)
        pane.point_at(to)
        if text:
            self.say(self.conversation(to), text)

    async def do_message_session(self, name: str) -> None:
        to = next(iter(self.app.main.pane.addresses()), "")
        if not to:
            raise UsageError("whose session? No conversation is open", hint="m on a persona opens one")

        def answered(chosen: str | None) -> None:
            if chosen:
                self._sessions[to] = chosen
                self.app.refresh_now()

        if name:
            answered(name)
        else:
            now = self._sessions.get(to, SESSION)
            self.app.push_screen(AskDialog(f"Session with {to}", "Session", now, ABOUT_SESSIONS), answered)

    # --- talking

    def say(self, conversation: Conversation, text: str) -> None:
        """Raises Conflict while the last thing said is being answered."""
        if self.app.read_only:
            raise Conflict("read-only: nothing can be said here", code="read_only")
        if conversation.running is not None:
            raise Conflict(
                f"{conversation.to} still answers", code="busy", hint="wait for the end, or esc cancels the answer"
            )
        control = self.app.acting.control
        conversation.begin(text, self._now())
        request = SendMessage(to=conversation.to, text=text, session=conversation.session)

        async def talk() -> None:
            try:
                async with closed(control.message(request)) as chunks:
                    async for chunk in chunks:
                        conversation.take(chunk, self._now())
                        if chunk.end:
                            break
                conversation.fail(UNFINISHED, self._now())  # nothing where it has ended well
            except asyncio.CancelledError:
                conversation.cancel(self._now())
                raise
            except HubError as error:
                conversation.fail(error, self._now())
            except Exception as error:  # noqa: BLE001 - shown instead of lost
                conversation.fail(HubError(f"a defect: {error!r}", code="defect"), self._now())

        # Of the app: who looks at another place does not lose the answer.
        self._workers[conversation] = self.app.run_worker(partial(talk), group="messages", exit_on_error=False)

    def cancel(self, conversation: Conversation) -> bool:
        """End the answer that is being given; False when there is none."""
        if conversation.running is None:
            return False
        self._workers[conversation].cancel()
        conversation.cancel(self._now())  # a worker that never began would not say it
        return True

    def _now(self) -> float:
        return self.app.store.mono() if self.app.store is not None else 0.0
