"""Environment variables of a VM: paths and hosts in them lead to where things are now."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from profiles.migrate.databases import FAMILIES, Family
from profiles.migrate.draft import Draft
from profiles.migrate.model import Area
from profiles.migrate.paths import rewrite
from profiles.values import RUNTIME_PREFIXES

_HERE: Final = r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])"
_IS_HERE: Final = re.compile(_HERE)


def hosts(text: str, beside: Collection[str]) -> str:
    """Return text in which addresses of servers on this machine are those of the side services."""
    if not _IS_HERE.search(text):
        return text
    for family in _there(beside):
        if family.schemes:
            schemes = "|".join(map(re.escape, family.schemes))
            pattern = rf"\b((?:{schemes})(?:\+\w+)?://(?:[^\s/@'\"]*@)?){_HERE}(?![\w.-])"
            text = re.sub(pattern, lambda match, name=family.name: f"{match[1]}{name}", text)
        text = re.sub(rf"(?<![\w.@-]){_HERE}(?=:{family.port}(?!\d))", family.name, text)
    return text


def _there(beside: Collection[str]) -> list[Family]:
    return [family for family in FAMILIES if family.name in beside]


def _of_name(name: str, value: str, beside: Collection[str]) -> str:
    """The value of a variable such as DB_HOST."""
    if not _IS_HERE.fullmatch(value):
        return value
    for family in _there(beside):
        if re.fullmatch(
            rf"(?:\w+_)?(?:{family.variables})(?:\w*_)?(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)", name.upper()
        ):
            return family.name
    return value


def settle_environment(draft: Draft) -> None:
    for name, value in draft.vm.environment.items():
        where = f"environment.{name}"
        if name.startswith(RUNTIME_PREFIXES):
            todo = "Give the variable another name, where it is used too."
            reason = "variables that begin so are the runtime's"
            draft.needs_you(Area.ENVIRONMENT, where, f"{name} is left out", reason, todo)
        elif any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
            todo = "Put the text into a file of the workspace."
            reason = "a container's variable has no line breaks and control characters"
            draft.needs_you(Area.ENVIRONMENT, where, f"{name} is left out", reason, todo)
        else:
            draft.environment[name] = _value(draft, where, name, value)
    _add_clients(draft)


def _value(draft: Draft, where: str, name: str, value: str) -> str:
    led = rewrite(value, draft.moved)
    if led != value:
        reason = "the VM's home, its data folders and files that moved are in the workspace now"
        draft.adapted(Area.ENVIRONMENT, where, f"the path is now {led}", reason)
    new = _of_name(name, hosts(led, draft.beside), draft.beside)
    if new != led:
        # The value itself may hold a password.
        reason = "the server is a side service, which is reached by its name"
        draft.adapted(Area.ENVIRONMENT, where, "the host is now the side service", reason)
    return new


def _add_clients(draft: Draft) -> None:
    """Clients that were started without saying where the server is find it too."""
    wanted = {"postgres": {"PGHOST": "postgres", "PGUSER": "postgres"}, "mysql": {"MYSQL_HOST": "mysql"},
              "mariadb": {"MYSQL_HOST": "mariadb"}}  # fmt: skip
    for server, variables in wanted.items():
        if server not in draft.beside:
            continue
        missing = {name: value for name, value in variables.items() if name not in draft.environment}
        draft.environment |= missing
        if missing:
            said = ", ".join(f"{name}={value}" for name, value in missing.items())
            reason = "in the VM clients found the server on the machine itself"
            draft.adapted(Area.ENVIRONMENT, draft.beside[server].field, f"{said} is set", reason)
