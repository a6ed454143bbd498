"""The Dockerfile of a profile that needs more than packages, setup tasks and files, and what it copies."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from profiles.contents import WORKSPACE
from profiles.image import BASE
from profiles.migrate.draft import Draft, Program
from profiles.migrate.paths import AGENT_HOME

FILES: Final = "workspace"
MANAGER: Final = "supervisord.conf"
PROGRAMS: Final = "programs"
MANAGER_FOLDER: Final = "/etc/supervisor"
_CLEAN: Final = "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log"


def link_command(links: Mapping[str, str]) -> str:
    """Return shell text that makes moved files found at their old places."""
    folders = sorted({old.rpartition("/")[0] for old in links} - {AGENT_HOME, ""})
    lines = [f"mkdir -p {' '.join(map(shlex.quote, folders))}"] if folders else []
    lines += [f"ln -sfn {shlex.quote(new)} {shlex.quote(old)}" for old, new in sorted(links.items())]
    return " && ".join(lines)


def render_dockerfile(draft: Draft) -> str:
    """Return the Dockerfile: what changes least comes first, the files before the tasks that use them."""
    return "\n".join(_lines(draft)) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    yield f"# The image of the profile {draft.vm.name}: packages, files and setup tasks of its VM, without systemd."
    yield f"FROM {BASE}"
    yield "USER root"
    if draft.packages:
        names = " \\\n        ".join(sorted(draft.packages))
        yield "RUN apt-get update \\"
        yield " && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\"
        yield f"        {names} \\"
        yield f" && {_CLEAN}"
    if draft.environment:
        yield "ENV " + " \\\n    ".join(
            f'{name}="{_quoted(value)}"' for name, value in sorted(draft.environment.items())
        )
    yield from _files(draft)
    for task in draft.tasks:
        if task.description:
            yield f"# {task.description}"
        yield run(task.command)
    for text in draft.prepare:
        yield run(text)
    homes = f" {AGENT_HOME}" if draft.home or any(old.startswith(AGENT_HOME) for old in draft.links) else ""
    yield f"RUN chown -hR agent:agent {WORKSPACE}{homes}"
    if draft.ports:
        yield f"EXPOSE {' '.join(map(str, draft.ports))}"
    yield "USER agent"
    if draft.programs:
        yield f"CMD {json.dumps(list(command_of(draft.programs)))}"


def _files(draft: Draft) -> Iterator[str]:
    if draft.files:
        yield f"COPY --chown=agent:agent {FILES}/ {WORKSPACE}/"
    for mode in sorted({file.mode for file in draft.files} - {0o644}):
        yield run(f"chmod {mode:04o} " + " ".join(shlex.quote(file.path) for file in draft.files if file.mode == mode))
    if draft.links:
        yield "# Where programs look for files that are in the workspace now"
        yield run(link_command(draft.links))
    if len(draft.programs) > 1:
        yield f"COPY {MANAGER} {MANAGER_FOLDER}/agent.conf"
        yield f"COPY {PROGRAMS}/ {MANAGER_FOLDER}/{PROGRAMS}/"


def run(command: str) -> str:
    """Return an instruction whose command is data: no character of it means anything to a builder."""
    return f"RUN {json.dumps(['/bin/bash', '-eo', 'pipefail', '-c', command])}"


def command_of(programs: list[Program]) -> tuple[str, ...]:
    """Return what runs beside the agent: the program, or a process manager for several."""
    if len(programs) == 1:
        return programs[0].argv
    return ("supervisord", "-n", "-c", f"{MANAGER_FOLDER}/agent.conf")


def render_context(draft: Draft) -> dict[str, bytes]:
    """Return what the Dockerfile copies, by path."""
    found = {f"{FILES}/{file.path[len(WORKSPACE) + 1 :]}": file.content for file in draft.files}
    if len(draft.programs) > 1:
        found[MANAGER] = _manager(draft.programs).encode()
        found |= {f"{PROGRAMS}/{_file_name(one)}": _script(one).encode() for one in draft.programs}
    return dict(sorted(found.items()))


def _manager(programs: list[Program]) -> str:
    parts = ["[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/tmp/supervisord.pid\n"]
    for program in programs:
        name = _file_name(program)
        parts.append(
            f"[program:{name}]\ncommand=/bin/bash {MANAGER_FOLDER}/{PROGRAMS}/{name}\ndirectory={WORKSPACE}\n"
            f"autorestart={program.restart}\nstartsecs={0 if program.once else 1}\nstopasgroup=true\nkillasgroup=true\n"
            "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\nredirect_stderr=true\n"
        )
    return "\n".join(parts)


def _script(program: Program) -> str:
    return f"exec {shlex.join(program.argv)}\n"


def _file_name(program: Program) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", program.name)[:60]


def _quoted(value: str) -> str:
    """Within double quotes a Dockerfile knows these three characters, and nothing else."""
    return re.sub(r'([\\"$])', r"\\\1", value)
