"""The monitor of a running hub, put together."""

from __future__ import annotations

from hub.gateways.instances.service import Instances
from hub.gateways.monitor.hands import EngineHands
from hub.gateways.monitor.monitor import Monitor
from hub.gateways.service import Gateways
from hub.kernel import Kernel


def make_monitor(kernel: Kernel, gateways: Gateways, instances: Instances) -> Monitor:
    """Return the monitor of all gateways that the hub runs; it knows nothing before its `open`."""
    return Monitor(kernel, gateways.book, gateways.watch, gateways.history, EngineHands(instances.room))
