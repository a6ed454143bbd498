"""What a hub is told when it starts: one frozen value, read once, passed down as arguments."""

from __future__ import annotations

from pathlib import Path

import msgspec

DEFAULT_AGENTS_PORT = 9090
DEFAULT_API_PORT = 9091


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files for the listeners that are not Unix sockets."""

    certificate: Path
    key: Path


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long ended things are kept (delivery contract, rule 11). `task_days` goes for void tokens too."""

    task_days: float = 30.0
    output_days: float = 7.0
    output_bytes: int = 10 * 1024**3
    audit_days: float = 365.0


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Every period of the hub, in seconds; the defaults are those of the delivery contract."""

    health_interval_seconds: float = 30.0
    stale_after_seconds: float = 45.0
    lost_after_seconds: float = 900.0
    lease_seconds: float = 60.0
    ping_seconds: float = 20.0
    pong_seconds: float = 20.0
    handshake_seconds: float = 10.0
    join_token_seconds: float = 3600.0
    stop_grace_seconds: float = 15.0
    cancel_grace_seconds: float = 10.0
    reconcile_seconds: float = 10.0
    retention_seconds: float = 3600.0
    drain_seconds: float = 5.0
    snapshots_seconds: float = 10.0
    """How often schedules, retention and what is left to remove of snapshots are looked at."""
    gateway_seconds: float = 30.0
    """How often every OpenClaw gateway is looked at."""
    instance_ready_seconds: float = 300.0
    """How long a gateway that the hub starts may take to be ready."""
    instance_poll_seconds: float = 1.0
    """How often it is asked meanwhile."""
    instance_steady_seconds: float = 10.0
    """How long one that was upgraded must stay ready before the old version is given up."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of everything that could grow."""

    queue_tasks: int = 20_000
    """Open tasks per agent."""
    queue_bytes: int = 64 * 1024 * 1024
    """Encoded specs of open tasks per agent."""
    queued_messages: int = 1_000
    """Application messages waiting for one agent."""
    outbox_frames: int = 1_000
    outbox_bytes: int = 4 * 1024 * 1024
    unauthenticated_sockets: int = 512
    handshakes_per_second: float = 400.0
    feed_events: int = 4_096
    shells_per_agent: int = 16
    dispatch_agents: int = 10_000


class Openclaw(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenClaw gateway of the hub's environment, and where its personas come from.

    There is one when `workspace_root` or `config_path` is given or `profile_sync` is true. `profile_sync` false
    switches the sync of all gateways off. `mounts`: `HOST=CONTAINER` each. Text is as given: whoever uses it checks it.
    """

    profile_sync: bool | None = None
    workspace_root: Path | None = None
    config_path: Path | None = None
    reload: str = "auto"
    restart_command: tuple[str, ...] = ()
    container: str = ""
    mounts: tuple[str, ...] = ()
    gateway_url: str = ""
    gateway_token: str = ""
    gateway_token_file: Path | None = None
    profiles_folder: Path | None = None
    binary: str = ""
    convex_url: str = ""
    convex_token: str = ""
    convex_token_file: Path | None = None
    convex_account: str = ""


class Ingress(msgspec.Struct, frozen=True, kw_only=True):
    """The reverse proxy in front of gateways. `kind` is `off` or `caddy`; text is as given: whoever uses it checks it.

    `config`: the file of sites that the hub writes. `caddyfile`: of a Caddy that runs already and imports it; None: the
    hub runs one of its own. `admin`: where Caddy takes its configuration. `tls` is `internal`, `automatic` or `files`.
    `ca`: whom looks through the proxy trust beside the system. `http_port` 0: nothing is answered without TLS.
    """

    kind: str = "off"
    domain: str = ""
    config: Path | None = None
    caddyfile: Path | None = None
    admin: str = ""
    caddy: str = "caddy"
    tls: str = "internal"
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    listen: tuple[str, ...] = ()
    http_port: int = 80
    https_port: int = 443
    body_bytes: int = 64 * 1024**2


class HubConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`agents_port` and `api_port`: 0 picks a free port, None closes the TCP listener."""

    state_folder: Path
    agents_port: int | None = DEFAULT_AGENTS_PORT
    api_port: int | None = DEFAULT_API_PORT
    listen_agents: tuple[str, ...] = ("127.0.0.1",)
    listen_api: tuple[str, ...] = ("127.0.0.1",)
    advertise_agents: str | None = None
    tls: TlsFiles | None = None
    insecure_listen: bool = False
    drivers: tuple[str, ...] = ("docker", "process")
    default_driver: str = ""
    profiles_folder: Path | None = Path("profiles")
    """Of the project's profiles, seen from where the hub starts; None = there are none beside the user's."""
    version: str = ""
    openclaw: Openclaw = Openclaw()
    ingress: Ingress = Ingress()
    retention: Retention = Retention()
    timing: Timing = Timing()
    limits: Limits = Limits()
