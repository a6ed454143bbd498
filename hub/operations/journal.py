"""Operations on the journal: acts as commands, how they ended, and taking one back."""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from hub.contract import JournalList, PageQuery, UndoAnswer
from hub.core.model import AgentId, AuditEntry
from hub.errors import Conflict, NotFound
from hub.operations.admin import AdminOperations
from hub.operations.agents import AgentOperations
from hub.operations.attention import AttentionOperations
from hub.operations.base import check_limit
from hub.undo import Act, Back, Policy, Snoozed, entry_view, outcomes, undoing, why_not

CHANGED = "{} has been changed since"


class JournalOperations(AgentOperations, AdminOperations, AttentionOperations):
    """See `hub.control.Control`. To take an act back is an act like any other, with its own entry."""

    async def journal(self, query: PageQuery) -> JournalList:
        entries, following = await self._kernel.registry.audit(check_limit(query.limit), query.cursor)
        asleep, ended = await self._asleep(), outcomes(entries)
        views = [entry_view(seq, entry, self._changed(entry, asleep), ended.get(seq)) for seq, entry in entries]
        return JournalList(journal=views, next=following)

    async def undo(self, seq: int) -> UndoAnswer:
        kernel = self._kernel
        entry = await kernel.registry.audit_entry(seq)
        if entry is None:
            raise NotFound(f"the journal has no entry {seq}", hint="clawtui journal lists them")
        back = undoing(entry)
        if back is None:
            why = f"entry {seq} ({entry.what}) cannot be taken back: {why_not(entry)}"
            raise Conflict(why, code="not_undoable", hint="clawtui journal says which")
        if isinstance(back, Act):
            kernel.fleet.agent(back.agent)
        if changed := self._changed(entry, await self._asleep()):
            why = f"entry {seq} cannot be taken back: {changed}"
            raise Conflict(why, code="changed_since", hint="clawtui journal shows by whom")
        return await self._take_back(back)

    async def _take_back(self, back: Back) -> UndoAnswer:
        match back:
            case Act():
                return UndoAnswer(undone=back.command, job=await self.act(back.agent, back.act))
            case Policy():
                await (self.allow if back.allow else self.disallow)(back.sender, back.receiver)
            case Snoozed():
                await self.snooze(back.attention_id, 0)
            case _:
                assert_never(back)
        return UndoAnswer(undone=back.command)

    def _changed(self, entry: AuditEntry, asleep: Collection[str]) -> str:
        """Why what would take an act back does not lead back any more; empty while it does."""
        fleet = self._kernel.fleet
        match undoing(entry):
            case Act() as back:
                agent = fleet.agents.get(AgentId(back.agent))
                same = agent is not None and agent.created_at <= entry.at and agent.desired is back.present
            case Policy() as back:
                allowed = {(one.sender, one.receiver) for one in fleet.mail.policies}
                same = ((back.sender, back.receiver) in allowed) is not back.allow
            case Snoozed() as back:
                same = back.attention_id in asleep
            case None:
                return ""
        return "" if same else CHANGED.format(entry.target)

    async def _asleep(self) -> frozenset[str]:
        """What is snoozed now."""
        now_ms = self._kernel.now().wall_ms
        return frozenset(one.id for one in await self._kernel.registry.snoozes() if one.until > now_ms)
