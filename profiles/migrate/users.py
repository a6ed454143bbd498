"""Users of a VM: setup tasks are root's, everything that runs later is the user `agent`'s."""

from __future__ import annotations

import re
import shlex
from typing import Final

from profiles.migrate.draft import Draft
from profiles.migrate.model import Area
from profiles.migrate.paths import AGENT_HOME, VM_USERS
from profiles.migrate.rules import PRIVILEGED_GROUPS
from profiles.migrate.shell import Call, short

MAKES: Final = frozenset({"useradd", "adduser"})
CHANGES: Final = frozenset({"usermod", "gpasswd", "chsh", "deluser", "userdel", "chfn", "groupmod"})
SYSTEM_USERS: Final = frozenset(
    {"www-data", "nobody", "daemon", "backup", "mail", "games", "man", "news", "proxy", "irc"}
)
_SELF: Final = frozenset({"$USER", "${USER}", "$(whoami)", "`whoami`", "$SUDO_USER", "$LOGNAME", *VM_USERS})
_GROUPS: Final = re.compile(r"\s(?:-G|--groups|-aG|--ingroup)[ =]?(?P<groups>[\w,-]+)")
_OWNER: Final = re.compile(rf"(?<=[\s:=])(?:{'|'.join(map(re.escape, sorted(_SELF)))})(?=[\s:]|$)")
_ROOT: Final = "setup tasks run as root while the image is built, and the image has no sudo"


def settle_user(draft: Draft, call: Call, where: str) -> str | None:
    """Return a command about users as it is for a container; empty = it is left out, None = it is about none."""
    if call.name not in MAKES | CHANGES:
        return None
    named = set(call.plain())
    grants = named & PRIVILEGED_GROUPS or bool(set("".join(_GROUPS.findall(call.text)).split(",")) & PRIVILEGED_GROUPS)
    if named & _SELF or call.name in CHANGES or (call.name == "adduser" and grants):
        reason = "an agent's container has one user for everything, agent, without privileges"
        draft.adapted(Area.SETUP_TASKS, where, f"{short(call.text)} is left out", reason)
        return ""
    user = call.words[-1]
    draft.users.add(user)
    without = " without its groups" if grants else ""
    reason = "files can belong to it; tasks and programs of an agent all run as the user agent"
    draft.adapted(Area.SETUP_TASKS, where, f"the user {user} is made{without}, and nothing runs as it", reason)
    return _GROUPS.sub("", call.text) if grants else call.text


def as_user(draft: Draft, call: Call, where: str) -> str:
    """Return a command without sudo, su and runuser, run by the user that it is for."""
    text = owners(call.text) if call.name in ("chown", "install", "chgrp") else call.text
    if call.user in ("", "root") and not call.quoted:
        if call.sudo:
            draft.adapted(Area.SETUP_TASKS, where, "sudo is left out", _ROOT)
        return f"{call.assignments}{text}"
    if call.user in ("", "root"):
        draft.adapted(Area.SETUP_TASKS, where, "su is left out", _ROOT)
        return f"bash -c {shlex.quote(text)}"
    user = _known(draft, call.user, where)
    home = AGENT_HOME if user == "agent" else f"/home/{user}"
    if user == "agent":
        draft.home = True
    body = f"bash -c {shlex.quote(text)}" if call.quoted else text
    return f"runuser -u {user} -- env HOME={home} {call.assignments}{body}"


def _known(draft: Draft, user: str, where: str) -> str:
    if user in draft.users or user in SYSTEM_USERS:
        draft.adapted(Area.SETUP_TASKS, where, f"runs as {user} with runuser", "the image has no sudo")
        return user
    if user in _SELF or user == "agent":
        reason = "the VM's user is the user agent in a container"
        draft.adapted(Area.SETUP_TASKS, where, f"runs as agent, not as {user}", reason)
        return "agent"
    todo = f"Make the user {user} in a setup task before, if its files are to belong to it."
    reason = "the profile makes no such user, and its packages do not either"
    draft.needs_you(Area.SETUP_TASKS, where, f"runs as agent, not as {user}", reason, todo)
    return "agent"


def owners(text: str) -> str:
    """Return a chown in which the VM's user is agent."""
    return _OWNER.sub("agent", text)
