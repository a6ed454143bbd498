"""The options of `create` for what a container may have: from words of the command line to a profile's own fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Group, Parameter

from clawtui.cli.values import pairs, words
from clawtui.errors import UsageError

CONTAINER: Final = Group("Options of the container", sort_key=5)


@Parameter(name="*", group=CONTAINER)
@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """What is left out is as the profile says."""

    pids: Annotated[int | None, Parameter(help="Processes and threads at most; 512 without it.")] = None
    ulimit: Annotated[
        list[str] | None, Parameter(help="NAME=SOFT or NAME=SOFT:HARD, e.g. nofile=1024:4096; may be repeated.")
    ] = None
    cpu_shares: Annotated[int | None, Parameter(help="Weight beside others when cores are short; 1024 is usual.")] = (
        None
    )
    cpuset: Annotated[str | None, Parameter(help="Only these cores, e.g. 0-3,6.")] = None
    memory_swap: Annotated[
        str | None, Parameter(help="Memory and swap together, e.g. 8G; =-1 is unlimited; without it no swap.")
    ] = None
    memory_reservation: Annotated[str | None, Parameter(help="What it keeps when memory is short, e.g. 1G.")] = None
    shm_size: Annotated[str | None, Parameter(help="Size of /dev/shm, e.g. 256m.")] = None
    cap_add: Annotated[
        list[str] | None, Parameter(help="A Linux capability, e.g. NET_BIND_SERVICE; may be repeated.")
    ] = None
    apparmor: Annotated[str | None, Parameter(help="An AppArmor profile that the host has loaded.")] = None
    selinux: Annotated[list[str] | None, Parameter(help="An SELinux label, e.g. type:container_t; repeatable.")] = None
    sudo: Annotated[bool | None, Parameter(negative="--no-sudo", help="Tasks may ask for sudo.")] = None
    gpus: Annotated[str | None, Parameter(help="all, none, a number, or ids with commas between them.")] = None
    log_driver: Annotated[
        str | None, Parameter(help="local, json-file, none, syslog, journald, fluentd, gelf …; local without it.")
    ] = None
    log_opt: Annotated[list[str] | None, Parameter(help="KEY=VALUE for the log driver; may be repeated.")] = None
    stop_grace: Annotated[str | None, Parameter(help="How long it may take to end by itself, e.g. 30s.")] = None
    health_interval: Annotated[str | None, Parameter(help="Time between health checks, e.g. 30s.")] = None
    health_timeout: Annotated[str | None, Parameter(help="How long one health check may take.")] = None
    health_start_period: Annotated[str | None, Parameter(help="How long failures do not count at first.")] = None
    health_retries: Annotated[int | None, Parameter(help="Failures in a row that make it unhealthy.")] = None

    def raw(self) -> dict[str, Any]:
        """Return what was given, as a profile would say it. Raises UsageError."""
        limits = {
            "pids": self.pids,
            "ulimits": ulimits(self.ulimit),
            "cpu_shares": self.cpu_shares,
            "cpuset": self.cpuset,
            "memory_swap": self.memory_swap,
            "memory_reservation": self.memory_reservation,
            "shm_size": self.shm_size,
        }
        health = {
            "interval": self.health_interval,
            "timeout": self.health_timeout,
            "start_period": self.health_start_period,
            "retries": self.health_retries,
        }
        said = {
            "limits": given(limits),
            "security": given({"cap_add": self.cap_add, "apparmor": self.apparmor, "selinux": self.selinux}),
            "health": given(health),
            "logging": given({"driver": self.log_driver, "options": pairs(self.log_opt, "--log-opt") or None}),
            "sudo": self.sudo,
            "gpu": gpus(self.gpus),
            "stop_grace": self.stop_grace,
        }
        return given({name: value for name, value in said.items() if value != {}})


PLAIN: Final = MachineOptions()


def given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def ulimits(texts: list[str] | None) -> dict[str, Any] | None:
    """`NAME=SOFT[:HARD]` each. Raises UsageError."""
    found: dict[str, Any] = {}
    for name, value in pairs(texts, "--ulimit").items():
        soft, colon, hard = value.partition(":")
        try:
            found[name] = {"soft": int(soft), "hard": int(hard if colon else soft)}
        except ValueError as exc:
            problem = f"--ulimit {name}={value} is not NAME=SOFT or NAME=SOFT:HARD"
            raise UsageError(problem, field="ulimit", hint="e.g. nofile=1024:4096; -1 = unlimited") from exc
    return found or None


def gpus(text: str | None) -> str | int | list[str] | None:
    """`all`, `none`, a number, or ids; one id alone with a comma behind it when it is a number."""
    if text is None or text in ("all", "none"):
        return text
    if text.isascii() and text.isdecimal():
        return int(text)
    return words(text)
