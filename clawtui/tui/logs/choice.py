"""Pure: whose logs are shown, out of the words that choose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from hub.contract import AgentView
from hub.core.selector import parse_selector

MOST_AGENTS: Final = 30
"""Logs that are merged at once, unless more agents are named one by one."""
ALL: Final = ("all", "*")
WINDOWS: Final = ("1m", "5m", "15m", "1h", "6h", "24h", "all")
"""How far logs go back."""


class Choice(NamedTuple):
    """`shown` and `left_out` together are whom the words mean."""

    shown: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def choose(words: Sequence[str], agents: Mapping[str, AgentView]) -> Choice:
    """Everybody without words; else names and patterns (`web-*`), or a selector (`type=builder team!=red`).

    Raises:
        BadRequest: a selector that cannot be read.
    """
    named: list[str] = []
    meant: list[str] = []
    if not words or any(word in ALL for word in words):
        meant = sorted(agents)
    elif any("=" in word for word in words):
        terms = parse_selector(" ".join(words))
        meant = [name for name, agent in sorted(agents.items()) if all(term.holds(agent) for term in terms)]
    else:
        for word in words:
            if any(character in word for character in "*?["):
                meant += [name for name in sorted(agents) if fnmatchcase(name, word)]
            else:
                named.append(word)
    meant = [name for name in dict.fromkeys(meant) if name not in named]
    room = max(0, MOST_AGENTS - len(named))
    return Choice((*dict.fromkeys(named), *meant[:room]), tuple(meant[room:]))


def following_window(window: str) -> str:
    """The next one, for a key that goes through them."""
    return WINDOWS[(WINDOWS.index(window) + 1) % len(WINDOWS)]
