"""Whether an instance can be made as it was asked for: every field is looked at, and told by itself. Pure.

What only an engine or a file system knows comes in as facts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from hub.contract import ProvisionGateway
from hub.core.instances import LOCAL_HOST, StoredInstance
from hub.errors import BadRequest, HubError
from hub.gateways.images import check_version
from hub.gateways.instances.model import LEAST_MEMORY, is_shared
from hub.gateways.instances.secrets import check_keys, check_token
from hub.gateways.kinds import ImageKind, find_kind, image_reference
from hub.gateways.tiers import Tier
from profiles.errors import Problem

TENANT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
"""Of OpenClaw's own fleet command."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MOST_DOMAIN: Final = 253
_PLATFORM: Final = re.compile(r"linux/[a-z0-9]{1,16}(?:/v\d{1,2})?")
MOST_CONFIG_BYTES: Final = 256 * 1024
OURS: Final = (("gateway", "port"), ("gateway", "bind"), ("gateway", "mode"), ("gateway", "auth"))
"""Of openclaw.json: without these as we set them, nobody reaches the gateway or everybody does."""


class Refused(BadRequest):
    """Fields of a request are wrong; `problems` has all of them, the error itself is the first."""

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, field=first.field, hint=first.hint)
        self.problems = tuple((one.field, one.message, one.hint) for one in problems)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there already. `gateways`: the names in the book; `busy_ports`: where somebody listens."""

    instances: Collection[StoredInstance] = ()
    gateways: Collection[str] = ()
    hosts: Collection[str] = (LOCAL_HOST,)
    busy_ports: Collection[int] = ()
    no_way: Callable[[str], str] = lambda host: ""
    """Why gateways on a host could not be reached."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a right request means. `image`: empty for a kind that the hub builds itself."""

    tier: Tier
    kind: ImageKind
    image: str
    host: str


def check(request: ProvisionGateway, find_tier: Callable[[str], Tier], facts: Facts) -> Checked:
    """Return what the request means. `find_tier` raises BadRequest for one that cannot be used.

    Raises:
        Refused: with one problem per field.
    """
    problems: list[Problem] = []

    def asked(make: Callable[[], Any], otherwise: Any = None) -> Any:
        try:
            return make()
        except HubError as exc:
            problems.append(Problem(exc.field or "", exc.message, exc.hint))
            return otherwise

    tier: Tier | None = asked(lambda: find_tier(request.tier))
    wanted = request.image_kind or (tier.image_kind if tier is not None else "")
    kind: ImageKind | None = asked(lambda: find_kind(wanted)) if wanted else None
    image = ""
    if kind is not None:
        image = asked(lambda: _image(kind, request), "")
    host = request.host or LOCAL_HOST
    channels = tier.channels if tier is not None else ()
    problems += _names(request, facts)
    problems += _places(request, kind, host, facts)
    problems += check_keys(request.keys, channels)
    problems += [one for one in (check_token(request.gateway_token), _memory(request, tier)) if one is not None]
    problems += _config(request.config, tier)
    problems += _needs(request, kind)
    if problems or tier is None or kind is None:
        raise Refused(problems)
    return Checked(tier=tier, kind=kind, image=image, host=host)


def _image(kind: ImageKind, request: ProvisionGateway) -> str:
    if kind.built and not request.image:
        if request.version:
            check_version(request.version)
        return ""
    return image_reference(kind, request.image, request.version)


def _names(request: ProvisionGateway, facts: Facts) -> list[Problem]:
    problems: list[Problem] = []
    hint = "1 to 40 characters: a-z, 0-9 and -, neither first nor last."
    if TENANT.fullmatch(request.name) is None:
        problems.append(Problem("name", f"{request.name[:60]!r} is not a name for a gateway", hint))
    elif request.name in facts.gateways or any(one.name == request.name for one in facts.instances):
        problems.append(Problem("name", f"there is a gateway {request.name} already", "Choose another name."))
    customer = request.customer or request.name
    if request.customer and TENANT.fullmatch(request.customer) is None:
        problems.append(Problem("customer", f"{request.customer[:60]!r} is not a customer's id", hint))
    elif other := next((one.name for one in facts.instances if one.customer == customer), ""):
        problems.append(Problem("customer", f"the customer {customer} has the gateway {other}", "One per customer."))
    if request.subdomain:
        problems += _subdomain(request.subdomain, facts)
    return problems


