"""A conversation with a persona: what was said, what was answered, and how it is shown. No I/O."""

from __future__ import annotations

import enum
from typing import Final

from clawtui.cli.output import age_text
from clawtui.tui.theme import Piece
from hub.contract import MessageChunk
from hub.errors import HubError

SESSION: Final = "clawtui"
"""The conversation that a persona has with this screen, where no other is named."""
UNFINISHED: Final = HubError(
    "the answer ended in its middle", code="answer_cut", hint="say it again; the log of the gateway may say why"
)


class TurnState(enum.Enum):
    RUNNING = "running"
    DONE = "done"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Turn:
    """One thing that was said, with what came back; grows while it is answered. `since`: monotonic seconds."""

    def __init__(self, text: str, since: float) -> None:
        self.text, self.since = text, since
        self.state = TurnState.RUNNING
        self.took = 0.0
        self.error: HubError | None = None
        self.given_back = False
        """What was said stands where it can be sent again."""
        self._parts: list[str] = []

    @property
    def answer(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def add(self, text: str) -> None:
        self._parts.append(text)


class Conversation:
    """Everything said to one persona in one session, as long as the screen runs."""

    def __init__(self, to: str, session: str = SESSION) -> None:
        self.to, self.session = to, session
        self.turns: list[Turn] = []
        self.version = 0
        """Counts what happened: who shows it looks whether it moved."""

    @property
    def running(self) -> Turn | None:
        last = self.turns[-1] if self.turns else None
        return last if last is not None and last.state is TurnState.RUNNING else None

    def begin(self, text: str, now: float) -> None:
        self.turns.append(Turn(text, now))
        self.version += 1

    def take(self, chunk: MessageChunk, now: float) -> None:
        """A piece of the answer; the last one says how it ended."""
        turn = self.running
        if turn is None:
            return
        if chunk.text:
            turn.add(chunk.text)
        if chunk.end:
            error = chunk.error
            if error is not None:
                self.fail(HubError(error.message, code=error.code, hint=error.hint), now)
                return
            known = {"completed": TurnState.DONE, "incomplete": TurnState.INCOMPLETE, "": TurnState.DONE}
            self._end(known.get(chunk.status, TurnState.FAILED), now)
        self.version += 1

    def fail(self, error: HubError, now: float) -> None:
        turn = self.running
        if turn is not None:
            turn.error = error
            self._end(TurnState.FAILED, now)

    def cancel(self, now: float) -> None:
        self._end(TurnState.CANCELLED, now)

    def _end(self, state: TurnState, now: float) -> None:
        turn = self.running
        if turn is not None:
            turn.state, turn.took = state, now - turn.since
            self.version += 1


def conversation_lines(conversation: Conversation, now: float) -> list[Piece]:
    """Lines that are not broken yet; what is said stands apart from what is answered by words, not by colour alone."""
    lines: list[Piece] = []
    for turn in conversation.turns:
        lines += [("", "")] if lines else []
        lines.append(("You:", "accent"))
        lines += [(f"  {line}", "") for line in turn.text.split("\n")]
        if turn.answer or turn.state is TurnState.RUNNING:
            lines.append((f"{conversation.to}:", "ok"))
            lines += [(f"  {line}", "") for line in turn.answer.rstrip("\n").split("\n") if turn.answer]
        lines += _ending(turn, now)
    return lines


def _ending(turn: Turn, now: float) -> list[Piece]:
    match turn.state:
        case TurnState.RUNNING:
            return [(f"  ◔ answers … {age_text(now - turn.since)}", "accent")]
        case TurnState.DONE:
            return [] if turn.answer else [("  · it answered nothing", "dim")]
        case TurnState.INCOMPLETE:
            return [("  ▲ the answer is not complete: the model stopped before its end", "warn")]
        case TurnState.CANCELLED:
            return [("  - cancelled by you: the answer ends here", "warn")]
        case TurnState.FAILED:
            return _failure(turn.error)


def _failure(error: HubError | None) -> list[Piece]:
    if error is None:
        return [("  × failed, and the gateway does not say why", "bad")]
    lines = [(f"  × {error.code}: {error.message}", "bad")]
    return [*lines, *([(f"    what to do: {error.hint}", "accent")] if error.hint else [])]
