"""The folder of an instance, STATE/gateways/NAME: what it is made from, secrets included, and what its container shares
with the hub. Everything here blocks.

A new folder is written under another name and gets its own only by the job that was committed for it: what a killed hub
left without a row is removed by the next start. The folder is the hub's user's alone (0700), so what is inside of
`shared` may be open to the container's user.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from hub.contract import MountMapping, SyncSettings
from hub.core.instances import StoredInstance
from hub.drivers.cells import CellPlan
from hub.errors import Conflict, HubError, NotFound, StorageFull, Unavailable
from hub.gateways.instances.model import SHARED_PATH, Keys, Order, Paths, is_shared
from hub.gateways.instances.plan import compose_document, environment_text, read_environment
from hub.gateways.kinds import ImageKind, find_kind
from hub.gateways.tiers import Tier

FOLDER: Final = "gateways"
STAGED: Final = ".new-"
"""Before the name of a folder that has no row yet; no instance's name begins with a dot."""
PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
COMPOSE_HEAD: Final = """\
# Written by clawtui, which runs this container itself and does not read this file. By hand, when no hub is there:
#   docker-compose up -d
# Stop the hub's container of the same name before, or remove it; the volumes with the data are used as they are.
"""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`order.json`: what of a wish is in no record."""

    tier: Tier
    config: dict[str, Any] = {}
    source: str = ""
    source_folder: str = ""


class Folders:
    """All folders of instances of one hub."""

    def __init__(self, state_folder: Path) -> None:
        self.root = state_folder / FOLDER

    def paths(self, name: str) -> Paths:
        return Paths(self.root / name)

    def staged(self, instance: StoredInstance) -> Paths:
        return Paths(self.root / f"{STAGED}{instance.name}.{instance.uid}")

    def stage(self, order: Order, token: str) -> None:
        """Write what the wish is made of, before its row is there.

        Raises:
            Conflict: a folder of this name is there and no instance has it (code folder_exists).
            StorageFull, Unavailable.
        """
        with _told(self.root):
            there = self.paths(order.instance.name).folder
            if there.exists():
                raise Conflict(
                    f"{there} is there already, of a gateway that this hub does not know",
                    code="folder_exists",
                    field="name",
                    hint="Move it away, or choose another name.",
                )
            paths = self.staged(order.instance)
            paths.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            self.root.chmod(PRIVATE_FOLDER)
            write(paths.token, f"{token}\n".encode())
            write(paths.environment, environment_text(order.secrets.values).encode())
            kept = Kept(tier=order.tier, config=order.config, source=order.source, source_folder=order.source_folder)
            write(paths.order, msgspec.json.format(msgspec.json.encode(kept)))

    def unstage(self, instance: StoredInstance) -> None:
        shutil.rmtree(self.staged(instance).folder, ignore_errors=True)

    def settle(self, instance: StoredInstance) -> None:
        """Give a staged folder its name; fine when it has it. Raises NotFound when neither is there."""
        with _told(self.root):
            paths, staged = self.paths(instance.name), self.staged(instance)
            if staged.folder.exists() and not paths.folder.exists():
                staged.folder.rename(paths.folder)
            if not paths.order.exists():
                raise NotFound(
                    f"the folder {paths.folder} of the gateway {instance.name} is gone",
                    code="folder_missing",
                    hint=f"Its keys were in there. clawtui gateway destroy {instance.name}, and provision it again.",
                )

    def load(self, instance: StoredInstance) -> Order:
        """Return what an instance is made from. Raises NotFound (folder_missing), Unavailable."""
        paths = self.paths(instance.name)
        kind = find_kind(instance.image_kind)
        try:
            kept = msgspec.json.decode(paths.order.read_bytes(), type=Kept)
            secrets = read_environment(paths.environment.read_text())
        except FileNotFoundError as exc:
            raise NotFound(
                f"{exc.filename} of the gateway {instance.name} is gone",
                code="folder_missing",
                hint="Put it back from a backup, or destroy the gateway and provision it again.",
            ) from exc
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Unavailable(
                f"{paths.folder} cannot be read: {type(exc).__name__}", code="folder_unreadable", retryable=False
            ) from exc
        return Order(
            instance=instance,
            tier=kept.tier,
            kind=kind,
            secrets=Keys(secrets),
            config=kept.config,
            shared=is_shared(kind, instance.host),
            source=kept.source,
            source_folder=kept.source_folder,
        )

    def write_run(self, order: Order, plan: CellPlan, config: dict[str, Any]) -> None:
        """Write the Compose file and, where the container shares it, the configuration; an existing one stays: the
        profile sync has written into it. Raises StorageFull, Unavailable."""
        paths = self.paths(order.instance.name)
        with _told(paths.folder):
            document = yaml.safe_dump(compose_document(plan, order.instance.platform), sort_keys=False)
            write(paths.compose, f"{COMPOSE_HEAD}{document}".encode())
            if order.shared:
                _open_to(paths.shared, order.kind.uid)
                _open_to(paths.workspaces, order.kind.uid)
                if not paths.config.exists():
                    write(paths.config, config_bytes(config), 0o644)

    def remove(self, instance: StoredInstance) -> None:
        """Remove the folder of exactly this incarnation, and a staged one. Raises Unavailable."""
        self.unstage(instance)
        folder = self.paths(instance.name).folder
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise Unavailable(
                f"{exc.filename or folder} cannot be removed: {exc.strerror}",
                code="folder_not_removed",
                hint="Files of the container's user need root: sudo rm -r, then the same again.",
            ) from exc

    def sweep(self, instances: Iterable[StoredInstance]) -> None:
        """Remove staged folders that no row has: their provisioning was never begun."""
        known = {self.staged(instance).folder.name for instance in instances}
        with contextlib.suppress(FileNotFoundError):
            for folder in self.root.iterdir():
                if folder.name.startswith(STAGED) and folder.name not in known:
                    shutil.rmtree(folder, ignore_errors=True)


def sync_settings(paths: Paths, kind: ImageKind, source: str, folder: str) -> SyncSettings:
    """Return the profile sync of an instance whose files the hub shares: written so that the container's user may
    change workspaces, whoever the hub is."""
    euid = os.geteuid()
    owner = f"{kind.uid}:{kind.uid}" if euid == 0 else ""
    foreign = euid not in (0, kind.uid)
    return SyncSettings(
        source="folder" if source == "folder" else "registry",
        folder=folder,
        workspace_root=str(paths.workspaces),
        config_path=str(paths.config),
        mounts=[MountMapping(host=str(paths.shared), container=SHARED_PATH)],
        owner=owner,
        file_mode="0666" if foreign else "0644",
        folder_mode="0777" if foreign else "0755",
    )


def config_bytes(config: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(config)) + b"\n"


def write(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write so that a reader sees the old or the new file. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)


def _open_to(folder: Path, uid: int) -> None:
    """Make a folder that the container's user may write into."""
    folder.mkdir(exist_ok=True)
    euid = os.geteuid()
    if euid == 0:
        os.chown(folder, uid, uid)
    folder.chmod(0o755 if euid in (0, uid) else 0o777)


@contextlib.contextmanager
def _told(where: Path) -> Iterator[None]:
    try:
        yield
    except HubError:
        raise
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFull(f"the disk of {where} is full") from exc
        raise Unavailable(
            f"{exc.filename or where} cannot be written: {exc.strerror}", code="folder_not_writable", retryable=False
        ) from exc
