"""Keys in their order: none is looked at before the one before it has had its effect.

Textual gives a key to the widget that has the focus when the key comes out of the queue; what an earlier key does
comes several queues later. On a busy machine the letters of `:pause a-1` would then be keys of the table below the
line: `p` pauses, `D` destroys. Here a key waits until the one before has gone all its way, and until a dialog that
it opened has its focus.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import Final

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import ModalScreen

PATIENCE_SECONDS: Final = 5.0
"""A key that got lost on its way, in a widget that answers nothing any more, holds up the others no longer than this.
Longer than a busy machine stands still: after it, the order is not kept."""
LOOK_AGAIN_SECONDS: Final = 0.05
TYPED_ROUNDS, OTHER_ROUNDS = 1, 3
"""How often word goes behind a key. Enter in the line tells the line's box, which tells the screen, which moves the
focus: each of them speaks one round after it heard."""
WAITING_MAX: Final = 4_096
"""More keys than this in one moment are nobody's typing: they are dropped."""


class KeySettled(Message):
    """Goes the way of a key behind it, from the focus up to the app, so many more times."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds


class InOrder(App[int]):
    """An app whose keys and pastes are handled one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._keys_waiting: deque[events.Key | events.Paste] = deque()
        self._key_number = 0
        self._key_target: DOMNode | None = None
        """Where the key was given to that is still on its way; None: there is none."""
        self._key_since = 0.0
        self._key_arrived = False

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
        elif self._key_target is None and not self._keys_waiting:
            await self._give(event)
        elif len(self._keys_waiting) < WAITING_MAX:
            self._keys_waiting.append(event)

    async def _give(self, event: events.Key | events.Paste) -> None:
        target = self.focused or self.screen
        self._key_target, self._key_since, self._key_arrived = target, time.monotonic(), False
        self._key_number += 1
        await super().on_event(event)
        typed = isinstance(event, events.Key) and event.is_printable
        self._follow(TYPED_ROUNDS if typed else OTHER_ROUNDS)
        self.set_timer(LOOK_AGAIN_SECONDS, partial(self._look_again, self._key_number))

    def _follow(self, rounds: int) -> None:
        """Send word behind the key; without anybody to carry it, the key has come to its end."""
        if self._key_target is not None and not self._key_target.post_message(KeySettled(rounds)):
            self._settled()

    def on_key_settled(self, message: KeySettled) -> None:
        message.stop()
        if message.rounds > 1:
            self._follow(message.rounds - 1)
        else:
            # Behind what the key has put into the app's own queue, such as a new focus.
            self.call_later(self._settled)

    def _look_again(self, number: int) -> None:
        """The word may have gone with a widget that was removed, such as a dialog that was answered."""
        target = self._key_target
        if target is None or number != self._key_number:
            return
        if self._key_arrived or not target.is_attached or time.monotonic() - self._key_since >= PATIENCE_SECONDS:
            self._settled()
        else:
            self.set_timer(LOOK_AGAIN_SECONDS, partial(self._look_again, number))

    def _settled(self) -> None:
        """The way is free, once a dialog that opened can take keys."""
        if self._key_target is None or not self.screen_stack:
            return  # nothing is under way, or the program ends
        opening = isinstance(self.screen, ModalScreen) and self.focused is None and self.screen.focus_chain
        if opening and time.monotonic() - self._key_since < PATIENCE_SECONDS:
            self._key_arrived = True
            self.set_timer(LOOK_AGAIN_SECONDS, partial(self._look_again, self._key_number))
            return
        self._key_target = None
        if self._keys_waiting:
            self.call_later(self._next)

    async def _next(self) -> None:
        if self._key_target is None and self._keys_waiting and self.screen_stack:
            await self._give(self._keys_waiting.popleft())
