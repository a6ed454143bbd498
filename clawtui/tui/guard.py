"""The error boundary: which pane an exception came from, and a screen that survives it.

Textual ends a widget's message loop, and then the program, at the first exception in a handler. Here the
pane that failed is replaced by a word about it; screen and app hear on.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from textual._context import active_message_pump
from textual.dom import DOMNode
from textual.worker import WorkerFailed

from clawtui.tui.screens.pane import Pane


def origin(error: BaseException) -> BaseException:
    return error.error if isinstance(error, WorkerFailed) else error


def culprit(error: BaseException) -> Pane | None:
    """The pane in whose code, or in whose handler, the exception was raised; None when it was in no pane."""
    for node in _suspects(error):
        for ancestor in node.ancestors_with_self:
            if isinstance(ancestor, Pane):
                return ancestor
    return None


def _suspects(error: BaseException) -> Iterator[DOMNode]:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        node = frame.f_locals.get("self")
        if isinstance(node, DOMNode) and node.is_attached:
            yield node
    pump = active_message_pump.get(None)
    if isinstance(pump, DOMNode):
        yield pump


def report(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
