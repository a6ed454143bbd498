"""systemd units, read as far as it takes to run their programs without systemd."""

from __future__ import annotations

import re
import shlex
from typing import Final

import msgspec

from profiles.contents import WORKSPACE
from profiles.migrate.shell import words_of

NAMED: Final = frozenset({
    "ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload", "ExecCondition",
    "Environment", "EnvironmentFile", "WorkingDirectory", "User", "Group", "Type", "Restart", "RestartSec",
    "Description", "Documentation", "After", "Before", "Wants", "Requires", "WantedBy", "RequiredBy", "Alias", "Also",
    "PIDFile", "StandardOutput", "StandardError", "SyslogIdentifier", "KillMode", "KillSignal", "TimeoutStopSec",
    "TimeoutStartSec", "LimitNOFILE", "StartLimitIntervalSec", "StartLimitBurst", "RemainAfterExit", "BindsTo",
    "PartOf", "Conflicts", "NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ProtectHome", "UMask", "Nice",
})  # fmt: skip
"""Settings that are used, or mean nothing where there is no systemd."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit runs. `problem`: why it cannot be run as a program beside the agent, empty = it can."""

    name: str
    commands: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    environment_files: tuple[str, ...] = ()
    folder: str = ""
    user: str = ""
    kind: str = "simple"
    restart: str = ""
    unknown: tuple[str, ...] = ()
    problem: str = ""


def read_service(name: str, text: str) -> Service:
    """Return what a `.service` file says. Raises nothing: what cannot be used is its `problem`."""
    settings = _settings(text)
    service = Service(
        name=name.removesuffix(".service"),
        commands=tuple(settings.get("ExecStart", ())),
        before=tuple(settings.get("ExecStartPre", ())),
        environment=_environment(settings.get("Environment", [])),
        environment_files=tuple(one.lstrip("-") for one in settings.get("EnvironmentFile", [])),
        folder=_last(settings, "WorkingDirectory").lstrip("-"),
        user=_last(settings, "User"),
        kind=_last(settings, "Type") or "simple",
        restart=_last(settings, "Restart"),
        unknown=tuple(sorted(settings.keys() - NAMED)),
    )
    return msgspec.structs.replace(service, problem=_problem(service))


def _problem(service: Service) -> str:
    if not service.commands:
        return "it has no ExecStart"
    if service.kind == "forking":
        return "it puts itself into the background (Type=forking), where nothing can watch it"
    if len(service.commands) > 1 and service.kind != "oneshot":
        return "it has several ExecStart"
    texts = (*service.commands, *service.before, service.folder, *service.environment.values())
    found = next((match[0] for text in texts if (match := re.search(r"(?<!%)%[A-Za-gi-z]", text))), "")
    return f"it uses {found}, which only systemd knows" if found else ""


def _settings(text: str) -> dict[str, list[str]]:
    """The settings of all sections; an empty one takes back those before it, as systemd does."""
    found: dict[str, list[str]] = {}
    joined = re.sub(r"\\\r?\n\s*", " ", text)
    for line in joined.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith(("#", ";")) or not re.fullmatch(r"[A-Za-z][\w-]*", name.strip()):
            continue
        if value.strip():
            found.setdefault(name.strip(), []).append(value.strip())
        else:
            found.pop(name.strip(), None)
    return found


def _last(settings: dict[str, list[str]], name: str) -> str:
    return settings.get(name, [""])[-1]


def _environment(lines: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for line in lines for word in words_of(line))
    return {name: value for name, equals, value in pairs if equals and re.fullmatch(r"[A-Za-z_]\w*", name)}


def argv_of(service: Service) -> tuple[str, ...]:
    """Return the program as words; through a shell only where variables, files or steps before it want one."""
    command = _bare(service.commands[0]) if len(service.commands) == 1 else ""
    simple = bool(command) and not service.before and not service.environment_files and "$" not in command
    setting = [f"{name}={value}" for name, value in service.environment.items()]
    if simple:
        folder = ["-C", service.folder] if service.folder not in ("", WORKSPACE) else []
        words = list(words_of(command))
        return ("env", *folder, *setting, *words) if folder or setting else tuple(words)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in service.environment.items()]
    lines += [f"set -a; . {shlex.quote(path)}; set +a" for path in service.environment_files]
    lines += [f"cd {shlex.quote(service.folder)}"] if service.folder else []
    lines += [_bare(one) for one in (*service.before, *service.commands[:-1])]
    lines.append(f"exec {_bare(service.commands[-1])}")
    return ("/bin/bash", "-ec", "; ".join(lines))


def _bare(command: str) -> str:
    """Without systemd's marks before the program, and with its escape for a percent sign and for the home."""
    return command.lstrip("-@:+!").replace("%%", "%").replace("%h", "/home/agent").replace("${MAINPID}", "$$")
