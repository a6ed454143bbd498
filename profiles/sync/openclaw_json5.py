"""JSON5 as a tree that keeps every byte: what is not changed is written out as it was read.

Evidence for a parser of our own (json-five 1.1.2 has a model that keeps white space and comments): it needs 440 ms for
a roster of 500 agents where this needs a tenth, refuses a raw U+2028 in a string (every JSON file may have one, and
the gateway's own parser takes it) and reserved words as bare keys, and names no line for a comment that is not closed.
The edits, which are most of the work, would have been ours with either.

The grammar is JSON5 1.0.0. Of a key that is given twice the last one counts, as in the gateway.
"""

from __future__ import annotations

import re
from typing import Final

from profiles.sync.errors import ConfigError

MAX_DEPTH: Final = 100
"""Far more than a configuration has, far less than the interpreter's stack."""
_MAX_DIGITS: Final = 400
BLANKS: Final = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_TRIVIA = re.compile(rf"(?:[{BLANKS}]++|//[^\n\r\u2028\u2029]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_STRING = re.compile(r'"((?:[^"\\\n\r]|\\(?:\r\n|[\s\S]))*+)"' + "|" + r"'((?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+)'")
_NUMBER = re.compile(
    r"([+-]?)(?:(Infinity|NaN)|0[xX]([0-9a-fA-F]+)|((?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))"
    r"(?![\w$.])"
)
_NAME = re.compile(r"(?:[^\W\d]|\$|\\u[0-9a-fA-F]{4})(?:[\w$\u200c\u200d]|\\u[0-9a-fA-F]{4})*+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_ESCAPED: Final = {
    "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0",
    "\n": "", "\r": "", "\r\n": "", "\u2028": "", "\u2029": "",
}  # fmt: skip
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""A JSON value as Python has it."""


class Scalar:
    """A value without parts: as it is written, what it means, and where it began in what was read."""

    __slots__ = ("at", "text", "value")

    def __init__(self, text: str, value: bool | int | float | str | None, at: int = 0) -> None:
        self.text = text
        self.value = value
        self.at = at


class Container:
    """An object or, with `is_list`, a list. `tail` is what stands between the last comma and the closing bracket.

    `indent`: the white space at the beginning of the line on which it opens.
    """

    __slots__ = ("at", "indent", "is_list", "slots", "tail")

    def __init__(self, is_list: bool, indent: str = "", at: int = 0) -> None:
        self.is_list = is_list
        self.indent = indent
        self.at = at
        self.slots: list[Slot] = []
        self.tail = ""

    def find(self, key: str) -> Slot | None:
        """Return the member that counts."""
        return next((slot for slot in reversed(self.slots) if slot.key == key), None)

    def by_key(self) -> dict[str, Slot]:
        return {slot.key: slot for slot in self.slots}


Node = Scalar | Container


class Slot:
    """A member of an object, or an item of a list (`key` and `key_text` empty), with the blanks and comments around.

    Written: `before key_text key_gap : value_gap value after ,`. Without a comma it is the last one.
    """

    __slots__ = ("after", "before", "comma", "key", "key_gap", "key_text", "value", "value_gap")

    def __init__(self, value: Node, *, before: str = "", key: str = "", key_text: str = "") -> None:
        self.before = before
        self.key = key
        self.key_text = key_text
        self.key_gap = ""
        self.value_gap = ""
        self.value = value
        self.after = ""
        self.comma = False


class Document:
    """A file: the value and what stands before and after it."""

    __slots__ = ("head", "root", "tail", "text")

    def __init__(self, text: str, head: str, root: Node, tail: str) -> None:
        self.text = text
        self.head = head
        self.root = root
        self.tail = tail

    def render(self) -> str:
        parts = [self.head]
        _write(self.root, parts)
        parts.append(self.tail)
        return "".join(parts)

    def error(self, node: Node, message: str, hint: str = "") -> ConfigError:
        """Return the error that something is wrong with a part of what was read."""
        return _error(self.text, node.at, message, hint)


def parse(text: str) -> Document:
    """Raises ConfigError with line and column."""
    return _Parser(text).document()


def plain(node: Node) -> Plain:
    """Return what a node means."""
    if isinstance(node, Scalar):
        return node.value
    if node.is_list:
        return [plain(slot.value) for slot in node.slots]
    return {slot.key: plain(slot.value) for slot in node.slots}


def has_comment(trivia: str) -> bool:
    """Tell whether there is more than blanks between two tokens."""
    return "/" in trivia


def last_line(trivia: str) -> str | None:
    """Return the white space with which the line begins on which these blanks end, None without a line break."""
    line = trivia.replace("\r", "\n").rpartition("\n")
    return line[2][: len(line[2]) - len(line[2].lstrip())] if line[1] else None


def _write(node: Node, parts: list[str]) -> None:
    if isinstance(node, Scalar):
        parts.append(node.text)
        return
    parts.append("[" if node.is_list else "{")
    for slot in node.slots:
        parts.append(slot.before)
        if not node.is_list:
            parts += (slot.key_text, slot.key_gap, ":", slot.value_gap)
        _write(slot.value, parts)
        parts.append(slot.after)
        if slot.comma:
            parts.append(",")
    parts += (node.tail, "]" if node.is_list else "}")


def _error(text: str, at: int, message: str, hint: str) -> ConfigError:
    lines = re.split(r"\r\n|[\n\r]", text[:at])
    return ConfigError(message, hint, line=len(lines), column=len(lines[-1]) + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def document(self) -> Document:
        head = self._trivia()
        root = self._value(last_line(head) or "")
        tail = self._trivia()
        if self._at < len(self._text):
            raise self._wrong("the file goes on after its value")
        return Document(self._text, head, root, tail)

    def _wrong(self, message: str, at: int | None = None) -> ConfigError:
        place = self._at if at is None else at
        found = f", found {self._text[place]!r}" if place < len(self._text) else ", found the end of the file"
        hint = "Correct the file, or put the last good one back; until then nothing is written to it."
        return _error(self._text, place, f"this is no valid JSON5: {message}{found}", hint)

    def _trivia(self) -> str:
        found = _TRIVIA.match(self._text, self._at)
        begin, self._at = self._at, found.end() if found else self._at
        if self._text.startswith("/*", self._at):
            raise self._wrong("a comment is not closed")
        return self._text[begin : self._at]

    def _value(self, indent: str) -> Node:
        opening = self._text[self._at : self._at + 1]
        if opening in ("{", "["):
            return self._container(opening == "[", indent)
        at = self._at
        if opening in ('"', "'"):
            value = self._string()
            return Scalar(self._text[at : self._at], value, at)
        if found := _NUMBER.match(self._text, at):
            self._at = found.end()
            return Scalar(found[0], _number(found), at)
        if (word := _NAME.match(self._text, at)) and word[0] in _WORDS:
            self._at = word.end()
            return Scalar(word[0], _WORDS[word[0]], at)
        raise self._wrong("a value is expected")

    def _container(self, is_list: bool, indent: str) -> Container:
        made = Container(is_list, indent, self._at)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} levels are not read")
        closing = "]" if is_list else "}"
        self._at += 1
        before = self._trivia()
        while not self._text.startswith(closing, self._at):
            slot = self._slot(is_list, before, indent)
            made.slots.append(slot)
            slot.comma = self._text.startswith(",", self._at)
            if slot.comma:
                self._at += 1
                before = self._trivia()
            elif self._text.startswith(closing, self._at):
                before = ""
            else:
                raise self._wrong(f"a comma or {closing} is expected")
        made.tail = before
        self._at += 1
        self._depth -= 1
        return made

    def _slot(self, is_list: bool, before: str, indent: str) -> Slot:
        own = last_line(before)
        key = key_text = key_gap = value_gap = ""
        if not is_list:
            begin = self._at
            key = self._key()
            key_text = self._text[begin : self._at]
            key_gap = self._trivia()
            if not self._text.startswith(":", self._at):
                raise self._wrong("a colon is expected after a key")
            self._at += 1
            value_gap = self._trivia()
        slot = Slot(self._value(indent if own is None else own), before=before, key=key, key_text=key_text)
        slot.key_gap, slot.value_gap = key_gap, value_gap
        slot.after = self._trivia()
        return slot

    def _key(self) -> str:
        if self._text[self._at : self._at + 1] in ('"', "'"):
            return self._string()
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._wrong("a key or } is expected")
        self._at = found.end()
        return self._decoded(found[0], found.start()) if "\\" in found[0] else found[0]

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._wrong("a text is not closed on its line")
        begin, self._at = self._at + 1, found.end()
        body = found[1] if found[1] is not None else found[2]
        return self._decoded(body, begin) if "\\" in body else body

    def _decoded(self, body: str, begin: int) -> str:
        def one(found: re.Match[str]) -> str:
            if code := found[1] or found[2]:
                return chr(int(code, 16))
            char = found[3]
            follows = body[found.end() : found.end() + 1]
            if char in ("u", "x") or char in "123456789" or (char == "0" and follows.isdecimal()):
                raise self._wrong("an escape is wrong", begin + found.start())
            return _ESCAPED.get(char, char)

        # What JavaScript writes as two halves is one character here.
        return _PAIR.sub(
            lambda two: (two[1] + two[2]).encode("utf-16", "surrogatepass").decode("utf-16"), _ESCAPE.sub(one, body)
        )


def _number(found: re.Match[str]) -> int | float:
    sign = -1 if found[1] == "-" else 1
    if found[2]:
        return sign * float("inf" if found[2] == "Infinity" else "nan")
    if found[3]:
        return sign * int(found[3], 16)
    digits = found[4]
    # Longer ones the interpreter refuses to read as whole numbers; they are infinite to the gateway.
    return sign * (int(digits) if digits.isdigit() and len(digits) < _MAX_DIGITS else float(digits))
