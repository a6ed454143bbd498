"""The registry: what the hub must not forget, in one SQLite file."""

from hub.registry.backup import Restored, default_path, known_backups, restore_backup
from hub.registry.load import Snapshot
from hub.registry.purge import Purged
from hub.registry.store import Registry

__all__ = ["Purged", "Registry", "Restored", "Snapshot", "default_path", "known_backups", "restore_backup"]
