"""Setup tasks of a VM, command by command: kept, rewritten, carried to where they belong, or left out with a reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

import msgspec

from profiles.migrate.draft import Draft, Task
from profiles.migrate.files import UNIT_FOLDERS
from profiles.migrate.handlers import HANDLERS, installed
from profiles.migrate.model import Area, Severity, VmTask
from profiles.migrate.packages import place
from profiles.migrate.paths import AGENT_HOME, VM_USERS, rewrite, rewrite_tilde
from profiles.migrate.rules import BY_NAME, SERVER_TOOLS, SYSTEMD
from profiles.migrate.shell import Call, Unit, call_of, calls_in, join, script_in, short, split

_HEREDOC: Final = re.compile(
    r"^[ \t]*(?:sudo\s+)?(?:(?:cat|tee)\s+(?:>\s*)?(?P<path>/[\w./@-]+)\s*(?:>\s*/dev/null\s*)?"
    r"<<-?\s*(?P<q>['\"]?)(?P<end>\w+)(?P=q)(?:\s*>\s*/dev/null)?|"
    r"cat\s*<<-?\s*(?P<q2>['\"]?)(?P<end2>\w+)(?P=q2)\s*(?:>|\|\s*(?:sudo\s+)?tee)\s*(?P<path2>/[\w./@-]+)"
    r"(?:\s*>\s*/dev/null)?)[ \t]*\n(?P<body>.*?)^[ \t]*(?:(?P=end)|(?P=end2))[ \t]*(?:\n|$)",
    re.MULTILINE | re.DOTALL,
)
_WORDS: Final = frozenset({"ip", "at", "init", "kind", "pro", "batch", "route", "hostname", "docker"})
"""Commands that are words of other languages too, which stand in scripts."""
_OPAQUE: Final = re.compile(
    r"(?:^|[;&|({!]|\bthen|\bdo|\belse)\s*(?:sudo\s+(?:-\S+\s+)*)?("
    + "|".join(map(re.escape, sorted({*BY_NAME, *SYSTEMD} - _WORDS)))
    + r")(?=\s)",
    re.MULTILINE,
)
_SUDO_ANYWHERE: Final = re.compile(r"\bsudo\s+(?:-[EHnkSi]+\s+|--\s+)*(?=[\w/$\"'])(?!-)")
_BACKGROUND: Final = re.compile(r"(?<![&>|<])&(?![&>])\s*(?:$|\n|;|\)|disown|echo)")
_INSTALLERS: Final = re.compile(
    r"sh\.rustup\.rs|nvm-sh/nvm|get\.sdkman\.io|bun\.sh/install|deno\.land|pyenv\.run|install\.python-poetry\.org|"
    r"astral\.sh/uv|get\.pnpm\.io|rbenv-installer|ohmyzsh"
)
"""Install scripts that put everything into the home of who runs them."""
_HOME_LEFT: Final = re.compile(r"(?:~|\$HOME|\$\{HOME\})/\.")
_OF_TASKS: Final = frozenset(
    {"timeout", "retries", "retry", "id", "name", "priority", "async", "background", "comment"}
)
"""Fields of tasks that mean nothing while an image is built."""
_CONFIGURE: Final = {".gitconfig": "git config --global", ".npmrc": "npm config set"}
"""Files of a person's home, and what changes them."""


def where_of(task: Task) -> str:
    return f"{task.field}.command"


# --- before files are looked at -------------------------------------------------------------------------


def hoist(draft: Draft) -> None:
    """Take out of the commands what is no command: units in here-documents, and packages that apt shall install."""
    for given in draft.vm.setup_tasks:
        task = Task(given.command, given.description, f"setup_tasks[{given.index}]", _title(given))
        for name in given.notes:
            _note(draft, f"{task.field}.{name}", name)
        text = _HEREDOC.sub(lambda match, task=task: _unit_of(draft, match, task), task.command)
        draft.sources.append(msgspec.structs.replace(task, command=text))
        for call in calls_in(text):
            for package in installed(call):
                place(draft, package, where_of(task))


def _title(given: VmTask) -> str:
    return given.description or short(given.command.strip().splitlines()[0])


def _note(draft: Draft, where: str, name: str) -> None:
    if name in _OF_TASKS:
        reason = "setup tasks run while the image is built, one after the other, each until it ends"
        draft.adapted(Area.SETUP_TASKS, where, f"{name} is left out", reason)
    else:
        todo = "Write it into the command, or leave it out."
        draft.needs_you(Area.SETUP_TASKS, where, f"{name} is left out", "no such field is known", todo)


