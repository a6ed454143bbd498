"""What happens when a decision breaks: an exception that no decision raises on purpose.

Such an exception may leave the decider half changed, so what it knows is worth nothing any more. Whoever
owns the decider hears of it before anybody else, and gives the error that the asker sees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar

from hub.errors import HubError

OnBroken = Callable[[Exception], HubError]
"""Told of the exception; returns what is raised in its place."""


class Decider:
    """Base of every part that decides: its public methods that return effects, and those named by `also`.

    A `HubError` is a refusal and passes: it is raised before anything changes. Without `on_broken`
    every other exception passes too.
    """

    on_broken: OnBroken | None = None
    decisions: ClassVar[frozenset[str]] = frozenset()
    """Names of the guarded methods."""

    def __init_subclass__(cls, also: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found = {name for name, value in vars(cls).items() if _decides(name, value)} | set(also)
        cls.decisions = frozenset(found)
        for name in found:
            setattr(cls, name, _guarded(vars(cls)[name]))


def _decides(name: str, value: object) -> bool:
    returned = value.__annotations__.get("return", "") if isinstance(value, FunctionType) else ""
    return not name.startswith("_") and "Effect" in str(returned)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: Decider, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except HubError:
            raise
        except Exception as exc:
            if self.on_broken is None:
                raise
            raise self.on_broken(exc) from exc

    return guarded
