"""Gateways that the scripted hub runs: tiers, hosts, health and backups. All data."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from hub.contract import (
    BackupList,
    BackupView,
    Credentials,
    DestroyPlan,
    GatewayCheck,
    GatewayFigures,
    GatewayHealth,
    GatewayHealthList,
    GatewayHealthQuery,
    GatewayList,
    GatewayState,
    GatewayView,
    HostList,
    HostView,
    InstancePhase,
    InstanceView,
    JobStepView,
    JobView,
    LogEntry,
    ProblemView,
    ProvisionedGateway,
    ProvisionGateway,
    RestoredGateway,
    RestoreGateway,
    TierList,
    TierView,
)
from hub.errors import NotFound
from tests.hub.api.scripted import Stream
from tests.tui import sync_script
from tests.tui.office_script import ago

GIB: Final = 1 << 30
TOKEN: Final = "oc_5f0c2a61b7d94e3f8a"
CREDENTIALS: Final = Credentials(url="http://127.0.0.1:19103", token=TOKEN, public_url="https://nova.example.com")
TIERS: Final = [
    TierView(
        name="free", source="built-in", valid=True, description="one core and 1 GiB, Sonnet class", cpus=1.0,
        memory_bytes=GIB, image_kind="official", model="anthropic/claude-sonnet-4-5", sessions=5,
        workspace_bytes=GIB // 2, cost_per_month=0.5, path="/srv/clawtui/tiers/free.toml",
    ),
    TierView(
        name="pro", source="built-in", valid=True, description="two cores and 2 GiB, Opus class, with Telegram",
        cpus=2.0, memory_bytes=2 * GIB, image_kind="official", model="anthropic/claude-opus-4-5",
        channels=["telegram"], cost_per_month=7.0, path="/srv/clawtui/tiers/pro.toml",
    ),
    TierView(
        name="enterprise", source="built-in", valid=True, description="four cores and 4 GiB, with browser",
        cpus=4.0, memory_bytes=4 * GIB, image_kind="official", model="anthropic/claude-opus-4-5", browser=True,
        channels=["telegram", "discord", "slack"], cost_per_month=15.0, path="/srv/clawtui/tiers/enterprise.toml",
    ),
    TierView(
        name="trial", source="user", valid=False, path="/home/ada/.clawtui/tiers/trial.toml",
        problems=[ProblemView(field="memory", message="'lots' is no size", hint="Such as 2GiB.")],
    ),
]  # fmt: skip
HOSTS: Final = [
    HostView(name="local", url="unix:///var/run/docker.sock", usable=True, version="28.1", cpus=8.0),
    HostView(name="attic", url="ssh://claw@attic", usable=True, version="26.1", cpus=4.0),
]
_IMAGE: Final = "ghcr.io/openclaw/openclaw"


def _instance(phase: InstancePhase, tier: str, port: int, version: str, **more: Any) -> InstanceView:
    memory = {"free": 1, "pro": 2, "enterprise": 4}[tier] * GIB
    known: dict[str, Any] = {
        "host": "local", "image_kind": "official", "image": f"{_IMAGE}:{version}", "container_state": "running",
        "image_id": "sha256:9b2f6c01d7aa4e5f", "created_at": ago(9 * 86_400), "deploy_seconds": 41.3,
        "limits": {"cpus": memory / GIB, "memoryBytes": float(memory)},
    }  # fmt: skip
    return InstanceView(phase=phase, tier=tier, port=port, **(known | more))


def _gateway(name: str, state: GatewayState, version: str, instance: InstanceView, **more: Any) -> GatewayView:
    known: dict[str, Any] = {"checked_at": ago(6), "origin": "provisioned", "roster": ["main"]}
    return GatewayView(
        name=name, url=f"http://127.0.0.1:{instance.port}", state=state, version=version,
        instance=replace(instance, customer=name, container=f"openclaw-cell-{name}",
                         folder=f"/srv/clawtui/gateways/{name}"),
        **(known | more),
    )  # fmt: skip


def instances() -> list[GatewayView]:
    phase, state = InstancePhase, GatewayState
    return [
        _gateway("acme", state.READY, "2026.9.6", _instance(
            phase.RUNNING, "pro", 19_100, "2026.9.6", subdomain="acme.example.com",
            public_url="https://acme.example.com", previous_image=f"{_IMAGE}:2026.8.2",
            notes=["the workspace's size is watched, and not limited by the file system"],
        ), response_ms=18.2, roster=["main", "support", "writer"]),
        _gateway("borg", state.DOWN, "2026.8.2", _instance(
            phase.RUNNING, "enterprise", 19_101, "2026.8.2", host="attic", container_state="exited", exit_code=78,
            restarts=7, given_up=True, reason="exit 78: its configuration is not valid",
        ), reason="nothing listens there: connection refused"),
        _gateway("cato", state.NOT_READY, "2026.9.6", _instance(
            phase.UPGRADING, "free", 19_102, "2026.9.6", previous_image=f"{_IMAGE}:2026.8.2",
        ), response_ms=31.0),
        _gateway("dune", state.DOWN, "2026.9.6", _instance(
            phase.STOPPED, "free", 19_104, "2026.9.6", container_state="exited", exit_code=0,
        ), roster=None),
    ]  # fmt: skip


UPGRADE_JOB: Final = JobView(
    id="j-77", kind="gateway.upgrade", state="running", started_at=ago(21), progress=0.6, about="cato",
    message="waiting for /readyz",
    steps=[JobStepView(at=ago(20), message="copying its volumes"), JobStepView(at=ago(4), message="starting 2026.9.6")],
)  # fmt: skip
_TIMES: Final = (18, 17, 22, 19, 40, 21, 18, 95, 20, 18, 17, 18)


def checks(gateway: GatewayView) -> list[GatewayCheck]:
    """One every 30 seconds; those of a gateway that is down had no answer lately."""
    down = gateway.state is GatewayState.DOWN
    found: list[GatewayCheck] = []
    for number, took in enumerate(_TIMES):
        lost = down and number >= len(_TIMES) - 5
        found.append(
            GatewayCheck(
                at=ago(30 * (len(_TIMES) - number)), state=GatewayState.DOWN if lost else GatewayState.READY,
                healthy=not lost, response_ms=None if lost else float(took),
                reason="connection refused" if lost else "",
            )
        )  # fmt: skip
    return found


def health(gateway: GatewayView) -> GatewayHealth:
    down = gateway.state is GatewayState.DOWN
    figures = GatewayFigures(
        checks=2_880, since=ago(86_400), pass_rate=0.871 if down else 1.0, response_ms=24.0, response_p50_ms=18.0,
        response_p95_ms=96.0, restarts=7 if down else 0, restart_success_rate=0.571 if down else None,
    )  # fmt: skip
    return GatewayHealth(name=gateway.name, state=gateway.state, figures=figures, checks=checks(gateway))


BACKUPS: Final = [
    BackupView(id="b-2", gateway="acme", created_at=ago(3_600), size_bytes=84 << 20, files=412,
               image=f"{_IMAGE}:2026.9.6", tier="pro"),
    BackupView(id="b-1", gateway="acme", created_at=ago(86_400), size_bytes=80 << 20, files=400,
               image=f"{_IMAGE}:2026.8.2", tier="pro", consistency="paused"),
]  # fmt: skip
PLAN: Final = DestroyPlan(
    name="acme", data=True, backups=2,
    objects=["container openclaw-cell-acme", "volume openclaw-cell-acme-state", "network openclaw-cell-acme",
             "folder /srv/clawtui/gateways/acme", "gateway acme"],
)  # fmt: skip
LOG: Final = [
    LogEntry(text="[gateway] listening on 0.0.0.0:18789", source="docker", at=ago(40)),
    LogEntry(text="[gateway] ready", source="docker", at=ago(38)),
]
JOB: Final = JobView(id="j-80", kind="gateway.act", state="succeeded", started_at=ago(3), finished_at=ago(1))


def answers() -> dict[str, Any]:
    """A hub with gateways that it runs beside those that others run."""
    known = {one.name: one for one in (*sync_script.gateways(), *instances())}

    def one(name: str) -> GatewayView | NotFound:
        return known.get(name) or NotFound(f"there is no gateway {name!r}")

    def all_health(query: GatewayHealthQuery) -> GatewayHealthList:
        found = [health(each) for each in known.values()]
        return GatewayHealthList(gateways=found, fleet=GatewayFigures())

    def made(request: ProvisionGateway) -> ProvisionedGateway:
        instance = _instance(InstancePhase.PROVISIONING, request.tier, 19_103, "2026.9.6")
        known[request.name] = _gateway(request.name, GatewayState.STARTING, "", instance, roster=None)
        return ProvisionedGateway(job=replace(JOB, about=request.name), credentials=CREDENTIALS)

    def restored(request: RestoreGateway) -> RestoredGateway:
        return RestoredGateway(job=JOB, credentials=CREDENTIALS)

    return {
        "gateways": lambda: GatewayList(gateways=list(known.values())), "gateway": one, "gateway_health": all_health,
        "tiers": TierList(tiers=TIERS), "hosts": HostList(hosts=HOSTS), "provision_gateway": made,
        "gateway_backups": lambda name: BackupList(backups=[each for each in BACKUPS if name in ("", each.gateway)]),
        "plan_destroy_gateway": PLAN, "restore_gateway": restored, "act_on_gateway": JOB, "upgrade_gateway": JOB,
        "upgrade_gateways": JOB, "roll_back_gateway": JOB, "backup_gateway": JOB, "import_gateway": JOB,
        "destroy_gateway": JOB, "delete_gateway_backup": None, "job": JOB,
        "gateway_logs": lambda name, query: Stream(LOG, ends=True),
    }  # fmt: skip
