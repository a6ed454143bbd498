"""From the text of a profile's file to plain data: JSON or YAML, with the place of a mistake.

Stricter than the formats themselves: a name that stands twice in one mapping is a mistake, because
one of its values would silently be lost; so are YAML's aliases, which can make a few lines huge.
"""

from __future__ import annotations

import json
from typing import Any, Final

from profiles.errors import ProfileError

MAX_TEXT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 60
FORMATS: Final = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
"""What a file's ending says about its text."""


def read_text(text: str, format: str) -> object:
    """Return the data in a profile's text; `format` is json or yaml. Raises ProfileError."""
    if len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise ProfileError("", f"the text is longer than {MAX_TEXT_BYTES} bytes")
    data = _json(text) if format == "json" else _yaml(text)
    if _depth(data) > MAX_DEPTH:
        raise ProfileError("", "its lists and mappings are nested too deeply")
    return data


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise ProfileError("", f"is not JSON: {exc.msg} ({where})", "YAML wants the ending .yaml.") from exc
    except (RecursionError, ValueError) as exc:
        # A number of thousands of digits is refused by Python itself.
        raise ProfileError("", "is not JSON that can be read", str(exc)[:100]) from exc


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen: dict[str, object] = {}
    for name, value in pairs:
        if name in seen:
            raise ProfileError(name[:60], "stands twice in the same mapping")
        seen[name] = value
    return seen


def _no_constant(word: str) -> object:
    raise ProfileError("", f"{word} is not JSON")


def _yaml(text: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader without what profiles have no use for."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType]
                where = _place(self.peek_event())  # pyright: ignore[reportUnknownMemberType]
                raise ProfileError("", f"aliases (*) are not allowed here ({where})", "Write it out.")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names: set[object] = set()
            for key, _ in node.value:
                if not isinstance(key.value, str):
                    continue
                if key.value in names:
                    raise ProfileError(key.value[:60], f"stands twice in the same mapping ({_place(key)})")
                names.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as exc:
        place = _place(exc) if exc.problem_mark else "somewhere"
        raise ProfileError("", f"is not YAML: {exc.problem} ({place})") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise ProfileError("", "is not YAML that can be read", str(exc).splitlines()[0][:100]) from exc


def _place(thing: Any) -> str:
    mark = getattr(thing, "problem_mark", None) or thing.start_mark
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _depth(data: object) -> int:
    """How deeply lists and mappings are nested, without recursion."""
    depth, level = 0, [data]
    while level and depth <= MAX_DEPTH:
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            elif isinstance(one, list):
                inner += one
        depth, level = depth + 1, inner
    return depth
