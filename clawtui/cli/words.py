"""The words of the command line before they are parsed: where the options of `exec` end, what `-` means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

GLOBAL_OPTIONS: Final = frozenset({"--hub", "--token-file", "--ca-file", "--home", "--config"})
"""Options of every verb that take a value."""
EXEC_OPTIONS: Final = frozenset({"--timeout", "--cwd", "--env", "-e"})
"""Options of `exec` that take a value."""
GATEWAY_OPTIONS: Final = {"--token-file": "--gateway-token-file", "--config": "--config-path"}
"""Options of `gateway add` and `gateway sync` whose short names are options of every verb too, with their own names."""
END_OF_OPTIONS: Final = "--"
STDIN: Final = "@stdin"
"""Stands for `-` where a task or a file is expected."""


def verb_position(words: Sequence[str]) -> int | None:
    """Where the verb is: the first word that is neither an option nor an option's value."""
    position = 0
    while position < len(words):
        word = words[position]
        if word == END_OF_OPTIONS:
            return None
        if not word.startswith("-"):
            return position
        position += 2 if word in GLOBAL_OPTIONS else 1
    return None


def prepared(words: Sequence[str]) -> list[str]:
    """The words as the parser takes them.

    `exec [options] NAME [options] [--] COMMAND…`: `--` is put before the command, so that its options
    stay the command's own. `task … -`, `profile … -`, `message … -`: the dash, which no parser takes for a value,
    becomes `STDIN`. `gateway add`, `gateway sync`: what follows them is the gateway's own token file and config.
    """
    verb = verb_position(words)
    if verb is not None and words[verb] == "exec":
        return _separated(words, verb)
    if verb is not None and words[verb] in ("task", "profile", "message"):
        return [STDIN if word == "-" else word for word in words]
    if verb is not None and words[verb] == "gateway" and words[verb + 1 : verb + 2] in (["add"], ["sync"]):
        return [*words[: verb + 2], *map(_gateways_own, words[verb + 2 :])]
    return list(words)


def _gateways_own(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{GATEWAY_OPTIONS[name]}{equals}{value}" if name in GATEWAY_OPTIONS else word


def _separated(words: Sequence[str], verb: int) -> list[str]:
    seen_name = False
    position = verb + 1
    while position < len(words):
        word = words[position]
        if word == END_OF_OPTIONS:
            break
        if word.startswith("-") and len(word) > 1:
            position += 2 if word in GLOBAL_OPTIONS | EXEC_OPTIONS else 1
            continue
        if seen_name:
            return [*words[:position], END_OF_OPTIONS, *words[position:]]
        seen_name = True
        position += 1
    return list(words)