def _unit_of(draft: Draft, match: re.Match[str], task: Task) -> str:
    path = match["path"] or match["path2"]
    folder, _, name = path.rpartition("/")
    if not re.fullmatch(UNIT_FOLDERS, folder):
        return match[0]
    draft.units[name] = (match["body"], where_of(task))
    return ""


# --- the tasks --------------------------------------------------------------------------------------------


def settle_tasks(draft: Draft) -> None:
    for task in draft.sources:
        if not task.command.strip():
            reason = "the unit that it writes is read, and its program runs without systemd"
            draft.adapted(Area.SETUP_TASKS, task.field, f"left out: {task.description or 'it writes a unit'}", reason)
            continue
        text = _led(draft, task.command)
        units = split(text)
        draft.folder = ""
        new = _opaque(draft, text, task) if units is None else _listed(draft, text, units, task)
        if new.strip():
            if text != task.command:
                reason = "they point to the VM's home, to data folders, to files that moved or to Node.js"
                draft.adapted(Area.SETUP_TASKS, where_of(task), "paths are rewritten", reason)
            new = _with_home(draft, new, where_of(task))
            draft.tasks.append(msgspec.structs.replace(task, command=new))
            _uses_files(draft, new, where_of(task))


def _led(draft: Draft, command: str) -> str:
    """The command with the agent's paths; `~` stays where another user of the profile's own runs a part of it."""
    text = rewrite(command, draft.moved)
    users = {call_of(piece).user for unit in split(text) or () for piece in unit.pieces}
    return rewrite_tilde(text) if users <= {"", "root", "agent", *VM_USERS} else text


def _listed(draft: Draft, text: str, units: Sequence[Unit], task: Task) -> str:
    """The units that stay; the text as it was written where all of them do."""
    kept: list[tuple[str, str]] = []
    lost, asked = False, _asks(draft)
    for unit in units:
        calls = tuple(call_of(piece) for piece in unit.pieces)
        new = _decided(draft, unit, calls, task)
        if calls[0].name == "cd" and calls[0].plain():
            draft.folder = calls[0].plain()[0]
        lost = unit.before == "&&" and lost
        if new and lost:
            reason = "it comes after something that is left out, with &&"
            todo = "Decide about it together with what stands before it."
            draft.needs_you(Area.SETUP_TASKS, where_of(task), f"{short(unit.text)} is left out", reason, todo)
        elif new:
            kept.append((new, unit.before))
            _tools(draft, calls, where_of(task))
        lost = lost or (not new and _asks(draft) > asked)
        asked = _asks(draft)
    if [new for new, _ in kept] == [unit.text for unit in units]:
        return text
    # A folder is changed for what comes after it: alone it does nothing.
    return join(kept) if any(_does_something(new) for new, _ in kept) else ""


def _decided(draft: Draft, unit: Unit, calls: Sequence[Call], task: Task) -> str:
    """What takes a unit's place, as the first who knows it says; empty = nothing."""
    if (inner := _within(draft, unit, calls[0], task)) is not None:
        return inner
    answers = (handler(draft, unit, calls, where_of(task)) for handler in HANDLERS)
    return next((answer for answer in answers if answer is not None), unit.text)


def _within(draft: Draft, unit: Unit, call: Call, task: Task) -> str | None:
    """What becomes of `bash -c '…'`, when something of the script in it changes; else None."""
    script = script_in(call)
    units = split(script) if script and len(unit.pieces) == 1 and call.user in ("", "root") else None
    if not units:
        return None
    new = _listed(draft, script, units, task)
    if new == script:
        return None
    if new and call.sudo:
        reason = "setup tasks run as root while the image is built, and the image has no sudo"
        draft.adapted(Area.SETUP_TASKS, where_of(task), "sudo is left out", reason)
    return f"{call.assignments}{' '.join(call.words[:2])} {shlex.quote(new)}" if new else ""


def _does_something(text: str) -> bool:
    name = call_of(text).name
    return name not in ("cd", "set", "export", "true", "sleep") and (name != "echo" or ">" in text or "|" in text)


def _asks(draft: Draft) -> int:
    return sum(found.severity is Severity.NEEDS_YOU for found in draft.findings)


