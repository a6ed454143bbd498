"""The drivers of this hub, by name, and what is known of their platforms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
import structlog

from hub.contract import DriverHealth
from hub.drivers.base import Driver, Fingerprint
from hub.errors import HubError, NotAvailable

PROBE_SECONDS = 5.0
"""A platform that does not answer for so long is shown as not usable."""

LOG_HINT = "the hub's log has the details"

log = structlog.get_logger("hub.drivers")


class DriverSet:
    """All drivers, in order of preference: the first usable one is the default."""

    def __init__(self, drivers: Sequence[Driver], default: str = "") -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        self._default = default
        self._fingerprints: dict[str, Fingerprint] = {}

    def __iter__(self) -> Iterator[Driver]:
        return iter(self._drivers.values())

    def get(self, name: str) -> Driver:
        """Raises NotAvailable."""
        driver = self._drivers.get(name)
        if driver is None:
            known = ", ".join(self._drivers) or "none"
            raise NotAvailable(
                f"driver {name[:40]!r} is not available in this version or not switched on",
                code="no_such_driver",
                hint=f"drivers here: {known}",
                driver=name,
            )
        return driver

    async def choose(self, name: str) -> Driver:
        """Return the named driver, the configured default, or the first usable one.

        Raises:
            NotAvailable: none is usable, with each one's reason.
        """
        if name or self._default:
            return self.get(name or self._default)
        await self.probe()
        for driver in self:
            if self._fingerprints[driver.name].usable:
                return driver
        reasons = "; ".join(f"{name}: {one.reason}" for name, one in self._fingerprints.items())
        raise NotAvailable(f"no driver is usable here ({reasons})", hint="clawtui doctor")

    async def probe(self) -> None:
        """Ask every platform whether it is usable now."""
        async with asyncio.TaskGroup() as group:
            for driver in self:
                group.create_task(self._probe(driver))

    def health(self) -> list[DriverHealth]:
        """What the last probe said."""
        return [
            DriverHealth(
                name=name,
                usable=one.usable,
                version=one.version,
                reason=one.reason,
                hint=one.hint,
                features=[field for field, has in msgspec.structs.asdict(self.get(name).features).items() if has],
            )
            for name, one in self._fingerprints.items()
        ]

    async def stop(self) -> None:
        for driver in self:
            await driver.stop_driver()

    async def _probe(self, driver: Driver) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                found = await driver.fingerprint()
        except TimeoutError:
            found = Fingerprint(usable=False, reason=f"no answer within {PROBE_SECONDS:.0f} s")
        except HubError as exc:
            found = Fingerprint(usable=False, reason=exc.message, hint=exc.hint)
        except Exception as exc:
            # A fault in one driver is no reason to end the hub, and with it all others.
            log.exception("driver_crashed", driver=driver.name)
            found = Fingerprint(usable=False, reason=f"internal error: {type(exc).__name__}", hint=LOG_HINT)
        self._fingerprints[driver.name] = found
