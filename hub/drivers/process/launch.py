"""Starting an agent's runtime and recognising it afterwards. Everything here blocks, briefly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from hub.drivers.base import AgentPlan
from hub.drivers.process import processes
from hub.drivers.process.folder import AgentFolder, Record
from hub.drivers.process.processes import Identity
from hub.errors import BadRequest, DriverFailed

UID_VARIABLE: Final = "CLAWTUI_AGENT_UID"
MARKER: Final = "CLAWTUI_AGENT_FOLDER"
"""In the environment of the runtime and so of everything it starts: what belongs to an agent. The
folder names the incarnation and, unlike its uid, is not in a copy of the registry elsewhere."""
RUN_MARKER: Final = "CLAWTUI_AGENT_RUN"
"""New for every start: recognises a runtime whose pid a killed hub had no time to write down."""
INHERITED: Final = (
    "PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""All that an agent gets of the hub's environment: nothing in which secrets are kept."""
OWN_PREFIXES: Final = ("AGENT_", "HUB_", "CLAWTUI_")
DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class DetachedProcess(subprocess.Popen[bytes]):
    """A child that outlives this object on purpose; its end is collected by pid.

    The inherited finaliser would warn, and later collect the child's exit code and drop it.
    """

    def __del__(self) -> None:
        """Leave the process alone."""


def marker_of(folder: AgentFolder) -> str:
    return f"{MARKER}={folder.path}"


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises BadRequest for names that the hub sets itself and for what no environment can hold."""
    for name, value in environment.items():
        field = f"environment.{name}"
        if name.startswith(OWN_PREFIXES):
            raise BadRequest(f"{name} is set by the hub", field=field, hint="Choose another name.", driver="process")
        if not name or "=" in name or "\0" in name + value:
            raise BadRequest(f"{name!r} cannot be an environment variable", field=field, driver="process")


def environment_of(
    plan: AgentPlan, folder: AgentFolder, run: str, addresses: tuple[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the whole environment of a runtime. `addresses`: the hub's socket and `hub.json`."""
    socket_path, hub_file = addresses
    kept = {name: inherited[name] for name in INHERITED if name in inherited}
    return {
        "PATH": DEFAULT_PATH,
        "LANG": "C.UTF-8",
        **kept,
        # Dotfiles of tools stay inside; the operator's own keys and tokens in ~ are not offered.
        "HOME": str(folder.workspace),
        **plan.environment,
        "AGENT_ID": plan.agent_id,
        "HUB_URL": f"unix:{socket_path}",
        "HUB_FILE": hub_file,
        "AGENT_TOKEN_FILE": str(folder.token),
        "AGENT_STATE_DIR": str(folder.state),
        "AGENT_WORKSPACE": str(folder.workspace),
        "AGENT_CAPABILITIES": ",".join(plan.capabilities),
        "AGENT_CONCURRENCY": str(plan.concurrency),
        UID_VARIABLE: plan.uid,
        MARKER: str(folder.path),
        RUN_MARKER: run,
    }


def launch(
    folder: AgentFolder,
    record: Record,
    command: tuple[str, ...],
    addresses: tuple[str, str],
    inherited: Mapping[str, str],
) -> Record:
    """Start the runtime in its own session and return the record, which is on disk before and after.

    Raises:
        DriverFailed: the command cannot be executed; nothing was started.
    """
    run = uuid.uuid4().hex
    begun = Record(plan=record.plan, generation=record.generation, switching=record.switching, run=run, command=command)
    folder.write(begun)
    environment = environment_of(record.plan, folder, run, addresses, inherited)
    process = _spawn(folder, command, environment)
    try:
        identity = processes.identify(process.pid)
        started = msgspec.structs.replace(begun, process=identity, started_at=time.time_ns() // 1_000_000)
        folder.write(started)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return started


def _spawn(folder: AgentFolder, command: tuple[str, ...], environment: dict[str, str]) -> DetachedProcess:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    log = os.open(folder.log, flags, 0o600)
    try:
        return DetachedProcess(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.workspace,
            env=environment,
            start_new_session=True,
            # The folder around it is private; what tasks make inside has the usual modes.
            umask=0o022,
        )
    except OSError as exc:
        what = exc.filename or command[0]
        raise DriverFailed(
            f"the agent cannot be started: {exc.strerror} ({what})",
            hint="Check that the hub's Python and the agent's workspace are where they were.",
            agent=folder.agent_id,
            driver="process",
        ) from exc
    finally:
        os.close(log)


def find_started(record: Record) -> Identity | None:
    """Return the process of a start whose pid was not written down, or None when there is none."""
    if not record.run:
        return None
    marker = f"{RUN_MARKER}={record.run}"
    for info in processes.belonging(marker, None):
        # The runtime's children carry the marker too, but run something else.
        if info.sid == info.pid and tuple(processes.command_of(info.pid)) == record.command:
            return Identity(info.pid, info.mark, processes.boot_id())
    return None


def settle(folder: AgentFolder) -> Record | None:
    """Bring the record up to date with the process table; return it, or None without a record.

    Collects the exit code when the process was our child; otherwise the code is unknown.
    """
    record = folder.read()
    if record is None or record.ended:
        return record
    if record.process is None and not record.run:
        return record  # a create is under way, or was killed before its start
    if record.process is None:
        found = find_started(record)
        now = msgspec.structs.replace(
            record, process=found, ended=found is None, reason="" if found else "never started"
        )
    elif processes.alive(record.process):
        return record
    else:
        now = _ended(record, record.process)
    folder.write(now)
    return now


def _ended(record: Record, identity: Identity) -> Record:
    code = processes.reap(identity)
    reason = "ended while no hub watched; its exit code is not known" if code is None else ""
    if code is not None and code < 0:
        reason = f"ended by {signal.Signals(-code).name}"
        # As shells and container engines report it.
        code = 128 - code
    return msgspec.structs.replace(record, ended=True, exit_code=code, reason=reason)


def writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or in the nearest folder above that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
