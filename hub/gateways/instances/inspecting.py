"""What about an instance asks for a change although it runs: rules over what was seen. Pure.

No secret is among the facts: whoever gathers them compares, and says only where one was found.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from hub.contract import GatewayFinding
from hub.core.instances import StoredInstance
from hub.drivers.cells import Capacity, CellSeen
from hub.gateways.instances.model import LEAST_MEMORY
from hub.gateways.instances.plan import SPARE_BYTES
from profiles.sync.errors import ConfigError
from profiles.sync.openclaw_check import check_config
from profiles.sync.openclaw_json5 import parse, plain

OTHERS: Final = 0o077
"""Mode bits of the group and of everybody else."""
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}\Z")
_WHOLE_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
"""A tag with all three numbers names one release; `latest` or `2026.9` get another image with time."""
_MIB: Final = 2**20
LARGER: Final = (
    "A tier is given once: take its state into a new gateway with `clawtui gateway import NAME --state-folder DIR "
    "--tier TIER`, and destroy this one."
)


class FileSeen(msgspec.Struct, frozen=True):
    """A file or folder that must be the hub's user's alone. `mode` None: it is not there."""

    path: str
    mode: int | None
    is_mine: bool = True


class InstanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One instance as it was found.

    `seen` None: no container, or `unseen` says why it could not be looked at. `config` None: no text of it, `unread`
    says why. `secrets_in_config`: names of variables whose values stand in it. `kind_proxies`: what the kind of image
    needs in `gateway.trustedProxies`.
    """

    instance: StoredInstance
    files: tuple[FileSeen, ...] = ()
    seen: CellSeen | None = None
    unseen: str = ""
    config: str | None = None
    config_path: str = ""
    unread: str = ""
    secrets_in_config: tuple[str, ...] = ()
    kind_proxies: tuple[str, ...] = ()


def inspect_instance(facts: InstanceFacts) -> list[GatewayFinding]:
    """Return everything that should be changed about one instance, in the order in which to show it."""
    checks = (_ports, _files, _image, _memory, _config, _token, _proxies)
    return [finding for check in checks for finding in check(facts)]


def inspect_host(host: str, capacity: Capacity, instances: Sequence[StoredInstance]) -> list[GatewayFinding]:
    """Compare the limits of all instances of a host with what it has: under load they may all be used at once."""
    limits = sum(one.memory_bytes or 0 for one in instances)
    if limits <= capacity.memory_bytes - SPARE_BYTES:
        return []
    names = ", ".join(one.name for one in instances)
    return [
        GatewayFinding(
            gateway="",
            check="memory",
            found=f"the limits of {names} are {limits // _MIB} MiB together; {host} has "
            f"{capacity.memory_bytes // _MIB} MiB",
            remedy="Give some of them a smaller tier, or move them to another host: when all work at once the kernel "
            "ends one of them.",
        )
    ]


def _finding(facts: InstanceFacts, check: str, found: str, remedy: str) -> GatewayFinding:
    return GatewayFinding(gateway=facts.instance.name, check=check, found=found, remedy=remedy)


