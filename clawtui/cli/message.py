"""`message`: say something to a persona of a gateway and print its answer as it comes."""

from __future__ import annotations

from clawtui.cli import exits
from clawtui.cli.output import Mode
from clawtui.cli.values import seconds
from clawtui.cli.words import STDIN
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from clawtui.follow import closed
from hub.contract import MessageChunk, SendMessage
from hub.errors import HubError

TIMEOUT_CODE = "message_timeout"


async def message(
    to: str, text: str, /, *, session: str = "clawtui", timeout: str = "10m", context: Ctx
) -> int:  # fmt: skip
    """Say something to a persona and print its answer as it comes.

    Args:
        to: GATEWAY/SLUG.
        text: What to say; - reads it from stdin.
        session: Name of the conversation: the same again continues it.
        timeout: How long its answer may take, waiting included, e.g. 90s.
    """
    if text == STDIN:
        text = context.world.stdin.read()
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the text is not UTF-8", field="text") from exc
    request = SendMessage(to=to, text=text, session=session, timeout_seconds=_timeout(timeout))
    try:
        return await _print_answer(context, request)
    except HubError as exc:
        if exc.code != TIMEOUT_CODE:
            raise
        exits.print_error(exc, context.world.stderr)
        return exits.TIMED_OUT


def _timeout(text: str) -> int:
    """Raises UsageError: the hub takes one second to an hour."""
    given = seconds(text, "--timeout")
    if not 1 <= given <= 3_600:
        raise UsageError(f"--timeout {text} is not between 1s and 60m", field="timeout")
    return given


async def _print_answer(context: Context, request: SendMessage) -> int:
    answer = Answer(context)
    async with context.control() as control:
        async with closed(control.message(request)) as chunks:
            async for chunk in chunks:
                answer.take(chunk)
    return answer.end()


class Answer:
    """What was answered so far, printed as it comes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last: MessageChunk | None = None
        self._at_line_start = True

    def take(self, chunk: MessageChunk) -> None:
        """Print a piece. Raises BrokenPipeError when nobody reads any more."""
        self._last = chunk if chunk.end else self._last
        out = self._context.out
        if out.mode is Mode.JSON:
            out.body(chunk)
            return
        # No terminal is steered by what a persona says.
        text = "".join(letter for letter in chunk.text if letter.isprintable() or letter in "\n\t")
        if text:
            out.stdout.write(text)
            out.stdout.flush()
            self._at_line_start = text.endswith("\n")

    def end(self) -> int:
        """Say how it ended and return the exit code. Raises HubError for an answer without an end."""
        if not self._at_line_start:
            self._context.out.line("")
        last = self._last
        if last is None:
            raise HubError("the hub's answer ended before the persona's did", code="stream_cut")
        if last.error is None:
            return exits.DONE
        error = HubError(last.error.message, code=last.error.code, hint=last.error.hint)
        exits.print_error(error, self._context.world.stderr)
        return exits.TIMED_OUT if error.code == TIMEOUT_CODE else exits.FAILED
