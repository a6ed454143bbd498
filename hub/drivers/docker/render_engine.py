"""PURE: a container's plan as the body of the Engine API's "create a container"."""

from __future__ import annotations

from hub.drivers.docker.plan import ContainerPlan, Volume
from profiles.parts import Gpu, Health

NANOSECONDS = 1_000_000_000


def render_engine(plan: ContainerPlan) -> dict[str, object]:
    """Return the body. What the plan leaves out of the health check is as the image says."""
    body: dict[str, object] = {
        "Image": plan.image,
        "Env": [f"{name}={value}" for name, value in sorted(plan.environment.items())],
        "Labels": plan.labels,
        "User": plan.user,
        "WorkingDir": plan.working_folder,
        "StopTimeout": plan.stop_grace_seconds,
        "HostConfig": _render_host(plan),
    }
    if plan.health != Health():
        body["Healthcheck"] = _render_health(plan.health)
    if plan.command:
        body |= {"Entrypoint": list(plan.command), "Cmd": []}
    return body


def _render_host(plan: ContainerPlan) -> dict[str, object]:
    host: dict[str, object] = {
        "Init": True,
        "CapDrop": ["ALL"],
        "CapAdd": list(plan.capabilities),
        "SecurityOpt": list(plan.security_options),
        "Privileged": False,
        "ReadonlyRootfs": plan.read_only,
        "PidsLimit": plan.pids,
        "NanoCpus": int((plan.cpus or 0) * NANOSECONDS),
        "CpuShares": plan.cpu_shares or 0,
        "CpusetCpus": plan.cpuset,
        "Memory": plan.memory_bytes or 0,
        "MemorySwap": plan.memory_swap_bytes or 0,
        "MemoryReservation": plan.memory_reservation_bytes or 0,
        "Ulimits": [
            {"Name": name, "Soft": limit.soft, "Hard": limit.hard} for name, limit in sorted(plan.ulimits.items())
        ],
        "LogConfig": {"Type": plan.log_driver, "Config": plan.log_options},
        "RestartPolicy": {"Name": plan.restart.value},
        "NetworkMode": plan.network,
        "ExtraHosts": list(plan.extra_hosts),
        "Mounts": [_render_volume(volume) for volume in plan.volumes],
        "Tmpfs": plan.tmpfs,
        "StorageOpt": {"size": str(plan.disk_bytes)} if plan.disk_bytes is not None else {},
    }
    if plan.shm_bytes is not None:
        host["ShmSize"] = plan.shm_bytes
    if plan.gpu is not None:
        host["DeviceRequests"] = [_render_gpu(plan.gpu)]
    return host


def _render_volume(volume: Volume) -> dict[str, object]:
    kind = "volume" if volume.named else "bind"
    return {"Type": kind, "Source": volume.source, "Target": volume.target, "ReadOnly": volume.read_only}


def _render_gpu(gpu: Gpu) -> dict[str, object]:
    """The engine takes a count or ids, never both."""
    which: dict[str, object] = {"DeviceIDs": list(gpu.devices)} if gpu.devices else {"Count": gpu.count}
    return {"Driver": "", "Capabilities": [["gpu"]], **which}


def _render_health(health: Health) -> dict[str, object]:
    """An empty test and zeros: the image's own."""
    return {
        "Test": [],
        "Interval": int((health.interval_seconds or 0) * NANOSECONDS),
        "Timeout": int((health.timeout_seconds or 0) * NANOSECONDS),
        "StartPeriod": int((health.start_period_seconds or 0) * NANOSECONDS),
        "Retries": health.retries or 0,
    }
