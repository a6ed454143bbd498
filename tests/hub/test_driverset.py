"""The drivers of a hub: found by name, the first usable one by default, with the reasons where none is."""

from __future__ import annotations

import pytest

from hub.drivers.base import Fingerprint
from hub.drivers.fake import FakeDriver, FakePlatform, Script
from hub.driverset import DriverSet
from hub.errors import NotAvailable


def driver(name: str, unusable: str = "") -> FakeDriver:
    return FakeDriver("hub", FakePlatform(), name=name, script=Script(unusable=unusable))


class Mute(FakeDriver):
    """A platform whose question raises."""

    async def fingerprint(self) -> Fingerprint:
        raise NotAvailable("no such platform", hint="install it")


async def test_the_first_usable_driver_is_the_default() -> None:
    drivers = DriverSet([driver("one", "broken"), driver("two"), driver("three")])
    assert (await drivers.choose("")).name == "two"
    assert (await drivers.choose("one")).name == "one"
    assert [(health.name, health.usable) for health in drivers.health()] == [
        ("one", False),
        ("two", True),
        ("three", True),
    ]


async def test_a_configured_default_is_taken_even_where_another_is_usable() -> None:
    drivers = DriverSet([driver("one"), driver("two", "broken")], default="two")
    assert (await drivers.choose("")).name == "two"


async def test_without_a_usable_driver_each_reason_is_told() -> None:
    drivers = DriverSet([driver("one", "no engine"), Mute("hub", FakePlatform(), name="two")])
    with pytest.raises(NotAvailable, match="one: no engine; two: no such platform") as refused:
        await drivers.choose("")
    assert refused.value.hint == "clawtui doctor"
    assert drivers.health()[1].hint == "install it"


async def test_an_unknown_driver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotAvailable) as refused:
        DriverSet([driver("one")]).get("x" * 100)
    assert (refused.value.code, refused.value.hint) == ("no_such_driver", "drivers here: one")
