"""Read what a hub answers, also one that is newer: words that this version does not know stay words.

Fields that are not known are left out by msgspec itself. A value of an enumeration that is not known becomes a
member of its own, which equals no known one, is shown as its text and encoded as it came. Anything else that does
not fit is an error.
"""

from __future__ import annotations

import enum
import types
from functools import cache
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")


def read(body: bytes | str, kind: type[T]) -> T:
    """Decode JSON.

    Raises:
        msgspec.MsgspecError: it is no JSON, or does not fit even so.
        UnicodeError: it is no text.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return cast(T, _look_past(msgspec.json.decode(body), kind))


def _look_past(raw: Any, kind: Any) -> Any:
    """Convert as msgspec does; where that fails, look for unknown words further inside."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return _look_past(raw, inner[0])
        if origin in (Union, types.UnionType):
            # Of several kinds besides None nobody knows which was meant.
            others = [one for one in inner if one is not types.NoneType]
            if len(others) == 1:
                return _look_past(raw, others[0])
        if origin is list and isinstance(raw, list):
            return [_look_past(item, inner[0]) for item in cast(list[Any], raw)]
        if origin is dict and isinstance(raw, dict):
            return {name: _look_past(value, inner[1]) for name, value in cast(dict[str, Any], raw).items()}
        if isinstance(kind, type) and issubclass(kind, enum.StrEnum) and isinstance(raw, str):
            return _unknown(kind, raw)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(raw, dict):
            return _struct(cast(dict[str, Any], raw), kind)
        raise


def _struct(raw: dict[str, Any], kind: type[msgspec.Struct]) -> msgspec.Struct:
    if kind.__struct_config__.tag is not None:
        return msgspec.convert(raw, kind)  # its tag would have to be looked at too
    hints = _hints(kind)
    fields = msgspec.structs.fields(kind)
    missing = [field.encode_name for field in fields if field.required and field.encode_name not in raw]
    if missing:
        raise msgspec.ValidationError(f"Object missing required field `{missing[0]}`")
    return kind(**{
        field.name: _look_past(raw[field.encode_name], hints[field.name])
        for field in fields
        if field.encode_name in raw
    })  # fmt: skip


@cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _unknown(kind: type[enum.StrEnum], word: str) -> enum.StrEnum:
    """A member that is not listed among its kind's, as `enum.Flag` makes them for combinations."""
    member = str.__new__(kind, word)
    member._name_ = word
    member._value_ = word
    return member
