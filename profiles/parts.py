"""The parts of an agent's machine beyond its size: limits, security, volumes, health, GPU, secrets."""

from __future__ import annotations

import enum
import re
from typing import Final, cast

import msgspec

from profiles.errors import ProfileError, Table, by_name, entries, shown
from profiles.values import (
    ENVIRONMENT_PATTERN,
    matching,
    number_between,
    parse_flag,
    parse_path,
    parse_seconds,
    parse_size,
)

VOLUME_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
NETWORK_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}"
CPUSET_PATTERN: Final = r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?){0,63}"
LINUX_CAPABILITIES: Final = frozenset({
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT",
    "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM",
})  # fmt: skip
"""capabilities(7) of Linux 5.9 and later."""
ULIMITS: Final = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
"""What container engines accept."""
UNLIMITED: Final = -1
LOG_DRIVERS: Final = (
    "local", "json-file", "none", "syslog", "journald", "fluentd", "gelf", "awslogs", "gcplogs", "splunk",
)  # fmt: skip
"""What container engines bring along; plugins have names of their own."""
LOG_DRIVER_PATTERN: Final = r"[a-z0-9][a-z0-9./:_-]{0,127}"


class Restart(enum.StrEnum):
    """When an agent that ended is started again; the words of container engines."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class Ulimit(msgspec.Struct, frozen=True):
    """-1 = unlimited."""

    soft: int
    hard: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits beside CPU, memory and disk. None or empty = the platform's or the driver's own.

    `memory_swap_bytes`: memory and swap together, -1 = unlimited. `cpu_shares`: weight, 1024 is usual.
    `cpuset`: cores by number, as in `0-3,6`.
    """

    pids: int | None = None
    ulimits: dict[str, Ulimit] = {}
    cpu_shares: int | None = None
    cpuset: str = ""
    memory_swap_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    shm_size_bytes: int | None = None


class Tmpfs(msgspec.Struct, frozen=True):
    """A folder in memory. `size_bytes` None = half of the machine's memory, as Linux does."""

    path: str
    size_bytes: int | None = None


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """`cap_add`: Linux capabilities without CAP_. `selinux`: label options such as `type:container_t`."""

    cap_add: tuple[str, ...] = ()
    read_only: bool = False
    tmpfs: tuple[Tmpfs, ...] = ()
    apparmor: str = ""
    selinux: tuple[str, ...] = ()


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the host (absolute `source`) or a named volume at `target` in the agent."""

    source: str
    target: str
    read_only: bool = False


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How often a platform asks the agent's health check; None = as the image says. `retries`: failures in a row."""

    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    start_period_seconds: float | None = None
    retries: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """`count` -1 = all; or exactly the `devices`."""

    count: int = 0
    devices: tuple[str, ...] = ()


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """Where what an agent prints goes; `driver` empty = the platform's own, which keeps little and turns over.

    `options` are the driver's, as it calls them.
    """

    driver: str = ""
    options: dict[str, str] = {}


class SecretSource(enum.StrEnum):
    ENVIRONMENT = "env"
    FILE = "file"


class Secret(msgspec.Struct, frozen=True):
    """Where the hub finds a secret: a variable of its own environment, or a file on its machine."""

    source: SecretSource
    where: str

    def __str__(self) -> str:
        return f"{self.source.value}://{self.where}"


NO_LIMITS: Final = Limits()
NO_SECURITY: Final = Security()
NO_HEALTH: Final = Health()
NO_LOGGING: Final = Logging()


# --- parsing ---------------------------------------------------------------------------------------


def parse_restart(field: str, value: object) -> Restart:
    if not isinstance(value, str) or value not in list(Restart):
        hint = 'no must stand in quotes in YAML: restart: "no".' if value is False else ""
        raise ProfileError(field, f"{shown(value)} is not one of {', '.join(Restart)}", hint)
    return Restart(value)


def parse_network(field: str, value: object) -> str:
    """Return `none`, `isolated` or the name of a network; empty = the driver's own."""
    hint = "Write none, isolated or the name of a network."
    return "" if value == "" else matching(NETWORK_PATTERN, "the name of a network", hint)(field, value)


