"""What keys of providers and tokens look like. Pure; no message has any part of a value.

Values are limited to characters that an env-file, Compose and every shell take as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from profiles.errors import Problem

NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
LEAST_CHARS: Final = 8
MOST_CHARS: Final = 512
MOST_KEYS: Final = 40
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._~+/=:@,-]+")
TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")

FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "ANTHROPIC_API_KEY": (
        r"sk-ant-[A-Za-z0-9_-]{20,}",
        "begins with sk-ant-, followed by at least 20 letters or digits",
    ),
    "OPENAI_API_KEY": (
        r"sk-(?!ant-|or-)[A-Za-z0-9_-]{20,}",
        "begins with sk-, followed by at least 20 letters or digits",
    ),
    "OPENROUTER_API_KEY": (
        r"sk-or-[A-Za-z0-9_-]{20,}",
        "begins with sk-or-, followed by at least 20 letters or digits",
    ),
    "GEMINI_API_KEY": (r"[A-Za-z0-9_.-]{30,}", "has at least 30 letters or digits"),
    "GROQ_API_KEY": (r"gsk_[A-Za-z0-9]{20,}", "begins with gsk_, followed by at least 20 letters or digits"),
    "XAI_API_KEY": (r"xai-[A-Za-z0-9_-]{20,}", "begins with xai-, followed by at least 20 letters or digits"),
    "TELEGRAM_BOT_TOKEN": (r"\d{6,15}:[A-Za-z0-9_-]{30,}", "is a number, a colon and at least 30 letters or digits"),
}
"""By variable: the form of its values, and the same in words."""

CHANNELS: Final[Mapping[str, str]] = {
    "TELEGRAM_BOT_TOKEN": "telegram", "DISCORD_BOT_TOKEN": "discord", "SLACK_BOT_TOKEN": "slack",
    "SLACK_APP_TOKEN": "slack",
}  # fmt: skip
"""Which variable belongs to which channel."""

_OURS: Final = ("OPENCLAW_", "CLAWTUI_", "AUTH_", "NODE_", "LD_", "DOCKER_", "COMPOSE_")
_RESERVED: Final = frozenset({"HOME", "PATH", "USER", "SHELL", "PWD", "HOSTNAME", "TZ", "LANG"})


def check_keys(keys: Mapping[str, str], channels: tuple[str, ...]) -> list[Problem]:
    """Return what is wrong with keys, one problem per variable. `channels`: those that the tier has."""
    if len(keys) > MOST_KEYS:
        return [Problem("keys", f"has {len(keys)} entries, at most {MOST_KEYS} are allowed")]
    return [problem for name, value in keys.items() if (problem := _wrong(name, value, channels)) is not None]


def check_token(token: str) -> Problem | None:
    """Return what is wrong with a gateway's token, which may be empty."""
    if not token or TOKEN.fullmatch(token):
        return None
    return Problem(
        "gatewayToken",
        "is no token that every part takes",
        "16 to 256 letters, digits and . _ ~ + / = -; leave it out and one is made.",
    )


def _wrong(name: str, value: str, channels: tuple[str, ...]) -> Problem | None:
    field = f"keys.{name[:64]}"
    if NAME.fullmatch(name) is None:
        return Problem(field, "is not the name of a variable", "Such as ANTHROPIC_API_KEY: A-Z, 0-9 and _.")
    if name.startswith(_OURS) or name in _RESERVED:
        return Problem(field, "is set by the hub or the image", "Leave it out; the gateway's token is gatewayToken.")
    if (channel := CHANNELS.get(name)) is not None and channel not in channels:
        return Problem(field, f"belongs to the channel {channel}, which the tier does not have", "Choose another tier.")
    if not value:
        return Problem(field, "is empty", "Give the provider's key, from a file or a prompt.")
    if not LEAST_CHARS <= len(value) <= MOST_CHARS:
        return Problem(field, f"has {len(value)} characters, {LEAST_CHARS} to {MOST_CHARS} are expected")
    if _CHARACTERS.fullmatch(value) is None:
        return Problem(field, "has characters that no key has", "One line of letters, digits and . _ ~ + / = : @ , -")
    if (form := FORMATS.get(name)) is not None and re.fullmatch(form[0], value) is None:
        return Problem(field, "is no key of this provider", f"It {form[1]}.")
    return None
