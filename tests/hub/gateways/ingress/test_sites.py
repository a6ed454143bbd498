"""Which names the proxy serves: hostile ones never, and each only once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.config import Ingress
from hub.contract import InstancePhase
from hub.core.instances import StoredInstance, Wanted
from hub.gateways.ingress.caddy import sites_text
from hub.gateways.ingress.layout import layout
from hub.gateways.ingress.sites import is_host_name, plan_sites, upstream_of
from tests.hub.gateways.ingress.fronted import STATE, instance

URL = "http://127.0.0.1:19100"

HOSTILE = [
    "a.example.com {\n\trespond owned\n}\n#",
    "a.example.com, b.example.com",
    "a.example.com:8080",
    "http://a.example.com",
    "*.example.com",
    "a.example.com/path",
    "{$HOME}.example.com",
    "{env.PATH}.example.com",
    "a.example.com # b",
    "a..example.com",
    ".example.com",
    "-a.example.com",
    "A.example.com",
    "ä.example.com",
    "a_b.example.com",
    "127.0.0.1",
    "localhost",
    "a\x00.example.com",
    "import /etc/passwd",
    f"{'a' * 64}.example.com",
    f"{'a.' * 130}example.com",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_name_of_a_host_is_left_out(name: str) -> None:
    found = plan_sites([(instance("acme", name), URL)], "")
    assert found.served == ()
    assert [one.why for one in found.left_out] == ["this is not the name of a host"]


@given(st.text(min_size=1, max_size=80))
def test_no_text_gets_anything_but_a_name_into_the_configuration(name: str) -> None:
    chosen = layout(Ingress(kind="caddy"), STATE)
    text = sites_text(plan_sites([(instance("acme", name), URL)], "").served, chosen)
    assert text == sites_text([], chosen) or (is_host_name(name) and f"\nhttps://{name} {{\n" in text)


def test_the_first_gateway_by_name_keeps_a_name_that_two_have() -> None:
    both = [(instance("b", "x.example.com"), URL), (instance("a", "x.example.com"), URL)]
    found = plan_sites(both, "")
    assert [one.gateway for one in found.served] == ["a"]
    assert [(one.site.gateway, one.why) for one in found.left_out] == [("b", "it leads to the gateway a already")]


@pytest.mark.parametrize(
    ("changed", "url", "domain", "why"),
    [
        (instance("a", "a.example.com"), URL, "", ""),
        (instance("a", "a.example.com"), URL, "example.com", ""),
        (instance("a", "a.example.com"), URL, "other.com", "it is not below other.com"),
        (instance("a", "aexample.com"), URL, "example.com", "it is not below example.com"),
        (instance("a", "a.example.com"), "", "", "the gateway has no address"),
        (instance("a", "a.example.com", phase=InstancePhase.UPGRADING), URL, "", ""),
        (instance("a", "a.example.com", phase=InstancePhase.STOPPED), URL, "", "the gateway is stopped"),
        (instance("a", "a.example.com", phase=InstancePhase.FAILED), URL, "", "the gateway is failed"),
        (instance("a", "a.example.com", phase=InstancePhase.PROVISIONING), URL, "", "the gateway is provisioning"),
    ],
)
def test_a_name_that_is_not_served_has_a_reason(changed: StoredInstance, url: str, domain: str, why: str) -> None:
    found = plan_sites([(changed, url)], domain)
    assert bool(found.served) == (not why)
    assert all(one.why.startswith(why) for one in found.left_out)


def test_what_is_wanted_stopped_is_not_served_and_what_has_no_name_is_not_told() -> None:
    stopped = replace(instance("a", "a.example.com"), wanted=Wanted.STOPPED)
    found = plan_sites([(stopped, URL), (instance("b", ""), URL)], "")
    assert (found.served, [one.site.gateway for one in found.left_out]) == ((), ["a"])


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("http://127.0.0.1:19100", "127.0.0.1:19100"),
        ("http://[::1]:19100/", "[::1]:19100"),
        ("https://127.0.0.1:19100", ""),
        ("http://127.0.0.1", ""),
        ("http://127.0.0.1:99999", ""),
        ("http://127.0.0.1:19100/below", ""),
        ("http://a b:19100", ""),
        ("unix:/run/x", ""),
    ],
)
def test_an_upstream_is_host_and_port(url: str, upstream: str) -> None:
    assert upstream_of(url) == upstream
