"""The journal's entries as commands, and which of them can be taken back by which.

An act on an agent says in its entry what was wanted before and after it (`running -> stopped`), an act
on a policy whether it changed anything; an entry that changed nothing has nothing to take back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from hub.contract import AgentAct, JournalEntry
from hub.core.model import AuditEntry, Desired
from hub.core.view import rfc3339

UNCHANGED: Final = "as before"
"""The detail of an act that changed nothing."""
ARROW: Final = " -> "

_BACK: Final[dict[tuple[Desired, Desired], AgentAct]] = {
    (Desired.RUNNING, Desired.STOPPED): AgentAct.START,
    (Desired.RUNNING, Desired.PAUSED): AgentAct.RESUME,
    (Desired.STOPPED, Desired.RUNNING): AgentAct.STOP,
    (Desired.PAUSED, Desired.RUNNING): AgentAct.PAUSE,
}
"""From what was wanted before and after an act to the act that leads back. A paused agent that was
stopped has lost what pausing kept, so that is not in here."""

_WANTED: Final = frozenset(desired.value for desired in Desired)
_ACTS: Final = frozenset(f"agent.{verb}" for verb in ("start", "stop", "pause", "resume"))


class Act(msgspec.Struct, frozen=True):
    """Takes an act on an agent back; `present` is what must be wanted now."""

    agent: str
    act: AgentAct
    present: Desired

    @property
    def command(self) -> str:
        return f"clawtui {self.act.value} {self.agent}"


class Policy(msgspec.Struct, frozen=True):
    """Takes a change of a policy back."""

    sender: str
    receiver: str
    allow: bool

    @property
    def command(self) -> str:
        return f"clawtui policy {'allow' if self.allow else 'disallow'} {self.sender} {self.receiver}"


def change(before: Desired, after: Desired) -> str:
    """Return the detail of an act's entry."""
    return f"{before.value}{ARROW}{after.value}" if before is not after else UNCHANGED


def undoing(entry: AuditEntry) -> Act | Policy | None:
    """Return what takes an act back, whatever has happened since; None when nothing does."""
    if entry.outcome != "ok" or entry.detail == UNCHANGED:
        return None
    if entry.what in _ACTS:
        return _undoing_act(entry)
    if entry.what in ("policy.allow", "policy.disallow"):
        sender, _, receiver = entry.target.partition(ARROW)
        return Policy(sender, receiver, allow=entry.what == "policy.disallow")
    return None


def _undoing_act(entry: AuditEntry) -> Act | None:
    before, arrow, after = entry.detail.partition(ARROW)
    if not arrow or not {before, after} <= _WANTED:
        # Written before acts said what they changed.
        return None
    act = _BACK.get((Desired(before), Desired(after)))
    return Act(entry.target, act, Desired(after)) if act is not None else None


_COMMANDS: Final[dict[str, Callable[[str], str]]] = {
    **{f"agent.{verb}": f"clawtui {verb} {{}}".format for verb in ("start", "stop", "restart", "pause", "resume")},
    **{f"agent.{verb}": f"clawtui {verb} {{}}".format for verb in ("destroy", "release", "register", "shell")},
    "agent.adopt": lambda target: "clawtui adopt",
    "policy.allow": lambda target: f"clawtui policy allow {target.replace(ARROW, ' ')}",
    "policy.disallow": lambda target: f"clawtui policy disallow {target.replace(ARROW, ' ')}",
    "token.revoke": "clawtui token revoke {}".format,
    "hub.backup": "clawtui backup {}".format,
    "task.cancel": "clawtui tasks cancel {}".format,
    "job.cancel": "clawtui jobs cancel {}".format,
    "snapshot.create": "clawtui snapshot {}".format,
    "snapshot.delete": "clawtui snapshots delete {}".format,
    "agent.restore_undo": "clawtui restore {} --undo".format,
    "network.remove": "clawtui network remove {}".format,
    "network.connect": lambda target: f"clawtui network connect {target.replace(ARROW, ' ')}",
    "network.disconnect": lambda target: f"clawtui network disconnect {target.replace(ARROW, ' ')}",
    "attention.snooze": "clawtui attention snooze {}".format,
}
"""How to do the same again; acts whose content the journal does not have in full are not in here."""


def entry_view(seq: int, entry: AuditEntry) -> JournalEntry:
    """Return an entry as front ends show it."""
    command, back = _COMMANDS.get(entry.what), undoing(entry)
    by_operator = entry.who.startswith("user:") and entry.outcome == "ok"
    return JournalEntry(
        seq=seq,
        at=rfc3339(entry.at) or "",
        who=entry.who,
        what=entry.what,
        target=entry.target,
        outcome=entry.outcome,
        detail=entry.detail,
        command=command(entry.target) if command is not None and by_operator else "",
        undo=back.command if back is not None else "",
    )
