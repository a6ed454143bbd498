"""The journal's entries as commands, and which of them can be taken back by which.

An act on an agent says in its entry what was wanted before and after it (`running -> stopped`), an act
on a policy whether it changed anything; an entry that changed nothing has nothing to take back.
Where nothing takes an act back, `why_not` says why, in words for whoever did it.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from hub.contract import AgentAct, JobOutcome, JournalEntry
from hub.core.model import AuditEntry, Desired
from hub.core.view import rfc3339

UNCHANGED: Final = "as before"
"""The detail of an act that changed nothing."""
ARROW: Final = " -> "
FAILED: Final = "failed"
"""The outcome of a second entry of an act, when it came to nothing after it was written down."""
AWAKE: Final = "0 s"
"""The detail of the act that ends a snooze."""

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

    @property
    def name(self) -> str:
        return f"agent.{self.act.value}"


class Policy(msgspec.Struct, frozen=True):
    """Takes a change of a policy back."""

    sender: str
    receiver: str
    allow: bool

    @property
    def command(self) -> str:
        return f"clawtui policy {'allow' if self.allow else 'disallow'} {self.sender} {self.receiver}"

    @property
    def name(self) -> str:
        return "policy.allow" if self.allow else "policy.disallow"


class Snoozed(msgspec.Struct, frozen=True):
    """Ends a snooze."""

    attention_id: str

    @property
    def command(self) -> str:
        return f"clawtui attention snooze {self.attention_id} --for 0"

    @property
    def name(self) -> str:
        return "attention.wake"


Back = Act | Policy | Snoozed
"""`command` does it in a shell, `name` is what front ends call it."""


def change(before: Desired, after: Desired) -> str:
    """Return the detail of an act's entry."""
    return f"{before.value}{ARROW}{after.value}" if before is not after else UNCHANGED


def undoing(entry: AuditEntry) -> Back | None:
    """Return what takes an act back, whatever has happened since; None when nothing does."""
    if entry.outcome != "ok" or entry.detail == UNCHANGED:
        return None
    if entry.what in _ACTS:
        return _undoing_act(entry)
    if entry.what in ("policy.allow", "policy.disallow"):
        sender, _, receiver = entry.target.partition(ARROW)
        return Policy(sender, receiver, allow=entry.what == "policy.disallow")
    if entry.what == "attention.snooze" and entry.detail != AWAKE:
        return Snoozed(entry.target)
    return None


def _undoing_act(entry: AuditEntry) -> Act | None:
    before, arrow, after = entry.detail.partition(ARROW)
    if not arrow or not {before, after} <= _WANTED:
        # Written before acts said what they changed.
        return None
    act = _BACK.get((Desired(before), Desired(after)))
    return Act(entry.target, act, Desired(after)) if act is not None else None


def _resolving(decision: str, target: str) -> str:
    persona, _, path = target.partition(ARROW)
    return f"clawtui sync resolve {persona} {decision}" + (f" --path {shlex.quote(path)}" if path else " --yes")


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
    "sync.run": lambda target: "clawtui sync run" + (f" {target}" if target != "all" else ""),
    **{f"sync.{decision}": partial(_resolving, decision) for decision in ("keep", "apply", "adopt")},
    "attention.snooze": "clawtui attention snooze {}".format,
    "gateway.remove": "clawtui gateway remove {}".format,
    **{f"gateway.{act}": f"clawtui gateway {act} {{}}".format for act in ("start", "stop", "restart", "destroy")},
}
"""How to do the same again; acts whose content the journal does not have in full are not in here."""