def parse_limits(field: str, raw: object, base: Limits = NO_LIMITS) -> Limits:
    """What is not given is as `base` says; so in all the parsers with a base."""
    known = ("pids", "ulimits", "cpu_shares", "cpuset", "memory_swap", "memory_reservation", "shm_size")
    given = Table(field, raw, known)
    hint = "Write cores by number, as in 0-3 or 0,2."
    limits = Limits(
        pids=given.get("pids", number_between(16, 1 << 22), base.pids),
        ulimits=base.ulimits | given.get("ulimits", _ulimits, {}),
        cpu_shares=given.get("cpu_shares", number_between(2, 262_144), base.cpu_shares),
        cpuset=given.get("cpuset", matching(CPUSET_PATTERN, "a set of cores", hint), base.cpuset),
        memory_swap_bytes=given.get("memory_swap", _size_or_unlimited, base.memory_swap_bytes),
        memory_reservation_bytes=given.get("memory_reservation", parse_size, base.memory_reservation_bytes),
        shm_size_bytes=given.get("shm_size", parse_size, base.shm_size_bytes),
    )
    given.check()
    return limits


def _ulimits(field: str, raw: object) -> dict[str, Ulimit]:
    return by_name(field, raw, _ulimit)


def _ulimit(field: str, name: str, value: object) -> Ulimit:
    if name not in ULIMITS:
        raise ProfileError(field, f"{shown(name)} is not a limit", f"Known here: {', '.join(ULIMITS)}.")
    bound = number_between(UNLIMITED, 1 << 53)
    if not isinstance(value, dict):
        both = bound(field, value)
        return Ulimit(both, both)
    given = Table(field, cast("object", value), ("soft", "hard"))
    limit = Ulimit(given.required("soft", bound, 0), given.required("hard", bound, 0))
    given.check()
    if limit.hard != UNLIMITED and not 0 <= limit.soft <= limit.hard:
        raise ProfileError(field, f"soft {limit.soft} is above hard {limit.hard}")
    return limit


def _size_or_unlimited(field: str, value: object) -> int:
    return UNLIMITED if value in (UNLIMITED, "-1") else parse_size(field, value)


def parse_security(field: str, raw: object, base: Security = NO_SECURITY) -> Security:
    given = Table(field, raw, ("cap_add", "read_only", "tmpfs", "apparmor", "selinux"))
    profile = matching(r"[A-Za-z0-9._/-]{1,128}", "the name of an AppArmor profile", "Such as docker-default.")
    option = matching(r"(user|role|type|level):[A-Za-z0-9_.:,-]{1,128}|disable", "an SELinux label option",
                      "Such as type:container_runtime_t.")  # fmt: skip
    security = Security(
        cap_add=tuple(dict.fromkeys(given.get("cap_add", entries(_linux_capability, 64), base.cap_add))),
        read_only=given.get("read_only", parse_flag, base.read_only),
        tmpfs=given.get("tmpfs", entries(_tmpfs, 32), base.tmpfs),
        apparmor=given.get("apparmor", profile, base.apparmor),
        selinux=given.get("selinux", entries(option, 8), base.selinux),
    )
    given.check()
    return security


def _linux_capability(field: str, value: object) -> str:
    name = value.upper().removeprefix("CAP_") if isinstance(value, str) else ""
    if name == "ALL":
        raise ProfileError(field, "all capabilities at once make the agent root of the host", "Name those it needs.")
    if name not in LINUX_CAPABILITIES:
        raise ProfileError(field, f"{shown(value)} is not a Linux capability", "Such as NET_BIND_SERVICE.")
    return name


def _tmpfs(field: str, value: object) -> Tmpfs:
    """`/path`, `/path:size=100m` or a mapping."""
    if isinstance(value, str):
        path, colon, options = value.partition(":")
        if colon and not options.startswith("size="):
            raise ProfileError(field, f"{shown(value)} is not a folder in memory", "Write /path or /path:size=100m.")
        size = parse_size(field, options.removeprefix("size=")) if colon else None
        return Tmpfs(parse_path(field, path), size)
    given = Table(field, value, ("path", "size"))
    tmpfs = Tmpfs(given.required("path", parse_path, ""), given.get("size", parse_size, None))
    given.check()
    return tmpfs


