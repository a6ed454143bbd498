"""Units and services of a VM: side services, programs beside the agent, or a person's decision."""

from __future__ import annotations

import re
from typing import Final

from profiles.migrate.databases import FAMILIES, Family
from profiles.migrate.draft import Draft, Program
from profiles.migrate.environment import hosts
from profiles.migrate.model import Area
from profiles.migrate.paths import rewrite
from profiles.migrate.rules import ENGINE_UNITS, IGNORED_UNITS
from profiles.migrate.shell import Call
from profiles.migrate.units import Service, argv_of, read_service
from profiles.migrate.webservers import ALL, SERVERS, Server

STARTS: Final = frozenset({
    "enable", "start", "restart", "reload", "reload-or-restart", "try-restart", "unmask", "reenable", "defaults",
    "force-reload", "on",
})  # fmt: skip
ENDS: Final = frozenset({"disable", "stop", "mask", "remove", "kill", "off"})
_FOREGROUND: Final = "a container has no systemd: the program runs in the foreground beside the agent, as its user"
_PORTS: Final = {
    "nginx": r"(?:^|[{;\s])listen\s+(?:[\w.\[\]:*]*:)?(\d+)",
    "apache2": r"^\s*(?:Listen\s+(?:[\w.\[\]:]*:)?|<VirtualHost\s+[^:>]*:)(\d+)",
    "caddy": r"^[\w.*-]*:(\d+)",
    "haproxy": r"^\s*bind\s+\S*:(\d+)",
    "lighttpd": r"^\s*server\.port\s*=\s*(\d+)",
}
"""How configurations say where a server listens."""


def ask(draft: Draft, call: Call, where: str) -> None:
    """Note what `systemctl` or `service` was told to do."""
    action, names = _told(call)
    if action in STARTS and names:
        for name in names:
            want(draft, name, where)
    elif action in ENDS and names:
        for name in names:
            draft.wanted.pop(_bare(name), None)
            draft.unwanted.add(_bare(name))
        reason = "a container has no systemd; what is not started does not run"
        draft.adapted(Area.SYSTEMD, where, f"{call.name} {action} {' '.join(names)} is left out", reason)
    else:
        words = " ".join(call.rest[:3])
        draft.adapted(
            Area.SYSTEMD, where, f"{call.name} {words} is left out".replace("  ", " "), "a container has no systemd"
        )


def _told(call: Call) -> tuple[str, tuple[str, ...]]:
    words = call.plain()
    if call.name == "systemctl":
        return (words[0] if words else ""), words[1:]
    if call.name in ("update-rc.d", "chkconfig", "service", "invoke-rc.d", "rc-service"):
        return (words[1] if len(words) > 1 else ""), words[:1]
    return (words[0] if words else ""), words[1:2]


def want(draft: Draft, name: str, where: str) -> None:
    """Decide what becomes of a unit that is to run."""
    unit = _bare(name)
    family = next((one for one in FAMILIES if one.name in draft.beside and _belongs(unit, one)), None)
    if family is not None:
        reason = f"the server is the side service {family.name}, which starts with its container"
        draft.adapted(Area.SYSTEMD, where, f"starting {unit} is left out", reason)
    elif f"{unit}.service" in draft.units or _server(draft, unit):
        draft.wanted.setdefault(unit, where)
    elif "@" in unit and f"{unit.partition('@')[0]}@.service" in draft.units:
        draft.told.add(f"{unit.partition('@')[0]}@.service")
        todo = f"Write a unit of its own, {unit.replace('@', '-')}.service, with the name in its ExecStart."
        draft.needs_you(Area.SYSTEMD, where, f"starting {unit} is left out", "only systemd knows template units", todo)
    elif unit.endswith(".timer"):
        _timer(draft, unit, where)
    elif re.fullmatch(IGNORED_UNITS, unit):
        reason = "it looks after a machine; a container needs it from nobody, or has it from its host"
        draft.adapted(Area.SYSTEMD, where, f"starting {unit} is left out", reason)
    elif re.fullmatch(ENGINE_UNITS, unit):
        todo = "Use an engine elsewhere, or leave this work to an agent of the VM driver."
        draft.needs_you(Area.NESTED, where, f"starting {unit} is left out", "an agent has no engine of its own", todo)
    else:
        todo = f"Say what {unit} runs: add its unit file to files, or a CMD to a Dockerfile of the profile."
        reason = "the profile has no unit of this name, so nobody knows which program it is"
        draft.needs_you(Area.SYSTEMD, where, f"starting {unit} is left out", reason, todo)


def _belongs(unit: str, family: Family) -> bool:
    """Clusters and instances (postgresql@14-main) belong to the server too."""
    return unit in family.units or re.split("[@-]", unit)[0] in family.units


def _bare(name: str) -> str:
    return name.removesuffix(".service").rsplit("/", 1)[-1]


def _server(draft: Draft, unit: str) -> tuple[str, Server] | None:
    return next(((package, server) for package, server in ALL.items()
                 if package in draft.packages and unit in server.units), None)  # fmt: skip


def _timer(draft: Draft, unit: str, where: str) -> None:
    todo = "Send its command as a task from a scheduler outside: cron of the hub's machine with `clawtui task`."
    reason = "nothing starts jobs by the clock in a container"
    draft.needs_you(Area.SYSTEMD, where, f"the timer {unit.removesuffix('.timer')} is left out", reason, todo)


