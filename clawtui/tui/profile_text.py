"""A profile's text: a first one, one under another name, and which line a mistake is about. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from hub.contract import ProblemView

Format = Literal["json", "yaml"]
_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Remark(NamedTuple):
    """A mistake at a line of the text; `line` counts from 0, -1 when it is about no line in particular."""

    line: int
    problem: ProblemView


def first_text(name: str) -> str:
    """A small profile to begin with."""
    return (
        f'{{\n  "name": {json.dumps(name)},\n  "description": "",\n'
        '  "resources": {"cpus": "2", "memory": "4g"},\n'
        '  "packages": [],\n  "environment": {},\n  "setup_tasks": []\n}\n'
    )


def renamed(text: str, format: Format, old: str, new: str) -> str:
    """The same profile under another name, everything else as it was written. A text that does not say its name
    stays: its file's name is the profile's."""
    quoted = re.escape(old)
    if format == "json":
        return re.sub(rf'("name"\s*:\s*)"{quoted}"', lambda found: found[1] + json.dumps(new), text, count=1)
    return re.sub(rf"(?m)^(name\s*:\s*)(['\"]?){quoted}\2(?=\s*(#|$))", lambda found: found[1] + new, text, count=1)


def remarks(text: str, format: Format, problems: Sequence[ProblemView]) -> list[Remark]:
    """The mistakes with their lines, in the order of the text; those about no line come first."""
    found = [Remark(line_of(text, format, problem), problem) for problem in problems]
    return sorted(found, key=lambda remark: remark.line)


def line_of(text: str, format: Format, problem: ProblemView) -> int:
    """The line that says the field, as good as can be told without the parser: the path's words one behind the other.

    A text that cannot be read at all names the line in its message.
    """
    if spoken := re.search(r"\bline (\d+)", problem.message):
        return min(max(int(spoken[1]) - 1, 0), text.count("\n"))
    place, seen = 0, False
    for word, number in _PART.findall(problem.field):
        found = _item(text, format, place, int(number)) if number else _key(text, format, place, word)
        if found < 0:
            break
        place, seen = found, True
    return text.count("\n", 0, place) if seen else -1


def _key(text: str, format: Format, start: int, word: str) -> int:
    """Where the key `word` stands first from `start` on."""
    wanted = re.escape(word)
    pattern = rf'"{wanted}"\s*:' if format == "json" else rf"(?m)(?:^\s*(?:- )?|[{{,]\s*)(['\"]?){wanted}\1\s*:"
    found = re.compile(pattern).search(text, start)
    if found is None:
        return -1
    return found.start() + len(found[0]) - len(found[0].lstrip())


def _item(text: str, format: Format, start: int, number: int) -> int:
    """Where entry `number` of the list begins that comes first from `start` on."""
    return _json_item(text, start, number) if format == "json" or "[" in _line(text, start) else _yaml_item(
        text, start, number
    )  # fmt: skip


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]


def _json_item(text: str, start: int, number: int) -> int:
    """Counts commas of the list itself; those in texts, lists and mappings inside are not its own."""
    place = text.find("[", start) + 1
    if not place:
        return -1
    depth, left, inside = 0, number, False
    while place < len(text):
        sign = text[place]
        if inside:
            place += sign == "\\"
            inside = sign != '"'
        elif not sign.isspace() and not left and not depth:
            return place
        elif sign == '"':
            inside = True
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if depth < 0:
                return -1
        elif sign == "," and not depth:
            left -= 1
        place += 1
    return -1


def _yaml_item(text: str, start: int, number: int) -> int:
    """Counts the dashes of the first list's own indentation."""
    begin = text.find("\n", start)
    dashes = list(re.compile(r"(?m)^([ \t]*)- ").finditer(text, begin if begin >= 0 else len(text)))
    own = [dash for dash in dashes if dash[1] == dashes[0][1]]
    return own[number].end() - 2 if number < len(own) else -1