def parse_volume(field: str, value: object) -> Volume:
    """`SOURCE:TARGET`, `SOURCE:TARGET:ro` or a mapping."""
    if isinstance(value, str):
        parts = value.split(":")
        if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
            raise ProfileError(field, f"{shown(value)} is not a volume", "Write SOURCE:TARGET or SOURCE:TARGET:ro.")
        source, target = _volume_source(field, parts[0]), parse_path(field, parts[1])
        return Volume(source=source, target=target, read_only=parts[2:] == ["ro"])
    given = Table(field, value, ("source", "target", "read_only"))
    volume = Volume(
        source=given.required("source", _volume_source, ""),
        target=given.required("target", parse_path, ""),
        read_only=given.get("read_only", parse_flag, False),
    )
    given.check()
    return volume


def _volume_source(field: str, value: object) -> str:
    if isinstance(value, str) and value.startswith("/") and ".." not in value.split("/") and value.isprintable():
        return value
    hint = "Write the name of a volume, or a folder of the host from the root on."
    return matching(VOLUME_PATTERN, "a volume or a folder of the host", hint)(field, value)


def parse_health(field: str, raw: object, base: Health = NO_HEALTH) -> Health:
    given = Table(field, raw, ("interval", "timeout", "start_period", "retries"))
    health = Health(
        interval_seconds=given.get("interval", parse_seconds, base.interval_seconds),
        timeout_seconds=given.get("timeout", parse_seconds, base.timeout_seconds),
        start_period_seconds=given.get("start_period", parse_seconds, base.start_period_seconds),
        retries=given.get("retries", number_between(1, 100), base.retries),
    )
    given.check()
    return health


def parse_logging(field: str, raw: object, base: Logging = NO_LOGGING) -> Logging:
    """The name of a log driver, or a mapping. Options belong to their driver: another driver starts with none."""
    if isinstance(raw, str):
        raw = {"driver": raw}
    given = Table(field, raw, ("driver", "options"))
    hint = f"Such as {', '.join(LOG_DRIVERS)}, or a plugin of the engine's."
    driver = given.get("driver", matching(LOG_DRIVER_PATTERN, "the name of a log driver", hint), base.driver)
    options = given.get("options", _log_options, {})
    given.check()
    return Logging(driver=driver, options=options if driver != base.driver else base.options | options)


def _log_options(field: str, raw: object) -> dict[str, str]:
    return by_name(field, raw, _log_option)


def _log_option(field: str, name: str, value: object) -> str:
    if not name or not isinstance(value, str) or not value.isprintable():
        raise ProfileError(field, f"{shown(value)} is not one line of text", "Put it in quotes.")
    return value


def parse_gpu(field: str, value: object) -> Gpu | None:
    """`all`, a number of GPUs, a list of their ids, or `none`."""
    if value == "none":
        return None
    if value == "all":
        return Gpu(count=-1)
    device = matching(r"[A-Za-z0-9._:-]{1,64}", "the id of a GPU", 'Such as "0" or "GPU-8e4f…".')
    if isinstance(value, (list, tuple)):
        devices = entries(device, 64)(field, cast("object", value))
        if not devices:
            raise ProfileError(field, "names no GPU", "Leave it out, or write all.")
        return Gpu(devices=devices)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
        return Gpu(count=value)
    hint = "Write all, none, a number, or a list of ids."
    raise ProfileError(field, f"{shown(value)} is not a request for GPUs", hint)


def parse_secrets(field: str, raw: object) -> dict[str, Secret]:
    return by_name(field, raw, _secret)


def _secret(field: str, name: str, value: object) -> Secret:
    hint = "Write env://NAME or file:///path: the secret itself has no place in a profile."
    if not re.fullmatch(ENVIRONMENT_PATTERN, name):
        raise ProfileError(field, "is not the name of a secret", "Letters, digits and _.")
    text = value if isinstance(value, str) else ""
    if match := re.fullmatch(rf"env://({ENVIRONMENT_PATTERN})", text):
        return Secret(SecretSource.ENVIRONMENT, match[1])
    if match := re.fullmatch(r"file://(/[^\0]{1,1000})", text):
        return Secret(SecretSource.FILE, match[1])
    # Not shown: it may be the secret.
    raise ProfileError(field, "is not a reference to a secret", hint)
