"""From a gateway's settings, checked when they were taken, to its sync, ready to run; files are read now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from hub.config import Openclaw
from hub.contract import SyncSettings
from hub.errors import BadRequest
from hub.gateways.book import Gateway
from hub.gateways.secret import Secret, read_secret
from hub.profiles import ProfileBook
from hub.sync.built import Built
from hub.sync.policy import Reload
from hub.sync.sources import RegistrySource
from profiles.sync.beneath import hint_for
from profiles.sync.errors import SyncError
from profiles.sync.models import load_models
from profiles.sync.mounts import Mount
from profiles.sync.openclaw_roster import Shape
from profiles.sync.render import Shared
from profiles.sync.report import Target
from profiles.sync.sources.base import Source
from profiles.sync.sources.convex import ConvexSource
from profiles.sync.sources.folder import FolderSource

MOST_AGENTS_BYTES: Final = 1 << 20


def builder(profiles: ProfileBook, environment: Openclaw) -> Callable[[Gateway], Built]:
    """Return what makes a gateway's sync ready; it blocks, and raises SyncError."""
    seen: set[Path] = set()

    def build(gateway: Gateway) -> Built:
        settings = gateway.sync
        if settings is None:
            raise SyncError(f"gateway {gateway.name} has no sync", f"clawtui gateway sync {gateway.name}")
        token = Secret(environment.convex_token) if gateway.environment else Secret("")
        return Built(
            target=target_of(settings),
            source=_source(settings, profiles, seen, token),
            reload=Reload(settings.reload),
            restart_command=tuple(settings.restart_command),
            container=settings.container,
            personas=frozenset(settings.personas),
            folders=_folders(settings, profiles),
            files=tuple(Path(path) for path in (settings.agents_file, settings.models_file) if path),
            settings=msgspec.json.encode(settings).decode(),
        )

    return build


def target_of(settings: SyncSettings) -> Target:
    """Return the files of a gateway. Reads the shared instructions and the model map. Raises SyncError."""
    uid, _, gid = settings.owner.partition(":")
    return Target(
        root=Path(settings.workspace_root),
        config=Path(settings.config_path),
        mounts=tuple(Mount(host=mount.host, container=mount.container) for mount in settings.mounts),
        shape=Shape(settings.shape),
        models=load_models(Path(settings.models_file) if settings.models_file else None),
        shared=Shared(agents=_text(Path(settings.agents_file))) if settings.agents_file else Shared(),
        file_mode=int(settings.file_mode, 8),
        folder_mode=int(settings.folder_mode, 8),
        uid=int(uid) if uid else None,
        gid=int(gid) if gid else None,
        system_slug=settings.system_agent,
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_AGENTS_BYTES + 1)
    except OSError as exc:
        raise SyncError(f"the shared instructions {path} cannot be read: {exc.strerror}", hint_for(exc)) from exc
    if len(content) > MOST_AGENTS_BYTES:
        raise SyncError(f"the shared instructions {path} are longer than {MOST_AGENTS_BYTES >> 20} MiB")
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise SyncError(f"the shared instructions {path} are not UTF-8 text (byte {exc.start})") from exc


def _source(settings: SyncSettings, profiles: ProfileBook, seen: set[Path], token: Secret) -> Source:
    if settings.source == "folder":
        return FolderSource(Path(settings.folder))
    if settings.source == "registry":
        return RegistrySource(profiles, seen)
    return ConvexSource(settings.convex_url, settings.convex_account, lambda: _token(settings, token))


def _token(settings: SyncSettings, token: Secret) -> str:
    """As its file has it now; `token` where there is none. Plain text: it goes into the body of a request."""
    if not settings.convex_token_file:
        return str(token)
    try:
        return str(read_secret(settings.convex_token_file, "convexTokenFile"))
    except BadRequest as exc:
        raise SyncError(exc.message, exc.hint) from exc


def _folders(settings: SyncSettings, profiles: ProfileBook) -> tuple[Path, ...]:
    if settings.source == "folder":
        return (Path(settings.folder),)
    return tuple(profiles.folders) if settings.source == "registry" else ()
