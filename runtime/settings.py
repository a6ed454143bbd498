"""The agent's settings, read once from the environment and frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

AGENT_ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""An agent's id is its name (protocol: Identity)."""
SECRET_VARIABLES: Final = ("AGENT_TOKEN", "AGENT_TOKEN_FILE")
"""Never passed on to the processes that an agent starts."""


class SettingsError(Exception):
    """A setting is missing or wrong. `variable` names it."""

    def __init__(self, variable: str, message: str) -> None:
        super().__init__(f"{variable}: {message}")
        self.variable = variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an agent needs to know.

    Exactly the environment's documented variables: `HUB_URL` is a base URL (`ws://`, `wss://` or
    `unix:/path`), `HUB_FILE` a `hub.json` that is read again at every attempt to connect and wins
    over `HUB_URL`.
    """

    agent_id: str
    hub_url: str | None
    hub_file: Path | None
    hub_ca_file: Path | None
    token: str | None = field(repr=False)
    token_file: Path | None
    state_dir: Path
    workspace: Path
    capabilities: tuple[str, ...]
    concurrency: int
    sudo: bool
    open_paths: tuple[Path, ...]
    drain_seconds: float
    messages_dir: Path
    child_environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings that the environment describes.

        Raises:
            SettingsError: a value is missing or cannot be used.
        """
        read = _Reader(environment)
        workspace = read.path("AGENT_WORKSPACE", "/workspace")
        settings = cls(
            agent_id=read.agent_id(),
            hub_url=read.hub_url(),
            hub_file=read.optional_path("HUB_FILE"),
            hub_ca_file=read.optional_path("HUB_CA_FILE"),
            token=environment.get("AGENT_TOKEN") or None,
            token_file=read.optional_path("AGENT_TOKEN_FILE"),
            state_dir=read.path("AGENT_STATE_DIR", "/var/lib/clawtui"),
            workspace=workspace,
            capabilities=read.words("AGENT_CAPABILITIES"),
            concurrency=int(read.number("AGENT_CONCURRENCY", 4, least=1, most=1024)),
            sudo=read.flag("AGENT_SUDO"),
            open_paths=read.paths("AGENT_OPEN_PATHS"),
            drain_seconds=read.number("AGENT_DRAIN_SECONDS", 5, least=0, most=86_400),
            messages_dir=read.path("AGENT_MESSAGES_DIR", str(workspace / ".clawtui" / "inbox")),
            child_environment={k: v for k, v in environment.items() if k not in SECRET_VARIABLES},
        )
        if settings.hub_url is None and settings.hub_file is None:
            raise SettingsError("HUB_URL", "say where the hub is, e.g. ws://127.0.0.1:9090, or set HUB_FILE")
        return settings


@dataclass(frozen=True, slots=True)
class _Reader:
    environment: Mapping[str, str]

    def agent_id(self) -> str:
        value = self.environment.get("AGENT_ID", "")
        if not AGENT_ID_PATTERN.fullmatch(value) or value == "hub":
            raise SettingsError("AGENT_ID", f"{value!r} is not a name: a-z, 0-9 and -, at most 40, not 'hub'")
        return value

    def hub_url(self) -> str | None:
        value = self.environment.get("HUB_URL") or None
        if value is not None and not value.startswith(("ws://", "wss://", "unix:/")):
            raise SettingsError("HUB_URL", f"{value!r} does not begin with ws://, wss:// or unix:/")
        return value

    def optional_path(self, variable: str) -> Path | None:
        value = self.environment.get(variable) or None
        if value is None:
            return None
        if not os.path.isabs(value):
            raise SettingsError(variable, f"{value!r} is not an absolute path")
        return Path(value)

    def path(self, variable: str, default: str) -> Path:
        return self.optional_path(variable) or Path(default)

    def paths(self, variable: str) -> tuple[Path, ...]:
        values = [v for v in self.environment.get(variable, "").split(":") if v]
        for value in values:
            if not os.path.isabs(value):
                raise SettingsError(variable, f"{value!r} is not an absolute path")
        return tuple(Path(v) for v in values)

    def words(self, variable: str) -> tuple[str, ...]:
        return tuple(w.strip() for w in self.environment.get(variable, "").split(",") if w.strip())

    def flag(self, variable: str) -> bool:
        value = self.environment.get(variable, "").lower()
        if value in ("", "0", "false", "no"):
            return False
        if value in ("1", "true", "yes"):
            return True
        raise SettingsError(variable, f"{value!r} is not 0 or 1")

    def number(self, variable: str, default: float, *, least: float, most: float) -> float:
        value = self.environment.get(variable, "")
        try:
            number = float(value) if value else default
        except ValueError as exc:
            raise SettingsError(variable, f"{value!r} is not a number") from exc
        if not least <= number <= most:
            raise SettingsError(variable, f"{value} is not between {least:g} and {most:g}")
        return number
