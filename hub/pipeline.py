"""The one ordered path of effects: commit a batch, then release what it made true.

Batching is natural: when idle a batch is committed at once; whatever arrives while a commit runs
goes into the next one. Nothing is sent, answered or published before its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from hub.core.effects import Delete, Effect, Save
from hub.errors import HubError, StorageFull, Unavailable


class Committer(Protocol):
    """The part of the registry that the pipeline needs."""

    async def commit(self, effects: Sequence[Save | Delete]) -> None: ...


_Entry = tuple[Sequence[Effect], asyncio.Future[None] | None]
"""What was decided together, and who waits for its commit."""


class Pipeline:
    """Commits and releases effects in the order in which they were decided.

    `perform` gets every effect of a committed batch, saved records too.

    After a failed commit memory is ahead of the disk: every waiter gets the error, what was decided
    meanwhile is dropped, and nothing is taken any more until `reopen`; `on_failure` rebuilds.
    After a decision that broke (`break_off`) memory is worth nothing, but what was decided before is
    sound: it is still committed, and only then is the registry what memory can be rebuilt from.
    """

    def __init__(
        self,
        committer: Committer,
        perform: Callable[[Effect], None],
        on_failure: Callable[[HubError], None],
        on_commit: Callable[[int, float], None],
    ) -> None:
        self._committer = committer
        self._perform = perform
        self._on_failure = on_failure
        self._on_commit = on_commit
        self._pending: list[_Entry] = []
        self._batch: list[_Entry] = []
        self._wake = asyncio.Event()
        self._failure: Callable[[], HubError] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._ended = False

    @property
    def failed(self) -> HubError | None:
        """Why nothing is taken now, or None. A new error each time: one that is raised again and again
        would collect the frames of everybody who met it."""
        return None if self._failure is None else self._failure()

    def push(self, effects: Sequence[Effect]) -> None:
        """Take effects that nobody waits for; dropped while the registry does not write, because
        then the core that decided them is about to be thrown away too."""
        if effects and self._failure is None and not self._ended:
            self._take((effects, None))

    async def commit(self, effects: Sequence[Effect]) -> None:
        """Take effects and wait until they are committed and released.

        Raises:
            StorageFull: nothing of it was kept.
            Unavailable: the hub rebuilds its state, and nothing of it was kept; or it stops, and then
                nobody can say any more.
        """
        if (failed := self.failed) is not None:
            raise failed
        if self._ended:
            raise _stopped()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take((effects, future))
        # The commit goes on when the caller goes away: what was decided is decided.
        await asyncio.shield(future)

    async def settle(self) -> None:
        """Wait until everything decided so far is committed: reads see it afterwards."""
        await self.commit(())

    async def run(self) -> None:
        """Commit and release until `stop`; then finish what is pending.

        However it ends, nobody waits afterwards for a commit that cannot come.
        """
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending:
                    await self._commit_pending()
                self._idle.set()
                if self._stopping:
                    return
        finally:
            self._ended = True
            self._idle.set()
            self._refuse([*self._batch, *self._pending], _stopped)

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def break_off(self, error: Callable[[], HubError]) -> None:
        """A decision broke: commit what was decided before, and take nothing more until `reopen`."""
        self._failure = self._failure or error

    async def wait_idle(self) -> None:
        """Wait until everything that was taken is committed and released, or refused."""
        await self._idle.wait()

    def reopen(self) -> None:
        """The core was rebuilt from the registry: take effects again."""
        self._failure = None

    def _take(self, entry: _Entry) -> None:
        self._pending.append(entry)
        self._idle.clear()
        self._wake.set()

    async def _commit_pending(self) -> None:
        batch = self._batch = self._pending
        self._pending = []
        records = [effect for effects, _ in batch for effect in effects if isinstance(effect, Save | Delete)]
        if records:
            started = asyncio.get_running_loop().time()
            try:
                await self._committer.commit(records)
            except Exception as exc:  # noqa: BLE001 - nobody waits for ever, and the rebuild says what is true
                self._fail(exc, batch)
                return
            self._on_commit(len(records), asyncio.get_running_loop().time() - started)
        for effects, future in batch:
            for effect in effects:
                self._perform(effect)
            if future is not None and not future.done():
                future.set_result(None)

    def _fail(self, error: Exception, batch: list[_Entry]) -> None:
        text = error.message if isinstance(error, HubError) else f"{type(error).__name__}: {error}"
        message = text if isinstance(error, StorageFull) else f"the registry cannot write: {text}"
        hint = error.hint if isinstance(error, HubError) else ""

        def failed() -> HubError:
            return StorageFull(message, hint=hint)

        self._failure = failed
        dropped, self._pending = self._pending, []
        self._refuse([*batch, *dropped], failed)
        self._on_failure(failed())

    @staticmethod
    def _refuse(entries: list[_Entry], error: Callable[[], HubError]) -> None:
        for _, future in entries:
            if future is not None and not future.done():
                future.set_exception(error())
                # Callers that went away must not leave an "exception was never retrieved" behind.
                future.exception()


def _stopped() -> Unavailable:
    return Unavailable("the hub is stopping", code="stopping", retry_after_seconds=1.0)
