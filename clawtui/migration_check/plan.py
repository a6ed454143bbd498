"""PURE: what a check saves, asks and expects. No I/O, no clock, no chance."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from clawtui.migration_check.model import CheckRow, Outcome, Step
from hub.contract import ProfileText
from profiles.migrate import Migration, ProbeKind

MAX_NAME: Final = 40
"""Of profiles and agents."""
MEMORY_SLACK: Final = 1 << 20
"""Engines round to pages."""
CPU_SLACK: Final = 0.01
UNLIMITED: Final = 1 << 60
"""cgroup v1 says a number just below 2**63 where there is no limit."""
LIMITED: Final = re.compile(r"limited to|not enforced")

STEPS: Final[Mapping[ProbeKind, Step]] = {
    ProbeKind.PACKAGE: Step.PACKAGE,
    ProbeKind.TASK: Step.TASK,
    ProbeKind.FILE: Step.FILE,
    ProbeKind.SERVICE: Step.SERVICE,
    ProbeKind.ENVIRONMENT: Step.ENVIRONMENT,
}

SAMPLE_FILE: Final = ".clawtui-check/sample.txt"
SAMPLE_SCRIPT: Final = f"""\
import pathlib, platform, sys
path = pathlib.Path({SAMPLE_FILE!r})
text = path.read_text()
path.unlink()
path.parent.rmdir()
print(text.upper(), platform.system(), sys.version_info[0])
"""
SAMPLE_TEXT: Final = "written by a task"
SAMPLE_ANSWER: Final = "WRITTEN BY A TASK Linux 3"

RESOURCES_COMMAND: Final = r"""
first() { for f in "$@"; do if [ -r "$f" ]; then cat "$f"; return; fi; done; echo; }
echo "cpu_max=$(first /sys/fs/cgroup/cpu.max)"
echo "quota=$(first /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us)"
echo "period=$(first /sys/fs/cgroup/cpu/cpu.cfs_period_us /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us)"
echo "memory=$(first /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes)"
echo "host_cpus=$(getconf _NPROCESSORS_ONLN)"
awk '/^MemTotal:/ {printf "host_memory=%.0f\n", $2 * 1024}' /proc/meminfo
"""
"""Prints what the container sees of its limits, in the words of cgroup v1 and v2, and what its machine has."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Limits as the container sees them; None = no limit. `host_*`: of its machine."""

    cpus: float | None
    memory_bytes: int | None
    host_cpus: int
    host_memory_bytes: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the profile asks for; None = nothing."""

    cpus: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None


def throw_away_name(name: str, token: str) -> str:
    """Return the name of profile, image and agent of one check. `token`: a few characters of chance, a-z and 0-9."""
    room = MAX_NAME - len("check--") - len(token)
    return f"check-{name[:room].strip('-')}-{token}"


def profile_text(migration: Migration, name: str, *, gpu: bool = True) -> tuple[ProfileText, list[str]]:
    """Return what is saved under a throw-away name, and what of the profile it does not have. `gpu` False: without.

    Volumes are left out: the engine would make or share them, and they would outlive the check. So is the network of
    the side services, which may not be there: those of the check have one of their own.
    """
    raw: dict[str, Any] = {key: value for key, value in migration.profile.items() if key != "name"}
    left_out = [f"volume {volume}" for volume in _texts(raw.pop("volumes", ()))]
    if not gpu:
        raw.pop("gpu", None)
    if migration.sidecars:
        raw.pop("network", None)
    raw["restart"] = "no"
    text = ProfileText(
        text=json.dumps(raw, ensure_ascii=False, indent=2),
        name=name,
        dockerfile=migration.dockerfile,
        context={path: base64.b64encode(content).decode() for path, content in migration.context.items()}
        if migration.dockerfile is not None
        else {},
    )
    return text, left_out


def _texts(values: object) -> list[str]:
    if not isinstance(values, (list, tuple)):
        return []
    return [value if isinstance(value, str) else json.dumps(value) for value in values]  # pyright: ignore[reportUnknownVariableType]


def wanted_of(effective: Any) -> Wanted:
    """Return the resources out of what a hub says that a profile means."""
    resources: dict[str, Any] = ((effective or {}).get("machine") or {}).get("resources") or {}
    return Wanted(
        cpus=resources.get("cpus"),
        memory_bytes=resources.get("memory_bytes"),
        disk_bytes=resources.get("disk_bytes"),
    )


# --- resources ---------------------------------------------------------------------------------------


def parse_resources(output: str) -> Seen:
    """Read what RESOURCES_COMMAND printed. Raises ValueError for what cannot be read."""
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    memory = values.get("memory", "").strip()
    limit = None if memory in ("", "max") else int(memory)
    return Seen(
        cpus=_cpus(values),
        memory_bytes=None if limit is None or limit >= UNLIMITED else limit,
        host_cpus=int(values["host_cpus"]),
        host_memory_bytes=int(values["host_memory"]),
    )


def _cpus(values: Mapping[str, str]) -> float | None:
    quota, period = (*values.get("cpu_max", "").split(), "", "")[:2]
    if not quota:
        quota, period = values.get("quota", "").strip(), values.get("period", "").strip()
    if quota in ("", "max", "-1"):
        return None
    return int(quota) / int(period)


def resource_rows(wanted: Wanted, seen: Seen, notes: Iterable[str]) -> list[CheckRow]:
    """Compare what the profile asks for with what the container sees. `notes`: what the hub said it does not give."""
    told = [note for note in notes if LIMITED.search(note)]
    rows: list[CheckRow] = []
    if wanted.cpus is not None:
        expected = min(wanted.cpus, float(seen.host_cpus))
        right = seen.cpus is not None and abs(seen.cpus - expected) <= CPU_SLACK
        text = f"{'no limit' if seen.cpus is None else f'{seen.cpus:g}'} seen, {wanted.cpus:g} asked for"
        rows.append(_resource("CPUs", right, text, expected < wanted.cpus, told, "CPU"))
    if wanted.memory_bytes is not None:
        # The machine's own memory is a little less than what the engine says of it.
        most = seen.host_memory_bytes
        right = seen.memory_bytes is not None and (
            abs(seen.memory_bytes - wanted.memory_bytes) <= MEMORY_SLACK
            or (wanted.memory_bytes > most and abs(seen.memory_bytes - most) <= most * 0.02)
        )
        text = f"{_gib(seen.memory_bytes)} seen, {_gib(wanted.memory_bytes)} asked for"
        rows.append(_resource("memory", right, text, wanted.memory_bytes > most, told, "GiB"))
    if wanted.disk_bytes is not None:
        why = next((note for note in told if "disk" in note), "")
        outcome = Outcome.NOT_RUN if why else Outcome.PASSED
        detail = why or _gib(wanted.disk_bytes)
        rows.append(CheckRow(step=Step.RESOURCES, subject="disk", outcome=outcome, detail=detail))
    return rows


def _resource(subject: str, right: bool, text: str, clamped: bool, told: list[str], word: str) -> CheckRow:
    note = next((note for note in told if word in note and "disk" not in note), "") if clamped else ""
    detail = f"{text}; {note}" if note else text
    # Less than was asked for is right only where the hub said so.
    passed = right and (bool(note) or not clamped)
    return CheckRow(
        step=Step.RESOURCES, subject=subject, outcome=Outcome.PASSED if passed else Outcome.FAILED, detail=detail
    )


def _gib(size: int | None) -> str:
    if size is None:
        return "no limit"
    return f"{size / (1 << 30):.4g} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.4g} MiB"


# --- tasks ----------------------------------------------------------------------------------------------


def last_words(*texts: str | None, most: int = 200) -> str:
    """Return the end of the first of these outputs that says anything, on one line."""
    for text in texts:
        lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
        if lines:
            return " / ".join(lines[-2:])[-most:]
    return ""


def first_words(text: str | None, most: int = 120) -> str:
    """Return the first line that says anything: what programs say of their version begins with it."""
    return next((line.strip()[:most] for line in (text or "").splitlines() if line.strip()), "")


def same_words(here: str | None, there: str | None) -> bool:
    """Whether a command printed the same in VM and container, apart from spaces at the ends of lines."""
    return _plain(here) == _plain(there)


def _plain(text: str | None) -> list[str]:
    return [line.rstrip() for line in (text or "").strip().splitlines()]


def companion_words(lines: Sequence[str]) -> tuple[bool, str]:
    """Return whether the image's program runs, out of the lines that its agent has sent, and what to say of it."""
    failed = [line for line in lines if line.startswith(("companion_failed", "companion_not_started"))]
    if failed:
        said = [line.partition(" line=")[2] for line in lines if line.startswith("companion stream=")]
        return False, f"{failed[-1]}: {last_words(*said[-1:])}" if said else failed[-1]
    if any(line.startswith("companion_started") for line in lines):
        return True, "started beside the agent"
    return False, "was not started"


