"""Personas in a gateway's `openclaw.json`: text in, text out, nothing else.

Ours are: of our own entries name, workspace, identity, model and skills; `agents.ownership`, `default: true` in lists,
`agents.defaults.skipBootstrap` and `.systemAgent`; `skills.entries` of skills that the file does not name yet. In a new
file also what a gateway needs to start and to answer: `gateway.mode` and `gateway.http.endpoints.responses`, and a
heartbeat that is off. Everything else stays as it is written, with comments, order and quoting.

The rules are those that real gateways of 2026.7 and 2026.9 showed. See docs/sync.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from profiles.sync.errors import ConfigError
from profiles.sync.openclaw_check import Finding, check_config, inspect_config
from profiles.sync.openclaw_edit import Style, remove, remove_slot, to_list, to_map
from profiles.sync.openclaw_json5 import Container, Document, Node, Plain, Slot, parse, plain
from profiles.sync.openclaw_roster import Merged, Roster, RosterEntry, Shape, is_known, shape_for, usable_avatar

_NEW = "{}\n"
_VARIABLE = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}")
_IDENTITY = ("name", "theme", "emoji", "avatar")
_TO_RIGHTS = "Correct the file by hand; until then nothing is written to it."

__all__ = [
    "ConfigError", "Finding", "Merged", "Roster", "RosterEntry", "Shape",
    "check_config", "inspect_config", "merge_config", "shape_for",
]  # fmt: skip


def merge_config(
    text: str | None,
    roster: Roster,
    shape: Shape,
    version: str | None,
    *,
    owned: frozenset[str] = frozenset(),
    owned_skills: frozenset[str] = frozenset(),
) -> Merged:
    """Return the file with this roster in it. `text` None or blank: there is none yet.

    `owned`, `owned_skills`: what the last merge has put there; of that goes what the roster has no more. An agent of
    somebody else with a persona's slug becomes ours and keeps its other keys. Raises ConfigError, and nothing is to be
    written, when the text is no valid JSON5, is not shaped as a configuration is, or would have no agent left.
    """
    is_new = text is None or not text.strip()
    before = _NEW if text is None or is_new else text
    merge = _Merge(parse(before), roster, owned)
    if is_new:
        merge.start_file()
    merge.agents(shape, version, is_new)
    merge.skills(owned_skills)
    after = merge.document.render()
    return Merged(text=after, changed=is_new or after != before, taken=tuple(merge.taken), notes=tuple(merge.notes))


def literal(text: str) -> str:
    """Return a text in which the gateway replaces no `${NAME}` by what its environment has under that name."""
    return _VARIABLE.sub(lambda found: f"${found[0]}", text)


class _Merge:
    """One merge; the document is changed in place."""

    def __init__(self, document: Document, roster: Roster, owned: frozenset[str]) -> None:
        self.document = document
        self.taken: list[str] = []
        self.notes: list[str] = []
        self._roster = roster
        self._owned = owned
        self._style = Style(document)
        self._root = self._object(document.root, "the file")

    def start_file(self) -> None:
        """A gateway needs this to start and to take messages. With a heartbeat its system agent would cost money."""
        gateway: Plain = {"mode": "local", "http": {"endpoints": {"responses": {"enabled": True}}}}
        self._style.put(self._root, "gateway", gateway)
        self._style.put(self._root, "agents", {"defaults": {"heartbeat": {"every": "0m"}}})

    def agents(self, shape: Shape, version: str | None, is_new: bool) -> None:
        agents = self._child(self._root, "agents")
        if self._root.find("$include") or agents.find("$include"):
            self.notes.append("the file includes others ($include); agents that stand there are not looked at")
        defaults = self._child(agents, "defaults")
        self._style.put(defaults, "skipBootstrap", True)
        wanted = _shape(agents, shape, version)
        holder = self._holder(agents, wanted)
        marked = _marked(holder)
        ids = self._entries(holder)
        if wanted is Shape.ENTRIES:
            self._style.put(agents, "ownership", "explicit")
            for slot in holder.slots:
                if isinstance(slot.value, Container) and not slot.value.is_list:
                    _unmark(slot.value)
            self._system_agent(defaults, ids, marked, is_new)
        else:
            remove(agents, "ownership")
            self._default_agent(holder, ids, marked or _system_of(defaults))
            remove(defaults, "systemAgent")

    def skills(self, owned: frozenset[str]) -> None:
        """Switch on what the file says nothing about; what it says about a skill is somebody's decision."""
        if not self._roster.skills and not (owned and self._root.find("skills")):
            return
        entries = self._child(self._child(self._root, "skills"), "entries")
        known = entries.by_key()
        for slug in self._roster.skills:
            if slug not in known:
                self._style.append(entries, slug, {"enabled": True})
            elif slug not in owned and plain(known[slug].value) == {"enabled": False}:
                self.notes.append(f"skill {slug} is switched off in skills.entries")
        for slug in sorted(owned - set(self._roster.skills)):
            if slug in known and plain(known[slug].value) == {"enabled": True}:
                remove(entries, slug)

    def _holder(self, agents: Container, wanted: Shape) -> Container:
        """Return what holds the agents, in the wanted shape; made where it is missing."""
        entries, listed = agents.find("entries"), agents.find("list")
        if entries and listed:
            hint = "Move all agents into one of the two, and remove the other."
            raise self.document.error(listed.value, "agents has both entries and list: no gateway takes that", hint)
        slot = entries or listed
        name = "entries" if wanted is Shape.ENTRIES else "list"
        if slot is None:
            slot = self._style.append(agents, name, {} if name == "entries" else [])
        holder = slot.value
        if not isinstance(holder, Container) or holder.is_list != (slot.key == "list"):
            kind = "a list" if slot.key == "list" else "an object"
            raise self.document.error(holder, f"agents.{slot.key} is not {kind}", _TO_RIGHTS)
        self._checked_ids(holder)
        if slot.key != name:
            self._convert(slot, holder, name)
        return holder

    def _convert(self, slot: Slot, holder: Container, name: str) -> None:
        """Into the other shape, everybody's entries with all they have."""
        self._style.rename(slot, name)
        objects = [self._object(item.value, f"agents.{slot.key}: an agent") for item in holder.slots]
        if name == "entries":
            to_map(holder, [_id_of(agent) for agent in objects])
            for agent in objects:
                remove(agent, "id")
        else:
            for item, agent in zip(holder.slots, objects, strict=True):
                remove(agent, "id")
                self._style.prepend(agent, "id", item.key)
            to_list(holder)

    def _checked_ids(self, holder: Container) -> None:
        """Raises ConfigError where it is not clear which agent is which."""
        seen: set[str] = set()
        for slot in holder.slots:
            agent_id = slot.key
            if holder.is_list:
                agent_id = _id_of(self._object(slot.value, "an agent in agents.list"))
            if not agent_id:
                raise self.document.error(slot.value, "an agent in agents.list has no id", _TO_RIGHTS)
            if agent_id in seen:
                raise self.document.error(slot.value, f"agent {agent_id} is there twice", "Remove one of the two.")
            seen.add(agent_id)

    def _entries(self, holder: Container) -> list[str]:
        """Bring our entries into step, and return the ids of all agents in their order."""
        found = {_id_of(slot.value) if holder.is_list else slot.key: slot for slot in holder.slots}
        wanted = {entry.slug for entry in self._roster.entries}
        gone = [agent_id for agent_id in found if agent_id in self._owned and agent_id not in wanted]
        if not wanted and len(gone) == len(found):
            raise ConfigError(
                "there is no persona: newer gateways refuse a configuration without agents, older ones make one up",
                "Enable at least one persona of this gateway; until then its configuration stays as it is.",
            )
        for agent_id in gone:
            remove_slot(holder, found.pop(agent_id))
        for entry in self._roster.entries:
            if entry.avatar and not usable_avatar(entry.avatar):
                self.notes.append(
                    f"{entry.slug}: the avatar is left out: it is no web address and no path in the workspace"
                )
            slot = found.get(entry.slug)
            if slot is None:
                found[entry.slug] = self._style.append(
                    holder, "" if holder.is_list else entry.slug, _new(entry, holder)
                )
                continue
            if entry.slug not in self._owned:
                self.taken.append(entry.slug)
            self._update(slot, entry, holder)
        return list(found)

    def _update(self, slot: Slot, entry: RosterEntry, holder: Container) -> None:
        agent = slot.value
        if not isinstance(agent, Container) or agent.is_list:
            slot.value = self._style.build(_new(entry, holder), holder.indent + self._style.step)
            return
        for key, value in _managed(entry).items():
            if key == "identity" and isinstance(value, dict):
                self._identity(agent, value)
            elif key == "model" and isinstance(value, str):
                self._model(agent, value)
            elif value is None:
                remove(agent, key)
            else:
                self._style.put(agent, key, value)

    def _identity(self, agent: Container, wanted: dict[str, Plain]) -> None:
        """Keys that people have added to the identity stay, as in the entry."""
        slot = agent.find("identity")
        if slot is None or not isinstance(slot.value, Container) or slot.value.is_list:
            self._style.put(agent, "identity", wanted)
            return
        for key in _IDENTITY:
            if key in wanted:
                self._style.put(slot.value, key, wanted[key])
            else:
                remove(slot.value, key)

    def _model(self, agent: Container, model: str) -> None:
        """Where somebody has added fallbacks, only the first choice is ours."""
        slot = agent.find("model")
        if slot is not None and isinstance(slot.value, Container) and not slot.value.is_list:
            self._style.put(slot.value, "primary", model)
        else:
            self._style.put(agent, "model", model)

    def _asked(self, ids: Iterable[str]) -> str:
        """Return whom the settings want to act where nobody is named, empty where they say nothing usable."""
        asked = self._roster.system_slug
        if asked and asked not in ids:
            self.notes.append(f"{asked} shall act where no persona is named, and is in no roster")
            return ""
        return asked

    def _system_agent(self, defaults: Container, ids: list[str], marked: str, is_new: bool) -> None:
        """Name who acts where nobody is named.

        An existing file gets one unasked only where its heartbeat is set: without `every: "0m"` a system agent makes
        a model call every 30 minutes.
        """
        current = _system_of(defaults)
        quiet = _heartbeat(defaults)
        chosen = self._asked(ids) or next((each for each in (current, marked) if each in ids), "")
        if not chosen and self._roster.entries and (is_new or quiet or current in self._owned):
            chosen = self._roster.entries[0].slug
        if chosen:
            system = self._child(defaults, "systemAgent")
            self._style.put(system, "agentId", chosen)
            if not quiet and chosen not in (current, marked):
                self.notes.append(
                    f"{chosen} makes a model call every 30 minutes now; "
                    'agents.defaults.heartbeat.every: "0m" switches that off'
                )
        elif current in self._owned:
            remove(defaults, "systemAgent")

    def _default_agent(self, holder: Container, ids: list[str], current: str) -> None:
        """Mark exactly one."""
        chosen = self._asked(ids) or (current if current in ids else ids[0])
        for slot in holder.slots:
            agent = slot.value
            if not isinstance(agent, Container):
                continue
            if _id_of(agent) == chosen:
                self._style.put(agent, "default", True)
            else:
                _unmark(agent)

    def _child(self, parent: Container, key: str) -> Container:
        slot = parent.find(key) or self._style.append(parent, key, {})
        return self._object(slot.value, key)

    def _object(self, node: Node, name: str) -> Container:
        if not isinstance(node, Container) or node.is_list:
            raise self.document.error(node, f"{name} is not an object", _TO_RIGHTS)
        return node


