"""A conversation with one persona: what was said above, what is typed below. The answer is shown as it comes."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import TextArea

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.messages import Conversation, TurnState, conversation_lines
from clawtui.tui.screens.pane import Pane
from clawtui.tui.store import PACE_SECONDS
from clawtui.tui.widgets.lines_view import LinesView
from clawtui.tui.widgets.topbar import Line
from hub.errors import HubError

KEYS = "enter sends · ^j new line · tab reads"
NOBODY = "No conversation is open."


class Draft(TextArea):
    """What is going to be said: Enter sends it, `ctrl+j` begins a new line."""

    class Sent(Message):
        """Enter was pressed."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, tab_behavior="focus", compact=True, show_line_numbers=False)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Sent())
        elif event.key == "ctrl+j":
            event.stop()
            event.prevent_default()
            self.insert("\n")
        else:
            await super()._on_key(event)


class MessagesPane(Pane):
    place = Where.MESSAGES

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._to = ""
        self._drafts: dict[str, str] = {}
        """What was begun for personas that are not in front."""
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="messages-title")
        yield LinesView(words=True, stick=True, id="messages-said")
        yield Line(stay=True, id="messages-keys")
        yield Draft(id="messages-draft")

    def on_mount(self) -> None:
        self.set_interval(PACE_SECONDS, self._follow)

    @property
    def said(self) -> LinesView:
        return self.query_one(LinesView)

    @property
    def draft(self) -> Draft:
        return self.query_one(Draft)

    def point_at(self, key: str) -> None:
        if key != self._to and self.is_mounted:
            # What was begun for one persona is never sent to another.
            self._drafts[self._to] = self.draft.text
            self.draft.load_text(self._drafts.pop(key, ""))
            self.draft.move_cursor(self.draft.document.end)
        self._to, self._shown = key, ()
        self.ui.refresh_now()

    def _conversation(self) -> Conversation | None:
        return self.ui.messaging.conversation(self._to) if self._to else None

    # --- showing

    def _follow(self) -> None:
        """The answer grows without a word in the hub's feed."""
        conversation = self._conversation()
        if self.display and conversation is not None and conversation.running is not None:
            self.show()

    def show(self) -> None:
        store, talk = self.ui.store, self._conversation()
        if store is None or not self.is_mounted:
            return
        if talk is None:
            self.said.set_empty(f"{NOBODY} {self.ui.keymap.first('show.sync')} shows the personas: m opens one.")
            return
        seconds = int(store.mono() - talk.running.since) if talk.running is not None else 0
        shown = (talk, talk.version, seconds, store.live)
        if shown == self._shown:
            return
        anew = not self._shown or self._shown[0] is not talk
        self._shown = shown
        self.said.set_empty(f"Nothing was said to {self._to} in this session yet.")
        self.said.set_lines(conversation_lines(talk, store.mono()), anew=anew)
        self._title(talk, live=store.live)
        self._give_back(talk)

    def _title(self, talk: Conversation, *, live: bool) -> None:
        busy = ("  ◔ answers …", "accent") if talk.running is not None else ("", "")
        away = ("" if live else "  the hub is away", "warn")
        head = [(f" {printable(talk.to)} ", "bold"), (f"session {printable(talk.session)}", "dim"), busy, away]
        self.query_one("#messages-title", Line).set_pieces(head)
        key = self.ui.keymap.first("message.session")
        esc = "esc cancels the answer" if talk.running is not None else "esc leaves"
        keys = "read-only: nothing can be said here" if self.ui.read_only else f"{esc} · {KEYS} · {key} session"
        self.query_one("#messages-keys", Line).set_pieces([(f" {keys}", "dim")])
        self.draft.disabled = self.ui.read_only

    def _give_back(self, talk: Conversation) -> None:
        """What came to nothing is not to be typed again."""
        last = talk.turns[-1] if talk.turns else None
        if last is not None and last.state is TurnState.FAILED and not last.answer and not last.given_back:
            last.given_back = True
            if not self.draft.text:
                self.draft.load_text(last.text)
                self.draft.move_cursor(self.draft.document.end)

    # --- saying

    @on(Draft.Sent)
    def _send(self) -> None:
        text, talk = self.draft.text.strip(), self._conversation()
        if not text or talk is None:
            return
        try:
            self.ui.messaging.say(talk, text)
        except HubError as error:
            self.ui.problem(error)  # what was typed stays
            return
        self.draft.load_text("")
        self.ui.say("")
        self.said.scroll_end(animate=False)
        self.show()

    def back(self) -> bool:
        talk = self._conversation()
        if talk is not None and self.ui.messaging.cancel(talk):
            self.show()
            return True
        if self.said.has_focus and not self.draft.disabled:
            self.draft.focus()
            return True
        return False

    # --- for actions

    def focus_first(self) -> None:
        if self.is_mounted:
            (self.said if self.ui.read_only else self.draft).focus()

    def addresses(self) -> tuple[str, ...]:
        return (self._to,) if self._to else ()

    def has(self, needs: str) -> bool:
        return needs == "persona" and bool(self._to)

    def copied(self) -> str:
        return self.said.plain