_REASONS: Final[dict[str, str]] = {
    "agent.create": "an agent goes only by being destroyed, with its data",
    "agent.destroy": "what was destroyed is gone",
    "agent.restart": "what ran before the restart is gone",
    "agent.restore": "what it replaced is kept for 24 hours: clawtui restore AGENT --undo",
    "agent.restore_undo": "what was done since that restore is gone",
    "agent.fork": "forks go only by being destroyed, with their data",
    "snapshot.create": "it changed nothing; delete the snapshot instead",
    "snapshot.delete": "what was deleted is gone",
    "prune.remove": "what was removed is gone",
    "agent.release": "a released agent has a new identity",
    "agent.register": "a token was shown; destroy the agent to take it away",
    "agent.adopt": "an agent goes only by being destroyed, with its data",
    "agent.shell": "what was typed there has happened",
    "token.create": "the secret was shown; revoke the token instead",
    "token.revoke": "a revoked token stays so; make a new one",
    "gateway.add": "remove the gateway instead",
    "gateway.remove": "add it again; its token file was left as it is",
    "gateway.sync": "set its sync again, or switch it off",
    "gateway.provision": "destroy the gateway instead",
    "gateway.start": "stop the gateway instead",
    "gateway.stop": "start the gateway instead",
    "gateway.restart": "what ran before the restart is gone",
    "gateway.destroy": "what was destroyed is gone",
    "sync.run": "files are as the source says; change the source",
    "sync.keep": "decide otherwise: clawtui sync resolve",
    "sync.apply": "what was there is in .clawtui-archive of the workspace",
    "sync.adopt": "the text is in the source now; change it there",
    "message.send": "what was said was heard",
    "hub.backup": "the copy is a file on the hub's machine",
    "task.cancel": "what ran was ended; submit the task again",
    "job.cancel": "what ran was ended; do the act again",
}
"""Why nothing takes an act back, by what it was."""


def why_not(entry: AuditEntry) -> str:
    """Return why nothing takes an act back; for entries of which `undoing` says None."""
    if entry.outcome != "ok":
        return "it was not carried out" if not entry.what.startswith("job.") else "it is how an act ended"
    if entry.what in _REASONS:
        return _REASONS[entry.what]
    if entry.detail in (UNCHANGED, AWAKE):
        return "it changed nothing" if entry.detail == UNCHANGED else "it took a snooze back itself"
    if entry.what in _ACTS:
        return (
            "what pausing kept is gone" if entry.detail.startswith(Desired.PAUSED.value) else "it does not say what was"
        )
    return "the task was given; cancel it instead" if entry.what.startswith("task.") else "no act leads back"


def outcomes(entries: Sequence[tuple[int, AuditEntry]]) -> dict[int, JobOutcome]:
    """Return by `seq` how acts ended that were begun when they were written down, as far as `entries` (newest
    first) tell: by their jobs, or by a second entry that says that they failed.

    Acts of one kind on one agent end in the order in which they began, because the hub does one at a time.
    """
    waiting: dict[tuple[str, str, str], deque[int]] = {}
    last: dict[tuple[str, str, str], int] = {}
    found: dict[int, JobOutcome] = {}
    for seq, entry in reversed(entries):
        noun, _, verb = entry.what.partition(".")
        key = (entry.who, verb, entry.target)
        if noun == "agent" and entry.outcome == "ok":
            waiting.setdefault(key, deque()).append(seq)
        elif noun == "job" and waiting.get(key):
            found[waiting[key].popleft()] = JobOutcome(state=entry.outcome, error=entry.detail)
        act = (entry.who, entry.what, entry.target)
        if entry.outcome == "ok":
            last[act] = seq
        elif entry.outcome == FAILED and act in last:
            found[last.pop(act)] = JobOutcome(state=entry.outcome, error=entry.detail)
    return found


def entry_view(seq: int, entry: AuditEntry, changed: str = "", job: JobOutcome | None = None) -> JournalEntry:
    """Return an entry as front ends show it. `changed`: why what could lead back does not any more."""
    command, back = _COMMANDS.get(entry.what), undoing(entry)
    by_operator = entry.who.startswith("user:") and entry.outcome == "ok"
    possible = back is not None and not changed
    return JournalEntry(
        seq=seq,
        at=rfc3339(entry.at) or "",
        who=entry.who,
        what=entry.what,
        target=entry.target,
        outcome=entry.outcome,
        detail=entry.detail,
        command=command(entry.target) if command is not None and by_operator else "",
        undo=back.command if back is not None and possible else "",
        undo_act=back.name if back is not None and possible else "",
        why_not="" if possible else changed or why_not(entry),
        job=job,
    )
