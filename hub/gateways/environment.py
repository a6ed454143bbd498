"""The gateway of the hub's settings, as one of the book. Pure."""

from __future__ import annotations

from typing import Final

from hub.config import Openclaw
from hub.contract import MountMapping, SyncSettings
from hub.errors import BadRequest, StartFailed
from hub.gateways.book import Gateway
from hub.gateways.checking import check_sync, check_url
from hub.gateways.secret import Secret

NAME: Final = "openclaw"
WORKSPACE_ROOT: Final = "/root/clawd/agents"
CONFIG_PATH: Final = "/root/clawd/openclaw.json"
"""Where an OpenClaw of this environment has them when it does not say otherwise."""


def environment_gateway(given: Openclaw) -> Gateway | None:
    """Return the gateway that the settings describe, or None.

    It has a sync when a folder of it is named or the sync is switched on, and an address when one is given.
    Raises StartFailed: what the settings say is wrong.
    """
    synced = bool(given.workspace_root or given.config_path or given.profile_sync)
    if not synced and not given.gateway_url:
        return None
    try:
        return Gateway(
            name=NAME,
            url=check_url(given.gateway_url, "OPENCLAW_GATEWAY_URL") if given.gateway_url else "",
            token_file=str(given.gateway_token_file or ""),
            token=Secret("" if given.gateway_token_file else given.gateway_token),
            sync=_checked(given) if synced and given.profile_sync is not False else None,
            environment=True,
        )
    except BadRequest as exc:
        raise StartFailed(
            f"the OpenClaw gateway of the hub's settings is not right: {exc.message}",
            code="openclaw_settings",
            field=exc.field,
            hint=exc.hint or "clawtui settings shows where each comes from",
        ) from exc


def _checked(given: Openclaw) -> SyncSettings:
    return check_sync(_sync(given), has_token=bool(given.convex_token))


def _sync(given: Openclaw) -> SyncSettings:
    common = {
        "workspace_root": str(given.workspace_root or WORKSPACE_ROOT),
        "config_path": str(given.config_path or CONFIG_PATH),
        "mounts": [_mount(text) for text in given.mounts],
        "reload": given.reload,
        "restart_command": list(given.restart_command),
        "container": given.container,
    }
    if given.convex_url:
        return SyncSettings(
            source="convex",
            convex_url=given.convex_url,
            convex_account=given.convex_account,
            convex_token_file=str(given.convex_token_file or ""),
            **common,
        )
    if given.profiles_folder is not None:
        return SyncSettings(source="folder", folder=str(given.profiles_folder), **common)
    return SyncSettings(**common)


def _mount(text: str) -> MountMapping:
    host, equals, container = text.partition("=")
    if not equals:
        raise BadRequest(
            f"{text[:120]!r} is no mount", field="OPENCLAW_MOUNTS", hint="HOST=CONTAINER, two absolute paths"
        )
    return MountMapping(host=host, container=container)
