"""Our own look at a gateway's configuration: the strict rules about agents, and what stops a gateway from starting.

A gateway that runs skips an invalid file, and its next start ends with exit code 78, so this is asked before a file is
replaced. `openclaw config validate` knows more and is asked too where there is one. The keys are those of the schemas
that the gateways 2026.7.35 and 2026.9.6 print.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final, cast

import msgspec

from profiles.sync.errors import ConfigError
from profiles.sync.openclaw_json5 import Plain, parse, plain
from profiles.sync.openclaw_roster import AGENT_ID, Shape, is_known, month_of, shape_for, usable_avatar

ENTRY_KEYS: Final = frozenset((
    "agentDir", "bootstrapMaxChars", "bootstrapTotalMaxChars", "contextInjection", "contextLimits",
    "default", "description", "embeddedAgent", "experimental",
    "fastModeDefault", "groupChat", "heartbeat", "humanDelay", "identity", "model",
    "models", "name", "params", "reasoningDefault", "runtime", "sandbox", "skills",
    "skillsLimits", "subagents", "thinkingDefault", "toolProgressDetail", "tools", "tts",
    "utilityModel", "verboseDefault", "workspace",
))  # fmt: skip
"""Of an agent, in both versions."""
MONTH_KEYS: Final = {
    (2026, 9): frozenset(("cwd", "decisionModel", "memory", "modelPolicy", "typingMode")),
    (2026, 7): frozenset(("contextTokens", "memorySearch", "runRetries")),
}
"""Of an agent, in one of the two only. Versions of other months may have any of them."""
ROOT_KEYS: Final = frozenset((
    "$include", "$schema", "accessGroups", "acp", "agents", "approvals", "attachments", "audio", "audit", "auth",
    "bindings", "broadcast", "browser", "channels", "cli", "cloudWorkers", "commands", "commitments", "crestodian",
    "cron", "desktop", "diagnostics", "discovery", "env", "gateway", "hooks", "logging", "marketplaces", "mcp",
    "media", "memory", "messages", "meta", "models", "nodeHost", "plugins", "proxy", "secrets", "security", "session",
    "skills", "surfaces", "talk", "telemetry", "tools", "transcripts", "tts", "tui", "ui", "update", "web", "wizard",
    "worktreeAcceleration", "worktreeRoot",
))  # fmt: skip
"""Of the file, in any of the two versions."""
IDENTITY_KEYS: Final = frozenset(("name", "theme", "emoji", "avatar"))
BIND: Final = ("auto", "custom", "lan", "loopback", "tailnet")
RELOAD_MODES: Final = {Shape.ENTRIES: ("hybrid", "off"), Shape.LIST: ("hot", "hybrid", "off", "restart")}
_WORDS_OF_KEY: Final = {
    "load": "It is skills.load.",
    "role": "The role belongs into the workspace's files.",
    "temperature": "It goes into params.",
    "maxTokens": "It goes into params.",
    "soul": "The soul is the workspace's SOUL.md.",
}
_VARIABLE: Final = re.compile(r"(?<!\$)\$\{([^}]*)\}")
_VARIABLE_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*\Z")

Table = dict[str, Plain]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is the path of a key. `fatal`: a gateway refuses the file; else it takes it, and it may surprise."""

    place: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def check_config(text: str, version: str | None = None) -> tuple[str, ...]:
    """Return why a gateway would refuse the file, nothing = no reason is known.

    `version`: of the gateway; None = rules that all versions have.
    """
    return tuple(str(finding) for finding in inspect_config(text, version) if finding.fatal)


def inspect_config(text: str, version: str | None = None) -> tuple[Finding, ...]:
    """The same with what is only a warning. A text that is no JSON5 is one finding, with line and column."""
    try:
        root = plain(parse(text).root)
    except ConfigError as error:
        return (Finding(place="", message=error.message),)
    if not isinstance(root, dict):
        return (Finding(place="", message="the file is not an object"),)
    return (*_known(root, version), *_variables("", root))


def _known(root: Table, version: str | None) -> Iterator[Finding]:
    """What the versions that we know refuse; of a newer one nobody knows which keys it has come to know."""
    month = month_of(version)
    newer = month is not None and month > max(MONTH_KEYS)
    yield from (msgspec.structs.replace(each, fatal=not newer) for each in _keys(root, version))
    yield from _gateway(root, version)
    yield from _agents(root, version)


