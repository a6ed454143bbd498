"""Shell text cut into what runs one after the other, as far as that can be done without being a shell.

What is no plain list of commands (loops, conditions, functions, here-documents, subshells) is not cut:
whoever asks is told so, and decides about the whole text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

KEYWORDS: Final = frozenset({
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "select", "function",
    "{", "}", "(", ")", "!", "[[", "coproc", "time",
})  # fmt: skip
_FUNCTION: Final = re.compile(r"\s*[\w-]+\s*\(\)")
_ASSIGNMENTS: Final = re.compile(r"(?:[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|[^\s\"']*)\s+)+")
_SUDO: Final = re.compile(
    r"sudo(?:\s+(?:-[EHnkSPi]*u\s*(?P<user>\S+)|--user(?:=|\s+)(?P<long>\S+)|-g\s*\S+|-[EHnkSPi]+"
    r"|--(?:preserve-env(?:=\S+)?|set-home|non-interactive|login)|--(?=\s)|[A-Za-z_]\w*=\S*))*\s+(?=\S)"
)
_SU: Final = re.compile(
    r"(?:su|runuser)\s+(?:(?:-|-l|--login)\s+)?(?P<user>[a-z_][\w-]*)\s+(?:-c|--command)\s*(?=['\"\w])"
)
_SU_LATE: Final = re.compile(
    r"su\s+(?:(?:-|-l|--login)\s+)?(?:-c|--command)[\s=]*(?P<text>'[^']*'|\"(?:[^\"\\]|\\.)*\")\s+"
    r"(?:-\s+)?(?P<user>[a-z_][\w-]*)\s*$"
)
_SECRETS: Final = (
    re.compile(r"((?:PASSWORD|IDENTIFIED (?:WITH \w+ )?BY)\s*(?:=\s*)?)('[^']*'|\"[^\"]*\")", re.IGNORECASE),
    re.compile(r"(rabbitmqctl (?:add_user|change_password) \S+ )\S+"),
    re.compile(r"((?:echo|printf(?: '?%s\S*)?) )('[^']*:[^']*'|\"[^\"]*:[^\"]*\"|\S+:\S+)(?=.*\| ?(?:sudo )?chpasswd)"),
    re.compile(r"(://[^\s:/@]+:)[^\s@/]+(?=@)"),
    re.compile(r"(--password[= ])\S+", re.IGNORECASE),
)
_RUNUSER: Final = re.compile(r"runuser\s+-u\s+(?P<user>[a-z_][\w-]*)\s+(?:--\s+)?")


class Unit(msgspec.Struct, frozen=True):
    """A pipeline or a chain with `||`: what succeeds or fails as one. `before`: what stands between it and the last."""

    text: str
    pieces: tuple[str, ...]
    before: str = ""


class Call(msgspec.Struct, frozen=True):
    """One command. `user`: who shall run it, empty = whoever runs the task. `text`: it without sudo and su;
    `sudo`: there was one. `quoted`: `text` came as one word for a shell of the user's own."""

    words: tuple[str, ...]
    text: str
    user: str = ""
    sudo: bool = False
    quoted: bool = False
    assignments: str = ""

    @property
    def name(self) -> str:
        """The program, without its folder."""
        return self.words[0].rsplit("/", 1)[-1] if self.words else ""

    @property
    def rest(self) -> tuple[str, ...]:
        return self.words[1:]

    def plain(self) -> tuple[str, ...]:
        """Its arguments that are no options."""
        return tuple(word for word in self.rest if not word.startswith("-"))


