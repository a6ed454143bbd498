"""What becomes of one command of a setup task: the first handler that knows it decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from profiles.migrate import services
from profiles.migrate.database_setup import carry
from profiles.migrate.draft import Draft, Program
from profiles.migrate.files import DATABASE_CONFIG, SYSTEM, UNIT_FOLDERS
from profiles.migrate.model import Area
from profiles.migrate.paths import absolute
from profiles.migrate.reading import PACKAGE
from profiles.migrate.rules import APT, BY_NAME, SYSTEMD
from profiles.migrate.shell import Call, Unit, short
from profiles.migrate.users import as_user, settle_user

_WRITTEN: Final = re.compile(r"(?:>>?|-o|--output|of=)\s*[\"']?([~/$][^\s\"';|&]*)")
_TOUCHES: Final = frozenset(
    {"tee", "cp", "mv", "install", "mkdir", "chmod", "chown", "touch", "rm", "sed", "ln", "truncate", "fallocate", "dd"}
)
Handler = Callable[[Draft, Unit, Sequence[Call], str], "str | None"]
"""Returns what takes the unit's place, empty = nothing; None = it is not about this handler."""


def installed(call: Call) -> tuple[str, ...]:
    """The packages that a call of apt installs by name; empty when it does something else, or names files."""
    words = call.plain()
    if call.name not in APT or "install" not in words[:1]:
        return ()
    names = [word for word in words[1:] if not re.fullmatch(r"\d?>.*|/dev/null", word)]
    return tuple(names) if names and all(PACKAGE.fullmatch(name) and len(name) < 200 for name in names) else ()


