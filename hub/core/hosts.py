"""Docker hosts beside the hub's own engine: what the registry keeps of one."""

from __future__ import annotations

from hub.core.model import Record


class StoredHost(Record, frozen=True):
    """A host that somebody named. `url` is ssh://… or tcp://…; the files are for TLS, on the hub's machine, and are
    read when they are needed. `added_at`: ms since the epoch."""

    name: str
    url: str
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    added_at: int = 0