class _Cutter:
    """One pass over a text. `cuts`: separators with where they begin and end; None of them is in quotes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cuts: list[tuple[int, int, str]] = []
        self.at = 0
        self.depth = 0
        self.plain = True

    def run(self) -> bool:
        """Return whether the text is a plain list."""
        while self.at < len(self.text) and self.plain:
            self._step(self.text[self.at])
        return self.plain and self.depth == 0

    def _step(self, char: str) -> None:
        text, at = self.text, self.at
        if char == "\\":
            self.at += 2
        elif char in "'\"`":
            self._quoted(char)
        elif text.startswith("$(", at):
            self.depth, self.at = self.depth + 1, at + 2
        elif char in "()":
            self._bracket(char)
        elif text.startswith("<<<", at):
            self.at += 3
        elif text.startswith("<<", at):
            self.plain = False
        elif char == "#" and (at == 0 or text[at - 1].isspace()):
            end = text.find("\n", at)
            self.text = text[:at] + (text[end:] if end >= 0 else "")
        else:
            self._separator(char)

    def _bracket(self, char: str) -> None:
        if self.depth == 0:
            self.plain = False
        self.depth += 1 if char == "(" else -1
        self.at += 1

    def _quoted(self, quote: str) -> None:
        end = self.at + 1
        while end < len(self.text) and self.text[end] != quote:
            end += 2 if self.text[end] == "\\" and quote != "'" else 1
        self.plain = end < len(self.text)
        self.at = end + 1

    def _separator(self, char: str) -> None:
        if self.depth == 0:
            for word in ("&&", "||", ";;", "|&", ";", "\n", "|"):
                if self.text.startswith(word, self.at):
                    self.plain = self.plain and word not in (";;", "|&")
                    self.cuts.append((self.at, self.at + len(word), word))
                    self.at += len(word)
                    return
            if char == "&" and not self._redirects():
                self.plain = False
        self.at += 1

    def _redirects(self) -> bool:
        """`2>&1` and `&>file` are no list operators."""
        before = self.text[self.at - 1 : self.at]
        return before in ("<", ">") or self.text.startswith("&>", self.at)


def split(text: str) -> tuple[Unit, ...] | None:
    """Return what a text runs one after the other; None when it is more than a plain list."""
    cutter = _Cutter(text.replace("\\\n", "  "))
    if not cutter.run():
        return None
    joined = cutter.text
    units: list[Unit] = []
    pieces: list[str] = []
    start, begin, before = 0, 0, ""
    for left, right, word in (*cutter.cuts, (len(joined), len(joined), "")):
        pieces.append(joined[start:left].strip())
        start = right
        if word in ("|", "||"):
            continue
        if any(pieces):
            units.append(Unit(joined[begin:left].strip(), tuple(pieces), before if units else ""))
        pieces, begin, before = [], right, word
    if any(_is_compound(piece) for unit in units for piece in unit.pieces):
        return None
    return tuple(units)


def _is_compound(piece: str) -> bool:
    first = piece.split(None, 1)[0] if piece.split() else ""
    return first in KEYWORDS or not piece or _FUNCTION.match(piece) is not None


def join(units: list[tuple[str, str]]) -> str:
    """Return one text of units, each with what stood before it."""
    text = ""
    for body, before in units:
        text += body if not text else f" && {body}" if before == "&&" else f"\n{body}"
    return text


def call_of(piece: str) -> Call:
    """Return what a piece calls. Never raises: what cannot be cut into words is one word."""
    user, sudo, quoted, text = "", False, False, piece.strip()
    assignments = ""
    for _ in range(4):
        if match := _ASSIGNMENTS.match(text):
            assignments += match[0]
            text = text[match.end() :]
        if match := _SUDO.match(text):
            user, sudo = match["user"] or match["long"] or user, True
            assignments += "".join(f"{word} " for word in match[0].split() if re.match(r"[A-Za-z_]\w*=", word))
            text = text[match.end() :]
        elif match := _RUNUSER.match(text):
            user, text = match["user"], text[match.end() :]
        elif match := _SU_LATE.match(text) or _SU.match(text):
            inner = words_of(match["text"] if match.re is _SU_LATE else text[match.end() :])
            user, quoted, text = match["user"], True, inner[0] if inner else ""
        else:
            break
    return Call(words_of(text), text, user.strip("'\""), sudo, quoted, assignments)


def script_in(call: Call) -> str:
    """Return the text that `bash -c` or `sh -c` runs; empty for every other call."""
    if call.name not in ("bash", "sh") or len(call.words) < 3:
        return ""
    return call.words[2] if re.fullmatch(r"-[a-z]*c", call.words[1]) else ""


def calls_in(text: str) -> Iterator[Call]:
    """Yield every call of a plain list, those within `bash -c` too."""
    for unit in split(text) or ():
        for call in map(call_of, unit.pieces):
            yield call
            if (script := script_in(call)) and len(script) < len(text):
                yield from calls_in(script)


def words_of(text: str) -> tuple[str, ...]:
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, ""
        return tuple(lexer)
    except ValueError:
        return tuple(text.split())


def short(text: str) -> str:
    """Return a command as findings name it: one line of at most 80 characters, without passwords."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    for secret in _SECRETS:
        line = secret.sub(lambda match: f"{match[1]}***", line)
    return line if len(line) <= 80 else f"{line[:77]}..."
