"""What a container uses, in one reading of the engine: for agents that report nothing themselves."""

from __future__ import annotations

from typing import Final

import msgspec

from hub.core.model import AgentUid
from hub.drivers.base import AgentHandle
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Pascal, decode
from hub.drivers.docker.engine import NAME, Call, Engine
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.logs import time_ms
from hub.drivers.docker.observe import identity_in
from hub.drivers.docker.pool import Pool
from hub.drivers.upkeep import Measured
from runtime.wire import Cpu, Health, Memory, Network

NANOSECONDS: Final = 1e9
DEADLINE_SECONDS: Final = 15.0
FORGET_MS: Final = 600_000
"""An agent that was not measured for so long begins anew; its last reading is dropped."""
UNLIMITED_BYTES: Final = 1 << 60
"""What some engines say where there is no limit is near 2**63."""


class CpuTime(msgspec.Struct, frozen=True):
    """Nanoseconds of all cores together."""

    total_usage: int = 0


class CpuStats(msgspec.Struct, frozen=True):
    cpu_usage: CpuTime = CpuTime()


class MemoryStats(msgspec.Struct, frozen=True):
    usage: int | None = None
    limit: int | None = None
    stats: dict[str, int] = {}


class NetworkStats(msgspec.Struct, frozen=True):
    rx_bytes: int = 0
    tx_bytes: int = 0


class PidsStats(msgspec.Struct, frozen=True):
    current: int | None = None


class Stats(msgspec.Struct, frozen=True):
    """One reading; `read` is the engine's clock."""

    read: str = ""
    cpu_stats: CpuStats = CpuStats()
    memory_stats: MemoryStats = MemoryStats()
    networks: dict[str, NetworkStats] | None = None
    pids_stats: PidsStats = PidsStats()


class _Host(Pascal, frozen=True):
    nano_cpus: int = 0


class _Detail(Pascal, frozen=True):
    host_config: _Host = _Host()


class Reading(msgspec.Struct, frozen=True):
    """`container`: the run of the container that it is of."""

    container: str
    cpus: float | None
    stats: Stats


class DockerUsage:
    """See `hub.drivers.upkeep.Usage`. Remembers the last reading of each agent, for the CPU time since then."""

    def __init__(self, pool: Pool, hub_id: str) -> None:
        self._pool = pool
        self._hub_id = hub_id
        self._last: dict[AgentUid, tuple[int, Reading]] = {}

    async def measure(self, handle_ref: str) -> Measured:
        identity = identity_in(AgentHandle(NAME, handle_ref), self._hub_id)
        reading = await self._pool.run_within(DEADLINE_SECONDS, read, identity)
        at_ms = time_ms(reading.stats.read) or 0
        before = self._last.get(identity.uid)
        self._last = {uid: one for uid, one in self._last.items() if at_ms - one[0] < FORGET_MS}
        self._last[identity.uid] = (at_ms, reading)
        return Measured(health_of(reading, before[1] if before is not None else None), at_ms)


def read(engine: Engine, identity: Identity) -> Reading:
    """Blocks for milliseconds: with `one-shot` the engine does not wait for a second reading of its own."""
    container = steps.present(engine, identity)
    detail = decode(engine.call(Call("GET", f"/containers/{container.id}/json")), _Detail)
    call = Call("GET", f"/containers/{container.id}/stats", {"stream": "0", "one-shot": "1"}, timeout_seconds=10)
    stats = decode(engine.call(call), Stats)
    nano = detail.host_config.nano_cpus
    return Reading(f"{container.id} {container.state.started_at}", nano / NANOSECONDS if nano else None, stats)


def health_of(reading: Reading, before: Reading | None) -> Health:
    """PURE: return a reading as a report; CPU only with an earlier one of the same run."""
    stats = reading.stats
    memory, cores = stats.memory_stats, _cores(reading, before)
    networks = stats.networks or {}
    return Health(
        cpu=Cpu(cores, reading.cpus) if cores is not None else None,
        memory=_memory(memory),
        network=Network(
            sum(one.rx_bytes for one in networks.values()), sum(one.tx_bytes for one in networks.values())
        ),
        processes=stats.pids_stats.current,
    )  # fmt: skip


def _cores(reading: Reading, before: Reading | None) -> float | None:
    """Cores busy since the reading before: 1.0 = one of them all the time."""
    if before is None or before.container != reading.container:
        return None
    now_ms, then_ms = time_ms(reading.stats.read), time_ms(before.stats.read)
    used = reading.stats.cpu_stats.cpu_usage.total_usage - before.stats.cpu_stats.cpu_usage.total_usage
    if now_ms is None or then_ms is None or now_ms <= then_ms or used < 0:
        return None
    return used / ((now_ms - then_ms) * 1e6)


def _memory(memory: MemoryStats) -> Memory | None:
    """Without the page cache that is given back when it is needed, as `docker stats` shows it."""
    if memory.usage is None:
        return None
    idle = memory.stats.get("total_inactive_file", memory.stats.get("inactive_file", 0))
    limited = memory.limit is not None and 0 < memory.limit < UNLIMITED_BYTES
    return Memory(max(0, memory.usage - idle), memory.limit if limited else None)
