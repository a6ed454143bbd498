"""What is wrong with a profile, and reading a mapping so that all its mistakes are told at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

import msgspec

T = TypeVar("T")
Parse = Callable[[str, object], T]
"""From a field's path and its raw value to what it means; raises ProfileError."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake. `field` is its path, as in `resources.memory`; `hint` says what to write instead."""

    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ProfileError(Exception):
    """Something in a profile is wrong. `problems` has everything, the other fields the first of it."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(str(Problem(field, message, hint)))
        self.problems: tuple[Problem, ...] = (Problem(field, message, hint),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ProfileError:
        """Return one error for all the problems, of which there is at least one."""
        error = cls(problems[0].field, problems[0].message, problems[0].hint)
        error.problems = tuple(problems)
        error.args = ("; ".join(map(str, problems)),)
        return error

    @property
    def field(self) -> str:
        return self.problems[0].field

    @property
    def message(self) -> str:
        return self.problems[0].message

    @property
    def hint(self) -> str:
        return self.problems[0].hint


class Table:
    """A mapping that is being read: hands out its fields and gathers what is wrong with them.

    Every field is asked for, then `check` is called, once, before anything is made of them: what
    `get` returns for a wrong field is only its default.
    """

    def __init__(self, field: str, raw: object, known: Sequence[str]) -> None:
        self.field = field
        self.problems: list[Problem] = []
        self._given = mapping(field, raw)
        for name in self._given:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."
                self.problems.append(Problem(at(field, shown_name(name)), "is not known", hint))

    def get(self, name: str, parse: Parse[T], default: T) -> T:
        """Return what the field means, `default` where it is not given or wrong."""
        if name not in self._given:
            return default
        try:
            return parse(at(self.field, name), self._given[name])
        except ProfileError as exc:
            self.problems += exc.problems
            return default

    def required(self, name: str, parse: Parse[T], default: T) -> T:
        """The same for a field that must be given; `default` is never used in the end."""
        if name not in self._given:
            self.problems.append(Problem(at(self.field, name), "is missing"))
        return self.get(name, parse, default)

    def has(self, name: str) -> bool:
        return name in self._given

    def check(self) -> None:
        """Raises ProfileError with everything that was wrong."""
        if self.problems:
            raise ProfileError.of(self.problems)


def each(items: Mapping[str, object], parse: Parse[T]) -> dict[str, T]:
    """Return what `parse` makes of every key and its value; raises ProfileError with all mistakes."""
    done: dict[str, T] = {}
    problems: list[Problem] = []
    for key, value in items.items():
        try:
            done[key] = parse(key, value)
        except ProfileError as exc:
            problems += exc.problems
    if problems:
        raise ProfileError.of(problems)
    return done


def by_name(field: str, raw: object, parse: Callable[[str, str, object], T]) -> dict[str, T]:
    """Return what `parse` makes of every value's path, name and value."""
    return each(mapping(field, raw), lambda name, value: parse(at(field, shown_name(name)), name, value))


def entries(parse: Parse[T], most: int) -> Parse[tuple[T, ...]]:
    """Return a parser for lists of at most `most` of what `parse` reads."""

    def parse_list(field: str, raw: object) -> tuple[T, ...]:
        if not isinstance(raw, (list, tuple)):
            raise ProfileError(field, f"{shown(raw)} is not a list", "Write a list: [ … ].")
        given = cast("list[object]", raw)
        if len(given) > most:
            raise ProfileError(field, f"has {len(given)} entries, at most {most} are allowed")
        return tuple(each({f"{field}[{index}]": value for index, value in enumerate(given)}, parse).values())

    return parse_list


def mapping(field: str, raw: object) -> Mapping[str, object]:
    """Return a mapping whose names are text."""
    if not isinstance(raw, dict):
        raise ProfileError(field, f"{shown(raw)} is not a mapping", "Write names with values.")
    for name in cast("dict[object, object]", raw):
        if not isinstance(name, str):
            raise ProfileError(field, f"{shown(name)} cannot be a name here", "Put it in quotes.")
    return cast("dict[str, object]", raw)


def at(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def shown(value: object) -> str:
    """Return a value as an error shows it: short, and never the largest numbers written out."""
    if isinstance(value, int) and abs(value) > 1 << 60:
        return "a huge number"  # Python refuses to write out the largest
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def shown_name(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