# --- side services ----------------------------------------------------------------------------------------


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Side services as they are started for a check: a Compose file of their own, and what their containers mount."""

    text: str
    files: dict[str, bytes]


KEPT_FIELDS: Final = ("image", "command", "entrypoint", "environment", "healthcheck", "volumes", "user", "tmpfs")
"""Of a service. Host ports, container names and networks of the real one stay free."""


def beside(migration: Migration, compose: Any) -> Beside:
    """Return the side services alone out of the read Compose file `compose`, with names that clash with nothing."""
    services: Mapping[str, Any] = compose.get("services") or {}
    kept: dict[str, Any] = {}
    for sidecar in migration.sidecars:
        service: Mapping[str, Any] = services.get(sidecar.name) or {"image": sidecar.image}
        kept[sidecar.name] = {field: service[field] for field in KEPT_FIELDS if field in service}
    named = sorted({name for service in kept.values() for name in _named_volumes(service.get("volumes"))})
    document: dict[str, Any] = {"version": "3.8", "services": kept}
    if named:
        document["volumes"] = {name: {} for name in named}
    return Beside(text=json.dumps(document, indent=2), files=dict(migration.sidecar_files))


def _named_volumes(volumes: object) -> Iterable[str]:
    for volume in _texts(volumes):
        source = volume.split(":", 1)[0] if ":" in volume else ""
        if source and not source.startswith(("/", ".", "~", "{")):
            yield source


def is_below(path: str) -> bool:
    """Whether a relative path stays below its folder."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts
