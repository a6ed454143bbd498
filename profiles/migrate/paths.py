"""Where paths of a VM lead in an agent: people's folders become the workspace, everything else keeps its name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from profiles.contents import WORKSPACE

HOMES: Final = ("/home/ubuntu", "/home/vagrant", "/home/debian", "/home/ec2-user", "/home/admin", "/home/multipass")
VM_USERS: Final = frozenset(home.rsplit("/", 1)[-1] for home in HOMES)
AGENT_HOME: Final = "/home/agent"
DATA: Final = ("/srv", "/data", "/mnt", "/media")
"""Folders for data: in a container only the workspace is kept."""
OWNED: Final = ("/opt", "/app", "/usr/src")
"""Folders whose subfolders belong to one program: they move as a whole when one of their files does."""
_END: Final = r"(?![\w-]|\.\w)"
_BEGIN: Final = r"(?<![\w/.@-])"

_NODE: Final = re.compile(rf"{_BEGIN}/usr/bin/(node|npm|npx|yarn|pnpm|pm2|tsc|tsx|ts-node){_END}")


def new_path(path: str, agent_home: bool = False) -> str:
    """Return where a file of the VM is put: always below the workspace.

    `agent_home`: hidden files of a person stay hidden files of the agent's home; only for what is no file of ours.
    """
    whole = absolute(path)
    if inside(whole, WORKSPACE):
        return whole
    for home in (*HOMES, "/root"):
        if inside(whole, home):
            rest = whole[len(home) :].lstrip("/")
            base = AGENT_HOME if agent_home and rest.startswith(".") else WORKSPACE
            return posixpath.join(base, rest) if rest else WORKSPACE
    return f"{WORKSPACE}{whole}"


def absolute(path: str) -> str:
    """Return a path from the root on, as the VM's user meant it."""
    if path == "~" or path.startswith("~/"):
        path = f"{HOMES[0]}{path[1:]}"
    whole = posixpath.normpath(posixpath.join(HOMES[0], path))
    return "/" + whole.lstrip("/")


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def is_hidden_of_home(path: str) -> str:
    """Return a hidden file's path below its home; empty for everything else."""
    whole = absolute(path)
    for home in (*HOMES, "/root"):
        if whole.startswith(f"{home}/."):
            return whole[len(home) + 1 :]
    return ""


def folders_that_move(moved: Mapping[str, str]) -> dict[str, str]:
    """Return the folders of programs that files were moved out of, such as /opt/app, with where they are now."""
    found: dict[str, str] = {}
    for old in moved:
        for parent in OWNED:
            rest = old[len(parent) + 1 :].split("/") if inside(old, parent) else []
            if len(rest) > 1:
                folder = f"{parent}/{rest[0]}"
                found[folder] = f"{WORKSPACE}{folder}"
    return found


def rewrite(text: str, moved: Mapping[str, str]) -> str:
    """Return text in which paths of the VM are those of the agent: moved files and folders, homes, data folders."""
    table = {**folders_that_move(moved), **moved, **{folder: f"{WORKSPACE}{folder}" for folder in DATA}}
    for old in sorted(table, key=len, reverse=True):
        if old in text:
            text = _replace(text, old, table[old])
    for home in HOMES:
        if home in text:
            text = _home(text, re.escape(home))
    return _node(text)


def rewrite_tilde(text: str) -> str:
    """The same for `~/x` and `$HOME/x` in shell text; what is hidden stays with the agent's home."""
    return _home(text, r"~(?=[/\s;&|\"']|$)|\$HOME(?!\w)|\$\{HOME\}", shell=True)


def _node(text: str) -> str:
    """The base image has Node.js, and what npm installs for everybody, below /usr/local."""
    return _NODE.sub(r"/usr/local/bin/\1", text) if "/usr/bin/" in text else text


def _replace(text: str, old: str, new: str) -> str:
    # Not again where it was done already, and never inside of a longer path.
    return re.sub(f"{_BEGIN}{re.escape(old)}{_END}", lambda _: new, text)


def _home(text: str, home: str, shell: bool = False) -> str:
    def put(match: re.Match[str]) -> str:
        if match["hidden"]:
            return match[0] if shell else f"{AGENT_HOME}/."
        return WORKSPACE

    return re.sub(rf"{_BEGIN}(?:{home})(?:(?P<hidden>/\.(?=\w))|{_END})", put, text)
