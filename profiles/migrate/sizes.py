"""Sizes of VMs, in every form that people write, and how Docker profiles write them."""

from __future__ import annotations

import math
import re
from typing import Final

from profiles.errors import ProfileError, shown
from profiles.values import MAX_SIZE_BYTES, parse_size

GIB: Final = 1 << 30
_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)
_MOST_GIB: Final = 1024
_MOST_MIB: Final = 1 << 20


def parse_vm_size(field: str, value: object) -> tuple[int, bool]:
    """Return bytes from `8G`, `8 GB`, `8GiB`, `8192M`, `1.5g` or a number, and whether the unit was guessed.

    A number alone has the unit that makes a machine of it: below 1024 GiB, below 1048576 MiB, else bytes.
    """
    if isinstance(value, bool):
        raise ProfileError(field, f"{shown(value)} is not a size", "Write a size like 8G.")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) and len(value) <= 32:
        value = float(value) if "." in value else int(value)
    if isinstance(value, (int, float)):
        return _of_number(field, value), value < _MOST_MIB
    return parse_size(field, value), False


def _of_number(field: str, value: float) -> int:
    hint = "Write a size like 8G."
    # Compared first: an enormous integer has no float.
    if value > MAX_SIZE_BYTES or not math.isfinite(value) or value <= 0:
        raise ProfileError(field, f"{shown(value)} is not a possible size", hint)
    unit = GIB if value < _MOST_GIB else 1 << 20 if value < _MOST_MIB else 1
    size = int(value * unit)
    if size < 1:
        raise ProfileError(field, f"{shown(value)} is not a possible size", hint)
    return size


def size_text(size_bytes: int) -> str:
    """Return a size as Docker profiles write it, exactly: `8g`, `1536m`, bytes where no unit fits."""
    for unit, factor in (("g", GIB), ("m", 1 << 20), ("k", 1 << 10)):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def cpus_text(cpus: float) -> str:
    """Return cores as Docker profiles write them: `4`, `0.5`; never with an exponent, which parsers refuse."""
    text = f"{cpus:.9f}".rstrip("0").rstrip(".")
    return text if float(text) > 0 else "0.001"
