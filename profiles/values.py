"""The simple values of a profile: sizes, cores, times, names, paths. Each parser knows its field's path."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable
from typing import Final

from profiles.errors import ProfileError, by_name, entries, shown

NAME_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,39}"
"""Of profiles, as of agents (protocol: Identity)."""
CAPABILITY_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}"
ENVIRONMENT_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"
RESERVED_NAMES: Final = frozenset({"base", "snapshot"})
"""`openclaw-agent-base` is the image below all profiles, `openclaw-agent-snapshot` that of saved agents."""
MAX_CPUS: Final = 4096.0
"""No machine has more; a larger number is a mistake in the unit."""
MAX_SIZE_BYTES: Final = 1 << 60
MAX_TEXT: Final = 200
MAX_VALUE_BYTES: Final = 16 * 1024
"""Of one environment variable: builders end a line of a Dockerfile at 64 KiB, and escapes can double it."""
MAX_ENVIRONMENT_BYTES: Final = 64 * 1024
RUNTIME_PREFIXES: Final = ("AGENT_", "HUB_", "CLAWTUI_")
"""Of environment variables that belong to the agent's runtime."""
RUNTIME_FOLDERS: Final = ("/opt/clawtui", "/var/lib/clawtui")
MAX_SECONDS: Final = 86_400.0

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_CPUS: Final = re.compile(r"(\d+(?:\.\d+)?)(m?)", re.ASCII)
_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_SECONDS_IN: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(field: str, value: object) -> int:
    """Return bytes from `4G`, `512m`, `1.5g`, `2GiB` (powers of 1024) or a number of bytes."""
    hint = "Write a size like 512m, 4G or a number of bytes."
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and len(value) <= 32 and (match := _SIZE.fullmatch(value.strip())):
        unit = _UNITS[match[2].lower()]
        size = int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit
    else:
        raise ProfileError(field, f"{shown(value)} is not a size", hint)
    if not 0 < size <= MAX_SIZE_BYTES:
        raise ProfileError(field, f"{shown(value)} is not a possible size", hint)
    return size


def parse_cpus(field: str, value: object) -> float:
    """Return cores from a number, `"2"`, `"0.5"` or `"500m"` (thousandths)."""
    hint = "Write a number of cores like 2, 0.5 or 500m."
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Compared first: an enormous integer has no float.
        cores = float(value) if value <= MAX_CPUS else math.inf
    elif isinstance(value, str) and len(value) <= 32 and (match := _CPUS.fullmatch(value.strip())):
        cores = float(match[1]) / (1000 if match[2] else 1)
    else:
        raise ProfileError(field, f"{shown(value)} is not a number of cores", hint)
    if not math.isfinite(cores) or not 0 < cores <= MAX_CPUS:
        raise ProfileError(field, f"{shown(value)} is not a possible number of cores", hint)
    return cores


def parse_seconds(field: str, value: object) -> float:
    """Return seconds from a number or from `30s`, `1.5m`, `250ms`, `1h`."""
    hint = "Write a time like 30s, 2m or a number of seconds."
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if value <= MAX_SECONDS else math.inf
    elif isinstance(value, str) and len(value) <= 32 and (match := _SECONDS.fullmatch(value.strip())):
        seconds = float(match[1]) * _SECONDS_IN[match[2]]
    else:
        raise ProfileError(field, f"{shown(value)} is not a time", hint)
    if not 0 < seconds <= MAX_SECONDS:
        raise ProfileError(field, f"{shown(value)} is not between 0 and 24 hours", hint)
    return seconds


def parse_name(field: str, value: object) -> str:
    """Return the name of a profile."""
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN, value):
        hint = "1 to 40 characters: a-z, 0-9 and -, not starting with -."
        raise ProfileError(field, f"{shown(value)} is not a name", hint)
    if value in RESERVED_NAMES:
        raise ProfileError(field, f"{value} is the name of another image of ours", "Choose another name.")
    return value


def parse_text(field: str, value: object) -> str:
    """Return one line of text for people."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ProfileError(field, f"{shown(value)} is not one line of text", f"At most {MAX_TEXT} characters.")
    return value


def parse_flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ProfileError(field, f"{shown(value)} is neither true nor false", "Write true or false, without quotes.")
    return value


def number_between(least: int, most: int) -> Callable[[str, object], int]:
    """Return a parser for whole numbers."""

    def parse(field: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ProfileError(field, f"{shown(value)} is not a number between {least} and {most}")
        return value

    return parse


def matching(pattern: str, what: str, hint: str) -> Callable[[str, object], str]:
    """Return a parser for words that match the whole pattern."""

    def parse(field: str, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ProfileError(field, f"{shown(value)} is not {what}", hint)
        return value

    return parse


def parse_path(field: str, value: object) -> str:
    """Return an absolute path in the agent, without detours, that is not the runtime's own."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or len(value) > 1000:
        raise ProfileError(field, f"{shown(value)} is not an absolute path", "Write a path like /workspace/data.")
    path = posixpath.normpath(value)
    if ".." in value.split("/") or path in ("/", "//"):
        raise ProfileError(field, f"{shown(value)} is not a path in the agent", "Leave out every `..`.")
    if any(path == folder or path.startswith(f"{folder}/") for folder in RUNTIME_FOLDERS):
        raise ProfileError(field, f"{path} belongs to the agent's runtime", "Choose a path under /workspace.")
    return path


def parse_capabilities(field: str, raw: object) -> tuple[str, ...]:
    word = matching(CAPABILITY_PATTERN, "a capability", "One word, without commas.")
    return tuple(dict.fromkeys(entries(word, 64)(field, raw)))


def parse_labels(field: str, raw: object) -> dict[str, str]:
    return by_name(field, raw, _label)


def parse_environment(field: str, raw: object) -> dict[str, str]:
    """Return variables that every builder and shell takes as they are."""
    texts = by_name(field, raw, _variable)
    size = sum(len(name) + len(value.encode()) for name, value in texts.items())
    if size > MAX_ENVIRONMENT_BYTES:
        message = f"the environment has {size} bytes, at most {MAX_ENVIRONMENT_BYTES} are allowed"
        raise ProfileError(field, message, "Put large values into a file.")
    return texts


def _label(field: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ProfileError(field, f"{shown(value)} is not text", "Put it in quotes.")
    return value


def _variable(field: str, name: str, value: object) -> str:
    if not re.fullmatch(ENVIRONMENT_PATTERN, name):
        raise ProfileError(field, "is not the name of an environment variable", "Letters, digits and _.")
    if name.startswith(RUNTIME_PREFIXES):
        raise ProfileError(field, "belongs to the agent's runtime", f"Not {', '.join(RUNTIME_PREFIXES)}.")
    if not isinstance(value, str):
        raise ProfileError(field, f"{shown(value)} is not text", "Put it in quotes.")
    if any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
        hint = "Put a text of several lines into a file."
        raise ProfileError(field, "a variable has no line breaks and control characters", hint)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        raise ProfileError(field, "is not text: half of a pair of characters stands alone") from exc
    if size > MAX_VALUE_BYTES:
        hint = "Put a large value into a file."
        raise ProfileError(field, f"has {size} bytes, at most {MAX_VALUE_BYTES} are allowed", hint)
    return value
