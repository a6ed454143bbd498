"""The `/` filter of every table: text, `/regex/`, `!` for its opposite, `key:value`; words are and-ed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from clawtui.errors import UsageError

Fields = Mapping[str, str]
Test = Callable[[Fields], bool]

HELP: Final = "text · /regex/ · !not · key:value · key:/regex/; all words must fit"


class Filter(NamedTuple):
    """`text` as it was typed; `tests` all must hold."""

    text: str = ""
    tests: tuple[Test, ...] = ()

    def keeps(self, fields: Fields) -> bool:
        return all(test(fields) for test in self.tests)


NOTHING: Final = Filter()


def parse_filter(text: str, keys: frozenset[str]) -> Filter:
    """`keys`: the fields that `key:value` may name; other words with a colon are plain text.

    Raises:
        UsageError: a regular expression that is none.
    """
    return Filter(text.strip(), tuple(_test(word, keys) for word in text.split()))


def _test(word: str, keys: frozenset[str]) -> Test:
    if word.startswith("!") and len(word) > 1:
        positive = _test(word[1:], keys)
        return lambda fields: not positive(fields)
    key, colon, value = word.partition(":")
    if colon and key.lower() in keys:
        name, found = key.lower(), _match(value)
        return lambda fields: found(fields.get(name, ""))
    found = _match(word)
    return lambda fields: any(found(value) for value in fields.values())


def _match(text: str) -> Callable[[str], bool]:
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        try:
            pattern = re.compile(text[1:-1], re.IGNORECASE)
        except re.error as exc:
            raise UsageError(f"the filter {text} is no regular expression: {exc}", field="filter") from exc
        return lambda value: pattern.search(value) is not None
    wanted = text.lower()
    return lambda value: wanted in value.lower()
