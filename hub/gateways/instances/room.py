"""What every part of instances stands on: which ones there are, their engines, folders and locks, and how to wait for
one to be ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from hub.audit import redact
from hub.contract import GatewayState, InstancePhase, InstanceView
from hub.core.effects import Delete, Effect, Kind, Publish, Save
from hub.core.instances import LOCAL_HOST, StoredInstance
from hub.core.view import rfc3339
from hub.drivers.base import LogRequest
from hub.drivers.cells import CellGone, CellHandle, Cells, CellSeen
from hub.driverset import DriverSet
from hub.errors import Conflict, DriverFailed, HubError, NotAvailable, NotFound
from hub.gateways.ingress.sites import public_url
from hub.gateways.instances.folder import Folders
from hub.gateways.instances.model import LEAST_MEMORY, Order
from hub.gateways.service import Gateways
from hub.gateways.tiers import TierShelf
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.keylock import KeyLocks

TAIL_LINES: Final = 20
"""Of the log, where something went wrong."""
TAIL_SECONDS: Final = 5.0
NEXT_END_SECONDS: Final = 120.0
"""What fails at its start fails again within this time."""
NEXT_LOOK_SECONDS: Final = 0.1
"""The engine waits for a tenth of a second and more between an end and the next start."""
LINE_CHARS: Final = 300

log = structlog.get_logger("hub.instances")


class InstanceBook:
    """All instances, by name; a change is committed before it is seen."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: dict[str, StoredInstance] = {}
        self._observers: list[Callable[[str], None]] = []

    def on_change(self, observer: Callable[[str], None]) -> None:
        """`observer` is called with an instance's name after it came, changed or went; it must not block."""
        self._observers.append(observer)

    async def open(self) -> None:
        """Read what the registry has. Raises HubError."""
        self._known = {one.name: one for one in await self._kernel.registry.instances()}

    def all(self) -> list[StoredInstance]:
        return [self._known[name] for name in sorted(self._known)]

    def find(self, name: str) -> StoredInstance | None:
        return self._known.get(name)

    def get(self, name: str) -> StoredInstance:
        """Raises NotFound."""
        if (instance := self._known.get(name)) is None:
            raise NotFound(
                f"this hub runs no gateway {name[:64]!r}",
                code="unknown_instance",
                hint="clawtui gateway list shows all; one that was added is run by somebody else",
            )
        return instance

    def present(self, name: str, uid: str) -> StoredInstance:
        """Return this very incarnation. Raises Conflict."""
        instance = self._known.get(name)
        if instance is None or instance.uid != uid:
            raise Conflict(f"the gateway {name} was destroyed meanwhile", code="instance_gone")
        return instance

    def expect(self, instance: StoredInstance) -> None:
        """Take note of one whose row is about to be committed."""
        self._known[instance.name] = instance

    def drop(self, instance: StoredInstance) -> None:
        """Forget one whose row came to nothing."""
        self._known.pop(instance.name, None)

    async def save(self, instance: StoredInstance, *effects: Effect) -> StoredInstance:
        """Keep a changed record together with `effects`. Raises StorageFull, Unavailable."""
        await self._kernel.commit([*effects, Save(instance)])
        self._known[instance.name] = instance
        # Only now, because who hears of it reads this book.
        self._tell(instance.name)
        return instance

    async def forget(self, instance: StoredInstance, *effects: Effect) -> None:
        await self._kernel.commit([*effects, Delete(instance)])
        self._known.pop(instance.name, None)
        self._tell(instance.name, gone=True)

    def _tell(self, name: str, *, gone: bool = False) -> None:
        self._kernel.push([Publish(Kind.GATEWAY, name, gone=gone)])
        for observer in self._observers:
            observer(name)


