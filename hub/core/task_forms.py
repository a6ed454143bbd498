"""The task types as forms: which fields each has, of which kind, made from the wire types themselves."""

from __future__ import annotations

import enum
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec

from runtime.wire import AnyTaskSpec


class FieldKind(enum.StrEnum):
    """How a person fills a field in."""

    TEXT = "text"
    FLAG = "flag"
    CHOICE = "choice"
    WORDS = "words"
    """A list, with spaces between."""
    PAIRS = "pairs"
    """`KEY=VALUE`, with spaces between."""


class TaskField(NamedTuple):
    """`name` as on the wire. `default` as text; `choices` of a CHOICE."""

    name: str
    kind: FieldKind
    required: bool
    default: str = ""
    choices: tuple[str, ...] = ()


class TaskForm(NamedTuple):
    about: str
    fields: tuple[TaskField, ...]


def _field(info: msgspec.structs.FieldInfo) -> TaskField:
    kind: Any = info.type
    default = "" if info.required or not isinstance(info.default, (str, bool)) else str(info.default)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return TaskField(info.encode_name, FieldKind.CHOICE, info.required, default, tuple(str(one) for one in kind))
    if kind is bool:
        return TaskField(info.encode_name, FieldKind.FLAG, info.required)
    if get_origin(kind) is list:
        return TaskField(info.encode_name, FieldKind.WORDS, info.required)
    if get_origin(kind) is dict:
        return TaskField(info.encode_name, FieldKind.PAIRS, info.required)
    return TaskField(info.encode_name, FieldKind.TEXT, info.required, default)


def _form(kind: Any) -> TaskForm:
    about = str(kind.__doc__ or "").split("\n")[0]
    return TaskForm(about, tuple(_field(info) for info in msgspec.structs.fields(kind)))


TASK_FORMS: Final[dict[str, TaskForm]] = {
    str(kind.__struct_config__.tag): _form(kind) for kind in get_args(AnyTaskSpec)
}  # fmt: skip
"""By task type."""
