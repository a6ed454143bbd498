"""Parsers of single values: each takes what the TOML file holds, or text, and gives the setting's type.

All raise ValueError with a reason for people.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

SIZE_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
PORT_MAX: Final = 65_535
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
THEMES: Final = ("dark", "light", "high-contrast", "terminal")
RELOADS: Final = ("auto", "hot", "restart", "off")
INGRESSES: Final = ("off", "caddy")
INGRESS_TLS: Final = ("internal", "automatic", "files")

Parse = Callable[[Any], Any]


def as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text is expected")
    return value


def as_path(value: Any) -> Path | None:
    text = as_text(value)
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError as exc:
        raise ValueError(f"{text[:40]!r} names the home of a user who is not there") from exc


def as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[as_text(value).lower()]
    except (KeyError, ValueError) as exc:
        raise ValueError("true or false is expected") from exc


def as_int(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise ValueError("a whole number is expected")
    try:
        number = int(value)
    except (TypeError, ValueError) as exc:
        raise ValueError("a whole number is expected") from exc
    if number < 0:
        raise ValueError("must not be negative")
    return number


def as_seconds(value: Any) -> float:
    """A duration or a number of days: not negative, finite."""
    if isinstance(value, bool):
        raise ValueError("a number is expected")
    try:
        number = float(value)
    except (TypeError, ValueError) as exc:
        raise ValueError("a number is expected") from exc
    if not 0 <= number < float("inf"):
        raise ValueError("must be a finite number that is not negative")
    return number


def as_port(value: Any) -> int:
    port = as_int(value)
    if port > PORT_MAX:
        raise ValueError(f"a port is at most {PORT_MAX}; 0 picks a free one")
    return port


def as_list(value: Any) -> tuple[str, ...]:
    """A TOML list of texts, or text with commas."""
    if isinstance(value, (list, tuple)):
        return tuple(as_text(item) for item in value)
    return tuple(item.strip() for item in as_text(value).split(",") if item.strip())


def as_keys(value: Any) -> tuple[str, ...]:
    """`ACTION=KEY KEY` each: from a TOML table of keys by action, a list, or text with commas."""
    if isinstance(value, dict):
        table: dict[Any, Any] = value
        value = tuple(
            f"{name}={keys if isinstance(keys, str) else ' '.join(as_list(keys))}" for name, keys in table.items()
        )
    items = as_list(value)
    for item in items:
        if "=" not in item:
            raise ValueError(f"ACTION=KEY is expected, not {item!r}")
    return items


def as_size(value: Any) -> int:
    """Bytes; text may end in k, m, g or t (powers of 1024)."""
    if isinstance(value, int):
        return as_int(value)
    text = as_text(value).strip().lower().removesuffix("ib").removesuffix("b")
    number, unit = (text[:-1], text[-1]) if text and text[-1] in SIZE_UNITS else (text, "")
    return int(as_seconds(number) * SIZE_UNITS[unit])


def as_log_level(value: Any) -> str:
    level = as_text(value).lower()
    if level not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)} is expected")
    return level


def as_theme(value: Any) -> str:
    theme = as_text(value).lower()
    if theme not in THEMES:
        raise ValueError(f"one of {', '.join(THEMES)} is expected")
    return theme


def as_switch(value: Any) -> bool | None:
    """true, false, or empty for neither."""
    return None if value == "" else as_bool(value)


def as_reload(value: Any) -> str:
    reload = as_text(value).lower()
    if reload not in RELOADS:
        raise ValueError(f"one of {', '.join(RELOADS)} is expected")
    return reload


def as_ingress(value: Any) -> str:
    kind = as_text(value).lower()
    if kind not in INGRESSES:
        raise ValueError(f"one of {', '.join(INGRESSES)} is expected")
    return kind


def as_ingress_tls(value: Any) -> str:
    source = as_text(value).lower()
    if source not in INGRESS_TLS:
        raise ValueError(f"one of {', '.join(INGRESS_TLS)} is expected")
    return source


def as_command(value: Any) -> tuple[str, ...]:
    """A program and its arguments: a TOML list, or text that is split as a shell splits it; nothing else of a shell."""
    if isinstance(value, (list, tuple)):
        return as_list(value)
    return tuple(shlex.split(as_text(value)))


KINDS: Final[dict[Parse, str]] = {
    as_text: "text",
    as_path: "path",
    as_bool: "true or false",
    as_int: "number",
    as_seconds: "number",
    as_port: "port",
    as_list: "list",
    as_keys: "table or list",
    as_size: "size",
    as_log_level: "text",
    as_theme: "text",
    as_switch: "true or false",
    as_reload: "text",
    as_command: "list or text",
    as_ingress: "text",
    as_ingress_tls: "text",
}
"""What a parser accepts, in a word for people."""


class Row(NamedTuple):
    """What a field of `Settings` says of itself. `hub`: the field of the hub's configuration it fills.

    `flag`: the setting is a command-line option too. `env`: its variable where that is not CLAWTUI_ and its name.
    """

    help: str
    parse: Parse = as_text
    hub: str = ""
    flag: bool = False
    secret: bool = False
    env: str = ""
