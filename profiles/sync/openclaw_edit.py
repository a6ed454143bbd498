"""Changes to a JSON5 tree in the style of what stands around them.

Nothing but the named members is touched. A removed member takes what is inside its value along; comments around it
stay, because nobody knows what they are about.
"""

from __future__ import annotations

import json
import re

from profiles.sync.openclaw_json5 import (
    Container,
    Document,
    Node,
    Plain,
    Scalar,
    Slot,
    has_comment,
    last_line,
    plain,
)

_BARE = re.compile(r"[A-Za-z_$][\w$]*\Z", re.ASCII)
_UNSAFE = re.compile("[\ud800-\udfff\u2028\u2029]")


class Style:
    """How a file is written: its line ends, the step of its indentation, whether all is on one line, bare keys."""

    def __init__(self, document: Document) -> None:
        text, root = document.text, document.root
        first = root.slots[0] if isinstance(root, Container) and root.slots else None
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.step = (last_line(first.before) if first else None) or "  "
        self.one_line = first is not None and not re.search(r"[\r\n]", text.strip())
        self.bare = first is not None and first.key_text[:1] not in ('"', "'")

    def build(self, value: Plain, indent: str) -> Node:
        """Return a new node, for a line that begins with `indent`."""
        if not isinstance(value, (dict, list)):
            return Scalar(quoted(value) if isinstance(value, str) else json.dumps(value), value)
        made = Container(isinstance(value, list), indent)
        if isinstance(value, dict):
            for key, item in value.items():
                self.append(made, key, item)
        else:
            for item in value:
                self.append(made, "", item)
        return made

    def append(self, parent: Container, key: str, value: Plain) -> Slot:
        """Add a member at the end, in a list an item."""
        spread = self._spread(parent)
        own = self._own_indent(parent) if spread else parent.indent
        slot = Slot(self.build(value, own), key=key, key_text="" if parent.is_list else self._key(parent, key))
        slot.value_gap = "" if parent.is_list else " "
        last = parent.slots[-1] if parent.slots else None
        ending = parent.tail if last is None or last.comma else last.after
        kept, closing = _split_closing(ending)
        if last is None:
            closing = f"{self.newline}{parent.indent}" if spread else " " if not parent.is_list else ""
            lead = f"{self.newline}{own}" if spread else closing
        else:
            lead = f"{self.newline}{own}" if spread else " "
        if "//" in kept and last_line(lead) is None:
            lead = f"{self.newline}{parent.indent}"  # on the comment's line it would be part of it
        slot.before = kept + lead
        if last is not None and last.comma:
            slot.comma, parent.tail = True, closing
        else:
            slot.after, parent.tail = closing, ""
        if last is not None and not last.comma:
            last.comma, last.after = True, ""
        parent.slots.append(slot)
        return slot

    def prepend(self, parent: Container, key: str, value: Plain) -> None:
        """Add a member at the beginning."""
        if not parent.slots:
            self.append(parent, key, value)
            return
        first = parent.slots[0]
        own = last_line(first.before)
        before = " " if own is None else f"{self.newline}{own}"
        slot = Slot(
            self.build(value, parent.indent if own is None else own),
            before=before if first.before else "",
            key=key,
            key_text=self._key(parent, key),
        )
        slot.value_gap, slot.comma = " ", True
        first.before = first.before or " "
        parent.slots.insert(0, slot)

    def put(self, parent: Container, key: str, value: Plain) -> None:
        """Give a member this value; where it has it already, nothing changes."""
        slot = parent.find(key)
        if slot is None:
            self.append(parent, key, value)
        elif not same(plain(slot.value), value):
            own = last_line(slot.before)
            slot.value = self.build(value, parent.indent if own is None else own)

    def rename(self, slot: Slot, key: str) -> None:
        """Give a member another name, written as the old one was."""
        mark = slot.key_text[:1] if slot.key_text[:1] in ('"', "'") else ""
        slot.key, slot.key_text = key, f"{mark}{key}{mark}"

    def _spread(self, parent: Container) -> bool:
        """Tell whether a new member gets a line of its own."""
        if not parent.slots:
            return not self.one_line
        return any(last_line(slot.before) is not None for slot in (parent.slots[0], parent.slots[-1]))

    def _own_indent(self, parent: Container) -> str:
        for slot in reversed(parent.slots):
            own = last_line(slot.before)
            if own is not None:
                return own
        return parent.indent + self.step

    def _key(self, parent: Container, key: str) -> str:
        sibling = parent.slots[-1].key_text if parent.slots else ""
        bare = sibling[:1] not in ('"', "'") if sibling else self.bare
        return key if bare and _BARE.match(key) else quoted(key)


def same(one: Plain, other: Plain) -> bool:
    """Tell whether two values mean the same; a number is no boolean."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def quoted(text: str) -> str:
    """Return a text as every JSON and JSON5 parser takes it, and every encoding of Unicode."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def remove(parent: Container, key: str) -> None:
    """Take out every member of this name."""
    for slot in [slot for slot in parent.slots if slot.key == key]:
        remove_slot(parent, slot)


def remove_slot(parent: Container, slot: Slot) -> None:
    """Take out one member or item."""
    index = parent.slots.index(slot)
    parent.slots.pop(index)
    inside = "".join(gap for gap in (slot.before, slot.key_gap, slot.value_gap) if has_comment(gap))
    kept = inside + (slot.after if has_comment(slot.after) else "")
    following = parent.slots[index] if index < len(parent.slots) else None
    if following is not None:
        following.before = _joined(kept, slot.before, following.before)
    elif slot.comma:
        parent.tail = _joined(kept, slot.before, parent.tail)
    elif parent.slots:
        last = parent.slots[-1]
        last.comma = False
        last.after += _joined(inside, "", slot.after)
    else:
        parent.tail = kept
    if not parent.slots and not has_comment(parent.tail):
        parent.tail = ""


def to_map(parent: Container, keys: list[str]) -> None:
    """Make an object of a list: every item gets its key. Comments stay."""
    parent.is_list = False
    for slot, key in zip(parent.slots, keys, strict=True):
        slot.key, slot.key_text, slot.value_gap = key, quoted(key), " "


def to_list(parent: Container) -> None:
    """Make a list of an object; the keys go. Comments stay."""
    parent.is_list = True
    for slot in parent.slots:
        gaps = slot.key_gap + slot.value_gap
        slot.before += gaps if has_comment(gaps) else ""
        slot.key = slot.key_text = slot.key_gap = slot.value_gap = ""


def _split_closing(trivia: str) -> tuple[str, str]:
    """Return the comments at an object's end, and the blanks behind them up to its closing bracket."""
    if not has_comment(trivia):
        return "", trivia
    kept = trivia.rstrip()
    return kept, trivia[len(kept) :]


def _joined(kept: str, line: str, following: str) -> str:
    """Return the blanks and comments where a member stood: what is kept of its own, then those of what follows.

    A comment behind the member, on its line, would seem to be about the one before: it gets the member's own line.
    """
    own = last_line(line)
    first = re.split(r"[\r\n]", following, maxsplit=1)[0]
    if own is not None and has_comment(first) and not kept:
        newline = "\r\n" if "\r\n" in line else "\n"
        return newline + own + following.lstrip(" \t")
    if kept and following.lstrip(" \t")[:1] in ("\r", "\n"):
        return kept.rstrip() + following
    return kept + following
