"""What the hub says of itself for a while, in its health and to whoever is responsible; then it is forgotten."""

from __future__ import annotations

from typing import Final

from hub.core.model import Now

SHOWN_SECONDS: Final = 900.0
"""Long enough for a person who looks now and then; what lasts longer than that is said again by its cause."""


class Notices:
    """One text per subject; a new one takes the place of the last."""

    def __init__(self, shown_seconds: float = SHOWN_SECONDS) -> None:
        self._shown_seconds = shown_seconds
        self._said: dict[str, tuple[float, str]] = {}

    def say(self, subject: str, text: str, now: Now) -> None:
        self._said[subject] = now.mono + self._shown_seconds, text

    def current(self, now: Now) -> list[str]:
        """Return what is not too old, in the order of subjects."""
        self._said = {subject: said for subject, said in self._said.items() if said[0] > now.mono}
        return [text for _, (_, text) in sorted(self._said.items())]
