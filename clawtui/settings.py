"""Settings: defaults < TOML file < environment < command line, read once, frozen.

`Settings` is the one table: its fields carry name, default, flag and help, and help, `docs/settings.md`
and the hub's configuration are made from it or checked against it.
"""

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Self

from clawtui.errors import UsageError
from clawtui.ingress_settings import IngressSettings
from clawtui.openclaw_settings import OpenclawSettings
from clawtui.values import (
    KINDS,
    LOG_LEVELS,
    THEMES,
    Row,
    as_bool,
    as_int,
    as_keys,
    as_list,
    as_log_level,
    as_path,
    as_port,
    as_seconds,
    as_size,
    as_theme,
)

APP_NAME: Final = "clawtui"
DEFAULT: Final = "default"
COMMAND_LINE: Final = "command line"


class Spec(NamedTuple):
    """One row of the table. `flag` is empty where there is none, `kind` names the type for people."""

    name: str
    kind: str
    default: Any
    env: str
    flag: str
    row: Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(IngressSettings, OpenclawSettings):
    """Every setting with its value; `origins` says where each value that is no default comes from."""

    # --- where things are
    home: Annotated[Path | None, Row("State folder; empty = the platform's user state folder", as_path, flag=True)] = (
        None
    )
    hub: Annotated[
        str, Row("Address of a hub elsewhere, e.g. https://hub.example:9091; empty = the local hub", flag=True)
    ] = ""
    token: Annotated[str, Row("Token for the hub; better kept in a file", secret=True)] = ""
    token_file: Annotated[Path | None, Row("File that holds the token for the hub", as_path, flag=True)] = None
    ca_file: Annotated[
        Path | None, Row("Certificates (PEM) to trust for a hub under a private CA", as_path, flag=True)
    ] = None
    # --- the command line as a client
    request_timeout_seconds: Annotated[float, Row("How long a call to the hub may take", as_seconds)] = 30.0
    hub_return_seconds: Annotated[
        float, Row("How long a stream or a submission waits for a hub that went away in the middle", as_seconds)
    ] = 60.0
    # --- the screen
    keys: Annotated[
        tuple[str, ...],
        Row('Keys of the screen, e.g. keys = { "agent.restart" = "ctrl+r" }; ids are in docs/screen.md', as_keys),
    ] = ()
    theme: Annotated[
        str, Row(f"Colours of the screen: {', '.join(THEMES)}; stronger than what `:theme` chose last", as_theme)
    ] = "dark"
    history: Annotated[
        bool, Row("Keep the lines entered at `:` and `/` from one start of the screen to the next", as_bool)
    ] = True
    # --- addresses of the hub that `--serve` starts
    port_agents: Annotated[
        int, Row("Port of the agents' WebSocket; 0 = a free one", as_port, hub="agents_port", flag=True)
    ] = 9090
    port_api: Annotated[int, Row("Port of the HTTP API; 0 = a free one", as_port, hub="api_port", flag=True)] = 9091
    listen_agents: Annotated[tuple[str, ...], Row("Addresses for agents", as_list, hub="listen_agents", flag=True)] = (
        "127.0.0.1",
    )
    listen_api: Annotated[
        tuple[str, ...],
        Row("Addresses of the HTTP API; beyond loopback with TLS only", as_list, hub="listen_api", flag=True),
    ] = ("127.0.0.1",)
    advertise_agents: Annotated[str, Row("URL that agents are told to dial", hub="advertise_agents", flag=True)] = ""
    tls_cert: Annotated[Path | None, Row("Certificate (PEM) of the listeners", as_path, flag=True)] = None
    tls_key: Annotated[Path | None, Row("Key (PEM) of the certificate", as_path, flag=True)] = None
    insecure_listen: Annotated[
        bool, Row("Listen beyond loopback without TLS", as_bool, hub="insecure_listen", flag=True)
    ] = False
    # --- the hub's drivers and logs
    drivers: Annotated[tuple[str, ...], Row("Drivers that the hub offers", as_list, hub="drivers", flag=True)] = (
        "docker",
        "process",
    )
    default_driver: Annotated[
        str,
        Row("Driver of `create` without --driver; empty = docker where it works, else process", hub="default_driver"),
    ] = ""
    profiles: Annotated[
        Path, Row("Folder of the project's profiles, seen from where the hub starts", as_path, hub="profiles_folder")
    ] = Path("profiles")
    log_level: Annotated[str, Row(f"The hub's log level: {', '.join(LOG_LEVELS)}", as_log_level, flag=True)] = "info"
    log_file: Annotated[Path | None, Row("File for the hub's JSON log; empty = stderr", as_path, flag=True)] = None
    # --- retention
    task_days: Annotated[float, Row("Days that ended tasks are kept", as_seconds, hub="retention.task_days")] = 30.0
    output_days: Annotated[float, Row("Days that task output is kept", as_seconds, hub="retention.output_days")] = 7.0
    output_bytes: Annotated[int, Row("Most task output that is kept", as_size, hub="retention.output_bytes")] = (
        10 * 1024**3
    )
    audit_days: Annotated[float, Row("Days that the audit is kept", as_seconds, hub="retention.audit_days")] = 365.0
    # --- periods, in seconds
    health_interval_seconds: Annotated[
        float, Row("How often agents report health", as_seconds, hub="timing.health_interval_seconds")
    ] = 30.0
    stale_after_seconds: Annotated[
        float, Row("Silence after which an agent is stale", as_seconds, hub="timing.stale_after_seconds")
    ] = 45.0
    lost_after_seconds: Annotated[
        float, Row("Silence after which a running task is lost, at least", as_seconds, hub="timing.lost_after_seconds")
    ] = 900.0
    lease_seconds: Annotated[
        float,
        Row("How long an agent without hub goes on with `onDisconnect: stop`", as_seconds, hub="timing.lease_seconds"),
    ] = 60.0
    join_token_seconds: Annotated[float, Row("Life of a join token", as_seconds, hub="timing.join_token_seconds")] = (
        3600.0
    )
    stop_grace_seconds: Annotated[
        float, Row("Time between TERM and KILL when an agent stops", as_seconds, hub="timing.stop_grace_seconds")
    ] = 15.0
    cancel_grace_seconds: Annotated[
        float, Row("Time between TERM and KILL when a task is cancelled", as_seconds, hub="timing.cancel_grace_seconds")
    ] = 10.0
    reconcile_seconds: Annotated[
        float,
        Row("How often the hub compares its agents with the platform", as_seconds, hub="timing.reconcile_seconds"),
    ] = 10.0
    gateway_seconds: Annotated[
        float, Row("How often every OpenClaw gateway is looked at", as_seconds, hub="timing.gateway_seconds")
    ] = 30.0
    # --- bounds
    queue_tasks: Annotated[int, Row("Open tasks per agent", as_int, hub="limits.queue_tasks")] = 20_000
    queue_bytes: Annotated[int, Row("Size of the open tasks per agent", as_size, hub="limits.queue_bytes")] = (
        64 * 1024**2
    )
    queued_messages: Annotated[
        int, Row("Messages between agents that wait for one agent", as_int, hub="limits.queued_messages")
    ] = 1_000
    shells_per_agent: Annotated[int, Row("Open terminals per agent", as_int, hub="limits.shells_per_agent")] = 16
    dispatch_agents: Annotated[int, Row("Agents in one dispatch", as_int, hub="limits.dispatch_agents")] = 10_000
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def state_folder(self) -> Path:
        """Where the local hub keeps its registry, and where its address is found."""
        if self.home is not None:
            return self.home.absolute()
        import platformdirs  # costs 20 ms that a verb with --home need not pay

        return Path(platformdirs.user_state_dir(APP_NAME, appauthor=False))

    def origin(self, name: str) -> str:
        return self.origins.get(name, DEFAULT)

    def overridden(self, values: Mapping[str, Any], origin: str = COMMAND_LINE) -> Self:
        """The same settings with `values` on top; a value of None changes nothing.

        Raises:
            UsageError: a value that its setting cannot take.
        """
        parsed = {name: _parse(name, value, origin) for name, value in values.items() if value is not None}
        origins = {**self.origins, **dict.fromkeys(parsed, origin)}
        return dataclasses.replace(self, **parsed, origins=origins)


