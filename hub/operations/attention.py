"""Operations on what needs a person."""

from __future__ import annotations

from hub.contract import AttentionList, AttentionQuery, AttentionView
from hub.core.attention import shown
from hub.core.effects import Delete, Kind, Publish, Save
from hub.core.model import Snooze
from hub.errors import BadRequest, NotFound
from hub.operations.base import Operations

MAX_SNOOZE_SECONDS = 30 * 24 * 3600


class AttentionOperations(Operations):
    """See `hub.control.Control`."""

    async def attention(self, query: AttentionQuery) -> AttentionList:
        return shown(await self._inside.attention.read(), query)

    async def snooze(self, attention_id: str, seconds: int) -> AttentionView:
        kernel = self._kernel
        if not 0 <= seconds <= MAX_SNOOZE_SECONDS:
            raise BadRequest("a snooze lasts up to 30 days", field="seconds")
        kernel.check_writable()
        until = kernel.now().wall_ms + seconds * 1000
        snooze = await self._inside.attention.snooze(attention_id, until, self._who)
        if snooze is None:
            raise NotFound(f"nothing called {attention_id[:100]!r} needs anybody", hint="clawtui attention lists all")
        await self._keep(snooze, seconds)
        return await self._attention(attention_id)

    async def _keep(self, snooze: Snooze, seconds: int) -> None:
        change = Save(snooze) if seconds else Delete(snooze)
        audit = self._kernel.audited(self._who, "attention.snooze", snooze.id, detail=f"{seconds} s")
        await self._kernel.commit([change, audit, Publish(Kind.ATTENTION, snooze.id)])

    async def _attention(self, attention_id: str) -> AttentionView:
        for view in (await self._inside.attention.read()).attention:
            if view.id == attention_id:
                return view
        raise NotFound(f"{attention_id[:100]!r} is over", code="attention_over")