def _shape(agents: Container, shape: Shape, version: str | None) -> Shape:
    """Return the shape to write. Where nobody knows the version, an existing marker of new ones tells."""
    if shape is not Shape.AUTO:
        return shape
    if is_known(version):
        return shape_for(version)
    return Shape.ENTRIES if agents.find("entries") or agents.find("ownership") else Shape.LIST


def _managed(entry: RosterEntry) -> dict[str, Plain]:
    """Return the keys of an entry that are ours; None = is not to be there."""
    identity: dict[str, Plain] = {"name": literal(entry.name)}
    avatar = entry.avatar if usable_avatar(entry.avatar) else ""
    for key, value in (("theme", entry.theme), ("emoji", entry.emoji), ("avatar", avatar)):
        if value:
            identity[key] = literal(value)
    return {
        "name": literal(entry.name),
        "workspace": entry.workspace,
        "identity": identity,
        "model": entry.model,
        "skills": None if entry.skills is None else list(entry.skills),
    }


def _new(entry: RosterEntry, holder: Container) -> dict[str, Plain]:
    made: dict[str, Plain] = {"id": entry.slug} if holder.is_list else {}
    made.update({key: value for key, value in _managed(entry).items() if value is not None})
    return made


def _id_of(agent: Node) -> str:
    """Return the id that an agent of a list has, empty where it has none."""
    return _text(agent, "id")


def _marked(holder: Container) -> str:
    """Return the id of the agent that is marked as the default."""
    for slot in holder.slots:
        mark = slot.value.find("default") if isinstance(slot.value, Container) else None
        if mark is not None and plain(mark.value) is True:
            return _id_of(slot.value) if holder.is_list else slot.key
    return ""


def _unmark(agent: Container) -> None:
    mark = agent.find("default")
    if mark is not None and plain(mark.value) is not False:
        remove(agent, "default")


def _system_of(defaults: Container) -> str:
    slot = defaults.find("systemAgent")
    return _text(slot.value, "agentId") if slot else ""


def _heartbeat(defaults: Container) -> str:
    slot = defaults.find("heartbeat")
    return _text(slot.value, "every") if slot else ""


def _text(node: Node, key: str) -> str:
    slot = node.find(key) if isinstance(node, Container) else None
    value = plain(slot.value) if slot else None
    return value if isinstance(value, str) else ""
