"""Which names the proxy leads where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hub.contract import InstancePhase
from hub.core.instances import StoredInstance, Wanted

MOST_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-f:.]+\]")

SERVED: Final = frozenset(
    {InstancePhase.RUNNING, InstancePhase.UPGRADING, InstancePhase.BACKING_UP, InstancePhase.RESTORING}
)
"""A gateway that is away for the moment keeps its name: who calls is told 502 instead of a TLS error, and the proxy is
not loaded again, which would end WebSockets of all the others."""


class Site(msgspec.Struct, frozen=True):
    """A name that leads to a gateway. `upstream` is host and port."""

    gateway: str
    domain: str
    upstream: str


class LeftOut(msgspec.Struct, frozen=True):
    """A name that leads nowhere, and why, as a clause."""

    site: Site
    why: str


class Sites(msgspec.Struct, frozen=True):
    served: tuple[Site, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def is_host_name(name: str) -> bool:
    """Tell whether a text is the whole name of a host in lower case, and neither an address nor a pattern."""
    labels = name.split(".")
    if len(name) > MOST_NAME or len(labels) < 2 or labels[-1].isdigit():
        return False
    return all(_LABEL.fullmatch(label) is not None for label in labels)


def public_url(name: str, https_port: int = 443) -> str:
    """Return the address of a gateway behind the proxy; empty where it has no name."""
    return f"https://{name}{'' if https_port == 443 else f':{https_port}'}" if name else ""


def is_below(name: str, domain: str) -> bool:
    return not domain or name.endswith(f".{domain}")


def upstream_of(url: str) -> str:
    """Return host and port of a gateway's address; empty where a proxy cannot use it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    if parts.scheme != "http" or port is None or parts.path.strip("/") or not _HOST.fullmatch(host):
        return ""
    return f"{host}:{port}"


def plan_sites(instances: Iterable[tuple[StoredInstance, str]], domain: str) -> Sites:
    """Return what the proxy is to serve of all instances with the addresses of their gateways, by name.

    Records were checked when they were made; they are checked again, because what is wrong with one name would keep
    the configuration of all from being taken.
    """
    served: dict[str, Site] = {}
    left_out: list[LeftOut] = []
    for instance, url in sorted(instances, key=lambda one: one[0].name):
        if not instance.subdomain:
            continue
        site = Site(instance.name, instance.subdomain, upstream_of(url))
        if why := _why_not(instance, site, domain, served):
            left_out.append(LeftOut(site, why))
        else:
            served[site.domain] = site
    return Sites(tuple(served.values()), tuple(left_out))


def _why_not(instance: StoredInstance, site: Site, domain: str, served: dict[str, Site]) -> str:
    if not is_host_name(site.domain):
        return "this is not the name of a host"
    if not is_below(site.domain, domain):
        return f"it is not below {domain}, the domain of the setting ingress_domain"
    if (other := served.get(site.domain)) is not None:
        return f"it leads to the gateway {other.gateway} already"
    if instance.phase not in SERVED or instance.wanted is Wanted.STOPPED:
        return f"the gateway is {instance.phase.value}"
    if not site.upstream:
        return "the gateway has no address that a proxy can reach"
    return ""
