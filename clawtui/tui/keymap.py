"""Which key does what: the defaults of the registry with the user's own on top."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from clawtui.errors import UsageError
from clawtui.tui.actions import ACTIONS, BY_ID, Action, Where, applies

SPELLINGS: Final = {
    "/": "slash", ":": "colon", "?": "question_mark", "!": "exclamation_mark", "+": "plus", "-": "minus",
    "[": "left_square_bracket", "]": "right_square_bracket", ".": "full_stop", ",": "comma", " ": "space",
    "esc": "escape", "return": "enter", "*": "asterisk", "=": "equals_sign",
}  # fmt: skip
"""Keys as people write them, and as the terminal library names them."""
SHOWN: Final = {name: written for written, name in SPELLINGS.items() if len(written) == 1} | {
    "space": "space", "escape": "esc", "up": "↑", "down": "↓",
}  # fmt: skip


def spelled(key: str) -> str:
    return SPELLINGS.get(key, key)


def shown(key: str) -> str:
    """A key as the hint bar writes it."""
    return "+".join(SHOWN.get(part, part) for part in key.split("+")).replace("ctrl+", "^")


def own_keys(items: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The setting `keys`, `ACTION=KEY KEY` each, as keys by action."""
    pairs = (item.partition("=") for item in items)
    return {name.strip(): tuple(keys.split()) for name, _, keys in pairs}


class Keymap:
    """Keys by action and actions by key. Two actions may share a key where they never apply together."""

    def __init__(self, own: Mapping[str, Iterable[str]] | None = None) -> None:
        """`own`: keys by action id; no key takes the action off the keyboard.

        Raises:
            UsageError: an id that is no action, or a key that two actions want in one place.
        """
        self.keys: dict[str, tuple[str, ...]] = {action.id: action.keys for action in ACTIONS}
        for action_id, keys in (own or {}).items():
            if action_id not in BY_ID:
                nearest = difflib.get_close_matches(action_id, BY_ID, n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else "docs/screen.md lists them all"
                raise UsageError(f"keys: there is no action {action_id!r}", field="keys", hint=hint)
            self.keys[action_id] = tuple(spelled(key) for key in keys)
        self._by_key: dict[str, list[Action]] = {}
        for action in ACTIONS:
            for key in self.keys[action.id]:
                self._by_key.setdefault(key, []).append(action)
        self._refuse_clashes(frozenset(own or ()))

    def _refuse_clashes(self, own: frozenset[str]) -> None:
        for key, actions in self._by_key.items():
            for place in Where:
                rivals = [action.id for action in actions if applies(action, place)]
                if len(rivals) > 1 and own & set(rivals):
                    raise UsageError(
                        f"keys: {shown(key)!r} is wanted by {' and '.join(rivals)}",
                        field="keys",
                        hint="give one of them another key",
                    )

    def all_keys(self) -> list[str]:
        return list(self._by_key)

    def candidates(self, key: str) -> list[Action]:
        return self._by_key.get(key, [])

    def first(self, action_id: str) -> str:
        """The action's first key as people write it; empty when it has none."""
        keys = self.keys[action_id]
        return shown(keys[0]) if keys else ""
