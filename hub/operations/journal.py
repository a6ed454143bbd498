"""Operations on the journal: acts as commands, and taking one back."""

from __future__ import annotations

from hub.contract import JournalList, PageQuery, UndoAnswer
from hub.errors import Conflict, NotFound
from hub.operations.admin import AdminOperations
from hub.operations.agents import AgentOperations
from hub.operations.base import check_limit
from hub.undo import Act, Policy, entry_view, undoing


class JournalOperations(AgentOperations, AdminOperations):
    """See `hub.control.Control`. To take an act back is an act like any other, with its own entry."""

    async def journal(self, query: PageQuery) -> JournalList:
        entries, following = await self._kernel.registry.audit(check_limit(query.limit), query.cursor)
        return JournalList(journal=[entry_view(seq, entry) for seq, entry in entries], next=following)

    async def undo(self, seq: int) -> UndoAnswer:
        kernel = self._kernel
        entry = await kernel.registry.audit_entry(seq)
        if entry is None:
            raise NotFound(f"the journal has no entry {seq}", hint="clawtui journal lists them")
        back = undoing(entry)
        if back is None:
            raise Conflict(
                f"entry {seq} ({entry.what}) cannot be taken back",
                code="not_undoable",
                hint="clawtui journal says which",
            )
        match back:
            case Act():
                agent = kernel.fleet.agent(entry.target)
                if agent.created_at > entry.at or agent.desired is not back.present:
                    raise _changed(seq, entry.target)
                return UndoAnswer(undone=back.command, job=await self.act(agent.id, back.act))
            case Policy():
                allowed = {(one.sender, one.receiver) for one in kernel.fleet.mail.policies}
                if ((back.sender, back.receiver) in allowed) is back.allow:
                    raise _changed(seq, entry.target)
                await (self.allow if back.allow else self.disallow)(back.sender, back.receiver)
                return UndoAnswer(undone=back.command)


def _changed(seq: int, target: str) -> Conflict:
    return Conflict(
        f"entry {seq} cannot be taken back: {target} has been changed since",
        code="changed_since",
        hint="clawtui journal shows by whom",
    )