def _apt(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    call = next((call for call in calls if call.name in APT), None)
    if call is None:
        return None
    action = (call.plain() or ("",))[0]
    if action == "install" and installed(call):
        reason = "its packages are the profile's, one layer of the image; those that do not stay have their findings"
        draft.adapted(Area.SETUP_TASKS, where, f"{short(call.text)} is left out", reason)
        return ""
    if action == "install":
        draft.adapted(Area.PACKAGES, where, "apt-get update runs before it", "an image keeps no lists of packages")
        return f"apt-get update && {_plain_text(draft, unit, calls, where)}"
    draft.adapted(
        Area.PACKAGES, where, f"{short(call.text)} is left out", "each build of the image takes what is newest"
    )
    return ""


def _node_source(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    # By the name of the script or the folder, because mirrors have them under other hosts.
    match = re.search(r"https?://\S+/(?:setup|node)_(\d+|lts|current)\.x(?=[\s|/]|$)", unit.text)
    if match is None:
        return None
    asked = f"; the VM had {match[1]}, another one comes with `npm install -g n`" if match[1] != "24" else ""
    reason = f"the base image has Node.js 24 with npm{asked}"
    draft.adapted(Area.PACKAGES, where, f"{short(unit.text)} is left out", reason)
    return ""


def _fetched_script(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    """Install scripts from the net that set up a machine, piped into a shell."""
    if len(calls) < 2 or calls[0].name not in ("curl", "wget"):
        return None
    for pattern, name in (
        (r"get\.docker\.com", "docker"),
        (r"get\.k3s\.io", "k3s"),
        (r"\.deb\.sh|packagecloud\.io", "apt-key"),
    ):
        if re.search(pattern, unit.text):
            rule = BY_NAME[name]
            draft.find(rule.severity, rule.area, where, f"{short(unit.text)} is left out", rule.reason, rule.todo)
            return ""
    return None


def _database(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    return "" if carry(draft, unit, calls, where) else None


def _systemd(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    found = [call for call in calls if call.name in SYSTEMD]
    for call in found:
        services.ask(draft, call, where)
    return "" if found else None


def _ruled(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    call = next((call for call in calls if call.name in BY_NAME and call.text != ""), None)
    if call is None:
        return None
    rule = BY_NAME[call.name]
    if rule.area is Area.GPU:
        draft.gpu = True
    draft.find(rule.severity, rule.area, where, f"{short(unit.text)} is left out", rule.reason, rule.todo)
    return ""


def _zone(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    call = next((call for call in calls if call.name == "timedatectl"), None)
    if call is None:
        return None
    words = call.plain()
    if len(words) == 2 and words[0] == "set-timezone":
        draft.environment.setdefault("TZ", words[1])
        draft.adapted(Area.ENVIRONMENT, where, f"TZ={words[1]} is set in the environment", "the clock is the host's")
    else:
        draft.adapted(Area.RESOURCES, where, f"{short(call.text)} is left out", "the clock is the host's")
    return ""


def _process_manager(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    call = next((call for call in calls if call.name == "pm2"), None)
    action = (call.plain() or ("",))[0] if call else ""
    if call is None or action not in ("start", "startup", "save", "resurrect"):
        return None
    folder = ("env", "-C", draft.folder) if draft.folder else ()
    if action == "start" and not any(program.name == "pm2" for program in draft.programs):
        draft.programs.append(Program(name="pm2", argv=(*folder, "pm2-runtime", *call.rest), field=where))
        reason = "a container has no systemd: pm2 runs in the foreground beside the agent and watches its programs"
        draft.adapted(Area.SYSTEMD, where, f"{short(call.text)} becomes the program pm2-runtime", reason)
    else:
        reason = "the image starts it by itself"
        draft.adapted(Area.SYSTEMD, where, f"{short(call.text)} is left out", reason)
    return ""


def _writes(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str | None:
    """What changes files of the system that mean nothing to a container."""
    for path in _written(unit, calls):
        folder, _, name = path.rpartition("/")
        if re.fullmatch(UNIT_FOLDERS, folder) or re.match(rf"({UNIT_FOLDERS})(/|$)", path):
            return _unit_file(draft, unit, calls, where, name)
        for pattern, severity, area, reason, todo in SYSTEM:
            if re.fullmatch(pattern, path):
                draft.find(severity, area, where, f"{short(unit.text)} is left out", reason, todo)
                return ""
        server = next(
            (one for pattern, one in DATABASE_CONFIG if one in draft.beside and re.fullmatch(pattern, path)), None
        )
        if server:
            return _server_setting(draft, unit, where, server)
    return None


def _written(unit: Unit, calls: Sequence[Call]) -> list[str]:
    found = _WRITTEN.findall(unit.text)
    for call in calls:
        found += [word for word in call.plain() if word.startswith(("~", "/", "$"))] if call.name in _TOUCHES else []
    homes = ((path.replace("${HOME}", "~").replace("$HOME", "~")) for path in found)
    return [absolute(path) for path in homes if path[0] in "~/" and "\0" not in path]


def _unit_file(draft: Draft, unit: Unit, calls: Sequence[Call], where: str, name: str) -> str:
    for file in draft.files:
        if file.path in unit.text and file.path.endswith((".service", ".timer")):
            stem = name if "." in name else file.path.rsplit("/", 1)[-1]
            draft.units[stem] = (file.content.decode(errors="replace"), where)
            reason = "the unit is read, and its program runs without systemd"
            draft.adapted(Area.SYSTEMD, where, f"{short(unit.text)} is left out", reason)
            return ""
    todo = "Put the unit into files, below /etc/systemd/system: it is read from there."
    draft.needs_you(Area.SYSTEMD, where, f"{short(unit.text)} is left out", "a container has no systemd", todo)
    return ""


def _server_setting(draft: Draft, unit: Unit, where: str, server: str) -> str:
    network = re.search(r"listen_addresses|pg_hba|bind|protected-mode|supervised|daemonize|bindIp", unit.text)
    if network:
        reason = f"the side service {server} listens to its own network, which only agents of this profile are in"
        draft.adapted(Area.SETUP_TASKS, where, f"{short(unit.text)} is left out", reason)
    else:
        todo = f"Give the service {server} this setting in the Compose file, if it is still needed."
        reason = f"the server is the side service {server}"
        draft.needs_you(Area.SETUP_TASKS, where, f"{short(unit.text)} is left out", reason, todo)
    return ""


def _plain_text(draft: Draft, unit: Unit, calls: Sequence[Call], where: str) -> str:
    """What is left: the unit, with users and sudo settled in each of its pieces."""
    text, at = unit.text, 0
    for piece, call in zip(unit.pieces, calls, strict=True):
        settled = settle_user(draft, call, where)
        if settled == "":
            return ""
        new = settled if settled is not None else as_user(draft, call, where)
        if new.strip() != piece and (found := text.find(piece, at)) >= 0:
            text, at = text[:found] + new + text[found + len(piece) :], found + len(new)
    return text


HANDLERS: Final[tuple[Handler, ...]] = (
    _node_source, _fetched_script, _writes, _apt, _database, _systemd, _ruled, _zone, _process_manager, _plain_text,
)  # fmt: skip
