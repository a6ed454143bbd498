"""The gauges of the fleet, set when somebody reads them."""

from __future__ import annotations

from hub.core.model import TaskState
from hub.kernel import Kernel
from hub.metrics import Metrics
from hub.stats import Stats


def measure(kernel: Kernel, stats: Stats, metrics: Metrics) -> None:
    """Set what the fleet, its connections and its observers are now. Never blocks."""
    agents = kernel.fleet.count_agents()
    metrics.set_agents({status.value: count for status, count in agents.items()})
    tasks = kernel.fleet.count_tasks()
    active = tasks[TaskState.OFFERED] + tasks[TaskState.RUNNING]
    metrics.set_tasks(tasks[TaskState.QUEUED], active)
    metrics.set_connections(len(kernel.links))
    metrics.set_watched_agents(stats.watched)
    metrics.set_feed_subscribers(kernel.feed.subscribers)
