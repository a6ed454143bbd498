"""What a profile says of the machine an agent gets: strict parsing, errors with the field's path.

A profile is data that people write, so nothing unknown is ignored: a mistyped field is an error
that names the place and what was probably meant.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from collections.abc import Mapping
from typing import Final, TypeVar, cast

import msgspec

NAME_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,39}"
"""Of profiles, as of agents (protocol: Identity)."""
CAPABILITY_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}"
ENVIRONMENT_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"
MAX_CPUS: Final = 4096.0
"""No machine has more; a larger number is a mistake in the unit."""
MAX_CONCURRENCY: Final = 256
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_CPUS: Final = re.compile(r"(\d+(?:\.\d+)?)(m?)", re.ASCII)
_MAX_SIZE_BYTES: Final = 1 << 60

DEFAULT_CPUS: Final = 2.0
DEFAULT_MEMORY_BYTES: Final = 4 << 30
DEFAULT_DISK_BYTES: Final = 20 << 30
"""The documented defaults of Docker agents: 2 cpus, 4G, 20G."""

T = TypeVar("T")


class ProfileError(Exception):
    """Something in a profile is wrong. `field` is its path, as in `resources.memory`."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message
        self.hint = hint


class Restart(enum.StrEnum):
    """When an agent that ended is started again; the words of container engines."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the host an agent may use: `cpus` in cores, the rest in bytes."""

    cpus: float = DEFAULT_CPUS
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    disk_bytes: int = DEFAULT_DISK_BYTES


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a profile that a driver needs to make an agent.

    `capabilities` are the agent's tags for task selection; `concurrency` its tasks at once.
    """

    resources: Resources = Resources()
    capabilities: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    environment: dict[str, str] = {}
    sudo: bool = False
    concurrency: int = 4
    restart: Restart = Restart.UNLESS_STOPPED


BUILTIN: Final[dict[str, dict[str, object]]] = {
    "minimal": {"capabilities": ["shell", "git", "python", "node"]},
}
"""The profiles that come with the program, as they would stand in a file."""


def load_builtin(name: str) -> Machine:
    """Return a profile that comes with the program; raises ProfileError when there is none."""
    if name not in BUILTIN:
        raise ProfileError("profile", f"there is no profile {name[:60]!r}", f"profiles here: {', '.join(BUILTIN)}")
    return parse_machine(BUILTIN[name])


def parse_machine(raw: object, field: str = "") -> Machine:
    """Return the machine that the mapping `raw` describes; `field` is the path that leads to it.

    Raises:
        ProfileError: with the path of the first wrong field.
    """
    known = ("resources", "capabilities", "labels", "environment", "sudo", "concurrency", "restart")
    given = _mapping(field, raw, known)
    default = Machine()
    return Machine(
        resources=_resources(_at(field, "resources"), given.get("resources", {})),
        capabilities=_capabilities(_at(field, "capabilities"), given.get("capabilities", ())),
        labels=_texts(_at(field, "labels"), given.get("labels", {})),
        environment=_environment(_at(field, "environment"), given.get("environment", {})),
        sudo=_flag(_at(field, "sudo"), given.get("sudo", default.sudo)),
        concurrency=_count(_at(field, "concurrency"), given.get("concurrency", default.concurrency), MAX_CONCURRENCY),
        restart=_restart(_at(field, "restart"), given.get("restart", default.restart)),
    )


def parse_size(field: str, value: object) -> int:
    """Return bytes from `4G`, `512m`, `1.5g`, `2GiB` (powers of 1024) or a number of bytes."""
    hint = "Write a size like 512m, 4G or a number of bytes."
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and len(value) <= 32 and (match := _SIZE.fullmatch(value.strip())):
        size = (
            int(float(match[1]) * _UNITS[match[2].lower()])
            if "." in match[1]
            else int(match[1]) * _UNITS[match[2].lower()]
        )
    else:
        raise ProfileError(field, f"{_shown(value)} is not a size", hint)
    if not 0 < size <= _MAX_SIZE_BYTES:
        raise ProfileError(field, f"{_shown(value)} is not a possible size", hint)
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
        raise ProfileError(field, f"{_shown(value)} is not a number of cores", hint)
    if not math.isfinite(cores) or not 0 < cores <= MAX_CPUS:
        raise ProfileError(field, f"{_shown(value)} is not a possible number of cores", hint)
    return cores


def parse_name(field: str, value: object) -> str:
    """Return the name of a profile."""
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN, value):
        hint = "1 to 40 characters: a-z, 0-9 and -, not starting with -."
        raise ProfileError(field, f"{_shown(value)} is not a name", hint)
    return value


# --- parts ---------------------------------------------------------------------------------------


def _resources(field: str, raw: object) -> Resources:
    given = _mapping(field, raw, ("cpus", "memory", "disk"))
    return Resources(
        cpus=parse_cpus(_at(field, "cpus"), given.get("cpus", DEFAULT_CPUS)),
        memory_bytes=parse_size(_at(field, "memory"), given.get("memory", DEFAULT_MEMORY_BYTES)),
        disk_bytes=parse_size(_at(field, "disk"), given.get("disk", DEFAULT_DISK_BYTES)),
    )


def _capabilities(field: str, raw: object) -> tuple[str, ...]:
    if not isinstance(raw, (list, tuple)):
        raise ProfileError(field, f"{_shown(raw)} is not a list", "Write a list of words.")
    words: list[str] = []
    for index, value in enumerate(cast("list[object]", raw)):
        if not isinstance(value, str) or not re.fullmatch(CAPABILITY_PATTERN, value):
            raise ProfileError(f"{field}[{index}]", f"{_shown(value)} is not a capability", "One word, without commas.")
        words.append(value)
    return tuple(dict.fromkeys(words))


def _texts(field: str, raw: object) -> dict[str, str]:
    given = _mapping(field, raw)
    for name, value in given.items():
        if not isinstance(value, str):
            raise ProfileError(_at(field, name), f"{_shown(value)} is not text", "Put it in quotes.")
    return cast("dict[str, str]", given)


def _environment(field: str, raw: object) -> dict[str, str]:
    texts = _texts(field, raw)
    for name, value in texts.items():
        if not re.fullmatch(ENVIRONMENT_PATTERN, name) or "\0" in value:
            raise ProfileError(_at(field, name), "is not an environment variable", "Letters, digits and _.")
    return texts


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ProfileError(field, f"{_shown(value)} is neither true nor false")
    return value


def _count(field: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ProfileError(field, f"{_shown(value)} is not a number between 1 and {most}")
    return value


def _restart(field: str, value: object) -> Restart:
    if not isinstance(value, str) or value not in list(Restart):
        hint = 'no must stand in quotes in YAML: restart: "no".' if value is False else ""
        raise ProfileError(field, f"{_shown(value)} is not one of {', '.join(Restart)}", hint)
    return Restart(value)


def _mapping(field: str, raw: object, known: tuple[str, ...] = ()) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise ProfileError(field, f"{_shown(raw)} is not a mapping", "Write names with values.")
    for name in cast("dict[object, object]", raw):
        if not isinstance(name, str):
            raise ProfileError(field, f"{_shown(name)} cannot be a name here", "Put it in quotes.")
        if known and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."
            raise ProfileError(_at(field, name), "is not known", hint)
    return cast("dict[str, object]", raw)


def _at(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > _MAX_SIZE_BYTES:
        return "a huge number"  # Python refuses to write out the largest
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