def _keys(root: Table, version: str | None) -> Iterator[Finding]:
    """Keys that are not known, of the file and of its agents."""
    yield from _unknown("", root, ROOT_KEYS)
    known = _entry_keys(version)
    for place, entry in _each(root.get("agents")):
        if isinstance(entry, dict):
            yield from _unknown(place, entry, known | {"id"} if place.endswith("]") else known)
            identity = entry.get("identity")
            yield from _unknown(f"{place}.identity", identity if isinstance(identity, dict) else {}, IDENTITY_KEYS)


def _each(agents: Plain) -> Iterator[tuple[str, Plain]]:
    """All agents with their places, in any shape."""
    entries, listed = (agents.get("entries"), agents.get("list")) if isinstance(agents, dict) else (None, None)
    for agent_id, entry in entries.items() if isinstance(entries, dict) else ():
        yield f"agents.entries.{agent_id}", entry
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        yield f"agents.list[{index}]", entry


def _gateway(root: Table, version: str | None) -> Iterator[Finding]:
    gateway = root.get("gateway")
    if not isinstance(gateway, dict):
        if gateway is not None:
            yield Finding(place="gateway", message="is not an object")
            return
        gateway = {}
    if "mode" not in gateway:
        # Started with --allow-unconfigured it does without.
        message = 'is missing: a gateway that is started the usual way ends with exit code 78; write "local"'
        yield Finding(place="gateway.mode", message=message, fatal=False)
    bind = gateway.get("bind", "auto")
    if bind not in BIND:
        yield Finding(place="gateway.bind", message=f"{bind!r} is none of {', '.join(BIND)}")
    auth = gateway.get("auth")
    if isinstance(auth, dict) and auth.get("token"):
        message = "a token in the file beats OPENCLAW_GATEWAY_TOKEN; better kept out of it"
        yield Finding(place="gateway.auth.token", message=message, fatal=False)
    yield from _reload(gateway.get("reload"), version)


def _reload(reload: Plain, version: str | None) -> Iterator[Finding]:
    if not isinstance(reload, dict):
        return
    modes = RELOAD_MODES[shape_for(version)] if is_known(version) else RELOAD_MODES[Shape.LIST]
    if (mode := reload.get("mode", "hybrid")) not in modes:
        yield Finding(place="gateway.reload.mode", message=f"{mode!r} is none of {', '.join(modes)}")
    elif mode == "off":
        message = "the gateway takes changes only when it is started again"
        yield Finding(place="gateway.reload.mode", message=message, fatal=False)
    if "debounceMs" in reload and is_known(version) and shape_for(version) is Shape.ENTRIES:
        yield Finding(place="gateway.reload.debounceMs", message="is not known to gateways from 2026.8 on")


def _agents(root: Table, version: str | None) -> Iterator[Finding]:
    agents = root.get("agents")
    if not isinstance(agents, dict):
        if agents is not None:
            yield Finding(place="agents", message="is not an object")
        return
    if "entries" in agents and "list" in agents:
        yield Finding(place="agents", message="has both entries and list: one of the two")
    if "ownership" in agents and agents["ownership"] != "explicit":
        yield Finding(place="agents.ownership", message='is not "explicit", the only value there is')
    if "entries" in agents:
        yield from _entries(agents, version)
    if "list" in agents:
        yield from _list(agents, version)
    defaults = agents.get("defaults")
    if isinstance(defaults, dict) and "systemAgent" in defaults:
        yield from _system_agent(agents, defaults["systemAgent"], version)


def _entries(agents: Table, version: str | None) -> Iterator[Finding]:
    entries = agents["entries"]
    if not isinstance(entries, dict):
        yield Finding(place="agents.entries", message="is not an object")
        return
    if is_known(version) and shape_for(version) is Shape.LIST:
        yield Finding(place="agents.entries", message=f"gateway {version} takes agents.list only")
    if not entries and "ownership" in agents:
        yield Finding(place="agents.entries", message="is empty beside ownership: a gateway needs an agent")
    if len(entries) > 1 and agents.get("ownership") != "explicit":
        yield Finding(place="agents.ownership", message='"explicit" is missing beside two agents or more')
    for agent_id, entry in entries.items():
        place = f"agents.entries.{agent_id}"
        yield from _agent_id(place, agent_id)
        yield from _entry(place, entry)
        if isinstance(entry, dict) and entry.get("default") is True and "ownership" in agents:
            yield Finding(place=f"{place}.default", message="cannot be beside agents.ownership")


