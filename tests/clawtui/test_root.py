"""From settings to a hub's configuration, and what a hub cannot start with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawtui import __version__
from clawtui.root import hub_config
from clawtui.settings import SPECS, Settings
from hub.config import HubConfig, Limits, Openclaw, Retention, Timing, TlsFiles
from hub.errors import StartFailed


def test_the_defaults_are_the_hubs_own() -> None:
    expected = HubConfig(state_folder=Settings().state_folder, version=__version__)
    assert hub_config(Settings()) == expected


def test_every_setting_reaches_its_field() -> None:
    fields: dict[str, Any] = {
        "port_agents": 1, "port_api": 2, "listen_agents": "h", "listen_api": "i", "advertise_agents": "wss://a",
        "insecure_listen": True, "drivers": "process", "default_driver": "process",
        "profiles": "/p",
    }  # fmt: skip
    words = {
        "openclaw_profile_sync": "false", "openclaw_config_reload": "off", "ingress": "caddy", "ingress_tls": "files",
    }  # fmt: skip
    for name, spec in SPECS.items():
        if "." in spec.row.hub:
            other = words.get(name, "/x")
            fields[name] = spec.default + 1 if isinstance(spec.default, (int, float)) else other
    config = hub_config(Settings(home=Path("/h")).overridden(fields))
    for name, spec in SPECS.items():
        if spec.row.hub:
            group, _, field = spec.row.hub.rpartition(".")
            value = getattr(getattr(config, group) if group else config, field)
            default = getattr(getattr(HubConfig(state_folder=Path("/h")), group), field) if group else spec.default
            assert value != default, name
    assert config.state_folder == Path("/h")


def test_what_the_settings_leave_out_of_the_hubs_configuration_is_left_out_on_purpose() -> None:
    """Periods and bounds that nobody needs to set; adding one to the configuration means deciding here."""
    named = {spec.row.hub for spec in SPECS.values()}
    groups = {"timing": Timing, "limits": Limits, "retention": Retention, "openclaw": Openclaw}
    missing = {f"{name}.{field}" for name, kind in groups.items() for field in kind.__struct_fields__} - named
    assert missing == {
        "timing.ping_seconds", "timing.pong_seconds", "timing.handshake_seconds", "timing.retention_seconds",
        "timing.drain_seconds", "timing.snapshots_seconds", "timing.instance_ready_seconds",
        "timing.instance_steady_seconds", "timing.instance_poll_seconds", "limits.outbox_frames",
        "limits.outbox_bytes", "limits.unauthenticated_sockets",
        "limits.handshakes_per_second", "limits.feed_events",
    }  # fmt: skip


def test_tls_needs_both_files() -> None:
    both = Settings(tls_cert=Path("c"), tls_key=Path("k"))
    assert hub_config(both).tls == TlsFiles(certificate=Path("c"), key=Path("k"))
    for half in (Settings(tls_cert=Path("c")), Settings(tls_key=Path("k"))):
        with pytest.raises(StartFailed, match="certificate and its key"):
            hub_config(half)


def test_a_configuration_is_one_frozen_value() -> None:
    assert msgspec.structs.replace(hub_config(Settings()), version="x").version == "x"
    with pytest.raises(AttributeError):
        hub_config(Settings()).version = "x"  # pyright: ignore[reportAttributeAccessIssue]