def _subdomain(domain: str, facts: Facts) -> list[Problem]:
    labels = domain.split(".")
    if len(domain) > MOST_DOMAIN or len(labels) < 2 or any(_LABEL.fullmatch(label) is None for label in labels):
        hint = "A whole name in lower case, such as customer.example.com."
        return [Problem("subdomain", f"{domain[:80]!r} is not the name of a host", hint)]
    if other := next((one.name for one in facts.instances if one.subdomain == domain), ""):
        return [Problem("subdomain", f"{domain} leads to the gateway {other} already", "Choose another one.")]
    return []


def _places(request: ProvisionGateway, kind: ImageKind | None, host: str, facts: Facts) -> list[Problem]:
    problems: list[Problem] = []
    if host not in facts.hosts:
        hint = f"There is {', '.join(sorted(facts.hosts))}; clawtui host add names another one."
        problems.append(Problem("host", f"there is no Docker host {host[:60]!r}", hint))
    elif why := facts.no_way(host):
        problems.append(Problem("host", why, "Name the host over ssh: then its gateways are reached through a tunnel."))
    if request.platform and _PLATFORM.fullmatch(request.platform) is None:
        problems.append(Problem("platform", f"{request.platform[:60]!r} is no platform", "Such as linux/amd64."))
    port = request.port
    if port is not None and (other := _port_of(port, facts)):
        problems.append(Problem("port", f"port {port} is taken by {other}", "Leave it out: a free one is found."))
    if request.source and kind is not None and not is_shared(kind, host):
        writes = f"an image of kind {kind.name} writes its configuration itself"
        why = writes if host == LOCAL_HOST else "its folder is on another host"
        problems.append(Problem("source", f"the hub cannot keep the files of this gateway in step: {why}"))
    if request.folder and request.source != "folder":
        problems.append(Problem("folder", "belongs to the source folder", "Say --source folder."))
    if request.source == "folder" and not request.folder.startswith("/"):
        problems.append(Problem("folder", "the source folder needs an absolute path", "Such as /srv/profiles."))
    if request.source == "convex":
        hint = "Provision without a source, then: clawtui gateway sync NAME --source convex …"
        problems.append(Problem("source", "Convex needs more than its name", hint))
    return problems


def _port_of(port: int, facts: Facts) -> str:
    """Who has the port; empty for nobody. A gateway on another host has its tunnel at the same port of this machine."""
    other = next((one.name for one in facts.instances if one.port == port), "")
    if other:
        return f"the gateway {other}"
    return "another program" if port in facts.busy_ports else ""


def _memory(request: ProvisionGateway, tier: Tier | None) -> Problem | None:
    if tier is None or tier.memory_bytes >= LEAST_MEMORY or request.force:
        return None
    return Problem(
        "tier",
        f"the tier {tier.name} has {tier.memory_bytes // 2**20} MiB; a gateway takes 900 MiB when it is ready and "
        f"1400 MiB after some turns: it would be killed in its work",
        f"Give the tier at least {LEAST_MEMORY // 2**20} MiB, or force it.",
    )


def _config(config: dict[str, Any], tier: Tier | None) -> list[Problem]:
    problems = [
        Problem(f"config.{first}.{second}", "is set by the hub", "Leave it out.")
        for first, second in OURS
        if isinstance(section := config.get(first), dict) and second in section
    ]
    if len(msgspec.json.encode(config)) > MOST_CONFIG_BYTES:
        problems.append(Problem("config", f"is larger than {MOST_CONFIG_BYTES // 1024} KiB"))
    channels = config.get("channels")
    if tier is not None and isinstance(channels, dict):
        problems += [
            Problem(
                f"config.channels.{name}", f"the tier {tier.name} does not have this channel", "Choose another tier."
            )
            for name in channels
            if name not in (*tier.channels, "defaults")
        ]
    return problems


def _needs(request: ProvisionGateway, kind: ImageKind | None) -> list[Problem]:
    if kind is None or not kind.needs_one_of or any(request.keys.get(name) for name in kind.needs_one_of):
        return []
    named = ", ".join(kind.needs_one_of[:4])
    return [
        Problem("keys", f"an image of kind {kind.name} does not start without a provider's key", f"Such as {named}.")
    ]
