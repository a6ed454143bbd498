"""PURE: a gateway's cell as the body of the Engine API's "create a container", and how its objects are marked."""

from __future__ import annotations

from collections.abc import Mapping

from hub.drivers.cells import NO_NEW_PRIVILEGES, CellCheck, CellId, CellPlan
from hub.drivers.cells_checks import plan_hash
from hub.drivers.docker import labels
from hub.drivers.docker.plan import OPEN_FILES, PLAIN_TMPFS, TMPFS_OPTIONS, ContainerPlan, Volume
from hub.drivers.docker.render_engine import NANOSECONDS, render_engine
from profiles.parts import Health, Ulimit


def cell_labels(hub_id: str, cell: CellId) -> dict[str, str]:
    """Return what every object of an instance carries."""
    return {
        labels.OWNER: labels.OWNER_NAME, labels.HUB: hub_id, labels.CELL: cell.instance, labels.CELL_UID: cell.uid,
    }  # fmt: skip


def cell_of(found: Mapping[str, str] | None, hub_id: str) -> CellId | None:
    """Return whose object of this hub it is; None for everything else."""
    marks = found or {}
    if marks.get(labels.OWNER) != labels.OWNER_NAME or marks.get(labels.HUB) != hub_id:
        return None
    instance, uid = marks.get(labels.CELL, ""), marks.get(labels.CELL_UID, "")
    return CellId(instance, uid) if instance and uid else None


def render_cell(plan: CellPlan, hub_id: str, digest_of: CellPlan | None = None) -> dict[str, object]:
    """Return the body. `digest_of`: the plan as it was asked for, when `plan` had to be made smaller."""
    body = render_engine(_container(plan, hub_id, plan_hash(digest_of or plan)))
    if plan.command:
        # Arguments for the image's own entrypoint, as Compose means it.
        body["Cmd"] = list(plan.command)
    body["ExposedPorts"] = {f"{one.container_port}/tcp": {} for one in plan.ports}
    check = _check(plan.check)
    if check is not None:
        body["Healthcheck"] = check
    host: dict[str, object] = {"PortBindings": _bindings(plan), "Init": plan.init}
    return body | {"HostConfig": _part(body, "HostConfig") | host}


def _part(body: dict[str, object], name: str) -> dict[str, object]:
    found = body[name]
    return dict(found) if isinstance(found, dict) else {}


def _bindings(plan: CellPlan) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for one in plan.ports:
        found.setdefault(f"{one.container_port}/tcp", []).append({"HostIp": one.host_ip, "HostPort": str(one.port)})
    return found


def _check(check: CellCheck) -> dict[str, object] | None:
    """None: the image's own as it is. An empty test and zeros stand for the image's own."""
    if check.off:
        return {"Test": ["NONE"]}
    if check == CellCheck():
        return None
    return {
        "Test": ["CMD", *check.test] if check.test else [],
        "Interval": int((check.interval_seconds or 0) * NANOSECONDS),
        "Timeout": int((check.timeout_seconds or 0) * NANOSECONDS),
        "StartPeriod": int((check.start_period_seconds or 0) * NANOSECONDS),
        "Retries": check.retries or 0,
    }


def _container(plan: CellPlan, hub_id: str, digest: str) -> ContainerPlan:
    users = {f"{labels.USER_PREFIX}{name}": value for name, value in plan.labels.items()}
    tmpfs = (TMPFS_OPTIONS if plan.read_only else {}) | dict.fromkeys(plan.tmpfs, PLAIN_TMPFS)
    return ContainerPlan(
        name=plan.name,
        image=plan.image,
        command=(),
        environment={**plan.environment, **plan.secrets},
        labels={**users, **cell_labels(hub_id, plan.cell), labels.PLAN: digest},
        volumes=(
            *(Volume(one.name, one.target, named=True, read_only=one.read_only) for one in plan.volumes),
            *(Volume(one.source, one.target, named=False, read_only=one.read_only) for one in plan.mounts),
        ),
        tmpfs=tmpfs,
        network=plan.network,
        extra_hosts=plan.extra_hosts,
        cpus=plan.cpus,
        cpu_shares=None,
        cpuset="",
        memory_bytes=plan.memory_bytes,
        memory_swap_bytes=plan.memory_bytes,
        memory_reservation_bytes=None,
        disk_bytes=None,
        shm_bytes=None,
        pids=plan.pids,
        ulimits={"nofile": Ulimit(OPEN_FILES, OPEN_FILES)},
        gpu=None,
        capabilities=plan.capabilities,
        security_options=(NO_NEW_PRIVILEGES,),
        read_only=plan.read_only,
        restart=plan.restart,
        health=Health(),
        log_driver=plan.log_driver,
        log_options=plan.log_options,
        stop_grace_seconds=plan.stop_grace_seconds,
        user=plan.user,
        working_folder=plan.working_folder,
    )