def _specs() -> dict[str, Spec]:
    rows: dict[str, Spec] = {}
    inherited = {field.name for base in (IngressSettings, OpenclawSettings) for field in dataclasses.fields(base)}
    # Fields of a base come first; what most people never set is better shown last.
    for field in sorted(dataclasses.fields(Settings), key=lambda field: field.name in inherited):
        for row in getattr(field.type, "__metadata__", ()):
            env = row.env or f"CLAWTUI_{field.name.upper()}"
            flag = f"--{field.name.replace('_', '-')}" if row.flag else ""
            rows[field.name] = Spec(field.name, KINDS[row.parse], field.default, env, flag, row)
    return rows


SPECS: Final[dict[str, Spec]] = _specs()
"""The table by name, in the order in which settings are shown."""


def _parse(name: str, value: Any, origin: str) -> Any:
    try:
        return SPECS[name].row.parse(value)
    except ValueError as exc:
        raise UsageError(f"setting {name} from {origin}: {exc}", field=name) from exc


def config_path(environ: Mapping[str, str]) -> Path:
    """The settings file: CLAWTUI_CONFIG, else `config.toml` in the user's configuration folder."""
    if named := environ.get("CLAWTUI_CONFIG"):
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir(APP_NAME, appauthor=False)) / "config.toml"


def read_file(path: Path, *, required: bool) -> dict[str, Any]:
    """The file's settings by name; empty when the file does not exist and nobody asked for it.

    Raises:
        UsageError: unreadable, no TOML, or a key that is no setting (with the nearest that is).
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if required:
            raise UsageError(f"the settings file {path} does not exist") from exc
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"cannot read the settings file {path}: {exc}") from exc
    for key in table:
        if key not in SPECS:
            nearest = difflib.get_close_matches(key, SPECS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else "`clawtui settings` lists them all"
            raise UsageError(f"{path}: there is no setting {key!r}", field=key, hint=hint)
    return table


def load_settings(
    environ: Mapping[str, str] | None = None,
    command_line: Mapping[str, Any] | None = None,
    config: Path | None = None,
) -> Settings:
    """Read every source once, the stronger over the weaker. `config`: a file named by --config.

    Raises:
        UsageError: see `read_file`; or a value that its setting cannot take, with its origin.
    """
    environ = os.environ if environ is None else environ
    path = config or config_path(environ)
    required = config is not None or "CLAWTUI_CONFIG" in environ
    settings = Settings().overridden(read_file(path, required=required), str(path))
    for name, spec in SPECS.items():
        if environ.get(spec.env):
            settings = settings.overridden({name: environ[spec.env]}, spec.env)
    return settings.overridden(command_line or {})
