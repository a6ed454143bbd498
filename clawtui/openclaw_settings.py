"""Settings of the OpenClaw gateway of the environment, and of the sync of its personas: rows of the table in
`clawtui.settings`, under the names that OpenClaw and Convex have for them."""

import dataclasses
from pathlib import Path
from typing import Annotated

from clawtui.values import RELOADS, Row, as_command, as_list, as_path, as_reload, as_switch


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenclawSettings:
    """Fields of `clawtui.settings.Settings`."""

    openclaw_profile_sync: Annotated[
        bool | None,
        Row(
            "false: no gateway's files are kept in step; true: those of this environment's gateway are, "
            "with the documented paths where none are given",
            as_switch,
            hub="openclaw.profile_sync",
            env="OPENCLAW_PROFILE_SYNC",
        ),
    ] = None
    openclaw_workspace_root: Annotated[
        Path | None,
        Row(
            "Folder of the personas' workspaces; empty = /root/clawd/agents",
            as_path,
            hub="openclaw.workspace_root",
            env="OPENCLAW_WORKSPACE_ROOT",
        ),
    ] = None
    openclaw_config_path: Annotated[
        Path | None,
        Row(
            "The gateway's openclaw.json; empty = /root/clawd/openclaw.json",
            as_path,
            hub="openclaw.config_path",
            env="OPENCLAW_CONFIG_PATH",
        ),
    ] = None
    openclaw_config_reload: Annotated[
        str,
        Row(
            f"How the gateway takes a new config: {', '.join(RELOADS)}",
            as_reload,
            hub="openclaw.reload",
            env="OPENCLAW_CONFIG_RELOAD",
        ),
    ] = "auto"
    openclaw_restart_command: Annotated[
        tuple[str, ...],
        Row(
            "Program with arguments that restarts the gateway; no shell",
            as_command,
            hub="openclaw.restart_command",
            env="OPENCLAW_RESTART_COMMAND",
        ),
    ] = ()
    openclaw_gateway_container: Annotated[
        str,
        Row(
            "Container on the hub's Docker engine that the gateway runs in: its mounts are looked at, it checks a new "
            "config, and it is restarted where there is no command for that",
            hub="openclaw.container",
            env="OPENCLAW_GATEWAY_CONTAINER",
        ),
    ] = ""
    openclaw_mounts: Annotated[
        tuple[str, ...],
        Row(
            "Where the gateway's container sees folders of this machine, as HOST=CONTAINER",
            as_list,
            hub="openclaw.mounts",
            env="OPENCLAW_MOUNTS",
        ),
    ] = ()
    openclaw_gateway_url: Annotated[
        str,
        Row(
            "Address of the gateway, e.g. http://127.0.0.1:18789",
            hub="openclaw.gateway_url",
            env="OPENCLAW_GATEWAY_URL",
        ),
    ] = ""
    openclaw_gateway_token: Annotated[
        str,
        Row(
            "Token for the gateway; better kept in a file",
            hub="openclaw.gateway_token",
            secret=True,
            env="OPENCLAW_GATEWAY_TOKEN",
        ),
    ] = ""
    openclaw_gateway_token_file: Annotated[
        Path | None,
        Row(
            "File that holds the token for the gateway",
            as_path,
            hub="openclaw.gateway_token_file",
            env="OPENCLAW_GATEWAY_TOKEN_FILE",
        ),
    ] = None
    openclaw_profiles_folder: Annotated[
        Path | None,
        Row(
            "Folder of profile files with personas for this gateway; empty = the hub's profiles",
            as_path,
            hub="openclaw.profiles_folder",
            env="OPENCLAW_PROFILES_FOLDER",
        ),
    ] = None
    openclaw_binary: Annotated[
        str,
        Row(
            "The openclaw program that checks a config before it is used; empty = the one in PATH, if any",
            hub="openclaw.binary",
        ),
    ] = ""
    convex_url: Annotated[
        str,
        Row(
            "Convex deployment that personas come from; empty = a folder, or the hub's profiles",
            hub="openclaw.convex_url",
            env="CONVEX_URL",
        ),
    ] = ""
    convex_service_token: Annotated[
        str,
        Row(
            "Service token for Convex; better kept in a file",
            hub="openclaw.convex_token",
            secret=True,
            env="CONVEX_SERVICE_TOKEN",
        ),
    ] = ""
    convex_service_token_file: Annotated[
        Path | None,
        Row(
            "File that holds the service token for Convex",
            as_path,
            hub="openclaw.convex_token_file",
            env="CONVEX_SERVICE_TOKEN_FILE",
        ),
    ] = None
    convex_account_id: Annotated[
        str, Row("Account whose agents Convex is asked for", hub="openclaw.convex_account", env="CONVEX_ACCOUNT_ID")
    ] = ""
