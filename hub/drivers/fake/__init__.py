"""A driver without a platform: agents are values in memory. For tests and for trying out the hub.

It is configured, never patched: `Script` says what goes wrong and when, and on a `FakePlatform` a
test makes things happen to agents.
"""

from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.cells_engine import Answer, Behaviour, CellStep, FakeEngine
from hub.drivers.fake.containers import FakeContainer
from hub.drivers.fake.driver import ALL_FEATURES, FakeDriver, Script, Step
from hub.drivers.fake.platform import FakeAgent, FakePlatform

__all__ = [
    "ALL_FEATURES",
    "Answer",
    "Behaviour",
    "CellStep",
    "FakeAgent",
    "FakeCells",
    "FakeContainer",
    "FakeDriver",
    "FakeEngine",
    "FakePlatform",
    "Script",
    "Step",
]