def make_programs(draft: Draft) -> None:
    """Make programs of everything that runs all the time, and findings of the units that do not."""
    _packaged(draft)
    timers = {name.removesuffix(".timer") for name in draft.units if name.endswith(".timer")}
    for name, (text, where) in draft.units.items():
        stem, _, kind = name.rpartition(".")
        if kind == "timer":
            if not any(found.message == f"the timer {stem} is left out" for found in draft.findings):
                _timer(draft, name, where)
        elif kind != "service":
            todo = "Find another way for it, or leave it out."
            draft.needs_you(Area.SYSTEMD, where, f"{name} is left out", "only systemd knows such units", todo)
        elif stem in timers:
            draft.adapted(Area.SYSTEMD, where, f"{name} is left out", "only its timer starts it")
        elif stem in draft.wanted:
            _own(draft, stem, text, where)
        elif name not in draft.told:
            reason = "nothing in the profile enables or starts it, so it did not run in the VM either"
            draft.adapted(Area.SYSTEMD, where, f"{name} is left out", reason)
    _tell_manager(draft)


def _packaged(draft: Draft) -> None:
    """Debian starts the daemons of packages as soon as they are installed, so these run unless somebody said no."""
    done: set[str] = set()
    for package in list(draft.packages):
        server = ALL.get(package)
        if server is None or server.units[0] in done or set(server.units) & draft.unwanted:
            continue
        if any(f"{unit}.service" in draft.units for unit in server.units):
            continue
        name = server.units[0]
        done.add(name)
        where = next((draft.wanted[unit] for unit in server.units if unit in draft.wanted), draft.packages[package])
        ports = ports_of(draft, name) or server.ports
        if server.prepare:
            draft.prepare.append(server.prepare)
        draft.programs.append(Program(name=name, argv=server.argv, field=where, ports=ports))
        if server.web:
            draft.ports += [port for port in ports if port not in draft.ports]
        kind = "the web server" if package in SERVERS else "the daemon"
        draft.adapted(
            Area.SYSTEMD, where, f"{kind} {name} becomes a program of the image: {' '.join(server.argv)}", _FOREGROUND
        )


def ports_of(draft: Draft, name: str) -> tuple[int, ...]:
    """Where the configuration among the profile's files says that a web server listens."""
    pattern = _PORTS.get(name)
    found: list[int] = []
    for file in draft.files if pattern else ():
        if f"/{name}/" in file.path:
            text = file.content.decode(errors="replace")
            found += [int(port) for port in re.findall(pattern or "", text, re.MULTILINE)]
    return tuple(dict.fromkeys(port for port in found if 0 < port < 65_536))


def _own(draft: Draft, stem: str, text: str, where: str) -> None:
    service = read_service(f"{stem}.service", hosts(rewrite(text, draft.moved), draft.beside))
    if service.problem:
        todo = "Write a unit with one ExecStart that stays in the foreground, or a Dockerfile of the profile with CMD."
        draft.needs_you(Area.SYSTEMD, where, f"{stem}.service is left out", service.problem, todo)
        return
    argv, ports = argv_of(service), _ports_in(service)
    if not argv or any("\0" in word for word in argv):
        draft.needs_you(
            Area.SYSTEMD, where, f"{stem}.service is left out", "its ExecStart names no program", "Name one."
        )
        return
    once = service.kind == "oneshot"
    restart = "true" if service.restart == "always" else "false" if once else "unexpected"
    draft.programs.append(Program(name=stem, argv=argv, field=where, ports=ports, restart=restart, once=once))
    draft.ports += [port for port in ports if port not in draft.ports]
    draft.adapted(Area.SYSTEMD, where, f"{stem}.service becomes a program of the image: {_shown(service)}", _FOREGROUND)
    if service.user not in ("", "agent", "ubuntu"):
        reason = "an agent's container runs everything as the user agent, without privileges"
        draft.adapted(Area.SYSTEMD, where, f"{stem} runs as agent, not as {service.user}", reason)
    if service.unknown:
        reason = "only systemd knows these settings"
        draft.adapted(Area.SYSTEMD, where, f"of {stem}.service is left out: {', '.join(service.unknown)}", reason)


def _shown(service: Service) -> str:
    text = " ; ".join(service.commands)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _ports_in(service: Service) -> tuple[int, ...]:
    texts = [service.environment.get("PORT", ""), *re.findall(r"--(?:http-)?port[= ](\d+)", " ".join(service.commands))]
    texts += re.findall(r"(?:-b|--bind|--listen|--addr)[= ]\S*?:(\d+)", " ".join(service.commands))
    return tuple(dict.fromkeys(int(text) for text in texts if text.isdecimal() and 0 < int(text[:6]) < 65_536))


def _tell_manager(draft: Draft) -> None:
    if len(draft.programs) < 2:
        return
    draft.packages.setdefault("supervisor", draft.programs[0].field)
    names = ", ".join(program.name for program in draft.programs)
    reason = (
        "an image starts one program; supervisord starts all of them, again when one ends, and prints what they print"
    )
    draft.adapted(
        Area.SYSTEMD, draft.programs[0].field, f"{names} run under supervisord, with a generated configuration", reason
    )
