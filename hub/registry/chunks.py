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
_NUMBER_BYTES: Final = 4
_MOST_BYTES: Final = _HEAD.size + MOST_SAMPLES * _NUMBER_BYTES * (1 + len(FIELDS))


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


def extend(data: bytes, samples: Sequence[Sample]) -> bytes:
    """Return a chunk of what `data` holds and `samples`. Raises ValueError as `pack` and `unpack` do.

    Columns are joined as bytes: with thousands of agents, numbers made of them and back would hold the
    interpreter for seconds.
    """
    count, base, old = _columns(data)
    if not samples:
        return data
    if count == 0 or min(sample.at_ms for sample in samples) < base:
        return pack([*unpack(data, 0.0), *samples])
    _, first, new = _columns(pack(samples))
    gap = first - base
    try:
        offsets = struct.pack(f"<{len(samples)}I", *(sample.at_ms - base for sample in samples)) if gap else new[0]
    except struct.error as exc:
        raise ValueError(f"these samples make no chunk: {exc}") from exc
    joined = [old[0] + offsets, *(one + other for one, other in zip(old[1:], new[1:], strict=True))]
    return zlib.compress(_HEAD.pack(VERSION, count + len(samples), base) + b"".join(joined))


def unpack(data: bytes, seconds: float) -> list[Sample]:
    """Return a chunk's samples, each of `seconds`. Raises ValueError for anything that is no chunk."""
    count, base, columns = _columns(data)
    offsets = struct.unpack(f"<{count}I", columns[0])
    values = zip(*(struct.unpack(f"<{count}f", column) for column in columns[1:]), strict=True)
    return [Sample(base + offset, seconds, known) for offset, known in zip(offsets, values, strict=True)]


def _columns(data: bytes) -> tuple[int, int, list[bytes]]:
    """Return the number of samples, the first time, and the columns, distances first. Raises ValueError."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(data, _MOST_BYTES)
        version, count, base = _HEAD.unpack_from(raw)
    except (zlib.error, struct.error) as exc:
        raise ValueError(f"a chunk is damaged: {exc}") from exc
    width = count * _NUMBER_BYTES
    if version != VERSION or not inflater.eof or len(raw) != _HEAD.size + width * (1 + len(FIELDS)):
        raise ValueError("this is no chunk of this version")
    starts = [_HEAD.size + width * place for place in range(1 + len(FIELDS))]
    return count, base, [raw[start : start + width] for start in starts]
