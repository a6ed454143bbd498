"""What the events of a streamed response mean, one after the other. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hub.errors import HubError
from hub.gateways import failures
from hub.gateways.failures import Whom
from hub.gateways.sse import SseEvent

DONE: Final = b"[DONE]"
_BEGINS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
"""Events before anything was said or done."""
_ENDS: Final = {"response.completed": "completed", "response.failed": "failed", "response.incomplete": "incomplete"}


class Reading:
    """State of one answer. `produced`: the agent has said or done something, so that it must not be asked again."""

    def __init__(self, whom: Whom) -> None:
        self._whom = whom
        self.response_id = ""
        self.status = ""
        """Empty until the answer's end was told."""
        self.usage: dict[str, int] = {}
        self.produced = False
        self.done = False
        """Nothing follows."""
        self.error: HubError | None = None
        self._told_text = False

    def take(self, event: SseEvent) -> str:
        """Return the text that the event adds. Raises HubError for what is no event of a response."""
        if event.data.strip() == DONE:
            self.done = True
            return ""
        fields = self._decode(event.data)
        name = fields.get("type") or event.name
        if not isinstance(name, str):
            return ""
        if name in _ENDS:
            return self._end(_ENDS[name], fields.get("response"))
        if name == "error" or ("error" in fields and not name):
            self._fail(fields.get("error") if isinstance(fields.get("error"), dict) else fields)
            return ""
        if name in _BEGINS:
            self._know(fields.get("response"))
            return ""
        self.produced = True
        return self._text(name, fields)

    def take_whole(self, fields: dict[str, Any]) -> str:
        """Return the text of an answer that came in one piece although a stream was asked for."""
        self.done = True
        status = str(fields.get("status"))
        return self._end(status if status in _ENDS.values() else "completed", fields)

    def _text(self, name: str, fields: dict[str, Any]) -> str:
        text = fields.get("delta") if name == "response.output_text.delta" else None
        if name == "response.output_text.done" and not self._told_text:
            text = fields.get("text")
        if not isinstance(text, str):
            return ""
        self._told_text = self._told_text or bool(text)
        return text

    def _end(self, status: str, response: Any) -> str:
        self.status = status
        self._know(response)
        whole = response if isinstance(response, dict) else {}
        usage = whole.get("usage")
        if isinstance(usage, dict):
            self.usage = {str(name): count for name, count in usage.items() if type(count) is int}
        if status == "failed":
            self._fail(whole.get("error"))
        elif status == "incomplete":
            details = whole.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else ""
            self.error = failures.incomplete(reason if isinstance(reason, str) else "", self._whom)
        if self._told_text:
            return ""
        text = _output_text(whole)
        self._told_text = self.produced = self.produced or bool(text)
        return text

    def _fail(self, error: Any) -> None:
        self.status = "failed"
        told = error if isinstance(error, dict) else {}
        message, kind = told.get("message"), told.get("code") or told.get("type")
        self.error = failures.failed_run(
            message if isinstance(message, str) else "", kind if isinstance(kind, str) else "", self._whom
        )

    def _know(self, response: Any) -> None:
        if isinstance(response, dict) and isinstance(response.get("id"), str):
            self.response_id = response["id"][:200]

    def _decode(self, data: bytes) -> dict[str, Any]:
        try:
            fields = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise failures.not_understood("an event of its stream is no JSON", self._whom) from exc
        if not isinstance(fields, dict):
            raise failures.not_understood("an event of its stream is no object", self._whom)
        return fields


def _output_text(response: dict[str, Any]) -> str:
    """The text of a whole response: the parts of its messages, in order."""
    output = response.get("output")
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    texts: list[str] = []
    for item in items:
        parts = item.get("content")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and part.get("type") == "output_text" and isinstance(part.get("text"), str):
                texts.append(part["text"])
    return "".join(texts)
