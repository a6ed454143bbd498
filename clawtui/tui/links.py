"""Links: every place and every thing in it has a short address, e.g. `agents/builder-1/logs`. Pure.

`:go LINK` goes there, `clawtui --open LINK` starts there, and the same thing on the command line has a verb.
"""

from __future__ import annotations

import difflib
from typing import Final, NamedTuple

from clawtui.errors import UsageError
from clawtui.tui.actions import Where

AGENTS, TASKS, ROLLOUTS, LOGS = "agents", "tasks", "rollouts", "logs"
SNAPSHOTS, DIFFERENCES = "snapshots", "differences"
PROFILES, BUILDS = "profiles", "builds"
PERSONAS, GATEWAYS, MESSAGES = "personas", "gateways", "messages"
GATEWAY_LOG = Where.GATEWAY_LOG.value
PLACES: Final = {
    AGENTS: Where.FLEET, "fleet": Where.FLEET, TASKS: Where.TASKS, ROLLOUTS: Where.ROLLOUT,
    **{
        place.value: place
        for place in Where
        if place not in (
            Where.ANY, Where.FLEET, Where.OUTPUT, Where.ROLLOUT, Where.DIFFERENCE, Where.BUILD, Where.PERSONA
        )
    },
    DIFFERENCES: Where.DIFFERENCE, BUILDS: Where.BUILD, PERSONAS: Where.PERSONA,
}  # fmt: skip
"""First words of links. A place without things of its own is its name."""
_WITH_THINGS: Final = (
    AGENTS, "fleet", TASKS, ROLLOUTS, LOGS, SNAPSHOTS, DIFFERENCES, PROFILES, BUILDS, PERSONAS, GATEWAYS, MESSAGES,
    GATEWAY_LOG,
)  # fmt: skip
FORMS: Final = (
    f"{AGENTS}/NAME, {TASKS}/ID, {ROLLOUTS}/ID, {LOGS}/NAME,NAME, {SNAPSHOTS}/ID, {DIFFERENCES}/ID,ID, "
    f"{PROFILES}/NAME, {BUILDS}/NAME, {PERSONAS}/GATEWAY/SLUG, {GATEWAYS}/NAME, {GATEWAY_LOG}/NAME, "
    f"{MESSAGES}/GATEWAY/SLUG, " + ", ".join(name for name in PLACES if name not in _WITH_THINGS)
)
_VERBS: Final[dict[Where, tuple[str, ...]]] = {
    Where.FLEET: ("list",), Where.TASKS: ("tasks", "list"), Where.JOURNAL: ("journal",), Where.HUB: ("doctor",),
    Where.SNAPSHOTS: ("snapshots", "list"), Where.PROFILES: ("profile", "list"),
    Where.DISK: ("disk",), Where.SYNC: ("sync", "status"), Where.GATEWAYS: ("gateway", "list"),
}  # fmt: skip
_OF_ONE: Final[dict[Where, tuple[str, ...]]] = {
    Where.SNAPSHOTS: ("snapshots", "show"), Where.PROFILES: ("profile", "show"), Where.PERSONA: ("sync", "diff"),
    Where.GATEWAYS: ("gateway", "show"), Where.GATEWAY_LOG: ("gateway", "logs", "--follow"),
}  # fmt: skip
"""Of one thing of a place."""
_AGENT_VERBS: Final[dict[str, tuple[str, ...]]] = {
    "": ("status",), "logs": ("logs", "--follow"), "tasks": ("tasks", "list", "--agent"),
    "snapshots": ("snapshots", "list"),
}  # fmt: skip

_MOST: Final = {
    Where.FLEET: 2, Where.TASKS: 1, Where.ROLLOUT: 1, Where.LOGS: 1, Where.SNAPSHOTS: 1, Where.DIFFERENCE: 1,
    Where.PROFILES: 1, Where.BUILD: 1, Where.PERSONA: 2, Where.GATEWAYS: 1, Where.MESSAGES: 2,
    Where.GATEWAY_LOG: 1,
}  # fmt: skip
"""How many parts may come after the first."""
_WHICH: Final = {
    Where.ROLLOUT: ("which rollout?", f"{ROLLOUTS}/ID; `m` on a task opens its own"),
    Where.DIFFERENCE: ("of which two snapshots?", f"{DIFFERENCES}/ID,ID; `d` on the Snapshots compares"),
    Where.BUILD: ("which build?", f"{BUILDS}/PROFILE; `o` on the Profiles opens its newest one"),
    Where.PERSONA: ("which persona?", f"{PERSONAS}/GATEWAY/SLUG; `d` on the Sync place opens one"),
    Where.GATEWAY_LOG: ("the log of which gateway?", f"{GATEWAY_LOG}/NAME; `o` on the Gateways opens one"),
    Where.MESSAGES: ("to which persona?", f"{MESSAGES}/GATEWAY/SLUG; `m` on the Sync place opens one"),
}
"""Places that are nothing without a thing: what is asked, and what helps."""


