"""Which agents a dispatch goes to: a small expression over what an agent is.

`type=builder team!=red docker` means: type is builder, label team is not red, capability docker is
there. Terms are joined by spaces or commas and must all hold. `*` alone is everybody. Known names
are id, type, status, driver, profile and capability; any other name is a label.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hub.contract import AgentView
from hub.errors import BadRequest

_TERM: Final = re.compile(r"(?P<name>[^\s=!,]+)(?P<op>!?=)(?P<value>[^\s,]*)|(?P<word>[^\s=!,]+)")
_FIELDS: Final = ("id", "type", "status", "driver", "profile")


class Term(msgspec.Struct, frozen=True):
    """One condition. An empty `name` asks for a capability."""

    name: str
    value: str
    negated: bool = False

    def holds(self, agent: AgentView) -> bool:
        return self._matches(agent) is not self.negated

    def _matches(self, agent: AgentView) -> bool:
        if self.name in ("", "capability"):
            return self.value in agent.capabilities
        if self.name in _FIELDS:
            return str(getattr(agent, self.name)) == self.value
        return agent.labels.get(self.name) == self.value


def parse_selector(text: str) -> tuple[Term, ...]:
    """Return the terms of a selector; none for `*`.

    Raises:
        BadRequest: an empty or unreadable selector, with the place.
    """
    if text.strip() == "*":
        return ()
    terms: list[Term] = []
    rest = text.strip()
    while rest:
        found = _TERM.match(rest)
        if found is None:
            raise BadRequest(
                f"the selector cannot be read at {rest[:32]!r}",
                field="selector",
                hint="for instance: type=builder team!=red docker, or * for all",
            )
        if found["word"] is not None:
            terms.append(Term("", found["word"]))
        else:
            terms.append(Term(found["name"], found["value"], found["op"] == "!="))
        rest = rest[found.end() :].lstrip(" ,\t\n")
    if not terms:
        raise BadRequest("the selector is empty", field="selector", hint="* selects all agents")
    return tuple(terms)


def selects(terms: tuple[Term, ...], agent: AgentView) -> bool:
    return all(term.holds(agent) for term in terms)
