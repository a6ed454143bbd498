"""The whole migration: the passes in their order, and profiles that need none."""

from __future__ import annotations

import base64
import json
from typing import Final, cast

from profiles.contents import MAX_COMMAND_CHARACTERS, MAX_PACKAGES, MAX_TASKS
from profiles.errors import ProfileError
from profiles.migrate.commands import hoist, settle_tasks, where_of
from profiles.migrate.compose import network_of, render_compose, sidecar_files, sidecars_of
from profiles.migrate.dockerfile import link_command, render_context, render_dockerfile
from profiles.migrate.draft import Draft, Task
from profiles.migrate.environment import settle_environment
from profiles.migrate.files import move_files
from profiles.migrate.machine import settle_machine
from profiles.migrate.model import Area, Finding, Migration, Severity, VmFile, VmProfile, worst
from profiles.migrate.packages import place
from profiles.migrate.paths import AGENT_HOME
from profiles.migrate.probes import probes_of
from profiles.migrate.reading import parse_vm_profile
from profiles.migrate.services import make_programs, want
from profiles.model import FIELDS, parse_profile
from profiles.reading import read_text

ONLY_DOCKER: Final = frozenset({
    "concurrency", "volumes", "security", "limits", "health", "logging", "stop_grace", "build_args", "persona",
})  # fmt: skip
"""Fields that VM profiles never had."""
MAX_LINE: Final = 50_000
"""Of a Dockerfile: builders end a line at 64 KiB."""


def migrate_text(text: str, format: str = "json", name: str = "") -> Migration:
    """Return what becomes of a profile's file: of a VM's the migration, of a Docker profile the text as it is.

    `name`: what the file is called, for a profile that does not say its name.

    Raises:
        ProfileError: the text is no profile of either kind; with every wrong field.
    """
    raw = read_text(text, format)
    docker = _as_docker(raw, name)
    if docker is not None and _is_docker(docker):
        return _as_it_is(docker, text, format, "it is a Docker profile already")
    migration = migrate(parse_vm_profile(raw, name))
    if docker is not None and migration.verdict is Severity.OK and not migration.dockerfile:
        return _as_it_is(docker, text, format, "everything in it means the same to a Docker agent")
    return migration


def migrate(vm: VmProfile) -> Migration:
    """Return what becomes of a VM profile. Never raises."""
    draft = Draft(vm)
    settle_machine(draft)
    for index, package in enumerate(vm.packages):
        place(draft, package, f"packages[{index}]")
    hoist(draft)
    move_files(draft)
    settle_environment(draft)
    settle_tasks(draft)
    for index, name in enumerate(vm.services):
        want(draft, name, f"services[{index}]")
    make_programs(draft)
    _finish(draft)
    return _result(draft)


def _finish(draft: Draft) -> None:
    """Keep what profiles can hold, and add the tasks that the migration itself needs."""
    if draft.gpu:
        draft.fields.setdefault("gpu", "all")
    for task in list(draft.tasks):
        # A character can take six in the JSON of a Dockerfile's line.
        if len(task.command) > MAX_LINE // 6:
            draft.tasks.remove(task)
            todo = "Put the script into a file, and run that."
            draft.needs_you(Area.SETUP_TASKS, where_of(task), "left out", "it is too long for a Dockerfile", todo)
    if draft.custom:
        return
    if draft.links:
        draft.tasks.append(Task(link_command(draft.links), "Links to files that are in the workspace now"))
    if draft.home or any(old.startswith(AGENT_HOME) for old in draft.links):
        draft.tasks.append(Task(f"chown -hR agent:agent {AGENT_HOME}", "The agent's home is the agent's"))
    if any(len(task.command) > MAX_COMMAND_CHARACTERS for task in draft.tasks):
        draft.tasks = [task for task in draft.tasks if task.field]
        draft.early = True
    for name in list(draft.packages)[MAX_PACKAGES:]:
        del draft.packages[name]
    del draft.tasks[MAX_TASKS:]


def _result(draft: Draft) -> Migration:
    profile = _profile(draft)
    custom = draft.custom
    if custom:
        reason = "a Dockerfile says what the image is, so packages, files and setup tasks stand there"
        draft.adapted(Area.PACKAGES, "", f"the image is made by {draft.vm.name}.Dockerfile", reason)
    if draft.beside:
        network = network_of(draft.vm.name)
        reason = "only who is in the network of the side services reaches them; their ports are not published"
        draft.adapted(Area.NETWORK, "", f"agents are in the network {network} of {draft.vm.name}.compose.yml", reason)
    findings = tuple(sorted(draft.findings, key=lambda found: list(Area).index(found.area)))
    return Migration(
        name=draft.vm.name,
        text=json.dumps(profile, indent=2, ensure_ascii=False) + "\n",
        profile=profile,
        dockerfile=render_dockerfile(draft) if custom else None,
        context=render_context(draft) if custom else {},
        compose=render_compose(draft) if draft.beside else None,
        sidecars=sidecars_of(draft),
        sidecar_files=sidecar_files(draft),
        findings=findings,
        probes=probes_of(draft),
        verdict=worst(found.severity for found in findings),
    )


def _profile(draft: Draft) -> dict[str, object]:
    """The profile's data, in the order in which its fields are documented; what is empty is left out."""
    found: dict[str, object] = {"name": draft.vm.name, "description": draft.vm.description, **draft.fields}
    found["environment"] = dict(draft.environment)
    if draft.beside:
        found["network"] = network_of(draft.vm.name)
    if not draft.custom:
        found["packages"] = list(draft.packages)
        found["files"] = [_file(file) for file in draft.files]
        found["setup_tasks"] = [_task(task) for task in draft.tasks]
    order = {field: place for place, field in enumerate(FIELDS)}
    return {
        field: found[field] for field in sorted(found, key=order.__getitem__) if found[field] not in ("", [], {}, None)
    }


def _file(file: VmFile) -> dict[str, object]:
    try:
        content, encoding = file.content.decode(), {}
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(file.content).decode(), {"encoding": "base64"}
    mode = {} if file.mode == 0o644 else {"mode": f"{file.mode:04o}"}
    return {"path": file.path, "content": content, **encoding, **mode}


def _task(task: Task) -> dict[str, object]:
    return {"type": "exec", "command": task.command, **({"description": task.description} if task.description else {})}


# --- profiles that need no migration ------------------------------------------------------------------------


def _as_docker(raw: object, name: str) -> dict[str, object] | None:
    """The data with its name, when it is a right Docker profile; else None."""
    if not isinstance(raw, dict):
        return None
    data = cast("dict[str, object]", raw)
    try:
        profile = parse_profile(data, "" if "name" in data else name)
    except ProfileError:
        return None
    return {"name": profile.name, **data}


def _is_docker(data: dict[str, object]) -> bool:
    """Whether it says something that only Docker profiles say."""
    resources = data.get("resources")
    return bool(ONLY_DOCKER & data.keys()) or (isinstance(resources, dict) and "cpus" in resources)


def _as_it_is(data: dict[str, object], text: str, format: str, reason: str) -> Migration:
    finding = Finding(Severity.OK, Area.RESOURCES, "", "unchanged", reason)
    return Migration(
        name=str(data["name"]), text=text, format=format, profile=data, unchanged=True, findings=(finding,)
    )
