"""The audit's entries, with secrets taken out before anything is kept or logged.

Redaction happens here and nowhere else. It recognises our own tokens anywhere, and what people
commonly write secrets into; a password that stands bare in a command cannot be told from a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hub.core.model import AuditEntry

HIDDEN: Final = "***"
MAX_WHO_CHARS: Final = 200
MAX_WHAT_CHARS: Final = 100
MAX_TARGET_CHARS: Final = 400
MAX_DETAIL_CHARS: Final = 2_000
MAX_SEARCHED_CHARS: Final = 16 * MAX_DETAIL_CHARS
"""Beyond this a text is not searched for secrets, and not kept."""
_SPACES: Final = " \t\r\n"
MAX_DEPTH: Final = 16
"""Levels of a value that are looked at; what lies deeper is hidden as a whole."""

_VALUED: Final = frozenset({"env", "environment", "buildArgs", "build_args"})
"""Fields that hold values by names of the user's choice."""

_NAME: Final = (
    r"(?:pass(?:word|wd|phrase|code|(?![a-z]))|pwd|secret|token|credential|api[-_. ]?key|access[-_. ]?key|"
    r"private[-_. ]?key|client[-_. ]?key|(?-i:[A-Z0-9]_KEY(?![A-Za-z]))|authorization|auth(?![a-z])|cookie|bearer)"
)
_SECRET_NAME: Final = re.compile(_NAME, re.IGNORECASE)
# Quotes may themselves be escaped, in a command inside JSON inside a command.
_VALUE: Final = r"""(?:\\*"(?:[^"\\]|\\.)*"?|\\*'[^']*'?|[^\s"'&;,|)}\]]+)"""

_ANYWHERE: Final = (
    # Our own tokens, also inside a URL or next to other letters.
    (r"(?i)ct[jau]_[A-Za-z0-9_\-]+", HIDDEN),
    # scheme://user:password@host and scheme://token@host, also with @ in the password
    (r"(?<=://)[^/\s'\"]+(?=@)", HIDDEN),
)
# No pattern repeats without a bound before a part that may fail: time stays linear in the text.
_PATTERNS: Final = (
    # PEM blocks, whole or cut off.
    (r"(?s)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", HIDDEN),
    *_ANYWHERE,
    # curl -u user:password, sshpass -p password
    (rf"(?<!\S)((?:-u|--user)[\s=]\s*[\"']?[^\s:'\"]{{1,200}}:){_VALUE}", rf"\1{HIDDEN}"),
    (rf"(?i)(sshpass\s+-p\s*){_VALUE}", rf"\1{HIDDEN}"),
    # Whole header values: schemes have parameters, cookies have several.
    (r"(?i)((?:authorization|cookie)[\\\"']{0,4}\s*[:=]\s*[\\\"']{0,4})[^\r\n\"'\\]+", rf"\1{HIDDEN}"),
    (r"(?i)\b(bearer)\s+[A-Za-z0-9._~+/=\-]{8,}", rf"\1 {HIDDEN}"),
    # PASSWORD=x, --api-key=x, "clientSecret": "x", token: x, secret => x
    (rf"(?i)({_NAME}[\w.\-]{{0,64}}[\\\"']{{0,4}}\s*[:=]{{1,2}}>?\s*){_VALUE}", rf"\1{HIDDEN}"),
    # --password x, -token 'x'
    (rf"(?i)(?<![\w\-])(--?[\w\-]{{0,64}}?{_NAME}[\w\-]{{0,64}}\s+){_VALUE}", rf"\1{HIDDEN}"),
    # Keys of common services, recognisable by themselves.
    (
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{20,}|"
        r"xox[abprs]-[\w\-]{10,}|sk-[\w\-]{20,}|eyJ[\w\-]{10,}\.[\w\-]{10,}\.[\w\-]*)",
        HIDDEN,
    ),
)
_SUSPICIOUS: Final = re.compile(
    r"(?i)ct[jau]_|://|private key|pass|pwd|secret|token|credential|key|auth|cookie|bearer|-u|--user|"
    r"AKIA|gh[pousr]_|github_pat|glpat|xox|sk-|eyJ"
)
"""What some pattern below needs; most texts have none of it, and every act of every user comes by here."""
_IN_NAMES: Final = tuple((re.compile(pattern), replacement) for pattern, replacement in _ANYWHERE)
_COMPILED: Final = tuple((re.compile(pattern), replacement) for pattern, replacement in _PATTERNS)


