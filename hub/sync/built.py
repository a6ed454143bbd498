"""One gateway's sync, ready to run: its files, its source, and what makes its gateway take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from hub.sync.policy import Reload
from profiles.sync.config_file import ConfigFile
from profiles.sync.errors import SyncError
from profiles.sync.files import Stamp
from profiles.sync.openclaw_json5 import Plain, parse, plain
from profiles.sync.report import Target
from profiles.sync.sources.base import Source


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """`folders`: where a new file may be a new persona; `files`: others that the sync depends on. `personas`: only
    these slugs, empty = all. `settings`: a text that is another one when the settings are. `container`: the one that
    the gateway runs in."""

    target: Target
    source: Source
    reload: Reload = Reload.AUTO
    restart_command: tuple[str, ...] = ()
    container: str = ""
    personas: frozenset[str] = frozenset()
    folders: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    settings: str = ""

    @property
    def can_restart(self) -> bool:
        """There is something that restarts the gateway."""
        return bool(self.restart_command or self.container)


class ConfigFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway's config says. `agents`: everybody in its roster, None where that cannot be told (the file is not
    there, is not valid, or includes others). `watches`: the gateway looks at the file by itself."""

    agents: frozenset[str] | None = None
    watches: bool = True


def config_facts(path: Path) -> ConfigFacts:
    """Read a config. Blocks; raises nothing."""
    try:
        # As the sync itself reads it: a pipe in its place must not be waited for.
        text = ConfigFile(path, Stamp()).read()
        return ConfigFacts() if text is None else facts_of(plain(parse(text).root), whole="$include" not in text)
    except (SyncError, RecursionError):
        return ConfigFacts()


def facts_of(config: Plain, *, whole: bool = True) -> ConfigFacts:
    agents, gateway = _table(config, "agents"), _table(config, "gateway")
    entries, listed = agents.get("entries"), agents.get("list")
    found: Collection[object] = ()
    if isinstance(entries, Mapping):
        found = list(entries)
    elif isinstance(listed, list):
        found = [one.get("id") for one in listed if isinstance(one, Mapping)]
    slugs = frozenset(one for one in found if isinstance(one, str))
    watches = _table(gateway, "reload").get("mode") != "off"
    return ConfigFacts(agents=slugs if whole and slugs else None, watches=watches)


def _table(value: object, key: str) -> Mapping[str, object]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
