"""Documented verbs and options whose features come in a later version: one table, one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, NoReturn

from cyclopts import App, Parameter

from clawtui.errors import NotInThisVersion

LATER_VERBS: Final[dict[str, str]] = {
}

LATER_OPTIONS: Final[dict[str, str]] = {
    "--port-web": "the web dashboard",
}

LATER_DRIVERS: Final = frozenset({"multipass", "swarm"})


def not_in_this_version(what: str) -> NoReturn:
    raise NotInThisVersion(f"{what}: not available in this version", hint="clawtui help lists what is")


def refuse_later_driver(driver: str) -> None:
    if driver in LATER_DRIVERS:
        not_in_this_version(f"driver {driver}")


def register_later(app: App) -> None:
    """Give every later verb its answer, whatever follows it."""
    for verb, about in LATER_VERBS.items():
        app.command(_refusal(verb, about), name=verb, show=False)


def _refusal(verb: str, about: str) -> Callable[..., None]:
    def refuse(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
        not_in_this_version(verb)

    refuse.__doc__ = f"{about} (not available in this version)."
    return refuse
