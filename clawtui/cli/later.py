"""Documented options and drivers whose features come in a later version: one table, one answer."""

from __future__ import annotations

from typing import Final, NoReturn

from clawtui.errors import NotInThisVersion

LATER_OPTIONS: Final[dict[str, str]] = {
    "--port-web": "the web dashboard",
}

LATER_DRIVERS: Final = frozenset({"multipass", "swarm"})


def not_in_this_version(what: str) -> NoReturn:
    raise NotInThisVersion(f"{what}: not available in this version", hint="clawtui help lists what is")


def refuse_later_driver(driver: str) -> None:
    if driver in LATER_DRIVERS:
        not_in_this_version(f"driver {driver}")
