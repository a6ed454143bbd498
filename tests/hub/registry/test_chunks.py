"""Samples at rest: what goes in comes out, and what is no chunk is told apart from one."""

from __future__ import annotations

import struct
import zlib
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.stats import FIELDS, MOST, Sample
from hub.registry.chunks import extend, pack, unpack

value = st.just(float("nan")) | st.floats(-(2.0**59), 2.0**59, width=32)
samples = st.lists(
    st.builds(
        Sample,
        st.integers(1_700_000_000_000, 1_700_000_000_000 + 40 * 86_400_000),
        st.just(30.0),
        st.tuples(*[value for _ in FIELDS]),
    ),
    max_size=50,
)


def same(one: Sample, other: Sample) -> bool:
    pairs = zip(one.values, other.values, strict=True)
    return one[:2] == other[:2] and all(a == b or (isnan(a) and isnan(b)) for a, b in pairs)


@given(samples)
def test_what_goes_in_comes_out(given: list[Sample]) -> None:
    back = unpack(pack(given), 30.0)
    assert len(back) == len(given)
    assert all(same(one, other) for one, other in zip(given, back, strict=True))


@given(samples, samples)
def test_a_chunk_is_added_to(before: list[Sample], after: list[Sample]) -> None:
    back = unpack(extend(pack(before), after), 30.0)
    assert len(back) == len(before) + len(after)
    assert all(same(one, other) for one, other in zip([*before, *after], back, strict=True))


@given(st.floats(-MOST, MOST))
def test_a_value_keeps_seven_digits(number: float) -> None:
    sample = Sample(1, 30.0, (number,) * len(FIELDS))
    (back,) = unpack(pack([sample]), 30.0)
    assert back.values[0] == pytest.approx(number, rel=1e-6, abs=1e-37)


@given(samples.filter(bool), st.data())
def test_a_damaged_chunk_is_an_error_or_what_it_was(given: list[Sample], data: st.DataObject) -> None:
    whole = pack(given)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    try:
        back = unpack(damaged, 30.0)
    except ValueError:
        return
    # A bit of zlib's own header may be another one without changing what it holds.
    assert len(back) == len(given)
    assert all(same(one, other) for one, other in zip(given, back, strict=True))


@given(st.binary(max_size=200))
def test_anything_else_is_no_chunk(data: bytes) -> None:
    with pytest.raises(ValueError, match="chunk"):
        unpack(data, 30.0)


def test_a_chunk_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk"):
        unpack(zlib.compress(bytes(64 * 1024 * 1024)), 30.0)
    with pytest.raises(ValueError, match="chunk"):
        unpack(zlib.compress(struct.pack("<BIq", 1, 2**32 - 1, 0)), 30.0)


def test_samples_too_far_apart_make_no_chunk() -> None:
    far = [Sample(at, 30.0, (0.0,) * len(FIELDS)) for at in (0, 2**32)]
    with pytest.raises(ValueError, match="no chunk"):
        pack(far)
    with pytest.raises(ValueError, match="no chunk"):
        extend(pack(far[:1]), far[1:])


def test_an_hour_of_an_idle_agent_is_small() -> None:
    hour = [Sample(number * 30_000, 30.0, (0.01, 2.0, *[1e9] * (len(FIELDS) - 2))) for number in range(120)]
    assert len(pack(hour)) < 1_000