def _opaque(draft: Draft, text: str, task: Task) -> str:
    """A text that is more than a list of commands: kept as a whole, or left out as a whole."""
    where = where_of(task)
    found = _OPAQUE.search(text)
    if found is not None or _BACKGROUND.search(text):
        _leave(draft, found[1] if found else "", task, text)
        return ""
    new = _SUDO_ANYWHERE.sub("", text)
    if new != text:
        draft.adapted(Area.SETUP_TASKS, where, "sudo is left out", "setup tasks run as root while the image is built")
    if re.search(r"\bapt(?:-get)? (?:-\S+ )*install\b", new) and not re.search(
        r"\bapt(?:-get)? (?:-\S+ )*update\b", new
    ):
        draft.adapted(Area.PACKAGES, where, "apt-get update runs before it", "an image keeps no lists of packages")
        new = f"apt-get update\n{new}"
    _pip(draft, bool(re.search(r"\bpip3?\s+install\b", new)), where)
    return new


def _leave(draft: Draft, program: str, task: Task, text: str) -> None:
    """Say why a script is left out: for what it calls, or for what it leaves running."""
    rule = BY_NAME.get(program)
    area = rule.area if rule else Area.SYSTEMD if program else Area.SETUP_TASKS
    reason = (
        rule.reason if rule else "a container has no systemd" if program else "nothing runs on after an image's build"
    )
    what = f"a script that calls {program}" if program else "it starts a program in the background"
    todo = "Take it apart: a setup task of what is for the image, and a unit with ExecStart of what runs."
    message = f"left out, {what}: {task.description or short(text)}"
    draft.needs_you(area, where_of(task), message, reason, rule.todo if rule and rule.todo else todo)


# --- what is kept -------------------------------------------------------------------------------------------


def _with_home(draft: Draft, text: str, where: str) -> str:
    if f"{AGENT_HOME}/" in text:
        draft.home = True
    if not (_HOME_LEFT.search(text) or _INSTALLERS.search(text)) or text.startswith("export HOME="):
        return text
    draft.home = True
    reason = "it is for the user who works in the agent, and setup tasks are root's"
    draft.adapted(Area.SETUP_TASKS, where, f"runs with HOME={AGENT_HOME}", reason)
    return f"export HOME={AGENT_HOME}\n{text}"


def _uses_files(draft: Draft, text: str, where: str) -> None:
    """Files come into an image after the setup tasks, unless a Dockerfile says otherwise."""
    named = [path for path in (*draft.links, *draft.file_fields) if _names(text, path)]
    draft.used |= {draft.links.get(path, path) for path in named}
    used = next(iter(named), "")
    if used and not draft.early:
        draft.early = True
        reason = "files come after setup tasks in an image made of a profile, and this task needs one before"
        draft.adapted(Area.FILES, where, f"a Dockerfile copies the files first: the task uses {used}", reason)


def _names(text: str, path: str) -> bool:
    """Whether shell text means a file: by its path, by its folder, by its name, or by a program that changes it."""
    folder, _, base = path.rpartition("/")
    if path in text or any(base == name and program in text for name, program in _CONFIGURE.items()):
        return True
    if folder.endswith("/bin") and re.search(rf"(?<![\w./-]){re.escape(base)}(?![\w.-])", text):
        return True
    if folder.startswith("/workspace/") and re.search(rf"{re.escape(folder)}(?![\w-])", text):
        # A folder that is made or given away needs no files in it.
        return not re.match(r"\s*(mkdir|chown|chmod)\b[^&;\n]*$", text)
    name = path.removeprefix("/workspace/")
    return name != path and re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])", text) is not None


def _tools(draft: Draft, calls: Sequence[Call], where: str) -> None:
    for call in calls:
        package = SERVER_TOOLS.get(call.words[0]) if call.words else None
        if package and package not in draft.packages:
            draft.packages[package] = where
            reason = "Ubuntu's server images bring it along, and the base image does not"
            draft.adapted(Area.PACKAGES, where, f"the package {package} is added for {call.words[0]}", reason)
        module = call.name.startswith("python") and call.rest[:2] == ("-m", "pip")
        if module:
            draft.packages.setdefault("python3-pip", where)
        _pip(draft, module or bool(call.words and call.words[0] in ("pip", "pip3")), where)


def _pip(draft: Draft, used: bool, where: str) -> None:
    if used and "PIP_BREAK_SYSTEM_PACKAGES" not in draft.environment:
        draft.environment["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
        draft.packages.setdefault("python3-pip", where)
        reason = (
            "Debian 12's pip refuses to install beside packages of the system; the image is an environment of its own"
        )
        draft.adapted(Area.ENVIRONMENT, where, "PIP_BREAK_SYSTEM_PACKAGES=1 is set", reason)
