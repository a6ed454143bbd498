"""Samples at rest: a chunk is one agent's samples of an hour or a day, by column, compressed.

Layout (little-endian) before compression: version (1 byte), number of samples (4), the first time (8,
ms since the epoch), then per sample its distance from that (4, ms), then per field all its values as
4-byte floats; NaN is "not known". A float of 4 bytes is exact to 7 digits, which no graph shows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Final

from hub.core.stats import FIELDS, Sample

VERSION: Final = 1
MOST_SAMPLES: Final = 100_000
"""More than a chunk of any period holds: what says more is not one of ours."""
_HEAD: Final = struct.Struct("<BIq")
_MOST_BYTES: Final = _HEAD.size + MOST_SAMPLES * 4 * (1 + len(FIELDS))


def pack(samples: Sequence[Sample]) -> bytes:
    """Return a chunk. Raises ValueError for samples further apart than 49 days."""
    base = min((sample.at_ms for sample in samples), default=0)
    count = len(samples)
    columns = [value for field in zip(*(sample.values for sample in samples), strict=True) for value in field]
    try:
        body = struct.pack(f"<{count}I{len(columns)}f", *(sample.at_ms - base for sample in samples), *columns)
    except (struct.error, OverflowError) as exc:
        raise ValueError(f"these samples make no chunk: {exc}") from exc
    return zlib.compress(_HEAD.pack(VERSION, count, base) + body)


def unpack(data: bytes, seconds: float) -> list[Sample]:
    """Return a chunk's samples, each of `seconds`. Raises ValueError for anything that is no chunk."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(data, _MOST_BYTES)
        version, count, base = _HEAD.unpack_from(raw)
        if version != VERSION or not inflater.eof or count > MOST_SAMPLES:
            raise ValueError("this is no chunk of this version")
        numbers = struct.unpack(f"<{count}I{count * len(FIELDS)}f", raw[_HEAD.size :])
    except (zlib.error, struct.error) as exc:
        raise ValueError(f"a chunk is damaged: {exc}") from exc
    columns = [numbers[start : start + count] for start in range(count, len(numbers), count)] if count else []
    return [Sample(base + numbers[place], seconds, tuple(c[place] for c in columns)) for place in range(count)]