class InstanceRoom:
    """The parts of a running hub that instances use. `engine`: the Cells of a host by its name; raises NotAvailable."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, gateways: Gateways) -> None:
        self.kernel = kernel
        self.jobs = jobs
        self.gateways = gateways
        self.book = InstanceBook(kernel)
        self.folders = Folders(kernel.config.state_folder)
        self.tiers = TierShelf(kernel.config.state_folder)
        self.seen: dict[str, CellSeen] = {}
        """By name: the container as the engine last told."""
        self.locks = KeyLocks()
        self._drivers = drivers
        self.engine: Callable[[str], Cells] = self._local_engine
        self.hosts: Callable[[], Sequence[str]] = lambda: (LOCAL_HOST,)
        self.no_way: Callable[[str], str] = lambda host: ""
        """Why gateways on a host could not be reached; empty where they can."""

    # --- engines

    def _local_engine(self, host: str) -> Cells:
        if host == LOCAL_HOST:
            for driver in self._drivers:
                if driver.cells is not None:
                    return driver.cells
        raise NotAvailable(
            f"no container engine of the host {host} is switched on: gateways need Docker",
            code="no_engine",
            hint="start the hub with the docker driver; clawtui doctor says what is missing",
        )

    def cells(self, instance: StoredInstance) -> Cells:
        return self.engine(instance.host)

    def handle(self, instance: StoredInstance) -> CellHandle:
        """Raises Conflict: it has no container."""
        if not instance.container:
            raise Conflict(
                f"the gateway {instance.name} has no container: {instance.reason or 'it was not made'}",
                code="no_container",
                hint=f"clawtui gateway destroy {instance.name}",
            )
        return CellHandle(instance.name, instance.uid, instance.container)

    async def look(self, instance: StoredInstance) -> CellSeen | None:
        """Ask the engine for the container now; None when it is gone, or there is none."""
        if not instance.container:
            self.seen.pop(instance.name, None)
            return None
        try:
            seen = await self.cells(instance).inspect(self.handle(instance))
        except CellGone:
            self.seen.pop(instance.name, None)
            return None
        self.seen[instance.name] = seen
        return seen

    # --- records

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Keep everybody else from acting on the instance."""
        async with self.locks.hold(name):
            yield

    def idle(self, name: str) -> StoredInstance:
        """Return an instance that no job works on. Raises NotFound, Conflict (busy)."""
        instance = self.book.get(name)
        if instance.busy:
            raise Conflict(
                f"the gateway {name} is {instance.phase.value} now",
                code="instance_busy",
                hint="clawtui jobs shows how far it is",
                retryable=True,
            )
        return instance

    def load(self, instance: StoredInstance) -> Order:
        return self.folders.load(instance)

    def view(self, instance: StoredInstance) -> InstanceView:
        """Return it as front ends show it."""
        seen = self.seen.get(instance.name)
        limits = {"cpus": instance.cpus, "memoryBytes": instance.memory_bytes, "sessions": instance.sessions}
        return InstanceView(
            phase=instance.phase,
            tier=instance.tier,
            host=instance.host,
            image_kind=instance.image_kind,
            image=instance.image,
            port=instance.port,
            customer=instance.customer,
            subdomain=instance.subdomain,
            image_id=instance.image_id,
            container=instance.container_name,
            container_state=seen.state.value if seen is not None else "",
            exit_code=seen.exit_code if seen is not None else instance.exit_code,
            oom_killed=seen.oom_killed if seen is not None else instance.oom_killed,
            public_url=public_url(instance.subdomain, self.kernel.config.ingress.https_port),
            folder=str(self.folders.paths(instance.name).folder),
            created_at=rfc3339(instance.created_at) or "",
            deploy_seconds=instance.deploy_seconds,
            limits={name: float(value) for name, value in limits.items() if value is not None},
            notes=list(instance.notes),
            reason=instance.reason,
            restarts=instance.restarts,
            given_up=instance.given_up,
            previous_image=instance.previous_image,
        )

    # --- readiness and failure

    async def wait_ready(self, instance: StoredInstance, seconds: float, told: Callable[[str], None]) -> None:
        """Wait until the gateway says that it is ready.

        Raises:
            DriverFailed: it ended, refuses the token or did not become ready; the message has the log's last lines.
        """
        timing = self.kernel.config.timing
        why = "nobody has asked it yet"
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = await self.look(instance)
                    if seen is None or not seen.runs or seen.restarts:
                        raise await self.failure(instance, ended(instance, await self._its_end(instance, seen)))
                    gateway = self.gateways.book.get(instance.name)
                    sight = await self.gateways.watch.look(gateway)
                    if sight.seen.state is GatewayState.READY:
                        return
                    if sight.seen.state is GatewayState.REFUSED:
                        raise await self.failure(instance, sight.seen.reason)
                    why = sight.seen.reason or sight.seen.state.value
                    told(f"waiting for {instance.name} to be ready: {why}"[:LINE_CHARS])
                    await asyncio.sleep(timing.instance_poll_seconds)
        except TimeoutError:
            pass
        raise await self.failure(instance, f"it was not ready within {seconds:.0f} s: {why}")

    async def _its_end(self, instance: StoredInstance, seen: CellSeen | None) -> CellSeen | None:
        """Return how a container ended that the engine has started again already: its next end tells, soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEXT_END_SECONDS):
                while seen is not None and seen.exit_code is None and seen.runs:
                    await asyncio.sleep(NEXT_LOOK_SECONDS)
                    seen = await self.look(instance)
        return seen

    async def failure(self, instance: StoredInstance, why: str) -> DriverFailed:
        """Return an error about an instance with the last lines of its log."""
        lines = await self.tail(instance)
        said = "\nThe last lines of its log:\n" + "\n".join(lines) if lines else ""
        return DriverFailed(
            f"gateway {instance.name}: {why}{said}",
            code="gateway_failed",
            retryable=False,
            hint=f"It is left for inspection: clawtui gateway logs {instance.name}. "
            f"Remove it with: clawtui gateway destroy {instance.name}",
        )

    async def tail(self, instance: StoredInstance) -> list[str]:
        """Return the last lines of the log without secrets; empty where there are none, or nobody can read them."""
        if not instance.container:
            return []
        lines: list[str] = []
        try:
            hide = await asyncio.to_thread(self.hider, instance)
            async with asyncio.timeout(TAIL_SECONDS):
                source = self.cells(instance).logs(self.handle(instance), LogRequest(lines=TAIL_LINES))
                async for line in source:
                    lines.append(hide(line.text)[:LINE_CHARS])
        except (HubError, TimeoutError) as exc:
            log.info("no_tail", gateway=instance.name, error=type(exc).__name__)
        return lines[-TAIL_LINES:]

    def hider(self, instance: StoredInstance) -> Callable[[str], str]:
        """Return what takes this instance's secrets out of a line. Blocks."""
        try:
            secrets = sorted(self.load(instance).secrets.values.values(), key=len, reverse=True)
        except HubError:
            # Without its files nobody knows them: what looks like a secret is still taken out.
            secrets = []

        def hide(text: str) -> str:
            for secret in secrets:
                text = text.replace(secret, "***")
            return redact(text)

        return hide

    async def fail(self, instance: StoredInstance, error: BaseException) -> None:
        """Note why an instance failed, and stop its container, which the engine would start again and again."""
        reason = error.message.partition("\n")[0] if isinstance(error, HubError) else f"{type(error).__name__}"
        seen: CellSeen | None = None
        try:
            seen = await self.look(instance)
            if seen is not None and seen.runs:
                await self.cells(instance).stop(self.handle(instance), self.kernel.config.timing.stop_grace_seconds)
        except HubError as exc:
            log.warning("failed_instance_not_stopped", gateway=instance.name, error=exc.message)
        present = self.book.present(instance.name, instance.uid)
        await self.book.save(
            replace(
                present,
                phase=InstancePhase.FAILED,
                # Nobody starts it again but a person, who is told by this.
                given_up=True,
                reason=reason.removeprefix(f"gateway {instance.name}: "),
                exit_code=seen.exit_code if seen is not None else present.exit_code,
                oom_killed=seen.oom_killed if seen is not None else present.oom_killed,
            )
        )


def ended(instance: StoredInstance, seen: CellSeen | None) -> str:
    """Say in words why a container does not run."""
    if seen is None:
        return "its container is gone"
    if seen.invalid_config:
        return "its configuration is invalid (exit code 78)"
    if seen.oom_killed:
        had = (instance.memory_bytes or LEAST_MEMORY) // 2**20
        return f"it was killed because it took more than its {had} MiB of memory"
    if seen.exit_code is not None:
        return f"it ended with exit code {seen.exit_code}" + (f": {seen.reason}" if seen.reason else "")
    return seen.reason or "it ended by itself and was started again by the engine"
