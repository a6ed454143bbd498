"""Commands that set up a database server, carried over into what its image runs at its first start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from profiles.migrate.databases import BY_NAME, FAMILIES, Family
from profiles.migrate.draft import Beside, Draft
from profiles.migrate.model import Area
from profiles.migrate.shell import Call, Unit, short

SCRIPTS: Final = "/docker-entrypoint-initdb.d"
_LOCAL: Final = re.compile(r"\s(?:-h\s*|--host[= ])(?:localhost|127\.0\.0\.1|/var/run/postgresql)(?=\s|$)")
_OTHER: Final = re.compile(r"\s(?:-h\s*|--host[= ])(?!localhost\b|127\.0\.0\.1|/)[\w$.{-]+")
_ROOT_PASSWORD: Final = re.compile(r"\s(?:-p\S*|--password(?:=\S+)?)(?=\s|$)")
_REASON: Final = "the server runs there; its image does this once, when its volume is new"
_TODO: Final = "Do this in the side service, once it runs: docker-compose exec."


def carry(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> bool:
    """Give a unit to the side service that it sets up; returns whether it did."""
    family = _server_of(draft, calls)
    if family is None or _OTHER.search(unit.text):
        return False
    beside = draft.beside[family.name]
    if family.setup:
        _script(draft, family, beside, unit, calls, where)
    elif family.name == "redis":
        _redis(draft, beside, calls, where)
    elif family.name == "rabbitmq":
        _rabbitmq(draft, beside, calls, where)
    else:
        _leave(draft, family, unit.text, where, f"the image {family.image} has no place for it")
    return True


def _server_of(draft: Draft, calls: Sequence[Call]) -> Family | None:
    there = [family for family in FAMILIES if family.name in draft.beside]
    for call in calls:
        for family in there:
            if call.user in family.users or call.name in family.programs:
                return family
    return None


def _leave(draft: Draft, family: Family, text: str, where: str, reason: str) -> None:
    draft.needs_you(Area.SETUP_TASKS, where, f"left out, it is for {family.name}: {short(text)}", reason, _TODO)


# --- servers whose image runs scripts -----------------------------------------------------------------


def _script(draft: Draft, family: Family, beside: Beside, unit: Unit, calls: Sequence[Call], where: str) -> None:
    text = unit.text
    for piece, call in zip(unit.pieces, calls, strict=True):
        text = text.replace(piece, f"{call.assignments}{_as_admin(family, call)}", 1)
    text, missing = _with_files(draft, beside, text)
    if missing:
        _leave(draft, family, unit.text, where, f"{missing} is no file of the profile")
        return
    for name, value in draft.vm.environment.items():
        if re.search(rf"\$\{{?{name}\b", text):
            beside.environment[name] = value
    beside.setup.append(text)
    draft.adapted(Area.SETUP_TASKS, where, f"carried over to the side service {family.name}: {short(text)}", _REASON)


def _as_admin(family: Family, call: Call) -> str:
    text = _LOCAL.sub("", call.text)
    if family.name in ("mysql", "mariadb") and call.name in family.programs:
        text = _ROOT_PASSWORD.sub("", text) if re.search(r"-u\s*root\b|--user[= ]root\b", text) or call.sudo else text
        if not re.search(r"\s(-u|--user)", text):
            text = re.sub(r"^\S+", lambda match: f"{match[0]} -uroot", text)
    return text


def _with_files(draft: Draft, beside: Beside, text: str) -> tuple[str, str]:
    """The text with the profile's files where the side service has them, and a file that is not there."""
    for file in draft.files:
        if file.path in text:
            name = file.path.rsplit("/", 1)[-1]
            beside.files[f"files/{name}"] = file.content
            text = text.replace(file.path, f"{SCRIPTS}/files/{name}")
    lost = re.search(r"(?:\s-f\s*|--file[= ]|<\s*)(?!/docker-entrypoint)([^\s<&|;'\"]+)", text)
    return text, lost[1] if lost else ""


# --- servers with settings ------------------------------------------------------------------------------


def _redis(draft: Draft, beside: Beside, calls: Sequence[Call], where: str) -> None:
    for call in calls:
        words = [word for word in call.plain() if word not in ("localhost", "127.0.0.1", "6379")]
        lower = [word.lower() for word in words[:2]]
        if call.name != "redis-cli":
            continue
        if lower == ["config", "set"] and len(words) == 4:
            beside.flags += [f"--{words[2].lower()}", words[3]]
            message = f"carried over to the side service redis: {words[2]} {words[3]}"
            draft.adapted(Area.SETUP_TASKS, where, message, "it is an option of its server there")
        elif lower[:1] == ["ping"] or lower == ["config", "rewrite"]:
            reason = "the Compose file has a health check, and the options stand there"
            draft.adapted(Area.SETUP_TASKS, where, f"{short(call.text)} is left out", reason)
        else:
            _leave(draft, BY_NAME["redis"], call.text, where, "it is data, which the image brings none of")


def _rabbitmq(draft: Draft, beside: Beside, calls: Sequence[Call], where: str) -> None:
    for call in calls:
        words = call.plain()
        values = _rabbit_values(beside, call.name, words)
        if values is None:
            _leave(draft, BY_NAME["rabbitmq"], call.text, where, "its image makes one user and one virtual host")
            continue
        beside.environment |= values
        message = f"carried over to the side service rabbitmq: {short(call.text)}"
        draft.adapted(Area.SETUP_TASKS, where, message, "its image makes a user and a virtual host at the first start")


def _rabbit_values(beside: Beside, program: str, words: Sequence[str]) -> dict[str, str] | None:
    """The image's variables for a command; empty when its one user has that anyway, None when it cannot be said."""
    verb, rest = (words[0] if words else ""), words[1:]
    user = beside.environment.get("RABBITMQ_DEFAULT_USER")
    if program == "rabbitmq-plugins" and list(words) == ["enable", "rabbitmq_management"]:
        beside.version = "3-management"
        return {}
    if verb == "add_user" and len(rest) == 2 and user is None:
        return {"RABBITMQ_DEFAULT_USER": rest[0], "RABBITMQ_DEFAULT_PASS": rest[1]}
    if verb == "add_vhost" and len(rest) == 1 and "RABBITMQ_DEFAULT_VHOST" not in beside.environment:
        return {"RABBITMQ_DEFAULT_VHOST": rest[0]}
    if verb in ("set_user_tags", "set_permissions") and user in rest:
        return {}
    return {} if verb == "delete_user" and list(rest) == ["guest"] and user else None