def _list(agents: Table, version: str | None) -> Iterator[Finding]:
    listed = agents["list"]
    if not isinstance(listed, list):
        yield Finding(place="agents.list", message="is not a list")
        return
    old = is_known(version) and shape_for(version) is Shape.LIST
    if "ownership" in agents and old:
        yield Finding(place="agents.ownership", message=f"is not known to gateway {version}")
    seen: set[str] = set()
    for index, entry in enumerate(listed):
        place = f"agents.list[{index}]"
        agent_id = entry.get("id") if isinstance(entry, dict) else None
        yield from _agent_id(place, agent_id)
        if isinstance(agent_id, str) and agent_id in seen:
            yield Finding(place=place, message=f"{agent_id} is there twice")
        seen.add(str(agent_id))
        yield from _entry(place, entry)
    yield from _list_mark(agents, listed, old)


def _list_mark(agents: Table, listed: list[Plain], old: bool) -> Iterator[Finding]:
    marked = sum(isinstance(entry, dict) and entry.get("default") is True for entry in listed)
    if "ownership" in agents:
        if marked:
            yield Finding(place="agents.ownership", message="cannot be beside an agent with default: true")
    elif marked != 1 and len(listed) > 1:
        message = f"{marked} agents have default: true, exactly one must"
        yield Finding(place="agents.list", message=message, fatal=not old)


def _entry_keys(version: str | None) -> frozenset[str]:
    month = month_of(version)
    only = [MONTH_KEYS[month]] if month in MONTH_KEYS else list(MONTH_KEYS.values())
    return ENTRY_KEYS.union(*only)


def _agent_id(place: str, agent_id: Plain) -> Iterator[Finding]:
    if not isinstance(agent_id, str):
        yield Finding(place=place, message="has no id")
    elif not AGENT_ID.match(agent_id):
        message = f"{agent_id[:70]!r} is no agent id: small letters, digits, _ and -, at most 64"
        yield Finding(place=place, message=message)


def _entry(place: str, entry: Plain) -> Iterator[Finding]:
    if not isinstance(entry, dict):
        yield Finding(place=place, message="is not an object")
        return
    for key in ("name", "workspace", "description"):
        if not isinstance(entry.get(key, ""), str):
            yield Finding(place=f"{place}.{key}", message="is not a text")
    identity = entry.get("identity", cast("Plain", {}))
    if not isinstance(identity, dict):
        yield Finding(place=f"{place}.identity", message="is not an object")
    else:
        avatar = identity.get("avatar")
        if isinstance(avatar, str) and avatar and not usable_avatar(avatar.replace("$${", "{")):
            yield Finding(place=f"{place}.identity.avatar", message="leads out of the agent's workspace")
    skills = entry.get("skills", cast("Plain", []))
    if not isinstance(skills, list) or not all(isinstance(skill, str) for skill in skills):
        yield Finding(place=f"{place}.skills", message="is not a list of names")
    if not isinstance(entry.get("model", ""), (str, dict)):
        yield Finding(place=f"{place}.model", message="is neither a text nor an object with primary and fallbacks")


def _unknown(place: str, table: Table, known: frozenset[str]) -> Iterator[Finding]:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = _WORDS_OF_KEY.get(key) or (f"Did you mean {close[0]}?" if close else "")
            where = f"{place}.{key}" if place else key
            yield Finding(place=where, message=f"is not known to gateways. {hint}".rstrip())


def _system_agent(agents: Table, system: Plain, version: str | None) -> Iterator[Finding]:
    place = "agents.defaults.systemAgent"
    if is_known(version) and shape_for(version) is Shape.LIST:
        yield Finding(place=place, message=f"is not known to gateway {version}")
    agent_id = system.get("agentId") if isinstance(system, dict) else None
    if not isinstance(agent_id, str):
        yield Finding(place=place, message="has no agentId")
        return
    entries = agents.get("entries")
    if isinstance(entries, dict) and agent_id not in entries:
        yield Finding(place=f"{place}.agentId", message=f"{agent_id} is no agent of this file", fatal=False)


def _variables(place: str, value: Plain) -> Iterator[Finding]:
    """Names that a gateway does not replace are taken as they stand, which is seldom meant."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _variables(f"{place}.{key}" if place else key, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _variables(f"{place}[{index}]", item)
    elif isinstance(value, str) and "${" in value:
        for name in _VARIABLE.findall(value):
            if not _VARIABLE_NAME.match(name):
                message = f"${{{name[:60]}}} is not replaced: names are in capitals"
                yield Finding(place=place, message=message, fatal=False)