def redact(value: str) -> str:
    """Return the text with everything that looks like a secret replaced by `***`."""
    if _SUSPICIOUS.search(value) is None:
        return value
    for pattern, replacement in _COMPILED:
        value = pattern.sub(replacement, value)
    return value


def redact_value(value: Any, depth: int = 0) -> Any:
    """Return JSON-like data with secrets replaced: by the names of fields, and inside every text."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if depth >= MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {redact(str(name)): _field(str(name), item, depth) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact_value(item, depth + 1) for item in value]
    return value


def _field(name: str, item: Any, depth: int) -> Any:
    if is_secret_name(name) and item is not None and not isinstance(item, bool):
        return HIDDEN
    return redact_value(item, depth + 1)


def names_only(value: Any, depth: int = 0) -> Any:
    """Return JSON-like data in which environments and build arguments are lists of their names.

    Nobody can tell by a variable's name that its value is no secret.
    """
    if depth >= MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            name: sorted(map(str, item))
            if name in _VALUED and isinstance(item, Mapping)
            else names_only(item, depth + 1)
            for name, item in value.items()
        }
    return [names_only(item, depth + 1) for item in value] if isinstance(value, (list, tuple)) else value


def is_secret_name(name: str) -> bool:
    """Tell whether a field or a variable of this name holds a secret."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return _SECRET_NAME.search(spaced) is not None


def entry(
    now_ms: int, who: str, what: str, target: str, outcome: str = "ok", detail: str | Mapping[str, Any] = ""
) -> AuditEntry:
    """Return an entry for the audit: redacted, on one line, of bounded length.

    `now_ms`: ms since the epoch. `detail` is text, or data that becomes JSON.
    """
    return AuditEntry(
        at=now_ms,
        who=_name(who, MAX_WHO_CHARS),
        what=_name(what, MAX_WHAT_CHARS),
        target=_name(target, MAX_TARGET_CHARS),
        outcome=_name(outcome, MAX_WHAT_CHARS),
        detail=_line(detail, MAX_DETAIL_CHARS) if isinstance(detail, str) else _json(detail),
    )


def _json(detail: Mapping[str, Any]) -> str:
    # Texts of other types are made here, after `redact_value` has seen the data, so they are redacted here.
    text = json.dumps(redact_value(detail), ensure_ascii=False, default=lambda value: redact(str(value)))
    return _cut(text, MAX_DETAIL_CHARS)


def _name(text: str, limit: int) -> str:
    """Names are ours (`token:ada`, `agent:worker`) and stay, save for tokens and passwords in URLs."""
    text = _beginning(text)
    for pattern, replacement in _IN_NAMES:
        text = pattern.sub(replacement, text)
    return _cut(text, limit)


def _line(text: str, limit: int) -> str:
    """Redact first and cut afterwards: half a secret would not be recognised."""
    return _cut(redact(_beginning(text)), limit)


def _beginning(text: str) -> str:
    """Bound what is searched; the last word goes whole, because its end may be what gives it away."""
    if len(text) <= MAX_SEARCHED_CHARS:
        return text
    words = text[:MAX_SEARCHED_CHARS]
    return f"{words[: max(words.rfind(space) for space in _SPACES) + 1]}…"


def _cut(text: str, limit: int) -> str:
    shown = text
    if not text.isprintable():
        shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