class Link(NamedTuple):
    """`keys`: names of agents, the id of one task, rollout or snapshot, those of two snapshots to compare, or a persona
    as GATEWAY/SLUG.
    `tab`: the part of an agent's detail."""

    place: Where
    keys: tuple[str, ...] = ()
    tab: str = ""

    def __str__(self) -> str:
        match self.place:
            case Where.FLEET:
                return "/".join(part for part in (AGENTS, *self.keys, self.tab if self.keys else "") if part)
            case Where.OUTPUT:
                return f"{TASKS}/{self.keys[0]}"
            case Where.ROLLOUT:
                return f"{ROLLOUTS}/{self.keys[0]}"
            case Where.BUILD:
                return f"{BUILDS}/{self.keys[0]}"
            case Where.DIFFERENCE:
                return f"{DIFFERENCES}/{','.join(self.keys)}"
            case Where.PERSONA:
                return f"{PERSONAS}/{self.keys[0]}"
            case _:
                return "/".join((self.place.value, ",".join(self.keys))) if self.keys else self.place.value


def parse_link(text: str) -> Link:
    """What `text` addresses.

    Raises:
        UsageError: it is no link; says which there are.
    """
    first, *rest = (part.strip() for part in text.strip().strip("/").split("/"))
    place = PLACES.get(first.lower())
    if place is None:
        nearest = difflib.get_close_matches(first.lower(), PLACES, n=1)
        meant = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise UsageError(f"there is no place {first!r}", field="link", hint=f"{meant}links are {FORMS}")
    if len(rest) > _MOST.get(place, 0) or not all(rest):
        raise UsageError(f"{text.strip()!r} is no link", field="link", hint=f"links are {FORMS}")
    if rest:
        return _about(place, rest)
    if place in _WHICH:
        raise UsageError(_WHICH[place][0], field="link", hint=_WHICH[place][1])
    return Link(place)


def _about(place: Where, rest: list[str]) -> Link:
    match place:
        case Where.FLEET:
            return Link(place, (rest[0],), rest[1].lower() if len(rest) > 1 else "")
        case Where.TASKS:
            return Link(Where.OUTPUT, (rest[0],))
        case Where.LOGS:
            return Link(place, tuple(dict.fromkeys(name for name in rest[0].split(",") if name)))
        case Where.DIFFERENCE:
            both = tuple(rest[0].split(","))
            if len(both) != 2 or not all(both):
                raise UsageError("a difference is of two snapshots", field="link", hint=_WHICH[place][1])
            return Link(place, both)
        case Where.PERSONA | Where.MESSAGES:
            if len(rest) != 2:
                raise UsageError("a persona is one of a gateway", field="link", hint=_WHICH[place][1])
            return Link(place, ("/".join(rest),))
        case _:
            return Link(place, (rest[0],))


def verb_words(link: Link) -> list[list[str]]:
    """Verbs that show the same on the command line; several where a verb shows one thing only. Empty: none does."""
    match link.place:
        case Where.FLEET if link.keys:
            return [[*_AGENT_VERBS.get(link.tab, _AGENT_VERBS[""]), link.keys[0]]]
        case Where.OUTPUT:
            return [["tasks", "output", link.keys[0], "--follow"]]
        case Where.ROLLOUT:
            return [["tasks", "show", "--dispatch", link.keys[0]]]
        case Where.DIFFERENCE:
            return [["snapshots", "diff", *link.keys]]
        case Where.BUILD:
            return [["image", "log", link.keys[0], "--follow"]]
        case Where.LOGS:
            return [["logs", "--follow", name] for name in link.keys]
        case _ if link.keys and link.place in _OF_ONE:
            return [[*_OF_ONE[link.place], link.keys[0]]]
        case _:
            return [list(_VERBS[link.place])] if link.place in _VERBS else []


def completed(text: str, agents: list[str], tabs: tuple[str, ...]) -> list[str]:
    """Links that begin like `text`."""
    head, slash, rest = text.rpartition("/")
    if not slash:
        return [name for name in PLACES if name.startswith(text)]
    if head == LOGS:
        before, comma, last = rest.rpartition(",")
        return [f"{head}/{before}{comma}{name}" for name in agents if name.startswith(last)]
    if head == AGENTS:
        return [f"{head}/{name}" for name in agents if name.startswith(rest)]
    if head.startswith(f"{AGENTS}/"):
        return [f"{head}/{tab}" for tab in tabs if tab.startswith(rest)]
    return []
