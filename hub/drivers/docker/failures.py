"""Why a build failed, in words: out of the step it was in and what that printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import PREFIX
from hub.errors import DriverFailed

KEPT_LINES: Final = 15
"""The end of a failed step's output, which says why."""

_UNKNOWN_PACKAGE: Final = (
    re.compile(r"E: Unable to locate package (\S+)"),
    re.compile(r"E: Package '?([^'\s]+)'? has no installation candidate"),
    re.compile(r"E: Version '\S+' for '(\S+)' was not found"),
    re.compile(r"E: Couldn't find any package by (?:glob|regex) '(\S+)'"),
)
_DISK_FULL: Final = re.compile(r"no space left on device", re.IGNORECASE)
_EXIT_CODE: Final = re.compile(r"returned a non-zero code: (\d+)|exit code: (\d+)")
_FROM: Final = re.compile(r"FROM (?:--\S+ )*(\S+)")
PROXY_HINT: Final = (
    "Behind a proxy with a CA of its own, set CLAWTUI_EXTRA_CA to its PEM file;"
    " http_proxy and https_proxy are passed on; CLAWTUI_PIP_CONFIG names a pip.conf for the build."
)


def build_failed(name: str, step: str, error: str, output: Sequence[str]) -> DriverFailed:
    """Return the error of a build of the image `name` that ended in the instruction called `step`.

    `error` is the builder's own word, `output` what the step printed.
    """
    last = [line for line in output if line.strip()][-KEPT_LINES:]
    text = "\n".join(last)
    log = _where_log(name)
    if _DISK_FULL.search(f"{error}\n{text}"):
        message = f"the image {name} cannot be built: no space left on the engine's disk, in {step or 'a step'}"
        hint = f"`docker system df` says what takes the space. {log}"
        return DriverFailed(_with(message, text), code="engine_disk_full", hint=hint, driver=NAME)
    packages = _unknown_packages(output)
    if packages and step.startswith("packages"):
        message = f"the image {name} cannot be built: there is no package {' and no package '.join(packages)}"
        hint = f"Look at `packages` in the profile; `apt-cache search` knows the names. {log}"
        return DriverFailed(message, code="unknown_package", hint=hint, retryable=False, driver=NAME)
    code = _EXIT_CODE.search(error)
    ended = f" (exit code {code[1] or code[2]})" if code else f": {error}" if error else ""
    if step.startswith("setup task"):
        message = f"the image {name} cannot be built: {step} failed{ended}"
        return DriverFailed(_with(message, text), code="setup_task_failed", hint=log, retryable=False, driver=NAME)
    where = f", in {step}" if step else ""
    if base := _FROM.match(step):
        # Nothing runs in this step: what failed is getting the image.
        why = f"the engine does not have {base[1]} and cannot get it: {error}"
        hint = f"On the engine's machine: docker pull {base[1]}, or docker load from a file. {log}"
        return DriverFailed(f"the image {name} cannot be built: {why}", code="build_failed", hint=hint, driver=NAME)
    why = error or "the builder did not say why"
    return DriverFailed(_with(f"the image {name} cannot be built{where}: {why}", text), code="build_failed",
                        hint=f"{PROXY_HINT} {log}", driver=NAME)  # fmt: skip


def _where_log(name: str) -> str:
    if not name.startswith(PREFIX):
        return "The whole output is in the folder logs/builds of the hub's state."
    return f"The whole output: clawtui image log {name.partition(':')[0].removeprefix(PREFIX)}"


def _unknown_packages(output: Sequence[str]) -> list[str]:
    found = (match[1] for line in output for pattern in _UNKNOWN_PACKAGE if (match := pattern.search(line)))
    return list(dict.fromkeys(found))


def _with(message: str, output: str) -> str:
    return f"{message}\n{output}" if output else message