def _ports(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    if facts.unseen:
        yield _finding(facts, "container", f"it could not be looked at: {facts.unseen}", "Mend that, and look again.")
    for port in facts.seen.ports if facts.seen is not None else ():
        if not _is_loopback(port.host_ip):
            where = port.host_ip or "every address of the host"
            yield _finding(
                facts,
                "ports",
                f"port {port.port} is open on {where}",
                "A gateway speaks no TLS. Make it again with a backup and `clawtui gateway restore`, which binds it to "
                "127.0.0.1, and lead a name to it with the ingress.",
            )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _files(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    for file in facts.files:
        if file.mode is None:
            yield _finding(
                facts, "files", f"{file.path} is not there", "Put it back from a backup of the state folder."
            )
        elif not file.is_mine:
            yield _finding(facts, "files", f"{file.path} belongs to another user", f'sudo chown "$(id -u)" {file.path}')
        elif file.mode & OTHERS:
            yield _finding(
                facts,
                "files",
                f"others may use {file.path} (mode {file.mode:04o})",
                f"chmod go= {file.path}; who could read it may know the keys and the token.",
            )


def is_pinned(image: str) -> bool:
    """Whether the reference means the same image tomorrow: by digest, or by a tag of one release."""
    if _DIGEST.search(image):
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return _WHOLE_VERSION.search(tag) is not None


def _image(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    image = facts.instance.image
    if not is_pinned(image):
        yield _finding(
            facts,
            "image",
            f"{image} can become another image",
            f"Name a release or a digest: clawtui gateway upgrade {facts.instance.name} --image REPOSITORY@sha256:…",
        )


def _memory(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    instance, seen = facts.instance, facts.seen
    # What the engine enforces counts, not what was asked for.
    limit = seen.memory_bytes if seen is not None else instance.memory_bytes
    if not limit:
        yield _finding(facts, "memory", "it has no memory limit", "Provision it with a tier, which has one.")
    elif limit < LEAST_MEMORY:
        yield _finding(
            facts,
            "memory",
            f"its limit of {limit // _MIB} MiB is less than the {LEAST_MEMORY // _MIB} MiB that a gateway uses",
            LARGER,
        )
    if (seen is not None and seen.oom_killed) or instance.oom_killed:
        yield _finding(
            facts,
            "memory",
            "it was ended for using more memory than its limit",
            LARGER,
        )


def _config(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    if facts.unread:
        yield _finding(facts, "config", f"its configuration cannot be read: {facts.unread}", "Mend that.")
    if facts.config is None:
        return
    for problem in check_config(facts.config, facts.instance.version or None):
        yield _finding(
            facts,
            "config",
            f"the gateway would refuse its configuration: {problem}",
            f"Mend {facts.config_path}; it runs on until its next start, which would end with exit code 78.",
        )


def _token(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    auth = (_gateway(facts) or {}).get("auth")
    # A reference to a variable is no secret.
    token = auth.get("token") if isinstance(auth, dict) else None
    written = isinstance(token, str) and token != "" and not token.startswith("${")
    if written or facts.secrets_in_config:
        names = ", ".join(facts.secrets_in_config) or "gateway.auth.token"
        yield _finding(
            facts,
            "token",
            f"a secret stands in the configuration: {names}",
            f"Remove it from {facts.config_path}: it comes by the environment, and one in the file is stronger than "
            "that.",
        )


def _proxies(facts: InstanceFacts) -> Iterator[GatewayFinding]:
    section = _gateway(facts)
    if section is None:
        return
    given = section.get("trustedProxies", [])
    proxies = [str(one) for one in given] if isinstance(given, list) else []
    for proxy in proxies:
        if _is_everybody(proxy):
            yield _finding(
                facts,
                "proxies",
                f"gateway.trustedProxies has {proxy}: everybody may say where a request comes from",
                f"Name the proxy's address alone in {facts.config_path}.",
            )
    gateway = facts.instance.network_gateway
    # The ingress forwards nothing of the caller; the hub's own looks come from the same address as it does.
    trusted = [proxy for proxy in proxies if not _is_everybody(proxy) and gateway and _covers(proxy, gateway)]
    for proxy in trusted:
        yield _finding(
            facts,
            "proxies",
            f"gateway.trustedProxies has {proxy}: the hub looks from there, and the gateway refuses it as a caller "
            "without forwarded headers",
            f"Take it out of {facts.config_path}: the ingress needs no trust.",
        )
    for wanted in facts.kind_proxies:
        if not any(_covers(proxy, wanted) for proxy in proxies):
            yield _finding(
                facts,
                "proxies",
                f"gateway.trustedProxies lacks {wanted}, the proxy inside of the image",
                f"Add it in {facts.config_path}; without it the gateway refuses every caller.",
            )


def _is_everybody(proxy: str) -> bool:
    try:
        return ipaddress.ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return proxy == "*"


def _covers(proxy: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        return False


def _gateway(facts: InstanceFacts) -> dict[str, Any] | None:
    """Return `gateway` of the configuration; None where nothing is known of it, which the check of it says."""
    try:
        found: Any = plain(parse(facts.config).root) if facts.config is not None else None
    except ConfigError:
        return None
    if not isinstance(found, dict):
        return None
    section = found.get("gateway", {})
    return section if isinstance(section, dict) else None
